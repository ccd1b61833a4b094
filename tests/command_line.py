# SPDX-License-Identifier: Apache-2.0
"""Runs the command line in this process."""

from cmnist_tfds import cli


def status(*argv):
  """Runs a command; returns its exit status."""
  try:
    return cli.main([str(arg) for arg in argv])
  except SystemExit as stopped:
    return stopped.code


def run(capsys, *argv):
  """Returns the status of a command, what it printed, and its errors."""
  found = status(*argv)
  printed = capsys.readouterr()
  assert 'Traceback' not in printed.err
  return found, printed.out, printed.err

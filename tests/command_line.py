# SPDX-License-Identifier: Apache-2.0
"""Runs the command line in this process."""

from __future__ import annotations

from cmnist_tfds import cli


def run(capsys, *argv):
  """Returns the status of a command, what it printed, and its errors."""
  try:
    status = cli.main([str(arg) for arg in argv])
  except SystemExit as stopped:
    status = stopped.code
  printed = capsys.readouterr()
  assert 'Traceback' not in printed.err
  return status, printed.out, printed.err

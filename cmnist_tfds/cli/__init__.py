# SPDX-License-Identifier: Apache-2.0
"""The command line: `cmnist`, also `python -m cmnist_tfds`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import cmnist_tfds
from cmnist_tfds.cli import (
  audit_command,
  baseline_command,
  build_command,
  cache_command,
  catalog_command,
  compare_command,
  croissant_command,
  evaluate_command,
  export_command,
  info_command,
  list_command,
  mirror_command,
  publish_command,
  show_command,
  source_command,
  terminal,
  tfds_pr_command,
  verify_command,
)
from cmnist_tfds.cli.command_parser import CommandParser
from cmnist_tfds.sources import registry
from cmnist_tfds.system import interrupts, streams
from cmnist_tfds.system.errors import CmnistError, SubsetNameError

# In the order of `cmnist --help`.
_COMMANDS = (
  list_command,
  info_command,
  build_command,
  show_command,
  verify_command,
  mirror_command,
  cache_command,
  export_command,
  evaluate_command,
  compare_command,
  baseline_command,
  audit_command,
  catalog_command,
  croissant_command,
  publish_command,
  tfds_pr_command,
  source_command,
)


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the command line.

  Args:
    argv: Arguments without the program's name; those of the process if None.

  Returns:
    The exit status: 0 (done), 1 (failed), 2 (usage), or 130, 143 or 129
    (interrupted by Ctrl-C, TERM or HUP).

  Raises:
    SystemExit: If argparse rejects the arguments, or prints help or version.
  """
  # Otherwise TensorFlow logs how it was compiled to stderr.
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
  with streams.command_streams(), terminal.warnings_as_lines():
    try:
      return _run(argv)
    except BrokenPipeError:
      return 0  # The reader has what it wanted (`cmnist list | head`).
    except (CmnistError, OSError, MemoryError, KeyboardInterrupt) as error:
      return terminal.fail(*_explain(error))


def _explain(error: BaseException) -> tuple[str, int]:
  """Returns the message and the exit status of a command that failed."""
  if isinstance(error, CmnistError):
    usage = isinstance(error, SubsetNameError)
    return str(error), terminal.USAGE if usage else terminal.FAILED
  if isinstance(error, OSError):
    used = error.filename or 'a file'
    return f'cannot use {used}: {error.strerror or error}.', terminal.FAILED
  if isinstance(error, MemoryError):
    said = f': {error}' if str(error) else ''
    return (
      f'out of memory{said}. Close other programs, or use a smaller subset.',
      terminal.FAILED,
    )
  assert isinstance(error, KeyboardInterrupt)
  status = interrupts.exit_status(error)
  return 'interrupted; what was finished is kept', status


def _run(argv: Sequence[str] | None) -> int:
  """Runs a command; returns its exit status when all its output is written."""
  try:
    args = _parser().parse_args(argv)
    with (
      interrupts.terminations_interrupt(),
      registry.with_files(args.sources),
    ):
      status: int = args.run(args)
  except SystemExit:  # After --help, for example.
    sys.stdout.flush()
    raise
  sys.stdout.flush()
  return status


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog='cmnist',
    description=(
      'CMNIST for TensorFlow Datasets: 134 benchmarks for image classification,'
      ' each a concatenation of MNIST-like datasets of 28x28 greyscale images.'
    ),
  )
  parser.add_argument(
    '--version', action='version', version=f'cmnist {cmnist_tfds.__version__}'
  )
  subparsers = parser.add_subparsers(
    title='commands',
    metavar='COMMAND',
    required=True,
    parser_class=CommandParser,
  )
  for command in _COMMANDS:
    command.register(subparsers)
  return parser

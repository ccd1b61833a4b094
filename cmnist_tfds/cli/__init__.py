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
  terminal,
  tfds_pr_command,
  verify_command,
)
from cmnist_tfds.errors import CmnistError, SubsetNameError

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
)


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the command line.

  Args:
    argv: Arguments without the program's name; those of the process if None.

  Returns:
    The exit status: 0 (done), 1 (failed), 2 (usage) or 130 (interrupted).

  Raises:
    SystemExit: If argparse rejects the arguments, or prints help or version.
  """
  # Otherwise TensorFlow logs how it was compiled to stderr.
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
  args = _parser().parse_args(argv)
  try:
    status: int = args.run(args)
    sys.stdout.flush()
    return status
  except SubsetNameError as error:
    return terminal.fail(error, terminal.USAGE)
  except CmnistError as error:
    return terminal.fail(error)
  except BrokenPipeError:
    # The reader closed the pipe (`cmnist list | head`). Without this, Python
    # would report the closed pipe again when it flushes stdout at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
  except OSError as error:
    # The system's message names the file and the fault, such as a full disk.
    return terminal.fail(error)
  except KeyboardInterrupt:
    return terminal.fail(
      'interrupted; what was finished is kept', terminal.INTERRUPTED
    )


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
    title='commands', metavar='COMMAND', required=True
  )
  for command in _COMMANDS:
    command.register(subparsers)
  return parser

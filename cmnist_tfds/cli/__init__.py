# SPDX-License-Identifier: Apache-2.0
"""The command line: `cmnist`, also `python -m cmnist_tfds`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import cmnist_tfds
from cmnist_tfds.cli import building, faces, facts, origin_files, printing
from cmnist_tfds.errors import CmnistError, SubsetNameError


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the command line.

  Args:
    argv: Arguments without the program's name; those of the process if None.

  Returns:
    The exit status: 0, 1 (failed) or 2 (usage).
  """
  # TensorFlow tells of its build on stderr unless asked not to.
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
  args = _parser().parse_args(argv)
  try:
    status = args.run(args)
    sys.stdout.flush()
    return status
  except SubsetNameError as error:
    return printing.say(error, printing.USAGE)
  except CmnistError as error:
    return printing.say(error, printing.FAILED)
  except BrokenPipeError:
    # Whoever read the output has enough (`cmnist list | head`). Python would
    # complain once more when it flushes stdout at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
  except OSError as error:
    # The file system's own words name what failed: no space, no permission.
    return printing.say(error, printing.FAILED)
  except KeyboardInterrupt:
    return printing.say(
      'interrupted; nothing unfinished is kept', printing.INTERRUPTED
    )


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog='cmnist',
    description=(
      'CMNIST: 134 image classification benchmarks, 28x28 grey, made of'
      ' eleven MNIST-like datasets, for TensorFlow Datasets.'
    ),
  )
  parser.add_argument(
    '--version', action='version', version=f'cmnist {cmnist_tfds.__version__}'
  )
  commands = parser.add_subparsers(
    title='commands', metavar='COMMAND', required=True
  )
  for group in (facts, building, faces, origin_files):
    group.add_commands(commands)
  return parser

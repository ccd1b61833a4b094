# SPDX-License-Identifier: Apache-2.0
"""The command line: `cmnist`, also `python -m cmnist_tfds`."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import logging
import os
import sys
from collections.abc import Sequence

from cmnist_tfds.system import interrupts, streams
from cmnist_tfds.system.errors import CmnistError, SubsetNameError, what_helps

try:
  from cmnist_tfds.sources import registry
except CmnistError as error:  # The package is not whole.
  sys.exit(f'cmnist: {error}')

from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.cli.command_parser import CommandParser, add_command, declare

# In the order of `cmnist --help`. Each has a module, <name>_command, of which the
# docstring is its help. `ARGUMENTS` are those that its function `run` takes; or
# there are `ACTIONS`, each with its arguments and its function, of which the
# docstring is its help.
_COMMANDS = (
  *('list', 'info', 'build', 'show', 'verify', 'mirror', 'cache', 'export'),
  *('evaluate', 'compare', 'baseline', 'audit', 'catalog'),
  *('croissant', 'publish', 'tfds_pr', 'source'),
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
  # TensorFlow would log how it was compiled to stderr.
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
  with streams.command_streams(), terminal.warnings_as_lines():
    try:
      return _run(argv)
    except BrokenPipeError:
      return 0  # The reader has what it wanted (`cmnist list | head`).
    except (CmnistError, argparse.ArgumentError) as error:
      is_usage = isinstance(error, SubsetNameError | argparse.ArgumentError)
      return terminal.fail(error, terminal.USAGE if is_usage else 1)
    except (OSError, RuntimeError) as error:
      return terminal.fail(_refused(error))
    except MemoryError as error:
      said = f'{error}. ' if str(error) else ''
      remedy = 'Close other programs, or use a smaller subset.'
      return terminal.fail(f'out of memory. {said}{remedy}')
    except KeyboardInterrupt as error:
      status = interrupts.exit_status(error)
      return terminal.fail('interrupted; finished work is kept', status)


def _refused(error: OSError | RuntimeError) -> str:
  """Returns what the system refuses; other errors are defects."""
  if isinstance(error, OSError):
    what = f'cannot use {error.filename}: ' if error.filename else ''
    return f'{what}{what_helps(error)}'
  if "can't start new thread" not in str(error):
    raise error
  return f'{error}. Raise the limit of processes and threads (ulimit -u).'


def _run(argv: Sequence[str] | None) -> int:
  """Runs a command; returns its exit status when all its output is written."""
  argv = sys.argv[1:] if argv is None else argv
  if argv[:1] == ['help']:
    argv = [*argv[1:], '--help']
  parser = _parser()
  if '_ARGCOMPLETE' in os.environ:  # A shell asks what may be typed.
    import argcomplete

    argcomplete.autocomplete(parser)
  try:
    args = parser.parse_args(argv)
    if args.quiet or args.verbose:
      streams.LOG.setLevel(logging.ERROR if args.quiet else logging.DEBUG)
    with interrupts.terminations_interrupt(), registry.with_files(args.sources):
      arguments.resolve(args)
      silent = args.quiet and (args.makes_files or getattr(args, 'output', ''))
      with contextlib.redirect_stdout(io.StringIO() if silent else sys.stdout):
        return args.run(args) or 0
  finally:
    sys.stdout.flush()


def _parser() -> CommandParser:
  parser = CommandParser(
    prog='cmnist',
    description=(
      'CMNIST for TensorFlow Datasets: 134 benchmarks for image classification,'
      ' each a concatenation of MNIST-like datasets of 28x28 gray images.'
    ),
    epilog='`cmnist help COMMAND` is the same as `cmnist COMMAND --help`.',
  )
  declare(parser, arguments.COMMON)
  parser.set_defaults(quiet=False, verbose=False)
  version = f'cmnist {sys.modules["cmnist_tfds"].__version__}'
  parser.add_argument('--version', action='version', version=version)
  commands = parser.add_subparsers(
    title='commands', metavar='COMMAND', required=True
  )
  for name in _COMMANDS:
    module = importlib.import_module(f'cmnist_tfds.cli.{name}_command')
    run = getattr(module, 'run', None)
    table = module.ARGUMENTS if run else module.ACTIONS
    text = module.__doc__ or ''
    add_command(commands, name.replace('_', '-'), text, table, run)
  return parser

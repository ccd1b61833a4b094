# SPDX-License-Identifier: Apache-2.0
"""Declares commands, and parses their arguments as users write them."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import Any

from cmnist_tfds.cli.arguments import SOURCES


class CommandParser(argparse.ArgumentParser):
  """Takes options between names too, and `--data-dir` for `--data_dir`."""

  _is_mixing = False

  def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
    """Parses arguments; see `argparse.ArgumentParser`."""
    # Up to Python 3.11, the parser of intermixed arguments calls this again. It
    # cannot parse actions of a command, which have parsers of their own.
    if self._is_mixing or self._subparsers:
      return super().parse_known_args(args, namespace)
    self._is_mixing = True
    end = args.index('--') if '--' in args else len(args)
    args = [*map(_with_underscores, args[:end]), *args[end:]]
    return self.parse_known_intermixed_args(args, namespace)


def _with_underscores(arg: str) -> str:
  """Returns an option as it is declared, and anything else as it is."""
  return re.sub('(?<=^--)[^=]+', lambda name: name[0].replace('-', '_'), arg)


def add_command(
  commands: argparse._SubParsersAction[Any],
  name: str,
  text: str,
  table: Any,
  run: Callable[[argparse.Namespace], int | None] | None = None,
) -> None:
  """Adds a command.

  Args:
    commands: The commands of the program, or the actions of a command.
    name: What a user types.
    text: What the command does. The list of commands shows its first paragraph.
    table: The arguments, an `Arguments`. If there is no `run`, the actions: the
      text, the arguments and the function of each, by name.
    run: Runs the command with the parsed arguments; returns its exit status, or
      None for 0.
  """
  summary = text.partition('\n\n')[0].strip()
  parser = commands.add_parser(
    name,
    help=f'{summary[:1].lower()}{summary[1:-1]}',
    description=' '.join(text.split()),
  )
  if run is None:
    actions = parser.add_subparsers(metavar='ACTION', required=True)
    for action, declared in table.items():
      add_command(actions, action, *declared)
    return
  parser.set_defaults(run=run)
  _declare(parser, {**SOURCES, **table})


def _declare(holder: Any, arguments: Any) -> None:
  """Adds arguments, an `Arguments`, to a parser or to a group of it."""
  for usage, declared in arguments.items():
    if usage == 'one of':
      _declare(holder.add_mutually_exclusive_group(), declared)
      continue
    name, _, metavar = usage.partition(' ')
    known = {'help': declared} if isinstance(declared, str) else {**declared}
    if metavar.endswith(('*', '+')):
      known['nargs'] = metavar[-1]
    if metavar:
      known['metavar'] = metavar.rstrip('*+')
    elif isinstance(declared, str):
      known['action'] = 'store_true'
    names = ['-o', name] if name == '--output' else [name]
    holder.add_argument(*names, **known)

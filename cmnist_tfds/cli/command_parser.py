# SPDX-License-Identifier: Apache-2.0
"""Declares commands, and parses their arguments as users write them."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from cmnist_tfds import subsets
from cmnist_tfds.cli.arguments import COMMON, SOURCES

# The commands that make files without being told where.
_MAKING_FILES = {'build', 'knn', 'net', 'new'}


class CommandParser(argparse.ArgumentParser):
  """Takes options between names too, and `--data-dir` for `--data_dir`.

  An error says which command or option was likely meant.
  """

  # The options that are parsed. Only those of an action of a command are known.
  _given: Sequence[str] | None = None

  def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
    """Parses arguments; see `argparse.ArgumentParser`."""
    # Up to Python 3.11, the parser of intermixed arguments calls this again. It
    # cannot parse actions of a command, which have parsers of their own.
    if self._given is not None or self._subparsers:
      return super().parse_known_args(args, namespace)
    end = args.index('--') if '--' in args else len(args)
    self._given = [*map(_with_underscores, args[:end])]
    found, unknown = self.parse_known_intermixed_args(
      [*self._given, *args[end:]], namespace
    )
    if unknown:
      self.error(f'unrecognized arguments: {" ".join(unknown)}')
    return found, unknown

  def error(self, message: str) -> NoReturn:
    """Prints a fault of usage, and what was likely meant, and exits."""
    options = [o for o in self._option_string_actions if o[:2] == '--']
    found = {}
    if choice := re.search("choice: '(.*)' .choose from (.*).$", message):
      known = re.findall(r'[\w-]+', f'{choice[2]} help')
      begun = [name for name in known if name.startswith(choice[1])]
      found[choice[1]] = begun or difflib.get_close_matches(choice[1], known)
    for word in self._given or message.split():
      given = word.partition('=')[0]
      # The beginning of an option stands for it.
      if word[:2] == '--' and not any(o.startswith(given) for o in options):
        found[given] = difflib.get_close_matches(given, options, cutoff=0.7)
    hints = (
      f' Did you mean {c[0]} instead of {g}?' for g, c in found.items() if c
    )
    super().error('.'.join(filter(None, [message, ''.join(hints)])))


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
      arguments and the function of each, whose docstring is its text, by name.
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
    for action, (declared, act) in table.items():
      add_command(actions, action, act.__doc__ or '', declared, act)
    return
  parser.set_defaults(run=run, makes_files=name in _MAKING_FILES)
  declare(parser, {**SOURCES, **table, **COMMON})


def declare(holder: Any, arguments: Any) -> None:
  """Adds arguments, an `Arguments`, to a parser or to a group of it."""
  for usage, declared in arguments.items():
    if usage == 'one of':
      declare(holder.add_mutually_exclusive_group(), declared)
      continue
    name, _, metavar = usage.partition(' ')
    known = {'help': declared} if isinstance(declared, str) else {**declared}
    if metavar.endswith(('*', '+', '?')):
      known['nargs'] = metavar[-1]
    if metavar:
      known['metavar'] = metavar.rstrip('*+?')
    elif isinstance(declared, str):
      known['action'] = 'store_true'
    action = holder.add_argument(*name.split('|'), **known)
    if name in {'name', 'names', 'audited'}:
      # What argcomplete calls when a shell asks it.
      action.completer = lambda **_: [s.name for s in subsets.declared()]

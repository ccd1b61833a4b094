# SPDX-License-Identifier: Apache-2.0
"""Parses the arguments of a command as users are in the habit of typing them."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any


class CommandParser(argparse.ArgumentParser):
  """Parses the arguments of a command.

  Options may stand between names, and `--data-dir` stands for `--data_dir`. So
  it is for every option that is declared with an underscore.
  """

  _intermixes = False

  def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
    """Parses arguments; see `argparse.ArgumentParser`."""
    # Subparsers are called here, and up to Python 3.11 the parser of intermixed
    # arguments calls this too.
    if self._intermixes:
      return super().parse_known_args(args, namespace)
    spelled = self._spelled(args)
    # Actions of a command, as those of `cmnist source`, have parsers too.
    if any(a.nargs == argparse.PARSER for a in self._actions):
      return super().parse_known_args(spelled, namespace)
    self._intermixes = True
    try:
      return self.parse_known_intermixed_args(spelled, namespace)
    finally:
      self._intermixes = False

  def _spelled(self, args: Iterable[str]) -> list[str]:
    """Returns arguments with the options as they are declared."""
    args = list(args)
    # What follows `--` is no option.
    end = args.index('--') if '--' in args else len(args)
    return [*map(self._declared, args[:end]), *args[end:]]

  def _declared(self, arg: str) -> str:
    option, equals, value = arg.partition('=')
    declared = '--' + option[2:].replace('-', '_')
    # Options may be abbreviated.
    if option.startswith('--') and any(
      known.startswith(declared) for known in self._option_string_actions
    ):
      return declared + equals + value
    return arg

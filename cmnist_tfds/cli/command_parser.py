# SPDX-License-Identifier: Apache-2.0
"""Parses the arguments of a command as users are in the habit of typing them."""

from __future__ import annotations

import argparse
from typing import Any


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
    usage = self.format_usage()
    end = args.index('--') if '--' in args else len(args)
    args = [*(_declared(arg, usage) for arg in args[:end]), *args[end:]]
    return self.parse_known_intermixed_args(args, namespace)


def _declared(arg: str, usage: str) -> str:
  """Returns an option, which may be abbreviated, as the usage spells it."""
  option, equals, value = arg.partition('=')
  declared = '--' + option[2:].replace('-', '_')
  is_known = option.startswith('--') and declared in usage
  return declared + equals + value if is_known else arg

# SPDX-License-Identifier: Apache-2.0
"""The declarations of the paper's sources: the TOML files beside this module."""

from __future__ import annotations

import pathlib
import re
import sys
from typing import Any

if sys.version_info >= (3, 11):
  import tomllib
else:
  import tomli as tomllib

from cmnist_tfds.system.errors import DeclarationError

# What each file holds, by its name, in alphabetical order.
TABLES: dict[str, dict[str, Any]] = {
  path.name: tomllib.loads(path.read_text('utf-8'))
  for path in sorted(pathlib.Path(__file__).parent.glob('*.toml'))
}


def read_text(path: pathlib.Path) -> str:
  """Returns the text of a declaration.

  Args:
    path: The file.

  Raises:
    DeclarationError: If it cannot be read or is not UTF-8.
  """
  try:
    # Some editors of Windows begin a file with a byte order mark.
    return path.read_text('utf-8-sig')
  except UnicodeDecodeError as error:
    line = error.object[: error.start].count(b'\n') + 1
    raise DeclarationError(
      f'{path}, line {line}: expected UTF-8, found other bytes; save the file as'
      ' UTF-8'
    ) from error
  # A path with a null character is no OSError.
  except (OSError, ValueError) as error:
    reason = error.strerror if isinstance(error, OSError) else error
    raise DeclarationError(f'{path}: cannot be read: {reason}') from error


def parse_toml(text: str, owner: str) -> dict[str, Any]:
  """Returns what a TOML file holds.

  Args:
    text: The text of the file.
    owner: The file, for messages.

  Raises:
    DeclarationError: If it is not TOML.
  """
  try:
    return tomllib.loads(text)
  # Numbers of thousands of digits are errors of Python, not of the parser.
  except (ValueError, RecursionError) as error:
    # The parser names the line in words, or the end of the file.
    found = re.search(r'line (\d+)', str(error))
    line = found[1] if found else len(text.splitlines()) or 1
    raise DeclarationError(
      f'{owner}, line {line}: is not TOML: {error}'
    ) from error

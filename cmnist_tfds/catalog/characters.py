# SPDX-License-Identifier: Apache-2.0
"""What a class name is as characters: script and code points."""

from __future__ import annotations

import unicodedata


def code_points(name: str) -> str:
  """Returns the code point of a name that is one character, else ''."""
  return f'U+{ord(name):04X}' if len(name) == 1 else ''


def unicode_name(name: str) -> str:
  """Returns Unicode's name of a name that is one character, else ''."""
  return unicodedata.name(name).lower() if len(name) == 1 else ''


def script(name: str) -> str:
  """Returns the script of a class name, as 'Hiragana'.

  Unicode's names of characters begin with their script; the digits 0 to 9
  belong to all scripts.

  Args:
    name: A class name.

  Returns:
    The script; 'Word' for a name that is more than a character.
  """
  if len(name) != 1:
    return 'Word'
  first = unicodedata.name(name).partition(' ')[0]
  return 'Digit' if first == 'DIGIT' else first.capitalize()

# SPDX-License-Identifier: Apache-2.0
"""The script and the code point of a class name."""

from __future__ import annotations

import unicodedata


def code_point(name: str) -> str:
  """Returns the code point of a one-character name; '' for other names."""
  return f'U+{ord(name):04X}' if len(name) == 1 else ''


def unicode_name(name: str) -> str:
  """Returns the Unicode name of a one-character name; '' for other names."""
  return unicodedata.name(name).lower() if len(name) == 1 else ''


def script(name: str) -> str:
  """Returns the script of a class name, such as 'Hiragana'.

  The Unicode name of a character begins with its script. The digits 0 to 9
  belong to all scripts, so their script is 'Digit'.

  Args:
    name: A class name.

  Returns:
    The script; '' for a name of more than one character.
  """
  if len(name) != 1:
    return ''
  first = unicodedata.name(name).partition(' ')[0]
  return 'Digit' if first == 'DIGIT' else first.capitalize()

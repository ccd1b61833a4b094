# SPDX-License-Identifier: Apache-2.0
"""The script of a character."""

from __future__ import annotations

import unicodedata


def script(character: str) -> str:
  """Returns the script of a character, such as 'Hiragana'.

  The Unicode name of a character begins with its script. The digits 0 to 9
  belong to all scripts, so their script is 'Digit'.

  Args:
    character: The character.

  Returns:
    The script.
  """
  first = unicodedata.name(character).partition(' ')[0]
  return 'Digit' if first == 'DIGIT' else first.capitalize()

# SPDX-License-Identifier: Apache-2.0
"""Fonts for the class names: the one of this package, then installed ones."""

from __future__ import annotations

import functools
import logging
import os
import shutil
import subprocess
from collections.abc import Iterator

from PIL import ImageFont

from cmnist_tfds.system.resources import CLASS_NAMES_FONT

# Further fonts for the class names of users' own sources: files that Pillow
# looks up in the font folders of Linux, macOS and Windows. A text is drawn with
# the first font that has every character of it.
_FONT_FILES = (
  'DejaVuSans.ttf',
  'NotoSans-Regular.ttf',
  'NotoSansCJK-Regular.ttc',
  'Arial Unicode.ttf',
  'Hiragino Sans GB.ttc',
  'msgothic.ttc',
  'Nirmala.ttf',
  'Nirmala.ttc',
  'seguisym.ttf',
)

# This code point is no character, so fonts draw it with the glyph that they use
# for characters they do not have.
_NO_CHARACTER = '\U0010ffff'

_log = logging.getLogger('cmnist_tfds')


@functools.cache
def _load(file: str, size: int) -> ImageFont.FreeTypeFont | None:
  try:
    return ImageFont.truetype(file, size)
  except OSError:
    return None


def _has(font: ImageFont.FreeTypeFont, text: str) -> bool:
  """Returns whether a font has a glyph for each character."""
  missing = bytes(font.getmask(_NO_CHARACTER))
  return all(bytes(font.getmask(char)) != missing for char in text)


def _files_with(text: str) -> Iterator[str]:
  """Yields font files that may have the characters, the package's own first."""
  yield str(CLASS_NAMES_FONT)
  yield from _FONT_FILES
  # Fontconfig lists the installed fonts that have certain characters.
  if fc_list := shutil.which('fc-list'):
    charset = ' '.join(f'{ord(char):x}' for char in sorted(set(text)))
    listed = subprocess.run(
      [fc_list, f':charset={charset}', '--format=%{file}\n'],
      capture_output=True,
      check=False,
    )
    yield from sorted(os.fsdecode(listed.stdout).splitlines())


@functools.cache
def font_for(text: str, size: int) -> ImageFont.FreeTypeFont | None:
  """Returns a font that has every character of a text.

  Args:
    text: The text to draw.
    size: Height in pixels.

  Returns:
    The font; None if no font has all the characters.
  """
  for file in _files_with(text):
    font = _load(file, size)
    if font and _has(font, text):
      return font
  return None


@functools.cache
def _warn_of_fallback() -> None:
  _log.warning(
    'No font has the characters of some class names; the picture shows their'
    ' code points instead. Install a font of their script, for example one of'
    ' the Noto Sans family.'
  )


@functools.cache
def text_and_font(text: str, size: int) -> tuple[str, ImageFont.FreeTypeFont]:
  """Returns what to draw for a text, and the font to draw it with.

  Args:
    text: A class name or a heading.
    size: Height in pixels.

  Returns:
    The text itself and a font that has all its characters. If no font has
    them, the code points of the text, as 'U+6F22', and a font for these.
  """
  if font := font_for(text, size):
    return text, font
  _warn_of_fallback()
  code_points = ' '.join(f'U+{ord(char):04X}' for char in text)
  found = font_for(code_points, size)
  assert found is not None  # The package's font has ASCII.
  return code_points, found

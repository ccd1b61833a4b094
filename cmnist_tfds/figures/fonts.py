# SPDX-License-Identifier: Apache-2.0
"""Fonts that can write the class names: Latin, kana and Kannada digits."""

from __future__ import annotations

import functools
import shutil
import subprocess
from collections.abc import Iterator

from absl import logging
from PIL import ImageFont

# By file name, as Pillow finds them in the font folders of Linux, macOS and
# Windows. The first one that has every character of a name writes it.
_FONT_FILES = (
  'DejaVuSans.ttf',
  'Arial.ttf',
  'NotoSans-Regular.ttf',
  'NotoSansCJK-Regular.ttc',
  'NotoSansKannada-Regular.ttf',
  'NotoSansJP-Regular.ttf',
  'ipaexg.ttf',
  'ipag.ttf',
  'fonts-japanese-gothic.ttf',
  'VL-Gothic-Regular.ttf',
  'Lohit-Kannada.ttf',
  'Gubbi.ttf',
  'Hiragino Sans GB.ttc',
  'Kannada MN.ttc',
  'msgothic.ttc',
  'Nirmala.ttf',
  'Nirmala.ttc',
  'Tunga.ttf',
)

# No character: whatever a font draws for it, it draws for what it lacks.
_NO_CHARACTER = '\U0010ffff'


@functools.cache
def _load(file: str, size: int) -> ImageFont.FreeTypeFont | None:
  try:
    return ImageFont.truetype(file, size)
  except OSError:
    return None


def _has(font: ImageFont.FreeTypeFont, text: str) -> bool:
  """Whether a font has a glyph for each character."""
  missing = bytes(font.getmask(_NO_CHARACTER))
  return all(bytes(font.getmask(char)) != missing for char in text)


def _files_with(text: str) -> Iterator[str]:
  """Yields font files that may have the characters, the usual ones first."""
  yield from _FONT_FILES
  # Fontconfig knows every installed font by the characters it has.
  if fc_list := shutil.which('fc-list'):
    charset = ' '.join(f'{ord(char):x}' for char in sorted(set(text)))
    listed = subprocess.run(
      [fc_list, f':charset={charset}', '--format=%{file}\n'],
      capture_output=True,
      text=True,
      check=False,
    )
    yield from sorted(listed.stdout.splitlines())


@functools.cache
def font_for(text: str, size: int) -> ImageFont.FreeTypeFont | None:
  """Returns a font that has every character of a text.

  Args:
    text: What is to be written.
    size: Height in pixels.

  Returns:
    The font, None if no installed font has all characters.
  """
  for file in _files_with(text):
    font = _load(file, size)
    if font and _has(font, text):
      return font
  return None


@functools.cache
def _say_fallback() -> None:
  logging.warning(
    'No installed font has every class name; code points stand in for them.'
    ' Install a Japanese and a Kannada font, for example those of Noto Sans.'
  )


@functools.cache
def written(
  text: str, size: int
) -> tuple[str, ImageFont.FreeTypeFont | ImageFont.ImageFont]:
  """Returns how a text can be written with the fonts that are installed.

  Args:
    text: A class name or a heading.
    size: Height in pixels.

  Returns:
    The text and a font that has it; where there is none, its code points, as
    'U+3042', and a font for those.
  """
  if font := font_for(text, size):
    return text, font
  _say_fallback()
  code_points = ' '.join(f'U+{ord(char):04X}' for char in text)
  # Pillow's own font has Latin.
  return code_points, (
    font_for(code_points, size) or ImageFont.load_default(size)
  )

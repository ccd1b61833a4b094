# SPDX-License-Identifier: Apache-2.0
"""Drawings in pixels, with the fonts of this machine."""

from __future__ import annotations

from PIL import Image, ImageDraw

from cmnist_tfds.figures import fonts
from cmnist_tfds.figures.drawing import Bar, Drawing, Theme, Tile

# Text stands on its baseline, as in SVG: fonts disagree on where a line has its
# middle.
_ANCHORS = {'start': 'ls', 'middle': 'ms', 'end': 'rs'}
_BASELINE = 0.35


def render(drawing: Drawing, theme: Theme) -> Image.Image:
  """Returns a drawing as an RGB image.

  Args:
    drawing: The drawing.
    theme: Its colours.

  Returns:
    The image, of the drawing's width and height.
  """
  picture = Image.new('RGB', (drawing.width, drawing.height), theme.paper)
  draw = ImageDraw.Draw(picture)
  for mark in drawing.marks:
    if isinstance(mark, Tile):
      tile = Image.fromarray(mark.image).resize(
        (mark.size, mark.size), Image.Resampling.NEAREST
      )
      picture.paste(tile, (round(mark.x), round(mark.y)))
      continue
    color = getattr(theme, mark.color)
    if isinstance(mark, Bar):
      # Pillow counts the last pixel in; a bar too thin to see is no bar.
      right, bottom = mark.x + mark.width - 1, mark.y + mark.height - 1
      if right >= mark.x and bottom >= mark.y:
        draw.rectangle((mark.x, mark.y, right, bottom), fill=color)
      continue
    text, font = fonts.written(mark.text, mark.size)
    draw.text(
      (mark.x, mark.y + _BASELINE * mark.size),
      text,
      fill=color,
      font=font,
      anchor=_ANCHORS[mark.anchor],
    )
  return picture

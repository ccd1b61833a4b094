# SPDX-License-Identifier: Apache-2.0
"""Drawings as pixels, which use the fonts of this machine."""

from __future__ import annotations

from PIL import Image, ImageColor, ImageDraw

from cmnist_tfds.figures import fonts
from cmnist_tfds.figures.drawing import Bar, Drawing, Theme, Tile

# Text is anchored at its baseline, as in SVG, because fonts disagree about where
# the middle of a line is.
_ANCHORS = {'start': 'ls', 'middle': 'ms', 'end': 'rs'}
_BASELINE = 0.35


def to_image(drawing: Drawing, theme: Theme) -> Image.Image:
  """Returns a drawing as an RGB image.

  Args:
    drawing: The drawing.
    theme: Its colours.

  Returns:
    The image, as wide and high as the drawing.
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
      # Pillow includes the last pixel, so a bar thinner than a pixel would have
      # its right edge left of its left edge.
      right, bottom = mark.x + mark.width - 1, mark.y + mark.height - 1
      if right >= mark.x and bottom >= mark.y:
        draw.rectangle(
          (mark.x, mark.y, right, bottom),
          fill=_blend(theme.paper, color, mark.opacity),
        )
      continue
    text, font = fonts.text_and_font(mark.text, mark.size)
    draw.text(
      (mark.x, mark.y + _BASELINE * mark.size),
      text,
      fill=color,
      font=font,
      anchor=_ANCHORS[mark.anchor],
    )
  return picture


def _blend(paper: str, color: str, opacity: float) -> tuple[int, ...]:
  """Returns a colour as it looks on the background."""
  return tuple(
    round(below + (above - below) * opacity)
    for below, above in zip(
      ImageColor.getrgb(paper), ImageColor.getrgb(color), strict=True
    )
  )

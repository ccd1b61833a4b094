# SPDX-License-Identifier: Apache-2.0
"""Drawings as SVG, in fonts of the viewer's machine or the package's own."""

from __future__ import annotations

import base64
import pathlib
from xml.sax import saxutils

import numpy as np

from cmnist_tfds.figures.drawing import Bar, Drawing, Mark, Theme, Tile
from cmnist_tfds.formats import png
from cmnist_tfds.sources import IMAGE_SIZE

_FONTS = 'CMNIST Class Names, DejaVu Sans, Noto Sans, sans-serif'


def to_svg(
  drawing: Drawing, theme: Theme, font: pathlib.Path | None = None
) -> str:
  """Returns a drawing as the text of an SVG file.

  Args:
    drawing: The drawing.
    theme: Its colours.
    font: A WOFF file to embed, for characters that no font of the viewer's
      machine has; None where the page around the drawing provides one.

  Returns:
    One `<svg>` element, which an HTML page can also embed.
  """
  tiles = [mark for mark in drawing.marks if isinstance(mark, Tile)]
  images = np.array([t.image for t in tiles], np.uint8)
  pngs = png.encode(images.reshape(-1, IMAGE_SIZE, IMAGE_SIZE))
  urls = {
    id(tile): data_url(encoded)
    for tile, encoded in zip(tiles, pngs, strict=True)
  }
  title = saxutils.escape(drawing.title)
  lines = [
    f'<svg xmlns="http://www.w3.org/2000/svg" width="{drawing.width}"'
    f' height="{drawing.height}" role="img"'
    f' viewBox="0 0 {drawing.width} {drawing.height}"'
    f' font-family="{_FONTS}">',
    f'<title>{title}</title>',
  ]
  if font:
    encoded = base64.b64encode(font.read_bytes()).decode()
    lines.append(
      "<style>@font-face{font-family:'CMNIST Class Names';"
      f'src:url(data:font/woff;base64,{encoded})}}</style>'
    )
  if theme.paper:
    lines.append(f'<rect width="100%" height="100%" fill="{theme.paper}"/>')
  lines += (_to_element(mark, theme, urls) for mark in drawing.marks)
  return '\n'.join([*lines, '</svg>\n'])


def data_url(encoded: bytes) -> str:
  """Returns the `data:` URL of a PNG file."""
  return f'data:image/png;base64,{base64.b64encode(encoded).decode()}'


def _to_element(mark: Mark, theme: Theme, urls: dict[int, str]) -> str:
  if isinstance(mark, Tile):
    return (
      f'<image x="{mark.x:g}" y="{mark.y:g}" width="{mark.size}"'
      f' height="{mark.size}" style="image-rendering:pixelated"'
      f' href="{urls[id(mark)]}"/>'
    )
  color = getattr(theme, mark.color)
  if isinstance(mark, Bar):
    opacity = '' if mark.opacity == 1 else f' opacity="{mark.opacity:.3f}"'
    return (
      f'<rect x="{mark.x:g}" y="{mark.y:g}" width="{mark.width:g}"'
      f' height="{mark.height:g}" fill="{color}"{opacity}/>'
    )
  # Some programs that draw SVG do not support `dominant-baseline`.
  return (
    f'<text x="{mark.x:g}" y="{mark.y:g}" dy=".35em" fill="{color}"'
    f' font-size="{mark.size}" text-anchor="{mark.anchor}">'
    f'{saxutils.escape(mark.text)}</text>'
  )

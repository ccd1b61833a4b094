# SPDX-License-Identifier: Apache-2.0
"""Drawings as SVG; the fonts are those of whoever looks at it."""

from __future__ import annotations

import base64
from xml.sax import saxutils

import numpy as np

from cmnist_tfds.figures.drawing import Bar, Drawing, Mark, Theme, Tile
from cmnist_tfds.formats import png

_FONTS = (
  'DejaVu Sans, Noto Sans, Noto Sans JP, Noto Sans CJK JP,'
  ' Noto Sans Kannada, sans-serif'
)


def render(drawing: Drawing, theme: Theme) -> str:
  """Returns a drawing as the text of an SVG file.

  Args:
    drawing: The drawing.
    theme: Its colours.

  Returns:
    One `<svg>` element, which may also stand inside an HTML page.
  """
  tiles = [mark for mark in drawing.marks if isinstance(mark, Tile)]
  images = np.array([t.image for t in tiles], np.uint8).reshape(-1, 28, 28)
  pngs = dict(zip(map(id, tiles), png.encode(images), strict=True))
  title = saxutils.escape(drawing.title)
  lines = [
    f'<svg xmlns="http://www.w3.org/2000/svg" width="{drawing.width}"'
    f' height="{drawing.height}" role="img"'
    f' viewBox="0 0 {drawing.width} {drawing.height}"'
    f' font-family="{_FONTS}">',
    f'<title>{title}</title>',
  ]
  if theme.paper:
    lines.append(f'<rect width="100%" height="100%" fill="{theme.paper}"/>')
  lines += (_element(mark, theme, pngs) for mark in drawing.marks)
  return '\n'.join([*lines, '</svg>\n'])


def _element(mark: Mark, theme: Theme, pngs: dict[int, bytes]) -> str:
  if isinstance(mark, Tile):
    data = base64.b64encode(pngs[id(mark)]).decode()
    return (
      f'<image x="{mark.x:g}" y="{mark.y:g}" width="{mark.size}"'
      f' height="{mark.size}" style="image-rendering:pixelated"'
      f' href="data:image/png;base64,{data}"/>'
    )
  color = getattr(theme, mark.color)
  if isinstance(mark, Bar):
    return (
      f'<rect x="{mark.x:g}" y="{mark.y:g}" width="{mark.width:g}"'
      f' height="{mark.height:g}" fill="{color}"/>'
    )
  # Not every program that draws SVG knows `dominant-baseline`.
  return (
    f'<text x="{mark.x:g}" y="{mark.y:g}" dy=".35em" fill="{color}"'
    f' font-size="{mark.size}" text-anchor="{mark.anchor}">'
    f'{saxutils.escape(mark.text)}</text>'
  )

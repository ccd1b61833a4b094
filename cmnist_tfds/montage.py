# Copyright 2026 The cmnist_tfds Authors.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""A picture of a subset: its classes, grouped by source, with their names."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from cmnist_tfds import fonts
from cmnist_tfds.sources import IMAGE_SIZE
from cmnist_tfds.subsets import Subset, SubsetClass

# How many images of each class are drawn.
EXAMPLES = 3

_SCALE = 2
_TILE = IMAGE_SIZE * _SCALE
_CELL_WIDTH = 92
_GAP = 4
_MARGIN = 16
_COLUMNS = 12
_NAME_SIZE = 14
_NAME_HEIGHT = 24
_HEADING_SIZE = 16
_HEADING_HEIGHT = 34
_TITLE_SIZE = 22
_TITLE_HEIGHT = 42

_PAPER = 'white'
_INK = '#202124'
_RULE = '#dadce0'


def montage(
  subset: Subset, images: Sequence[Sequence[np.ndarray]], title: str
) -> Image.Image:
  """Draws examples of each class of a subset.

  Args:
    subset: The subset.
    images: For each label, some of its images, uint8 (28, 28), drawn one
      below the other.
    title: Headline.

  Returns:
    An RGB picture.
  """
  groups = [
    (source, list(classes))
    for source, classes in itertools.groupby(
      subset.classes, key=lambda c: c.source
    )
  ]
  columns = min(_COLUMNS, max(len(classes) for _, classes in groups))
  depth = max(map(len, images))
  cell_height = depth * (_TILE + _GAP) + _NAME_HEIGHT
  rows = sum(-(-len(classes) // columns) for _, classes in groups)
  width = max(columns, 5) * _CELL_WIDTH + 2 * _MARGIN
  height = (
    _TITLE_HEIGHT
    + len(groups) * _HEADING_HEIGHT
    + rows * cell_height
    + 2 * _MARGIN
  )
  picture = Image.new('RGB', (width, height), _PAPER)
  draw = ImageDraw.Draw(picture)
  _write(draw, (_MARGIN, _MARGIN), title, _TITLE_SIZE)
  top = _MARGIN + _TITLE_HEIGHT
  for source, classes in groups:
    draw.line((_MARGIN, top, width - _MARGIN, top), fill=_RULE)
    heading = f'{source.key}  {source.title}, {len(classes)} classes'
    _write(draw, (_MARGIN, top + 8), heading, _HEADING_SIZE)
    top += _HEADING_HEIGHT
    for start in range(0, len(classes), columns):
      for column, c in enumerate(classes[start : start + columns]):
        corner = (_MARGIN + column * _CELL_WIDTH, top)
        _draw_class(picture, draw, corner, c, images[c.label], cell_height)
      top += cell_height
  return picture


def _draw_class(
  picture: Image.Image,
  draw: ImageDraw.ImageDraw,
  corner: tuple[int, int],
  described: SubsetClass,
  images: Sequence[np.ndarray],
  cell_height: int,
) -> None:
  """Draws one class: its images, its name below them."""
  left, top = corner
  for i, image in enumerate(images):
    tile = Image.fromarray(image).resize(
      (_TILE, _TILE), Image.Resampling.NEAREST
    )
    x = left + (_CELL_WIDTH - _TILE) // 2
    picture.paste(tile, (x, top + i * (_TILE + _GAP)))
  center = left + _CELL_WIDTH // 2
  bottom = top + cell_height - _NAME_HEIGHT // 2 - 2
  text, font = fonts.written(described.name, _NAME_SIZE)
  draw.text((center, bottom), text, fill=_INK, font=font, anchor='mm')


def _write(
  draw: ImageDraw.ImageDraw, corner: tuple[int, int], text: str, size: int
) -> None:
  text, font = fonts.written(text, size)
  draw.text(corner, text, fill=_INK, font=font)

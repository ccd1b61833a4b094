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

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from cmnist_tfds import fonts
from cmnist_tfds.sources import IMAGE_SIZE, Source
from cmnist_tfds.subsets import Subset, SubsetClass

# How many images of each class are drawn.
EXAMPLES = 3

_SCALE = 2
_TILE = IMAGE_SIZE * _SCALE
_CELL_WIDTH = 92
_GAP = 4
_MARGIN = 16
_COLUMNS = 12
_FEWEST_COLUMNS = 3
_NAME_SIZE = 14
_NAME_HEIGHT = 24
_HEADING_SIZE = 16
_HEADING_HEIGHT = 34
_TITLE_SIZE = 22
_TITLE_HEIGHT = 42

_PAPER = 'white'
_INK = '#202124'
_RULE = '#dadce0'


@dataclasses.dataclass(frozen=True)
class _Group:
  """The classes of one source, drawn as a block."""

  source: Source
  classes: list[SubsetClass]

  @property
  def columns(self) -> int:
    # No narrower than its heading.
    return min(_COLUMNS, max(len(self.classes), _FEWEST_COLUMNS))

  @property
  def rows(self) -> int:
    return -(-len(self.classes) // self.columns)


def montage(
  subset: Subset, images: Sequence[Sequence[np.ndarray]], title: str
) -> Image.Image:
  """Draws examples of each class of a subset.

  Args:
    subset: The subset.
    images: For each label, some of its images, uint8 (28, 28), drawn one below
      the other.
    title: Headline.

  Returns:
    An RGB picture.
  """
  lines = _lines(
    [
      _Group(source, list(classes))
      for source, classes in itertools.groupby(
        subset.classes, key=lambda c: c.source
      )
    ]
  )
  cell_height = max(map(len, images)) * (_TILE + _GAP) + _NAME_HEIGHT
  columns = max(sum(group.columns for group in line) for line in lines)
  heights = [
    _HEADING_HEIGHT + max(group.rows for group in line) * cell_height
    for line in lines
  ]
  width = columns * _CELL_WIDTH + 2 * _MARGIN
  height = _TITLE_HEIGHT + sum(heights) + 2 * _MARGIN
  picture = Image.new('RGB', (width, height), _PAPER)
  draw = ImageDraw.Draw(picture)
  _write(draw, (_MARGIN, _MARGIN), title, _TITLE_SIZE)
  top = _MARGIN + _TITLE_HEIGHT
  for line, line_height in zip(lines, heights, strict=True):
    draw.line((_MARGIN, top, width - _MARGIN, top), fill=_RULE)
    left = _MARGIN
    for group in line:
      heading = (
        f'{group.source.key}  {group.source.title}, {len(group.classes)}'
      )
      _write(draw, (left, top + 8), heading, _HEADING_SIZE)
      for i, described in enumerate(group.classes):
        row, column = divmod(i, group.columns)
        cell = Image.new('RGB', (_CELL_WIDTH, cell_height), _PAPER)
        _draw_class(cell, described, images[described.label])
        picture.paste(
          cell,
          (
            left + column * _CELL_WIDTH,
            top + _HEADING_HEIGHT + row * cell_height,
          ),
        )
      left += group.columns * _CELL_WIDTH
    top += line_height
  return picture


def _lines(groups: Sequence[_Group]) -> list[list[_Group]]:
  """Puts groups side by side as long as there is room."""
  lines: list[list[_Group]] = []
  for group in groups:
    room = _COLUMNS - sum(g.columns for g in lines[-1]) if lines else 0
    if group.columns <= room:
      lines[-1].append(group)
    else:
      lines.append([group])
  return lines


def _draw_class(
  cell: Image.Image, described: SubsetClass, images: Sequence[np.ndarray]
) -> None:
  """Draws one class: its images, its name below them."""
  for i, image in enumerate(images):
    tile = Image.fromarray(image).resize(
      (_TILE, _TILE), Image.Resampling.NEAREST
    )
    cell.paste(tile, ((cell.width - _TILE) // 2, i * (_TILE + _GAP)))
  text, font = fonts.written(described.name, _NAME_SIZE)
  ImageDraw.Draw(cell).text(
    (cell.width // 2, cell.height - _NAME_HEIGHT // 2 - 2),
    text,
    fill=_INK,
    font=font,
    anchor='mm',
  )


def _write(
  draw: ImageDraw.ImageDraw, corner: tuple[int, int], text: str, size: int
) -> None:
  text, font = fonts.written(text, size)
  draw.text(corner, text, fill=_INK, font=font)

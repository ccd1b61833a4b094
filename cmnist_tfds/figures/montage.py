# SPDX-License-Identifier: Apache-2.0
"""A picture of the classes of a subset: examples and names, by source."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from cmnist_tfds.figures.drawing import Bar, Drawing, Mark, Text, Tile
from cmnist_tfds.sources import IMAGE_SIZE, Source
from cmnist_tfds.subsets import Subset, SubsetClass

# Number of images of each class that are drawn by default.
EXAMPLES = 3

_TILE = IMAGE_SIZE * 2
_CELL_WIDTH = 92
_GAP = 4
_MARGIN = 16
_COLUMNS = 12
# A group of one or two classes is still as wide as its heading.
_MIN_COLUMNS = 3
# Single characters are drawn larger than words: kana have fine strokes.
_WORD_SIZE = 14
_CHARACTER_SIZE = 18
_NAME_HEIGHT = 24
_HEADING_SIZE = 16
_HEADING_HEIGHT = 34
_TITLE_SIZE = 22
_TITLE_HEIGHT = 42


@dataclasses.dataclass(frozen=True)
class _Group:
  """The classes of one source, drawn as a block."""

  source: Source
  classes: list[SubsetClass]

  @property
  def columns(self) -> int:
    return min(_COLUMNS, max(len(self.classes), _MIN_COLUMNS))

  @property
  def rows(self) -> int:
    return -(-len(self.classes) // self.columns)


def draw_montage(
  subset: Subset, images: Sequence[Sequence[np.ndarray]], title: str
) -> Drawing:
  """Draws examples of each class of a subset.

  Args:
    subset: The subset.
    images: For each label, some of its images, uint8 (28, 28), which are drawn
      below each other.
    title: The headline.

  Returns:
    The drawing.
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
  width = columns * _CELL_WIDTH + 2 * _MARGIN
  marks: list[Mark] = [
    Text(_MARGIN, _MARGIN + _TITLE_HEIGHT / 2 - 6, title, _TITLE_SIZE)
  ]
  top = _MARGIN + _TITLE_HEIGHT
  for line in lines:
    marks.append(Bar(_MARGIN, top, width - 2 * _MARGIN, 1, 'rule'))
    left = _MARGIN
    for group in line:
      heading = (
        f'{group.source.key}  {group.source.title}, {len(group.classes)}'
      )
      marks.append(
        Text(left, top + _HEADING_HEIGHT / 2, heading, _HEADING_SIZE)
      )
      for i, of_group in enumerate(group.classes):
        row, column = divmod(i, group.columns)
        marks += _cell(
          left + column * _CELL_WIDTH,
          top + _HEADING_HEIGHT + row * cell_height,
          cell_height,
          of_group.name,
          images[of_group.label],
        )
      left += group.columns * _CELL_WIDTH
    top += _HEADING_HEIGHT + max(group.rows for group in line) * cell_height
  return Drawing(width, top + _MARGIN, title, marks)


def _lines(groups: Sequence[_Group]) -> list[list[_Group]]:
  """Puts groups side by side while there is room on the line."""
  lines: list[list[_Group]] = []
  for group in groups:
    room = _COLUMNS - sum(g.columns for g in lines[-1]) if lines else 0
    if group.columns <= room:
      lines[-1].append(group)
    else:
      lines.append([group])
  return lines


def _cell(
  left: int,
  top: int,
  height: int,
  name: str,
  images: Sequence[np.ndarray],
) -> Iterator[Mark]:
  """Draws one class: its images, and its name below them."""
  middle = left + _CELL_WIDTH // 2
  for i, image in enumerate(images):
    yield Tile(middle - _TILE // 2, top + i * (_TILE + _GAP), _TILE, image)
  yield Text(
    middle,
    top + height - _NAME_HEIGHT // 2 - 2,
    name,
    _CHARACTER_SIZE if len(name) == 1 else _WORD_SIZE,
    'middle',
  )

# SPDX-License-Identifier: Apache-2.0
"""Grids of pairs: classes that look alike, images that occur twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from cmnist_tfds.figures.drawing import Drawing, Mark, Text, Tile
from cmnist_tfds.figures.similarity import Pair
from cmnist_tfds.scoring.duplicates import Duplicates
from cmnist_tfds.sources import IMAGE_SIZE
from cmnist_tfds.subsets import Subset

# Number of pairs that are drawn by default.
PAIRS = 24

_TILE = IMAGE_SIZE * 2
_CELL_WIDTH = 92
_PAIR_WIDTH = 2 * _CELL_WIDTH + 20
_PAIR_HEIGHT = 132
_COLUMNS = 4
_MIN_COLUMNS = 2
_MARGIN = 16
_TITLE_SIZE = 22
_TITLE_HEIGHT = 74
_NAME_SIZE = 16
_KEY_SIZE = 12


def draw_pairs(subset: Subset, pairs: Sequence[Pair], title: str) -> Drawing:
  """Draws pairs of classes, each with two images and their similarity.

  Args:
    subset: The subset that the classes belong to.
    pairs: The pairs, in the order in which they are drawn.
    title: The headline.

  Returns:
    The drawing.
  """
  subtitle = (
    'Classes of different sources, most similar first'
    if pairs
    else f'{subset.title} has only one source'
  )
  cells = [
    _Cell(
      pair.images,
      [c.name for c in pair.classes],
      [c.source.key for c in pair.classes],
      f'{pair.similarity:.2f}',
    )
    for pair in pairs
  ]
  return _draw_cells(cells, title, subtitle)


def draw_duplicates(found: Duplicates, title: str) -> Drawing:
  """Draws the nearest pairs of images, each with its ratio.

  Args:
    found: The pairs, of which the first are drawn.
    title: The headline.

  Returns:
    The drawing.
  """
  cells = []
  for pair, ratio in zip(
    found.pairs[:PAIRS].tolist(), found.ratios[:PAIRS].tolist(), strict=True
  ):
    of_pair = [found.find(number) for number in pair]
    cells.append(
      _Cell(
        [p.images[n].reshape(IMAGE_SIZE, IMAGE_SIZE) for p, n in of_pair],
        [p.class_name(n) for p, n in of_pair],
        [f'{p.title} {p.rows[n]}' for p, n in of_pair],
        f'{1000 * ratio:.2f}' if ratio else '=',
      )
    )
  return _draw_cells(
    cells, title, 'Nearest images: rows in the files, ratio in thousandths'
  )


class _Cell(NamedTuple):
  """Two images, with a name and a line for each, and a text for both."""

  images: Sequence[np.ndarray]
  names: Sequence[str]
  lines: Sequence[str]
  figure: str


def _draw_cells(cells: Sequence[_Cell], title: str, subtitle: str) -> Drawing:
  columns = min(_COLUMNS, max(len(cells), _MIN_COLUMNS))
  rows = -(-len(cells) // columns)
  marks: list[Mark] = [
    Text(_MARGIN, _MARGIN + 15, title, _TITLE_SIZE),
    Text(_MARGIN, _MARGIN + 44, subtitle, _NAME_SIZE, color='faint'),
  ]
  for i, cell in enumerate(cells):
    row, column = divmod(i, columns)
    marks += _draw_cell(
      _MARGIN + column * _PAIR_WIDTH,
      _MARGIN + _TITLE_HEIGHT + row * _PAIR_HEIGHT,
      cell,
    )
  return Drawing(
    2 * _MARGIN + columns * _PAIR_WIDTH,
    2 * _MARGIN + _TITLE_HEIGHT + rows * _PAIR_HEIGHT,
    title,
    marks,
  )


def _draw_cell(left: int, top: int, cell: _Cell) -> Iterator[Mark]:
  for i, (image, name, line) in enumerate(
    zip(cell.images, cell.names, cell.lines, strict=True)
  ):
    middle = left + _CELL_WIDTH // 2 + i * _CELL_WIDTH
    yield Tile(middle - _TILE // 2, top, _TILE, image)
    yield Text(middle, top + _TILE + 14, name, _NAME_SIZE, 'middle')
    yield Text(middle, top + _TILE + 32, line, _KEY_SIZE, 'middle', 'faint')
  yield Text(
    left + _CELL_WIDTH,
    top + _TILE // 2,
    cell.figure,
    _KEY_SIZE,
    'middle',
    'faint',
  )

# SPDX-License-Identifier: Apache-2.0
"""A grid of pairs of classes that look alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cmnist_tfds.figures.drawing import Drawing, Mark, Text, Tile
from cmnist_tfds.figures.similarity import Pair
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
  columns = min(_COLUMNS, max(len(pairs), _MIN_COLUMNS))
  rows = -(-len(pairs) // columns)
  subtitle = (
    'Classes of different sources, most similar first'
    if pairs
    else f'{subset.title} has only one source'
  )
  marks: list[Mark] = [
    Text(_MARGIN, _MARGIN + 15, title, _TITLE_SIZE),
    Text(_MARGIN, _MARGIN + 44, subtitle, _NAME_SIZE, color='faint'),
  ]
  for i, pair in enumerate(pairs):
    row, column = divmod(i, columns)
    marks += _draw_pair(
      _MARGIN + column * _PAIR_WIDTH,
      _MARGIN + _TITLE_HEIGHT + row * _PAIR_HEIGHT,
      pair,
    )
  return Drawing(
    2 * _MARGIN + columns * _PAIR_WIDTH,
    2 * _MARGIN + _TITLE_HEIGHT + rows * _PAIR_HEIGHT,
    title,
    marks,
  )


def _draw_pair(left: int, top: int, pair: Pair) -> Iterator[Mark]:
  for i, (of_pair, image) in enumerate(
    zip(pair.classes, pair.images, strict=True)
  ):
    middle = left + _CELL_WIDTH // 2 + i * _CELL_WIDTH
    yield Tile(middle - _TILE // 2, top, _TILE, image)
    yield Text(middle, top + _TILE + 14, of_pair.name, _NAME_SIZE, 'middle')
    yield Text(
      middle, top + _TILE + 32, of_pair.source.key, _KEY_SIZE, 'middle', 'faint'
    )
  yield Text(
    left + _CELL_WIDTH,
    top + _TILE // 2,
    f'{pair.similarity:.2f}',
    _KEY_SIZE,
    'middle',
    'faint',
  )

# SPDX-License-Identifier: Apache-2.0
"""Pictures of images with names, such as those of classes and look-alikes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cmnist_tfds.figures import pictures
from cmnist_tfds.figures.pictures import HEADING, MARGIN, TITLE_HEIGHT
from cmnist_tfds.figures.similarity import Pair
from cmnist_tfds.subsets import Subset

if TYPE_CHECKING:
  from matplotlib.figure import Figure

# Number of images of each class that are drawn by default.
EXAMPLES = 3
# Number of pairs that are drawn.
PAIRS = 24

# Images are drawn twice as large as they are; all lengths are even therefore.
_SCALE = 2
_TILE = 28 * _SCALE
_GAP = 4
_CELL_WIDTH = 92
_HEADING_HEIGHT = 34
# The most cells in a row, the best first.
_COLUMNS = (12, 11, 10, 9)
# Narrow groups are still as wide as their headings, and the picture as its own.
_GROUP_COLUMNS = 3
_LEAST_COLUMNS = 6


class Cell(NamedTuple):
  """Images, uint8 (28, 28), below each other; below them a name and a note."""

  images: Sequence[np.ndarray]
  name: str
  note: str = ''


def draw_montage(
  subset: Subset, images: Sequence[Sequence[np.ndarray]], title: str
) -> Figure:
  """Draws examples of each class of a subset.

  Args:
    subset: The subset.
    images: For each label, some of its images, uint8 (28, 28).
    title: The headline.

  Returns:
    The figure.
  """
  groups = []
  for source, classes in itertools.groupby(subset.classes, lambda c: c.source):
    cells = [Cell(images[c.label], c.name) for c in classes]
    groups.append((f'{source.key}  {source.title}, {len(cells)}', cells))
  return draw_groups(groups, title)


def draw_pairs(subset: Subset, pairs: Sequence[Pair], title: str) -> Figure:
  """Draws pairs of classes, each with two images and their similarity.

  Args:
    subset: The subset that the classes belong to.
    pairs: The pairs, in the order in which they are drawn.
    title: The headline.

  Returns:
    The figure.
  """
  groups = [
    (
      f'{pair.similarity:.2f}',
      [
        Cell([image], c.name, c.source.key)
        for c, image in zip(pair.classes, pair.images, strict=True)
      ],
    )
    for pair in pairs
  ]
  subtitle = 'Classes of different sources, most similar first'
  if not pairs:
    subtitle = f'{subset.title} has only one source'
  return draw_groups(groups, title, subtitle)


def draw_groups(
  groups: Sequence[tuple[str, Sequence[Cell]]], title: str, subtitle: str = ''
) -> Figure:
  """Draws groups of cells, side by side where they fit.

  Args:
    groups: For each group, its heading and its cells.
    title: The headline.
    subtitle: The line below the headline.

  Returns:
    The figure.
  """
  most = max((len(c.images) for _, cells in groups for c in cells), default=0)
  cell_height = most * (_TILE + _GAP) + (48 if subtitle else 28)
  top = MARGIN + (TITLE_HEIGHT if subtitle else 42)
  # The least blank space.
  places, columns, height = min(
    (_arrange(groups, number, cell_height) for number in _COLUMNS),
    key=lambda arranged: arranged[1] * arranged[2],
  )
  width = 2 * MARGIN + columns * _CELL_WIDTH
  bottom = top + height
  figure, axes = pictures.blank(width, bottom + 8, title, subtitle)
  # One sheet with all images is drawn much faster than each image.
  sheet = np.zeros((bottom // _SCALE + 4, width // _SCALE, 4), np.uint8)
  for (heading, cells), (column, above) in zip(groups, places, strict=True):
    left, begin = MARGIN + column * _CELL_WIDTH, top + above
    if column == 0:
      axes.hlines(begin, MARGIN, width - MARGIN)
    pictures.write(axes, left, begin + _HEADING_HEIGHT // 2, heading, HEADING)
    for i, cell in enumerate(cells):
      row, number = divmod(i, columns)
      x = left + number * _CELL_WIDTH + (_CELL_WIDTH - _TILE) // 2
      y = begin + _HEADING_HEIGHT + row * cell_height
      for image in cell.images:
        tile = sheet[y // _SCALE :, x // _SCALE :][:28, :28]
        tile[:, :, :3] = image[:, :, None]
        tile[:, :, 3] = 255
        y += _TILE + _GAP
      x += _TILE // 2
      # Kana have fine strokes, so characters are larger than words.
      size = 13 if len(cell.name) == 1 else 10.5
      pictures.write(axes, x, y + 10, cell.name, size, ha='center')
      pictures.write_faint(axes, x, y + 28, cell.note, ha='center')
  axes.imshow(
    sheet,
    extent=(0, width, bottom + 8, 0),
    aspect='auto',
    interpolation='none',
  )
  return figure


def _arrange(
  groups: Sequence[tuple[str, Sequence[Cell]]], limit: int, cell_height: int
) -> tuple[list[tuple[int, int]], int, int]:
  """Arranges groups in rows of at most so many columns.

  Returns:
    The first column and the top edge of each group, the number of columns that
    are used, and the height of all.
  """
  places = []
  column, top, bottom = limit, 0, 0
  used = _LEAST_COLUMNS
  for _, cells in groups:
    wide = min(max(len(cells), _GROUP_COLUMNS), limit)
    if column + wide > limit:
      column, top = 0, bottom
    places.append((column, top))
    column += wide
    used = max(used, column)
    rows = -(-len(cells) // limit)
    bottom = max(bottom, top + _HEADING_HEIGHT + rows * cell_height)
  return places, used, bottom

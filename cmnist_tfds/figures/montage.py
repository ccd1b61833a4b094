# SPDX-License-Identifier: Apache-2.0
"""Pictures of images with names: of classes, look-alikes, and duplicates."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cmnist_tfds.figures import pictures
from cmnist_tfds.figures.pictures import (
  FAINT,
  HEADING,
  MARGIN,
  SMALL,
  TITLE_HEIGHT,
)
from cmnist_tfds.figures.similarity import Pair
from cmnist_tfds.subsets import Subset

if TYPE_CHECKING:
  from matplotlib.figure import Figure

  from cmnist_tfds.scoring.duplicates import Duplicates

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
_COLUMNS = 12
# Narrow groups are still as wide as their headings.
_MIN_COLUMNS = 3


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
  groups = [
    (
      f'{source.key}  {source.title}, {len(raw_labels)}',
      [Cell(images[c.label], c.name) for c in classes],
    )
    for (source, raw_labels), (_, classes) in zip(
      subset.members,
      itertools.groupby(subset.classes, lambda c: c.source),
      strict=True,
    )
  ]
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


def draw_duplicates(found: Duplicates, title: str) -> Figure:
  """Draws the nearest pairs of images, each with its ratio.

  Args:
    found: The pairs, of which the first are drawn.
    title: The headline.

  Returns:
    The figure.
  """
  groups = []
  for pair, ratio in zip(
    found.pairs[:PAIRS].tolist(), found.ratios[:PAIRS].tolist(), strict=True
  ):
    cells = [
      Cell(
        [part.images[n].reshape(28, 28)],
        part.class_name(n),
        f'{part.title} {part.rows[n]}',
      )
      for part, n in map(found.find, pair)
    ]
    groups.append((f'{1000 * ratio:.2f}' if ratio else '=', cells))
  subtitle = 'Nearest images: rows in the files, ratio in thousandths'
  return draw_groups(groups, title, subtitle)


def draw_groups(
  groups: Sequence[tuple[str, Sequence[Cell]]], title: str, subtitle: str = ''
) -> Figure:
  """Draws groups of cells, side by side where they fit.

  Args:
    groups: For each group, its heading and its cells.
    title: The headline.
    subtitle: What stands below the headline.

  Returns:
    The figure.
  """
  most = max((len(c.images) for _, cells in groups for c in cells), default=0)
  cell_height = most * (_TILE + _GAP) + (48 if subtitle else 28)
  # The first column and the top edge of each group.
  places = []
  column = _COLUMNS
  top = bottom = MARGIN + (TITLE_HEIGHT if subtitle else 42)
  for _, cells in groups:
    if column + max(len(cells), _MIN_COLUMNS) > _COLUMNS:
      column, top = 0, bottom
    places.append((column, top))
    rows = -(-len(cells) // _COLUMNS)
    bottom = max(bottom, top + _HEADING_HEIGHT + rows * cell_height)
    column += max(len(cells), _MIN_COLUMNS)
  width = 2 * MARGIN + _COLUMNS * _CELL_WIDTH
  figure, axes = pictures.blank(width, bottom + 8, title, subtitle)
  # One sheet with all images is drawn much faster than each image.
  sheet = np.zeros((bottom // _SCALE + 4, width // _SCALE, 4), np.uint8)
  for (heading, cells), (column, top) in zip(groups, places, strict=True):
    left = MARGIN + column * _CELL_WIDTH
    if column == 0:
      axes.hlines(top, MARGIN, width - MARGIN)
    pictures.write(axes, left, top + _HEADING_HEIGHT // 2, heading, HEADING)
    for i, cell in enumerate(cells):
      row, number = divmod(i, _COLUMNS)
      x = left + number * _CELL_WIDTH + (_CELL_WIDTH - _TILE) // 2
      y = top + _HEADING_HEIGHT + row * cell_height
      for image in cell.images:
        tile = sheet[y // _SCALE :, x // _SCALE :][:28, :28]
        tile[:, :, :3] = image[:, :, None]
        tile[:, :, 3] = 255
        y += _TILE + _GAP
      x += _TILE // 2
      # Kana have fine strokes, so characters are larger than words.
      size = 13 if len(cell.name) == 1 else 10.5
      pictures.write(axes, x, y + 10, cell.name, size, ha='center')
      pictures.write(
        axes, x, y + 28, cell.note, SMALL, ha='center', alpha=FAINT
      )
  axes.imshow(
    sheet,
    extent=(0, width, bottom + 8, 0),
    aspect='auto',
    interpolation='none',
  )
  return figure

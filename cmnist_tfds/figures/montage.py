# SPDX-License-Identifier: Apache-2.0
"""Pictures of images with names, such as those of classes and look-alikes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cmnist_tfds.figures import pictures
from cmnist_tfds.figures.pictures import FAINT, HEADING, MARGIN, TITLE_HEIGHT
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
# About the width of a letter of a heading.
_LETTER_WIDTH = 8.5
# How many cells a row may have; the title needs the first.
_COLUMNS = range(6, 13)


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
  groups = []
  for pair in pairs:
    both = zip(pair.classes, pair.images, strict=True)
    cells = [Cell([image], c.name, c.source.key) for c, image in both]
    groups.append((f'{pair.similarity:.2f}', cells))
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
  top, notes = (MARGIN + TITLE_HEIGHT, 48) if subtitle else (MARGIN + 42, 28)
  row_height = _HEADING_HEIGHT + most * (_TILE + _GAP) + notes
  # The fewest rows, and as few columns as these allow.
  columns = min(_COLUMNS, key=lambda n: (-(-_places(groups, n)[-1] // n), n))
  *starts, end = _places(groups, columns)
  width = 2 * MARGIN + columns * _CELL_WIDTH
  height = top - (-end // columns) * row_height + 8
  figure, axes = pictures.blank(width, height, title, subtitle)
  # One sheet with all images is drawn much faster than each image.
  sheet = np.zeros((height // _SCALE, width // _SCALE, 4), np.uint8)
  for (heading, cells), start in zip(groups, starts, strict=True):
    for number, cell in enumerate(cells, start):
      row, column = divmod(number, columns)
      x, y = MARGIN + column * _CELL_WIDTH, top + row * row_height
      if number == start:
        if column == 0:
          axes.hlines(y, MARGIN, width - MARGIN)
        middle, room = y + _HEADING_HEIGHT // 2, width - MARGIN - x
        pictures.write(axes, x, middle, heading, HEADING, room=room)
      x += (_CELL_WIDTH - _TILE) // 2
      y += _HEADING_HEIGHT
      for image in cell.images:
        tile = sheet[y // _SCALE :, x // _SCALE :][:28, :28]
        tile[:, :, :3] = image[:, :, None]
        tile[:, :, 3] = 255
        y += _TILE + _GAP
      x += _TILE // 2
      # Kana have fine strokes, so characters are larger than words.
      size = 13 if len(cell.name) == 1 else 10.5
      style: dict[str, Any] = {'room': _CELL_WIDTH - 4, 'ha': 'center'}
      pictures.write(axes, x, y + 10, cell.name, size, **style)
      pictures.write(axes, x, y + 28, cell.note, **style, **FAINT)
  extent = (0, width, height, 0)
  axes.imshow(sheet, extent=extent, aspect='auto', interpolation='none')
  return figure


def _places(
  groups: Sequence[tuple[str, Sequence[Cell]]], columns: int
) -> list[int]:
  """Returns which cell of a grid each group starts with, and the end of all.

  Groups do not begin in a row that has no place for all of them.
  """
  places, end = [], 0
  for heading, cells in groups:
    wide = max(len(cells), int(len(heading) * _LETTER_WIDTH // _CELL_WIDTH) + 1)
    if end % columns + wide > columns:
      end += -end % columns
    places.append(end)
    end += wide
  return [*places, end]

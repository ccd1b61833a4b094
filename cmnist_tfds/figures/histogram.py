# SPDX-License-Identifier: Apache-2.0
"""A histogram of a subset: how many examples each class has, as bars."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cmnist_tfds.figures import pictures
from cmnist_tfds.figures.pictures import FAINT, HEADING, MARGIN, TITLE_HEIGHT
from cmnist_tfds.subsets import Subset, SubsetClass

if TYPE_CHECKING:
  from matplotlib.figure import Figure

_ROW_HEIGHT = 20
_NAME_WIDTH = 100
_BAR_WIDTH = 200
_COLUMN_WIDTH = 444
_MAX_ROWS = 50


def draw_histogram(
  subset: Subset, counts: Sequence[tuple[int, int]], title: str
) -> Figure:
  """Draws for each class a bar of its training and one of its test examples.

  Args:
    subset: The subset.
    counts: For each label, its numbers of training and of test examples.
    title: The headline.

  Returns:
    The figure. All bars have the same scale.
  """
  rows: list[SubsetClass | str] = []
  for source, classes in itertools.groupby(subset.classes, lambda c: c.source):
    # A blank line parts sources.
    rows += ['' for _ in rows[:1]]
    rows += [f'{source.key}  {source.title}', *classes]
  num_columns = -(-len(rows) // _MAX_ROWS)
  num_rows = -(-len(rows) // num_columns)
  # No column ends with a heading.
  while any(isinstance(row, str) for row in rows[num_rows - 1 :: num_rows]):
    num_rows += 1
  width = num_columns * _COLUMN_WIDTH + MARGIN
  height = TITLE_HEIGHT + num_rows * _ROW_HEIGHT + 2 * MARGIN
  subtitle = 'Train above, test below, on the same scale'
  figure, axes = pictures.blank(width, height, title, subtitle)
  scale = _BAR_WIDTH / max(1, *itertools.chain(*counts))
  for i, row in enumerate(rows):
    column, line = divmod(i, num_rows)
    left, right = MARGIN + column * _COLUMN_WIDTH, (column + 1) * _COLUMN_WIDTH
    y = MARGIN + TITLE_HEIGHT + (line + 0.5) * _ROW_HEIGHT
    if isinstance(row, str):
      pictures.write(axes, left, y, row, HEADING, room=right - left)
      axes.hlines(y + _ROW_HEIGHT / 2 - 1, left, right if row else left)
      continue
    start = left + _NAME_WIDTH
    name = {'room': _NAME_WIDTH - 8, 'ha': 'right'}
    pictures.write(axes, start - 8, y, row.name, HEADING, **name)
    train, test = counts[row.label]
    axes.barh(y - 2, train * scale, 9, start, color='C0')
    axes.barh(y + 5, test * scale, 5, start, color='C1')
    numbers = f'{train:,} / {test:,}'
    pictures.write(axes, right, y, numbers, ha='right', **FAINT)
  return figure

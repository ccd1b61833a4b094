# SPDX-License-Identifier: Apache-2.0
"""A histogram of a subset: how many examples each class has, as bars."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cmnist_tfds.figures.drawing import Bar, Drawing, Mark, Text
from cmnist_tfds.subsets import Subset, SubsetClass

_MARGIN = 16
_TITLE_SIZE = 22
_TITLE_HEIGHT = 66
_TEXT_SIZE = 15
_COUNT_SIZE = 12
_ROW_HEIGHT = 20
_NAME_WIDTH = 92
_BAR_WIDTH = 200
_COUNT_WIDTH = 124
_COLUMN_WIDTH = _NAME_WIDTH + _BAR_WIDTH + _COUNT_WIDTH
_COLUMN_GAP = 28
# Rows beyond this number start another column.
_MAX_ROWS = 48
_TRAIN_HEIGHT = 9
_TEST_HEIGHT = 5


class Counts(NamedTuple):
  """Numbers of examples of one class; None where they are not known."""

  train: int | None
  test: int | None


def draw_histogram(
  subset: Subset, counts: Sequence[Counts], title: str
) -> Drawing:
  """Draws for each class a bar of its training and one of its test examples.

  Args:
    subset: The subset.
    counts: For each label, its numbers of examples.
    title: The headline.

  Returns:
    The drawing. All bars have the same scale; a number that is not known is
    drawn as a question mark, without a bar.
  """
  largest = max((n for count in counts for n in count if n), default=1)
  rows = list(_rows(subset))
  num_columns = -(-len(rows) // _MAX_ROWS)
  columns = _columns(rows, -(-len(rows) // num_columns))
  while len(columns) > num_columns:
    # The headings that continued sources repeat need rows as well.
    columns = _columns(rows, len(columns[0]) + 1)
  width = (
    2 * _MARGIN + len(columns) * (_COLUMN_WIDTH + _COLUMN_GAP) - _COLUMN_GAP
  )
  height = _TITLE_HEIGHT + max(map(len, columns)) * _ROW_HEIGHT + 2 * _MARGIN
  marks: list[Mark] = [Text(_MARGIN, _MARGIN + 15, title, _TITLE_SIZE)]
  marks += _legend(_MARGIN, _MARGIN + 44)
  for i, column in enumerate(columns):
    left = _MARGIN + i * (_COLUMN_WIDTH + _COLUMN_GAP)
    for j, row in enumerate(column):
      middle = _MARGIN + _TITLE_HEIGHT + (j + 0.5) * _ROW_HEIGHT
      if isinstance(row, SubsetClass):
        marks += _bars(left, middle, row.name, counts[row.label], largest)
      else:
        marks.append(Text(left, middle, row, _TEXT_SIZE))
        marks.append(
          Bar(left, middle + _ROW_HEIGHT / 2 - 2, _COLUMN_WIDTH, 1, 'rule')
        )
  return Drawing(width, height, title, marks)


def _rows(subset: Subset) -> Iterator[SubsetClass | str]:
  """Yields the classes, with a heading before those of each source."""
  for source, classes in itertools.groupby(
    subset.classes, key=lambda c: c.source
  ):
    yield f'{source.key}  {source.title}'
    yield from classes


def _columns(
  rows: Sequence[SubsetClass | str], per_column: int
) -> list[list[SubsetClass | str]]:
  """Breaks rows into columns.

  A source that continues in another column has its heading repeated there.
  """
  columns: list[list[SubsetClass | str]] = [[]]
  heading = ''
  for row in rows:
    is_heading = isinstance(row, str)
    # A heading must not be the last row of a column.
    if len(columns[-1]) >= per_column - is_heading:
      columns.append([] if is_heading else [f'{heading}, continued'])
    if isinstance(row, str):
      heading = row
    columns[-1].append(row)
  return columns


def _legend(left: float, middle: float) -> Iterator[Mark]:
  yield Bar(left, middle - _TRAIN_HEIGHT / 2, 24, _TRAIN_HEIGHT, 'train')
  yield Text(left + 32, middle, 'train', _TEXT_SIZE)
  yield Bar(left + 92, middle - _TEST_HEIGHT / 2, 24, _TEST_HEIGHT, 'test')
  yield Text(left + 124, middle, 'test, on the same scale', _TEXT_SIZE)


def _bars(
  left: float, middle: float, name: str, counts: Counts, largest: int
) -> Iterator[Mark]:
  yield Text(left + _NAME_WIDTH - 8, middle, name, _TEXT_SIZE, 'end')
  left += _NAME_WIDTH
  top = middle - (_TRAIN_HEIGHT + _TEST_HEIGHT) / 2
  if counts.train:
    train = _BAR_WIDTH * counts.train / largest
    yield Bar(left, top, train, _TRAIN_HEIGHT, 'train')
  if counts.test:
    test = _BAR_WIDTH * counts.test / largest
    yield Bar(left, top + _TRAIN_HEIGHT, test, _TEST_HEIGHT, 'test')
  numbers = ' / '.join('?' if n is None else f'{n:,}' for n in counts)
  yield Text(
    left + _BAR_WIDTH + _COUNT_WIDTH,
    middle,
    numbers,
    _COUNT_SIZE,
    'end',
    'faint',
  )

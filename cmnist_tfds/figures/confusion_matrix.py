# SPDX-License-Identifier: Apache-2.0
"""The confusion of classes as a matrix of shaded cells."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from cmnist_tfds.figures.drawing import Bar, Color, Drawing, Mark, Text
from cmnist_tfds.scoring.evaluation import Evaluation

_MARGIN = 16
_TITLE_SIZE = 22
_TITLE_HEIGHT = 92
_TEXT_SIZE = 14
_NAME_WIDTH = 140
_NUMBER_WIDTH = 34
# Subsets of many classes get small cells without figures.
_FEW_CLASSES = 36
_LARGE_CELL = 34
_SMALL_CELL = 20
_FIGURE_SIZE = 11
_NUMBER_SIZE = 9
# Cells with larger shares are darker than figures are legible on.
_LEGIBLE = 0.6


def draw_confusion(scored: Evaluation) -> Drawing:
  """Draws which classes are predicted as which.

  Args:
    scored: The evaluation.

  Returns:
    The drawing. Rows are true classes and columns predicted ones. The darkness
    of a cell is the square root of its share of the row, so that rare
    confusions show. Recognised examples are on the diagonal, in another colour.
  """
  classes = scored.subset.classes
  count = len(classes)
  cell = _LARGE_CELL if count <= _FEW_CLASSES else _SMALL_CELL
  left, top = _MARGIN + _NAME_WIDTH, _MARGIN + _TITLE_HEIGHT
  title = f'{scored.dataset}/{scored.subset.name} {scored.split}'
  about = scored.about.get('method', '')
  marks: list[Mark] = [
    Text(_MARGIN, _MARGIN + 15, title, _TITLE_SIZE),
    Text(
      _MARGIN,
      _MARGIN + 44,
      f'accuracy {scored.accuracy.value:.4f}' + f'; {about}' * bool(about),
      _TEXT_SIZE,
      color='faint',
    ),
  ]
  for c in classes:
    middle = (c.label + 0.5) * cell
    marks += [
      Text(left - _NUMBER_WIDTH, top + middle, c.name, _TEXT_SIZE, 'end'),
      Text(left - 8, top + middle, str(c.label), _NUMBER_SIZE, 'end', 'faint'),
      Text(
        left + middle, top - 10, str(c.label), _NUMBER_SIZE, 'middle', 'faint'
      ),
    ]
  shares = scored.confusion / np.maximum(
    scored.confusion.sum(axis=1, keepdims=True), 1
  )
  for i, j in np.argwhere(scored.confusion).tolist():
    marks += _cell(left + j * cell, top + i * cell, cell, shares[i, j], i == j)
  marks += _grid(scored, left, top, cell)
  side = count * cell + _MARGIN
  return Drawing(
    max(left + side, 420), top + side, f'Confusion of {title}', marks
  )


def _cell(
  left: float, top: float, size: int, share: float, right: bool
) -> Iterator[Mark]:
  color: Color = 'train' if right else 'test'
  yield Bar(left, top, size, size, color, opacity=float(np.sqrt(share)))
  percent = round(100 * share)
  if size == _LARGE_CELL and percent:
    yield Text(
      left + size / 2,
      top + size / 2,
      str(percent),
      _FIGURE_SIZE,
      'middle',
      'paper' if np.sqrt(share) > _LEGIBLE else 'ink',
    )


def _grid(
  scored: Evaluation, left: float, top: float, cell: int
) -> Iterator[Mark]:
  """Draws lines around the matrix and between sources."""
  sizes = [len(raw_labels) for _, raw_labels in scored.subset.members]
  side = sum(sizes) * cell
  for boundary in itertools.accumulate(sizes, initial=0):
    yield Bar(left, top + boundary * cell, side, 1, 'rule')
    yield Bar(left + boundary * cell, top, 1, side, 'rule')

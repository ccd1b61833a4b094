# SPDX-License-Identifier: Apache-2.0
"""The confusion of classes as a matrix of shaded cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cmnist_tfds.figures import pictures
from cmnist_tfds.figures.pictures import FAINT, HEADING, MARGIN, TITLE_HEIGHT
from cmnist_tfds.subsets import Subset

if TYPE_CHECKING:
  from matplotlib.figure import Figure

# Subsets of more classes get small cells without percentages.
_FEW_CLASSES = 40
_LEGEND = (0.01, 0.05, 0.2, 0.5, 1)
_CELL = 34
# The greatest length of a class name.
_NAME_LENGTH = 130


def draw_confusion(
  subset: Subset, confusion: np.ndarray, title: str, subtitle: str
) -> Figure:
  """Draws which classes are predicted as which.

  Args:
    subset: The subset.
    confusion: For each class (rows), how many of its examples are predicted as
      each class (columns); integers (n, n).
    title: The headline.
    subtitle: The line below it.

  Returns:
    The figure. The darkness of a cell is the square root of its share of the
    row, so that rare confusions show. Recognized examples are on the diagonal,
    in another color.
  """
  size = _CELL if subset.num_classes <= _FEW_CLASSES else 20
  side = subset.num_classes * size
  room = min(_NAME_LENGTH, 24 + 8 * max(map(len, subset.class_names)))
  left = MARGIN + room + 54
  top = left + TITLE_HEIGHT
  height = top + side + 2 * _CELL + MARGIN
  width = left + max(side, 320) + MARGIN
  figure, axes = pictures.blank(width, height, title, subtitle)
  unit = 'Predicted class, % of each true class'
  pictures.write(axes, left, MARGIN + TITLE_HEIGHT + 8, unit, HEADING)
  up: dict[str, Any] = {'ha': 'center', 'va': 'bottom', 'rotation': 90}
  pictures.write(axes, MARGIN + 8, top + side, 'True class', HEADING, **up)
  for c in subset.classes:
    x, y = left + (c.label + 0.5) * size, top + (c.label + 0.5) * size
    pictures.write(axes, left - 26, y, c.name, 10.5, room=room, ha='right')
    pictures.write(axes, left - 6, y, str(c.label), 7, ha='right', **FAINT)
    up['rotation'] = 0 if len(c.name) == 1 else 90
    pictures.write(axes, x, top - 25, c.name, 10.5, room=room, **up)
    pictures.write(axes, x, top - 10, str(c.label), 7, ha='center', **FAINT)
  shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
  cells = [
    ((row, column), size, shares[row, column], f'C{int(row != column)}')
    for row, column in np.argwhere(shares)
  ]
  below = side / _CELL + 1
  cells += [((below, n), _CELL, s, 'C1') for n, s in enumerate(_LEGEND)]
  for (row, column), wide, share, color in cells:
    x, y = left + (column + 0.5) * wide, top + (row + 0.5) * wide
    axes.barh(y, wide, wide, x - wide / 2, color=color, alpha=share**0.5)
    if wide == _CELL and share >= 0.005:
      # Other text is not legible on strong cells.
      ink = figure.get_facecolor() if share > 0.36 else None
      pictures.write(axes, x, y, f'{100 * share:.0f}', ha='center', color=ink)
  # Lines around the matrix and between sources.
  ends = np.cumsum([0, *(len(raw_labels) for _, raw_labels in subset.members)])
  axes.hlines(top + ends * size, left, left + side)
  axes.vlines(left + ends * size, top, top + side)
  return figure

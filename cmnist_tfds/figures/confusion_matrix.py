# SPDX-License-Identifier: Apache-2.0
"""The confusion of classes as a matrix of shaded cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cmnist_tfds.figures import pictures
from cmnist_tfds.subsets import Subset

if TYPE_CHECKING:
  from matplotlib.figure import Figure

# Subsets of more classes get small cells without percentages.
_FEW_CLASSES = 36
_LEFT = pictures.MARGIN + 140
_TOP = pictures.MARGIN + 92


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
  count = subset.num_classes
  size = 34 if count <= _FEW_CLASSES else 20
  side = count * size
  width = _LEFT + max(side, 260) + pictures.MARGIN
  height = _TOP + side + pictures.MARGIN
  figure, axes = pictures.blank(width, height, title, subtitle)
  shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
  for c in subset.classes:
    x, y = _LEFT + (c.label + 0.5) * size, _TOP + (c.label + 0.5) * size
    pictures.write(axes, _LEFT - 34, y, c.name, 10.5, ha='right')
    pictures.write_faint(axes, _LEFT - 8, y, str(c.label), 7, ha='right')
    pictures.write_faint(axes, x, _TOP - 10, str(c.label), 7, ha='center')
  for row, column in np.argwhere(shares):
    share = shares[row, column]
    x, y = _LEFT + (column + 0.5) * size, _TOP + (row + 0.5) * size
    color = 'C0' if row == column else 'C1'
    axes.barh(y, size, size, x - size / 2, color=color, alpha=share**0.5)
    if count <= _FEW_CLASSES and share >= 0.005:
      # Dark text is not legible on dark cells.
      style = {'color': 'white'} if share > 0.36 else {}
      pictures.write(axes, x, y, f'{100 * share:.0f}', 9, ha='center', **style)
  # Lines around the matrix and between sources.
  ends = np.cumsum([0, *(len(raw_labels) for _, raw_labels in subset.members)])
  axes.hlines(_TOP + ends * size, _LEFT, _LEFT + side)
  axes.vlines(_LEFT + ends * size, _TOP, _TOP + side)
  return figure

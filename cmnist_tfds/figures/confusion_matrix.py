# SPDX-License-Identifier: Apache-2.0
"""The confusion of classes as a matrix of shaded cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cmnist_tfds.figures import pictures
from cmnist_tfds.figures.pictures import FAINT, MARGIN, SMALL

if TYPE_CHECKING:
  from matplotlib.figure import Figure

  from cmnist_tfds.scoring.evaluation import Evaluation

# Subsets of more classes get small cells without percentages.
_FEW_CLASSES = 36
_LEFT = MARGIN + 140
_TOP = MARGIN + 92


def draw_confusion(scored: Evaluation) -> Figure:
  """Draws which classes are predicted as which.

  Args:
    scored: The evaluation.

  Returns:
    The figure. Rows are true classes and columns predicted ones. The darkness
    of a cell is the square root of its share of the row, so that rare
    confusions show. Recognized examples are on the diagonal, in another color.
  """
  subset = scored.subset
  count = subset.num_classes
  size = 34 if count <= _FEW_CLASSES else 20
  side = count * size
  about = scored.about.get('method', '')
  figure, axes = pictures.blank(
    _LEFT + max(side, 260) + MARGIN,
    _TOP + side + MARGIN,
    f'{scored.dataset}/{subset.name} {scored.split}',
    f'accuracy {scored.accuracy.value:.4f}' + f'; {about}' * bool(about),
  )
  totals = scored.confusion.sum(axis=1, keepdims=True)
  shares = scored.confusion / np.maximum(totals, 1)
  for c in subset.classes:
    x, y = _LEFT + (c.label + 0.5) * size, _TOP + (c.label + 0.5) * size
    pictures.write(axes, _LEFT - 34, y, c.name, 10.5, ha='right')
    label = str(c.label)
    pictures.write(axes, _LEFT - 8, y, label, 7, ha='right', alpha=FAINT)
    pictures.write(axes, x, _TOP - 10, label, 7, ha='center', alpha=FAINT)
  for row, column in np.argwhere(shares):
    share = shares[row, column]
    x, y = _LEFT + column * size, _TOP + row * size
    color = 'C0' if row == column else 'C1'
    axes.barh(y, size, size, x, align='edge', color=color, alpha=share**0.5)
    if count <= _FEW_CLASSES and share >= 0.005:
      # Dark text is not legible on dark cells.
      ink = 'white' if share > 0.36 else None
      x, y = x + size / 2, y + size / 2
      percent = f'{100 * share:.0f}'
      pictures.write(axes, x, y, percent, SMALL, ha='center', color=ink)
  # Lines around the matrix and between sources.
  ends = np.cumsum([0, *(len(raw_labels) for _, raw_labels in subset.members)])
  axes.hlines(_TOP + ends * size, _LEFT, _LEFT + side)
  axes.vlines(_LEFT + ends * size, _TOP, _TOP + side)
  return figure

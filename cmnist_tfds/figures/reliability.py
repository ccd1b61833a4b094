# SPDX-License-Identifier: Apache-2.0
"""A reliability diagram: how often a model is right, by how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
  from matplotlib.figure import Figure


def draw_reliability(
  bins: Sequence[tuple[float, int, float]], title: str
) -> Figure:
  """Draws the accuracy of each bin of the highest probability.

  Args:
    bins: The mean probability of the examples of each, their number, and the
      share that is recognized.
    title: The headline.

  Returns:
    The figure. The area of a dot is in proportion to the number of examples.
  """
  from matplotlib.figure import Figure

  figure = Figure(figsize=(4.5, 4.5), dpi=96, label=title, layout='constrained')
  axes = figure.subplots()
  axes.set(title=title, xlim=(0, 1), ylim=(0, 1), aspect='equal')
  axes.set(xlabel='highest probability', ylabel='accuracy')
  axes.axline((0, 0), slope=1, linestyle='--', color='gray')
  probabilities, counts, right = zip(*bins, strict=True)
  axes.plot(probabilities, right, color='C0')
  sizes = [400 * count / max(counts) for count in counts]
  axes.scatter(probabilities, right, sizes, color='C0', alpha=0.6)
  return figure

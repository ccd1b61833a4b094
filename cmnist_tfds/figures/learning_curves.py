# SPDX-License-Identifier: Apache-2.0
"""Learning curves: accuracy by training images of each class, a panel a subset."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
  from matplotlib.figure import Figure

_COLUMNS = 3
# In inches, as is the height of a line of the legend.
_PANEL = (3.8, 3.0)
_LINE = 0.25
# A panel with more sizes has powers of ten below it.
_SIZES = 8

# For each subset, method and number of training images of each class, the
# accuracy, and the limits of its interval.
Curves: TypeAlias = dict[str, dict[str, dict[float, tuple[float, ...]]]]


def draw_learning_curves(
  curves: Curves, title: str, methods: Sequence[str]
) -> Figure:
  """Draws a curve for each method and subset.

  Args:
    curves: What is drawn.
    title: The headline; a single panel has that of its subset.
    methods: All methods, in order. They have the same looks in all pictures with
      the same methods.

  Returns:
    The figure. A band is an interval.
  """
  from matplotlib import rcParams, rcsetup
  from matplotlib.figure import Figure

  styles = rcsetup.cycler('linestyle', ('-', '--', ':', '-.'))
  looks = itertools.cycle(styles * rcParams['axes.prop_cycle'])
  markers = itertools.cycle('os^DvP*X')
  look_of: dict[str, dict[str, Any]] = {
    method: {**next(looks), 'marker': next(markers), 'label': method}
    for method in methods
  }
  columns = min(_COLUMNS, len(curves))
  rows, entries = -(-len(curves) // columns), 2 * columns
  height = 0.4 + rows * _PANEL[1] + -(-len(methods) // entries) * _LINE
  size = columns * _PANEL[0], height
  figure = Figure(figsize=size, dpi=96, label=title, layout='constrained')
  lines = {}
  grid = figure.subplots(rows, columns, squeeze=False).flat
  for axes in grid[len(curves) :]:
    axes.set_axis_off()
  for axes, (name, panel) in zip(grid, curves.items(), strict=False):
    axes.set(title=name, xscale='log', ylabel='accuracy')
    axes.set_xlabel('training images of each class')
    sizes = sorted({*itertools.chain(*panel.values())})
    if len(sizes) > _SIZES:
      axes.xaxis.set_major_formatter('{x:,g}')
    else:
      axes.set_xticks(sizes, [f'{size:,.0f}' for size in sizes])
      axes.minorticks_off()
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.25)
    for method, curve in panel.items():
      at = sorted(curve)
      value, *limits = zip(*(curve[size] for size in at), strict=True)
      look = {'linewidth': 1.5, 'markersize': 4, **look_of[method]}
      (lines[method],) = axes.plot(at, value, **look)
      # The band of a single size is a line.
      band = {'alpha': 0.15, 'lw': 5 * (len(at) == 1), 'color': look['color']}
      axes.fill_between(at, *limits, **band)
  shown = [lines[method] for method in methods if method in lines]
  how: dict[str, Any] = {'ncols': entries, 'frameon': False}
  figure.legend(handles=shown, loc='outside lower center', **how)
  figure.suptitle(title * (len(curves) > 1))
  return figure

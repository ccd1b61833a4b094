# SPDX-License-Identifier: Apache-2.0
"""Learning curves: accuracy by training images of each class, a panel a subset."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
  import pandas as pd
  from matplotlib.figure import Figure

_COLUMNS = 3
# In inches, as is the height of a line of the legend.
_PANEL = (3.6, 2.8)
_LINE = 0.25


def draw_learning_curves(runs: pd.DataFrame, title: str) -> Figure:
  """Draws a curve for each method and subset.

  Args:
    runs: The accuracy of each run, `value`, with its `subset`, its `method` and
      `size`, the training images of each class.
    title: The headline.

  Returns:
    The figure. A line goes through the means over runs, a band covers all runs.
  """
  import matplotlib as mpl
  from matplotlib.figure import Figure

  names = [*runs['subset'].unique()]
  methods = [*runs['method'].unique()]
  looks = itertools.product(
    ('-', '--', ':', '-.'), mpl.color_sequences['tab10']
  )
  look_of = dict(zip(methods, itertools.cycle(looks), strict=False))
  columns = min(_COLUMNS, len(names))
  rows = -(-len(names) // columns)
  height = 0.5 + rows * _PANEL[1] + -(-len(methods) // columns) * _LINE
  size = columns * _PANEL[0], height
  figure = Figure(figsize=size, dpi=96, label=title, layout='constrained')
  lines = {}
  grid = figure.subplots(rows, columns, squeeze=False, sharex=True).flat
  for axes, name in itertools.zip_longest(grid, names):
    if name is None:
      axes.set_axis_off()
      continue
    axes.set_title(name, fontsize=11)
    axes.set_xscale('log')
    axes.xaxis.set_major_formatter('{x:g}')
    axes.set_xlabel('training images of each class', fontsize=9)
    axes.set_ylabel('accuracy', fontsize=9)
    axes.tick_params(labelsize=8, labelbottom=True)
    axes.grid(alpha=0.3)
    for method, of_method in runs[runs['subset'] == name].groupby('method'):
      curve = of_method.groupby('size')['value'].agg(['mean', 'min', 'max'])
      style, color = look_of[method]
      look = {'linestyle': style, 'color': color, 'linewidth': 1.5}
      (lines[method],) = axes.plot(curve['mean'], marker='o', ms=3, **look)
      limits = curve['min'], curve['max']
      axes.fill_between(curve.index, *limits, alpha=0.2, lw=0, color=color)
  ordered = [lines[method] for method in methods]
  look = {'ncols': columns, 'frameon': False, 'title_fontsize': 13}
  figure.legend(
    ordered, methods, loc='outside upper center', title=title, **look
  )
  return figure

# SPDX-License-Identifier: Apache-2.0
"""Report many results at once: all runs as a table, curves, comparisons.

The folder gets runs.csv, report.md, report.html, tables.tex, and the learning
curves as .svg and .png.
"""

from __future__ import annotations

from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.scoring import summary
from cmnist_tfds.system.errors import PredictionsError, counted

ARGUMENTS = {
  'results RESULTS+': arguments.path(
    'folder of results, such as cmnist run and cmnist baseline write'
  ),
  '--beside DIR+': {
    **arguments.path(
      "folder of others' results; those on the same subsets join"
    ),
    'default': [],
  },
  **arguments.DATASET,
  **arguments.OUTPUT,
}


def run(args: arguments.Namespace) -> int:
  """Runs the command; returns its exit status."""
  # Labels of CMNIST are proved by the sizes of the classes.
  open_ = args.open if args.sample else None
  own, faults = summary.read(args.results, args.dataset, open_)
  beside, more = summary.read(args.beside, args.dataset, open_)
  faults += more
  if not own:
    raise PredictionsError('; '.join(faults))
  wanted = {runs.subset for runs in own}
  known = {runs.method for runs in own}
  others = [r for r in beside if r.subset in wanted and r.method not in known]
  summary.write(args.output, args.dataset, [*own, *others], faults)
  for fault in faults:
    terminal.fail(fault)
  count = sum(len(r.found.predicted) for r in (*own, *others) if r.found)
  print(f'{args.output}: {counted(count, "run")}: {", ".join(summary.FILES)}')
  return terminal.FAILED if faults else 0

# SPDX-License-Identifier: Apache-2.0
"""Folders of results as one report: a table of all runs, curves, comparisons."""

from __future__ import annotations

import dataclasses
import functools
import html
import itertools
import pathlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from cmnist_tfds import subsets
from cmnist_tfds.figures import learning_curves, pictures
from cmnist_tfds.scoring import evaluation, family, fits, report
from cmnist_tfds.scoring import predictions as predictions_lib
from cmnist_tfds.scoring.evaluation import Open
from cmnist_tfds.scoring.predictions import Predictions
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system import atomic, streams
from cmnist_tfds.system.errors import CmnistError, PredictionsError, counted
from cmnist_tfds.system.extras import needs_extra

if TYPE_CHECKING:
  import pandas as pd

# What a report is made of.
FILES = (
  *('runs.csv', 'report.md', 'report.html', 'tables.tex'),
  *('learning-curves.svg', 'learning-curves.png'),
)
# The training sets of runs, by whether these are on other draws.
_TRAINING = {False: 'published', True: 'other draws'}
_COLUMNS = (
  *('method', 'subset', 'images per class', 'draw', 'seed', 'source'),
  *('metric', 'value', 'seconds'),
)
_HEAD = (
  '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><style>img, div {'
  'max-width: 100%; overflow: auto} td, th {padding: .2em .7em}</style>'
)

# A table of a report: its headline, what it has, and how it was made.
_Table: TypeAlias = 'tuple[str, pd.DataFrame, str]'


class Runs(NamedTuple):
  """The runs of a method on a subset, on the published training set or others.

  Attributes:
    method: The name of their files, without '-draws'.
    found: The predictions.
    seconds: How long fitting and predicting took, by draw and seed, where it is
      recorded.
  """

  method: str
  found: Predictions
  seconds: Mapping[tuple[int | None, int | None], float]


def read(
  folders: Iterable[pathlib.Path], dataset: str, open_: Open | None
) -> tuple[list[Runs], list[str]]:
  """Reads all predictions in folders of results.

  Args:
    folders: The folders, in which each subset has a folder. That has files of
      predictions, and folders of such files, the runs of a method.
    dataset: 'cmnist' or 'cmnist_sample': others are faults.
    open_: Opens subsets, for their labels; None to trust those in the files.

  Returns:
    The runs, and what is wrong with others, a line each.
  """
  found: dict[tuple[str, str], Runs] = {}
  faults = []
  for folder in folders:
    runs = {*folder.glob('*/*/*.json')}
    failed = {path for path in runs if not path.with_suffix('.npz').exists()}
    paths = {*folder.glob('*/*.npz'), *(path.parent for path in runs - failed)}
    if not paths:
      faults.append(
        f'{folder} has no files <subset>/<method>.npz and no folders'
      )
    reported = {path.with_suffix('') for path in folder.glob('*/*.json')}
    for path in sorted(reported - {path.with_suffix('') for path in paths}):
      streams.LOG.warning('%s has no predictions, so it is left out', path)
    for path in sorted(paths | failed):
      try:
        if path in failed:
          raise PredictionsError(f'{path}: {fits.read_record(path).error}')
        if (key := (path.parent.name, path.stem)) in found:
          raise PredictionsError(
            f'{path} is left out: its method occurs twice.'
          )
        found[key] = _read(path, dataset, open_)
      except CmnistError as error:
        faults.append(str(error))
  return [*found.values()], faults


def _read(path: pathlib.Path, dataset: str, open_: Open | None) -> Runs:
  records = [fits.read_record(p) for p in path.glob('*.npz')]
  versions = {f'{record.code} and data {record.data}' for record in records}
  if len(versions) > 1:
    raise PredictionsError(
      f'{path} has fits of several versions: {"; ".join(sorted(versions))}. Keep'
      ' those of one.'
    )
  subset = subsets.subset(path.parent.name)
  found = evaluation.read_checked(subset, path, open_)
  if found.dataset != dataset:
    raise PredictionsError(f'{path} is of {found.dataset}, not of {dataset}.')
  seconds: dict[tuple[int | None, int | None], float] = {
    (r.draw, r.seed): (r.fit_seconds or 0) + (r.predict_seconds or 0)
    for r in records
  }
  found = dataclasses.replace(found, scores=None)  # They may be large.
  return Runs(path.stem.removesuffix('-draws'), found, seconds)


def _rows(runs: Runs) -> Iterator[tuple[Any, ...]]:
  """Yields the rows of `_COLUMNS`; the source 'all' is all test images."""
  found = runs.found
  subset, confusions = found.subset, predictions_lib.confusions(found)
  right = np.diagonal(confusions, axis1=1, axis2=2)
  total = confusions[0].sum(axis=1)
  number = np.array([c.source_number for c in subset.classes])
  for run, (draw, seed) in enumerate(
    zip(found.draws, found.seeds, strict=True)
  ):
    facts = runs.method, subset.full.name, subset.per_class, draw or 0, seed
    seconds = runs.seconds.get((draw, seed))
    for place, key in enumerate(['all', *(s.key for s in subset.sources)], -1):
      own = (total > 0) & ((number == place) | (place < 0))
      part, whole = right[run, own], total[own]
      accuracies = part.sum() / whole.sum(), (part / whole).mean()
      yield (*facts, key, 'accuracy', accuracies[0], seconds)
      yield (*facts, key, 'balanced accuracy', accuracies[1], seconds)


def write(
  folder: pathlib.Path, runs: Sequence[Runs], faults: Sequence[str]
) -> None:
  """Writes the report.

  Args:
    folder: The folder; `atomic.write_folder` says which it may be.
    runs: The runs. Methods are compared on the subsets of the first of them.
    faults: What was left out, a line each.

  Raises:
    MissingExtraError: If a library of the extra `scoring` is not installed.
    PreparationError: If the folder cannot be written.
  """
  with needs_extra('A report', 'scoring'):
    import jinja2  # noqa: F401  # pandas writes LaTeX with it.
    import pandas as pd
  rows = (row for each in runs for row in _rows(each))
  frame = pd.DataFrame(rows, columns=list(_COLUMNS))
  whole = frame[(frame['source'] == 'all') & (frame['metric'] == 'accuracy')]
  full = whole['subset'].map(lambda name: _mean_size(subsets.subset(name)))
  whole = whole.assign(
    size=pd.to_numeric(whole['images per class']).fillna(full),
    training=whole['draw'].gt(0).map(_TRAINING),
  )
  found = [_accuracies(whole), *_comparisons(runs)]
  # Other draws stand for a training set where there are some.
  point = whole.groupby(['subset', 'method', 'size'])['draw']
  curves = whole[(whole['draw'] > 0) | (point.transform('max') == 0)]
  number = counted(whole['method'].nunique(), 'method')
  title = f'{number} on {runs[0].found.dataset}'
  notes = [*dict.fromkeys(n for r in runs for n in r.found.notes), *faults]
  picture = 'Accuracy by training images of each class; bands cover all runs'
  sections, latex = [], []
  parts = [_HEAD, f'<title>{title}</title><h1>{title}</h1>']
  parts.append(f'<img src="learning-curves.svg" alt="{picture}">')
  for name, table, text in found:
    cells = [[*table], *table.to_numpy().tolist()]
    sections.append(report.Section(name, cells, [text]))
    parts.append(f'<h2>{name}</h2><div>{table.to_html(index=False)}</div>')
    parts.append(f'<p>{html.escape(text)}</p>')
    latex.append(table.to_latex(index=False, escape=True, caption=name))
  parts += [f'<p>{html.escape(note)}</p>' for note in notes]
  parts.append('<p><a href="runs.csv">All runs</a></p></html>\n')
  if notes:
    sections.append(report.Section('Notes', [['note'], *([n] for n in notes)]))
  head = f'# {title}\n\n![{picture}](learning-curves.svg)\n\n'
  texts = {
    'report.md': head + report.to_markdown(sections),
    'report.html': '\n'.join(parts),
    'tables.tex': '\n'.join(latex),
    'runs.csv': frame.to_csv(index=False, float_format='%.6g'),
  }
  draw = functools.partial(learning_curves.draw_learning_curves, curves, title)
  with atomic.write_folder(folder, 'cmnist report', FILES) as unfinished:
    for name, text in texts.items():
      (unfinished / name).write_text(text, encoding='utf-8')
    for name in FILES[-2:]:
      pictures.save(unfinished / name, draw)


def _mean_size(full: Subset) -> float:
  """Returns the number of training images of a class; NaN if it is not known."""
  return (full.num_train or np.nan) / full.num_classes


def _accuracies(whole: pd.DataFrame) -> _Table:
  """Returns the accuracy of each method, by subset and training set."""
  index = ['subset', 'size', 'training', 'method']
  cells = whole.groupby(index)['value'].apply(_spread)
  wide = cells.unstack('method', fill_value='').reset_index()
  wide['size'] = wide['size'].map('{:,.0f}'.format)
  wide = wide.rename(columns={'size': 'images per class'})
  return 'Accuracy', wide, 'Mean ± standard deviation over runs (runs).'


def _spread(values: pd.Series) -> str:
  spread = f' ± {values.std():.4f} ({len(values)})' * (len(values) > 1)
  return f'{values.mean():.4f}{spread}'


def _comparisons(every: Sequence[Runs]) -> Iterator[_Table]:
  """Yields the tables by origin and of pairs.

  They compare methods on the same subsets: those that all methods have, with one
  size of the training set, published or other draws.
  """
  import pandas as pd

  groups: dict[tuple[float, bool], dict[str, dict[str, Predictions]]] = {}
  for runs in every:
    subset = runs.found.subset
    key = subset.per_class or np.inf, any(map(bool, runs.found.draws))
    of_method = groups.setdefault(key, {}).setdefault(runs.method, {})
    of_method[subset.name] = runs.found
  origins, pairs, said = [], [], []
  for (size, is_drawn), of_group in sorted(groups.items()):
    common: set[str] = set()
    # Methods join in order if they share a subset with those before.
    for found in of_group.values():
      common = common & {*found} or common or {*found}
    facts = {
      'images per class': 'all' if size == np.inf else f'{size:,}',
      'training': _TRAINING[is_drawn],
    }
    taken = {m: found for m, found in of_group.items() if common <= {*found}}
    drawn = family.draw(
      [[found[n] for n in sorted(common)] for found in taken.values()]
    )
    means = {}
    for method, values in zip(taken, drawn, strict=True):
      means[method] = values['mean'] = np.mean([*values.values()], axis=0)
      cells = {title: _cell(each) for title, each in values.items()}
      origins.append({**facts, 'method': method, **cells})
    runs_of = {
      m: [len(p.predicted) for p in f.values()] for m, f in taken.items()
    }
    single = {method for method, counts in runs_of.items() if 1 in counts}
    pairs += [{**facts, **pair} for pair in _pairs(means, single)]
    left = ', '.join(sorted({*of_group} - {*means})) or 'none'
    said.append(
      f'{" ".join(facts.values())}: {", ".join(sorted(common))}; left out, as they'
      f' share none: {left}.'
    )
  if origins:
    frame = pd.DataFrame(origins).fillna('')
    frame['mean'] = frame.pop('mean')
    text = (
      f'95 % intervals over runs and test images, or their writers, by a'
      f' hierarchical bootstrap; they say nothing of other origins. Subsets:'
      f' {" ".join(said)}'
    )
    yield 'Accuracy by origin of the test images', frame, text
  if pairs:
    text = (
      'The mean over origins of A minus that of B. p is two-sided and of the same'
      f' bootstrap, at least {2 / (family.TIMES + 1):.1g}. The last column is'
      " adjusted for the pairs of the same training sets by Holm's method. Over"
      ' images alone, runs of a method are missing: its trained models are compared.'
    )
    yield 'Pairs of methods', pd.DataFrame(pairs), text


def _cell(values: np.ndarray, sign: str = '') -> str:
  found = family.estimate(values)
  limits = f'[{found.low:{sign}.4f}, {found.high:{sign}.4f}]'
  return f'{found.value:{sign}.4f} {limits}'


def _pairs(
  means: Mapping[str, np.ndarray], single: Collection[str]
) -> Iterator[dict[str, str]]:
  """Yields the rows of all pairs, the most certain first."""
  found = []
  for a, b in itertools.combinations(means, 2):
    values = means[a] - means[b]
    fewer = min((values[1:] <= 0).sum(), (values[1:] >= 0).sum())
    p = min(2 * (1 + fewer) / len(values), 1.0)
    over = 'images' if {a, b} & {*single} else 'runs, images'
    row = {'A': a, 'B': b, 'A minus B': _cell(values, '+'), 'over': over}
    found.append((p, row))
  adjusted = 0.0
  for rank, (p, row) in enumerate(sorted(found, key=lambda pair: pair[0])):
    adjusted = max(adjusted, min((len(found) - rank) * p, 1.0))
    yield {**row, 'p': f'{p:.4f}', 'p, Holm': f'{adjusted:.4f}'}

# SPDX-License-Identifier: Apache-2.0
"""Folders of results as one report: a table of all runs, curves, comparisons."""

from __future__ import annotations

import dataclasses
import html
import itertools
import math
import pathlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from cmnist_tfds import subsets
from cmnist_tfds.figures import pictures
from cmnist_tfds.figures.learning_curves import Curves, draw_learning_curves
from cmnist_tfds.scoring import evaluation, family, fits, report, results
from cmnist_tfds.scoring import predictions as predictions_lib
from cmnist_tfds.scoring.comparison import accuracy
from cmnist_tfds.scoring.confidence import measure
from cmnist_tfds.scoring.evaluation import Open
from cmnist_tfds.scoring.intervals import Estimate
from cmnist_tfds.scoring.predictions import Predictions
from cmnist_tfds.scoring.report import Section
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system import atomic
from cmnist_tfds.system.errors import CmnistError, PredictionsError, counted
from cmnist_tfds.system.extras import needs_extra

# What a report is made of.
FILES = ['runs.csv', 'report.md', 'report.html', 'tables.tex']
FILES += ['learning-curves.svg', 'learning-curves.png']
# The training sets of runs, by whether these are on other draws.
_TRAINING = {False: 'published', True: 'other draws'}
_COLUMNS = ['method', 'subset', 'images per class', 'draw', 'seed', 'source']
_COLUMNS += ['metric', 'value', 'seconds']
# What tables of accuracies have; a balanced one only where it differs.
_SHARES = {'accuracy': '', 'balanced accuracy': ', balanced'}
_HEAD = (
  '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><meta name="viewport"'
  ' content="width=device-width"><style>body {font-family: sans-serif} img, div'
  ' {max-width: 100%; overflow: auto} table {border-collapse: collapse} td, th'
  ' {padding: .2em .7em; text-align: left; white-space: nowrap}</style>'
)

# What the picture shows.
CURVES = (
  'Accuracy by training images of each class. Lines are means over runs, of other'
  ' draws of the training set where there are some, else of the published one.'
  ' Bands are 95 % intervals over runs, and over test images or their writers.'
)


class Runs(NamedTuple):
  """The runs of a method on a subset, on the published training set or others.

  Attributes:
    method: The name of their files, without '-draws'.
    subset: The subset.
    is_drawn: Whether their training sets are other draws.
    rows: What runs.csv says of them, the cells of `_COLUMNS` from 'draw' on.
    accuracy: The mean accuracy, with an interval over runs, and over test images
      or their writers.
    found: The predictions without scores; None of a result that others report.
  """

  method: str
  subset: Subset
  is_drawn: bool
  rows: Sequence[tuple[Any, ...]]
  accuracy: Estimate
  found: Predictions | None


def read(
  folders: Iterable[pathlib.Path], dataset: str, open_: Open | None
) -> tuple[list[Runs], list[str]]:
  """Reads all results in folders.

  Args:
    folders: The folders, in which each subset has a folder. That has files of
      predictions, folders of such files, the runs of a method, and files of
      scores; those without predictions are as they were reported.
    dataset: 'cmnist' or 'cmnist_sample': others are faults.
    open_: Opens subsets, for their labels; None to trust those in the files.

  Returns:
    The runs, and what is wrong with others, a line each.
  """
  found: dict[tuple[str, str], list[Runs]] = {}
  faults = []
  for folder in folders:
    runs = {*folder.glob('*/*/*.json')}
    failed = {path for path in runs if not path.with_suffix('.npz').exists()}
    paths = {*folder.glob('*/*.npz'), *(path.parent for path in runs - failed)}
    known = {path.with_suffix('') for path in paths}
    scores = folder.glob('*/*.json')
    paths |= {path for path in scores if path.with_suffix('') not in known}
    if not paths:
      faults.append(f'{folder} has no files <subset>/<method>.npz or folders')
    for path in sorted(paths | failed):
      try:
        if path in failed:
          raise PredictionsError(f'{path}: {fits.read_record(path).error}')
        if (key := (path.parent.name, path.stem)) in found:
          raise PredictionsError(f'{path}: its method occurs twice.')
        reading = _read_reported if path.suffix == '.json' else _read
        found[key] = [*reading(path, dataset, open_)]
      except CmnistError as error:
        faults.append(str(error))
  return [*itertools.chain(*found.values())], faults


def _read(
  path: pathlib.Path, dataset: str, open_: Open | None
) -> Iterator[Runs]:
  """Yields the runs of a file or a folder of files."""
  records = [fits.read_record(p) for p in path.glob('*.npz')]
  versions = [{'code': record.code, **record.data} for record in records]
  for of in dict.fromkeys(itertools.chain(*versions)):
    if len(several := {str(version.get(of)) for version in versions}) > 1:
      raise PredictionsError(
        f'{path} has fits of several versions: {of} is'
        f' {" and ".join(sorted(several))}. Keep those of one.'
      )
  subset = subsets.subset(path.parent.name)
  found = evaluation.read_checked(subset, path, open_)
  _check_dataset(path, found.dataset, dataset)
  runs = zip(found.draws, found.seeds, results.run_facts(found), strict=True)
  seconds: dict[Any, float] = {
    (draw, seed): float(took[1])
    for draw, seed, facts in runs
    # Methods of others may tell their time in other words.
    if (took := re.fullmatch(r'(\d+\.\d+) s', facts['time']))
  }
  for r in records:
    seconds[r.draw, r.seed] = (r.fit_seconds or 0) + (r.predict_seconds or 0)
  method = path.stem.removesuffix('-draws')
  for is_drawn in _TRAINING:
    own = [n for n, d in enumerate(found.draws) if bool(d) is is_drawn]
    if own:
      rows = [
        (draw or 0, seed, *figures, seconds.get((draw, seed)))
        for run in own
        for draw, seed in [(found.draws[run], found.seeds[run])]
        for figures in _measure(_take(found, [run]))
      ]
      # Scores may be large.
      taken = _take(dataclasses.replace(found, scores=None), own)
      yield Runs(method, subset, is_drawn, rows, accuracy(taken), taken)


def _read_reported(
  path: pathlib.Path, dataset: str, _: Open | None
) -> Iterator[Runs]:
  """Yields what a file of scores without predictions says."""
  subset, stem, _recomputed, scores = results.read_row(path)
  _check_dataset(path, scores.dataset, dataset)
  values = scores.accuracy.value, scores.balanced_accuracy.value
  named = zip(_SHARES, values, strict=True)
  rows = [(None, None, 'all', *figure, None) for figure in named]
  method, is_drawn = stem.removesuffix('-draws'), stem.endswith('-draws')
  mean = Estimate(*values[:1] * 3)  # Its interval may be of anything.
  yield Runs(f'{method}, reported', subset, is_drawn, rows, mean, None)


def _check_dataset(path: pathlib.Path, found: str, expected: str) -> None:
  if found != expected:
    raise PredictionsError(f'{path} is of {found}, not of {expected}.')


def _take(found: Predictions, runs: list[int]) -> Predictions:
  """Returns some of the runs."""
  return dataclasses.replace(
    found,
    predicted=found.predicted[runs],
    scores=None if found.scores is None else found.scores[runs],
    seeds=tuple(found.seeds[run] for run in runs),
    draws=tuple(found.draws[run] for run in runs),
  )


def _measure(run: Predictions) -> Iterator[tuple[str, str, float]]:
  """Yields the source, 'all' for all test images, the metric, and its value."""
  subset, (confused,) = run.subset, predictions_lib.confusions(run)
  right, total = np.diagonal(confused), confused.sum(axis=1)
  recall = right / np.maximum(total, 1)
  f1 = 2 * right / np.maximum(total + confused.sum(axis=0), 1)
  number = np.array([c.source_number for c in subset.classes])
  for place, key in enumerate(['all', *(s.key for s in subset.sources)], -1):
    own = ((number == place) | (place < 0)) & (total > 0)
    yield key, 'accuracy', right[own].sum() / total[own].sum()
    yield key, 'balanced accuracy', recall[own].mean()
    yield key, 'macro F1', f1[own].mean()
  figures = measure(run)
  for name, value in vars(figures).items() if figures else ():
    if isinstance(value, float):
      yield 'all', name.replace('_', ' '), value


def write(
  folder: pathlib.Path, dataset: str, runs: list[Runs], faults: list[str]
) -> None:
  """Writes the report.

  Args:
    folder: The folder; `atomic.write_folder` says which it may be.
    dataset: 'cmnist' or 'cmnist_sample'.
    runs: The runs. Methods are compared on the subsets of the first of them.
    faults: What was left out, a line each.

  Raises:
    MissingExtraError: If a library of the extra `scoring` is not installed.
    PreparationError: If the folder cannot be written.
  """
  with needs_extra('A report', 'scoring'):
    import jinja2  # noqa: F401  # pandas writes LaTeX with it.
    import pandas as pd
  rows = (
    (each.method, each.subset.full.name, each.subset.per_class, *row)
    for each in runs
    for row in each.rows
  )
  every = pd.DataFrame(rows, columns=_COLUMNS)
  names = sorted({each.method for each in runs})
  title = f'{counted(len(names), "method")} on {dataset}'
  sections = [*accuracies(runs), *_comparisons(runs)]
  latex = []
  parts = [_HEAD, f'<title>{title}</title><h1>{title}</h1>']
  parts.append(f'<img src="learning-curves.svg" alt=""><p>{CURVES}</p>')
  for name, (head, *cells), lines in sections:
    table = pd.DataFrame(cells, columns=list(head))
    parts.append(f'<h2>{name}</h2><div>{table.to_html(index=False)}</div>')
    parts += [f'<p>{html.escape(line)}</p>' for line in lines]
    latex.append(table.to_latex(index=False, escape=True, caption=name))
  found = (n for each in runs if each.found for n in each.found.notes)
  if notes := [*dict.fromkeys(found), *faults]:
    parts += [f'<p>{html.escape(note)}</p>' for note in notes]
    sections.append(Section('Notes', [['note'], *([n] for n in notes)]))
  parts.append('<p><a href="runs.csv">All runs</a></p></html>\n')
  top = f'# {title}\n\n![Learning curves](learning-curves.svg)\n\n{CURVES}\n\n'
  texts = {
    'report.md': top + report.to_markdown(sections),
    'report.html': '\n'.join(parts),
    'tables.tex': '\n'.join(latex),
    'runs.csv': every.to_csv(index=False, float_format='%.6g'),
  }
  drawn = curves(runs), title, names
  with atomic.write_folder(folder, 'cmnist report', FILES) as unfinished:
    for name, text in texts.items():
      (unfinished / name).write_text(text, encoding='utf-8')
    for name in FILES[-2:]:
      pictures.save(unfinished / name, lambda: draw_learning_curves(*drawn))


def curves(every: Sequence[Runs]) -> Curves:
  """Returns the points of each subset and method that `CURVES` speaks of."""
  found: Curves = {}
  # Other draws come last, and take the place of the published one.
  for runs in sorted(every, key=lambda r: (r.subset.full.name, r.is_drawn)):
    full = runs.subset.full
    # Sources of users may not tell how many images they have.
    mean_size = (full.num_train or 0) / full.num_classes
    if size := runs.subset.per_class or mean_size:
      curve = found.setdefault(full.name, {}).setdefault(runs.method, {})
      curve[size] = tuple(vars(runs.accuracy).values())
  return found


def accuracies(every: Sequence[Runs]) -> Iterator[Section]:
  """Yields a table for each subset, by method and size of the training set."""
  tables: dict[str, dict[tuple[str, ...], dict[float, list[float]]]] = {}
  for runs in every:
    rows = tables.setdefault(runs.subset.full.name, {})
    for *_, source, metric, value, _ in runs.rows:
      if source == 'all' and metric in _SHARES:
        place = runs.method, _TRAINING[runs.is_drawn], metric
        of_size = rows.setdefault(place, {})
        of_size.setdefault(runs.subset.per_class or math.inf, []).append(value)
  for name, rows in sorted(tables.items()):
    sizes = sorted({size for found in rows.values() for size in found})
    titles = ['all' if size == math.inf else f'{size:,}' for size in sizes]
    cells = [['method', 'training', 'runs', *titles]]
    for (method, training, metric), found in sorted(rows.items()):
      counts = {min(map(len, found.values())), max(map(len, found.values()))}
      figures = [_spread(found[s]) if s in found else '' for s in sizes]
      # Balanced accuracy comes second, and has a row where it differs.
      if metric == 'accuracy' or figures != cells[-1][3:]:
        several = '–'.join(map(str, sorted(counts)))
        cells.append([method + _SHARES[metric], training, several, *figures])
    text = 'Means ± standard deviations, by training images of each class.'
    yield Section(f'Accuracy on {name}', cells, [text])


def _spread(values: Sequence[float]) -> str:
  figures = [float(np.mean(values))]
  if len(values) > 1:
    figures.append(float(np.std(values, ddof=1)))
  return ' ± '.join(map(report.figure, figures))


def _comparisons(every: Sequence[Runs]) -> Iterator[Section]:
  """Yields the tables by origin and of pairs.

  They compare methods on the same subsets: those that all methods have, with one
  size of the training set, published or other draws.
  """
  groups: dict[tuple[float, bool], dict[str, dict[str, Predictions]]] = {}
  for runs in every:
    if runs.found:
      key = runs.subset.per_class or math.inf, runs.is_drawn
      of_method = groups.setdefault(key, {}).setdefault(runs.method, {})
      of_method[runs.subset.name] = runs.found
  origins, pairs, said = [], [], []
  for (size, is_drawn), of_group in sorted(groups.items()):
    common: set[str] = set()
    # Methods join in order if they share a subset with those before.
    for found in of_group.values():
      common = common & {*found} or common or {*found}
    facts = {
      'images per class': 'all' if size == math.inf else f'{size:,}',
      'training': _TRAINING[is_drawn],
    }
    taken = {m: found for m, found in of_group.items() if common <= {*found}}
    each = [[found[n] for n in sorted(common)] for found in taken.values()]
    drawn = family.draw(each)
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
    every_name = {*of_group}.union(*of_group.values())
    left = ', '.join(sorted(every_name - {*means} - common)) or 'none'
    said.append(
      f'{" ".join(facts.values())}: {", ".join(sorted(common))}; methods and'
      f' subsets left out: {left}.'
    )
  if origins:
    text = (
      f'95 % intervals over runs and test images, or their writers, by a'
      f' hierarchical bootstrap; they say nothing of other origins. Subsets:'
      f' {" ".join(said)}'
    )
    keys = dict.fromkeys(key for row in origins for key in row)
    head = sorted(keys, key='mean'.__eq__)  # It comes last.
    rows = [[row.get(key, '') for key in head] for row in origins]
    title = 'Accuracy by origin of the test images'
    yield Section(title, [head, *rows], [text])
  if pairs:
    text = (
      'The mean over origins of A minus that of B. p is two-sided and of the same'
      f' bootstrap, at least {2 / (family.TIMES + 1):.1g}. The last column is'
      " adjusted for the pairs of the same training sets by Holm's method. Over"
      ' images alone, runs of a method are missing: its trained models are compared.'
    )
    rows = [[*pairs[0]], *([*pair.values()] for pair in pairs)]
    yield Section('Pairs of methods', rows, [text])


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

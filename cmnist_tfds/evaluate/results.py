# SPDX-License-Identifier: Apache-2.0
"""Folders of results: the predictions and the scores of methods on subsets.

    <folder>/<subset>/<method>.npz     the predictions
    <folder>/<subset>/<method>.json    their scores, without the confusion

The scores are written last, so a result that has them is complete. It is not
computed again.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import pathlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from cmnist_tfds import atomic, subsets
from cmnist_tfds.dataset_files import DATASET, SAMPLE
from cmnist_tfds.disk_errors import disk_errors
from cmnist_tfds.errors import PredictionsError
from cmnist_tfds.evaluate import evaluation, predictions, report
from cmnist_tfds.evaluate.evaluation import Evaluation
from cmnist_tfds.evaluate.nearest_neighbors import Neighbors
from cmnist_tfds.evaluate.predictions import Predictions
from cmnist_tfds.load.open_subset import Opened
from cmnist_tfds.sources import Source
from cmnist_tfds.subsets import Subset


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
  """A result in a folder.

  Attributes:
    method: Name of its files, such as 'knn-1'.
    scores: Its scores.
    kept: Whether it was there already.
  """

  method: str
  scores: Evaluation
  kept: bool = False


@dataclasses.dataclass(frozen=True)
class ResultRow:
  """What a table of results says of one.

  Attributes:
    subset: The subset.
    method: Name of its files.
    recomputed: Whether its predictions are there, so that its scores can be
      computed again. Other results are as they were reported.
    scores: What the file of scores holds: at least 'accuracy' and
      'balanced_accuracy', each with 'value', and 'about'.
  """

  subset: Subset
  method: str
  recomputed: bool
  scores: Mapping[str, Any]


def scores_json(scores: Evaluation) -> str:
  """Returns what the file of scores holds."""
  told = json.loads(report.to_json(scores))
  del told['confusion']  # It is large, and follows from the predictions.
  return json.dumps(_rounded(told), indent=1, ensure_ascii=False) + '\n'


def recompute_scores(path: pathlib.Path) -> str:
  """Returns what the file of scores beside a file of predictions must hold.

  Args:
    path: The predictions, in a folder that is named like their subset.

  Raises:
    PredictionsError: If they are not predictions for the test set of that
      subset of CMNIST.
  """
  found = predictions.read_predictions(path)
  subset = subsets.subset(path.parent.name)
  try:
    predictions.check_examples(found, subset, None)
  except PredictionsError as error:
    raise PredictionsError(f'{path}: {error}') from error
  return scores_json(evaluation.score(found))


def read_results(folder: pathlib.Path) -> list[ResultRow]:
  """Reads the scores of all results, in the order of `cmnist list`.

  Args:
    folder: The folder of results.

  Raises:
    PredictionsError: If a file of scores is damaged, or not of CMNIST.
  """
  place = {s: number for number, s in enumerate(subsets.declared())}
  rows = [_read_row(path) for path in folder.glob('*/*.json')]
  return sorted(
    rows,
    key=lambda row: (
      place.get(row.subset.full, -1),
      row.subset.full.name,
      -(row.subset.per_class or sys.maxsize),
      row.method,
    ),
  )


def to_table(rows: Sequence[ResultRow]) -> list[tuple[str, ...]]:
  """Returns the cells of a table of results, the header first."""
  table: list[tuple[str, ...]] = [
    (
      *('subset', 'method', 'accuracy', '95 % interval'),
      *('balanced accuracy', 'runs', 'figures'),
    )
  ]
  for row in rows:
    accuracy = row.scores['accuracy']
    interval = (
      f'{report.figure(accuracy["low"])}–{report.figure(accuracy["high"])}'
      if 'low' in accuracy
      else ''
    )
    spread = row.scores.get('accuracy_spread', {})
    table.append(
      (
        row.subset.name,
        row.scores['about']['method'],
        report.figure(accuracy['value']),
        interval,
        report.figure(row.scores['balanced_accuracy']['value']),
        ', '.join(
          [
            str(len(row.scores.get('runs', ' '))),
            *(
              f'± {report.figure(deviation)} between {what}'
              for what, deviation in spread.items()
              if deviation is not None
            ),
          ]
        ),
        'recomputed' if row.recomputed else 'reported',
      )
    )
  return table


def _read_row(path: pathlib.Path) -> ResultRow:
  try:
    with disk_errors(path, 'read', PredictionsError):
      scores = json.loads(path.read_text('utf-8'))
    subset = subsets.subset(path.parent.name)
    told = (scores['dataset'], scores['subset'], scores['split'])
    if told != (DATASET, subset.name, 'test'):
      raise ValueError(f'it is of {"/".join(map(str, told))}')
    for figure in ('accuracy', 'balanced_accuracy'):
      if not 0 <= scores[figure]['value'] <= 1:
        raise ValueError(f'{figure} is no share')
    if not scores['about']['method']:
      raise ValueError('it names no method')
  except (ValueError, LookupError, TypeError, RecursionError) as error:
    raise PredictionsError(
      f'{path} is not a file of scores of the test set of'
      f' {DATASET}/{path.parent.name}: {error!r}.'
    ) from error
  return ResultRow(subset, path.stem, path.with_suffix('.npz').exists(), scores)


def _rounded(value: Any) -> Any:
  """Rounds figures, whose last bits depend on the machine."""
  if isinstance(value, float):
    return round(value, 8)
  if isinstance(value, list):
    return [_rounded(item) for item in value]
  if isinstance(value, dict):
    return {key: _rounded(item) for key, item in value.items()}
  return value


def write_result(
  folder: pathlib.Path, method: str, found: Predictions
) -> Result:
  """Writes predictions and their scores.

  Args:
    folder: The folder of results.
    method: Name of the files.
    found: The predictions.

  Returns:
    The result.

  Raises:
    PreparationError: If a file cannot be written.
  """
  place = folder / found.subset.name
  with disk_errors(place):
    place.mkdir(parents=True, exist_ok=True)
  scores = evaluation.score(found)
  predictions.write_predictions(place / f'{method}.npz', found)
  atomic.write_file(place / f'{method}.json', scores_json(scores).encode())
  return Result(method, scores)


def find_result(
  folder: pathlib.Path,
  subset: Subset,
  method: str,
  dataset: str,
  about: Mapping[str, str],
  runs: int,
) -> Result | None:
  """Returns a result that is there.

  Args:
    folder: The folder of results.
    subset: The subset.
    method: Name of the files.
    dataset: 'cmnist' or 'cmnist_sample'.
    about: What its method says of itself.
    runs: How many runs it must have.

  Returns:
    The result; None if it is missing, unfinished or has fewer runs.

  Raises:
    PredictionsError: If its predictions cannot be read, or are of another
      subset, dataset or method, so that they are not overwritten.
  """
  place = folder / subset.name / f'{method}.npz'
  if not place.exists():
    return None
  found = predictions.read_predictions(place)
  for what, expected, given in (
    ('dataset', dataset, found.dataset),
    ('subset', subset.name, found.subset.name),
    ('method', about['method'], found.about.get('method')),
  ):
    if expected != given:
      raise PredictionsError(
        f'{place}: expected predictions of the {what} {expected!r}, found some of'
        f' {given!r}. Choose another folder of results.'
      )
  if len(found.predicted) < runs or not place.with_suffix('.json').exists():
    return None
  return Result(method, evaluation.score(found), kept=True)


def _check_has_train(subset: Subset) -> None:
  # Dig-MNIST, and sources like it, have test images alone.
  if not any(source.min_train_per_class for source in subset.sources):
    raise PredictionsError(
      f'{subset.title} has no training images, and so no nearest neighbours'
    )


def neighbor_results(
  selected: Sequence[Subset],
  ks: Sequence[int],
  draws: int,
  folder: pathlib.Path,
  open_source: Callable[[Source], Opened],
  dataset: str = DATASET,
  progress: Callable[[int, int], object] = lambda done, total: None,
) -> Iterator[Result]:
  """Computes and writes results of nearest neighbours.

  A result that is in the folder is kept.

  Args:
    selected: The subsets.
    ks: How many neighbours vote. Each gives a result 'knn-<k>'.
    draws: How many other draws of reduced training sets are scored, as the runs
      of a result 'knn-<k>-draws'; as many as there are if there are fewer.
    folder: The folder of results.
    open_source: Opens the subset that consists of a source alone.
    dataset: 'cmnist' or 'cmnist_sample'.
    progress: Called with the number of pairs of images that have been compared
      since the last call, and with the number of all pairs.

  Yields:
    The results, as soon as they are written.

  Raises:
    PredictionsError: If a file of the folder is in the way, or a subset has no
      training images.
    PreparationError: If a result cannot be written.
  """
  total = 0
  neighbors = Neighbors(
    open_source, max(ks), lambda compared: progress(compared, total)
  )
  families: dict[Subset, list[tuple[Subset, int]]] = collections.defaultdict(
    list
  )
  for subset in selected:
    _check_has_train(subset)
    families[subset.full].append((subset, 0))
    if draws and subset.per_class is not None:
      possible = min(draws, neighbors.count_draws(subset))
      if possible:
        families[subset.full].append((subset, possible))

  def find(subset: Subset, of_draws: int, k: int) -> Result | None:
    method = _method(k, of_draws)
    runs = max(of_draws, 1)
    return find_result(folder, subset, method, dataset, _about(k), runs)

  missing = {
    (subset, of_draws): [k for k in ks if find(subset, of_draws, k) is None]
    for family in families.values()
    for subset, of_draws in family
  }
  costs: dict[object, int] = {}
  for full, family in families.items():
    if any(missing[subset, 0] for subset, _ in family):
      costs |= neighbors.cost(full, [s.per_class for s, _ in family])
    costs |= {
      (subset, of_draws): neighbors.cost_of_draws(full, subset, of_draws)
      for subset, of_draws in family
      if of_draws and missing[subset, of_draws]
    }
  total = sum(costs.values())
  for full, family in families.items():
    predicted = {}
    if any(missing[subset, 0] for subset, _ in family):
      # A killed run of the same command has left neighbours in the cache.
      predicted = neighbors.predict(full, [s.per_class for s, _ in family], ks)
    for subset, of_draws in family:
      ks_missing = missing[subset, of_draws]
      if of_draws and ks_missing:
        votes = [
          neighbors.predict_draw(full, subset, draw, ks_missing)
          for draw in range(1, of_draws + 1)
        ]
        runs = {k: [of_draw[k] for of_draw in votes] for k in ks_missing}
      else:
        runs = {k: [predicted[subset.per_class, k]] for k in ks_missing}
      for k in ks:
        if k not in runs:
          kept = find(subset, of_draws, k)
          assert kept is not None, 'it was there before'
          yield kept
          continue
        yield write_result(
          folder,
          _method(k, of_draws),
          predictions.make_predictions(
            subset,
            np.stack(runs[k]),
            neighbors.prepared_labels(full, 'test'),
            draw=range(1, of_draws + 1) if of_draws else 0,
            about=_about(k),
            sample=dataset == SAMPLE,
          ),
        )


def _method(k: int, draws: int) -> str:
  return f'knn-{k}-draws' if draws else f'knn-{k}'


def _about(k: int) -> dict[str, str]:
  return {
    'method': f'{k} nearest neighbour{"s" if k > 1 else ""}, raw pixels',
    'code': 'cmnist baseline knn',
    'pretraining': 'none',
    'validation': 'none',
  }

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
import itertools
import json
import pathlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from cmnist_tfds import subsets
from cmnist_tfds.cache.prepared import DATASET, SAMPLE
from cmnist_tfds.load.draws import count_draws
from cmnist_tfds.load.open_subset import Opened
from cmnist_tfds.scoring import evaluation, predictions, protocols, report
from cmnist_tfds.scoring.evaluation import Evaluation
from cmnist_tfds.scoring.nearest_neighbors import Neighbors
from cmnist_tfds.scoring.predictions import Predictions
from cmnist_tfds.scoring.protocols import Protocol
from cmnist_tfds.sources import Source
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system import atomic
from cmnist_tfds.system.disk_errors import disk_errors
from cmnist_tfds.system.errors import PredictionsError


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
  _write_scores(place / f'{method}.json', scores)
  return Result(method, scores)


def resume_result(
  folder: pathlib.Path,
  subset: Subset,
  method: str,
  dataset: str,
  about: Mapping[str, str],
  runs: int,
) -> Result | None:
  """Returns a result whose predictions are there.

  Its scores are written again if they are missing or not those of the
  predictions.

  Args:
    folder: The folder of results.
    subset: The subset.
    method: Name of the files.
    dataset: 'cmnist' or 'cmnist_sample'.
    about: What its method says of itself.
    runs: How many runs it must have.

  Returns:
    The result; None if it is missing or has fewer runs.

  Raises:
    PredictionsError: If its predictions cannot be read, or are of another
      subset, dataset or method, so that they are not overwritten.
    PreparationError: If the scores cannot be written.
  """
  found = _find_predictions(folder, subset, method, dataset, about)
  if found is None or len(found.predicted) < runs:
    return None
  scores = evaluation.score(found)
  _write_scores(folder / subset.name / f'{method}.json', scores)
  return Result(method, scores, kept=True)


def _write_scores(path: pathlib.Path, scores: Evaluation) -> None:
  """Writes scores, unless they are there."""
  told = scores_json(scores).encode()
  with disk_errors(path, 'read'):
    there = path.exists() and path.read_bytes() == told
  if not there:
    atomic.write_file(path, told)


def _find_predictions(
  folder: pathlib.Path,
  subset: Subset,
  method: str,
  dataset: str,
  about: Mapping[str, str],
) -> Predictions | None:
  """Returns the predictions of a result, which may be unfinished."""
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
  return found


def _check_has_train(subset: Subset) -> None:
  # Dig-MNIST, and sources like it, have test images alone.
  if not any(source.min_train_per_class for source in subset.sources):
    raise PredictionsError(
      f'{subset.title} has no training images to learn from. Name a subset with'
      ' another source.'
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
      labels = neighbors.labels(subset.full, 'train')
      possible = min(draws, count_draws(subset, labels))
      if possible:
        families[subset.full].append((subset, possible))

  def find(subset: Subset, of_draws: int, k: int) -> Result | None:
    method = _method(k, of_draws)
    runs = max(of_draws, 1)
    return resume_result(folder, subset, method, dataset, _about(k), runs)

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


def network_results(
  selected: Sequence[Subset],
  network: str,
  protocol: Protocol,
  seeds: int,
  draws: int,
  folder: pathlib.Path,
  open_draw: Callable[[Subset, int], Opened],
  dataset: str = DATASET,
  weights: pathlib.Path | None = None,
  progress: Callable[[int, int], object] = lambda done, total: None,
) -> Iterator[Result]:
  """Computes and writes results of a network, trained from each seed.

  A result is written again after each of its runs. Runs that are in the folder
  are kept.

  Args:
    selected: The subsets.
    network: A key of `protocols.NETWORKS`.
    protocol: How it is trained.
    seeds: How many runs each training set gets, with the seeds from 1.
    draws: How many other draws of reduced training sets are scored, each with
      all seeds, as the runs of a result of its own; as many as there are if
      there are fewer.
    folder: The folder of results.
    open_draw: Opens a subset with a draw of its training set.
    dataset: 'cmnist' or 'cmnist_sample'.
    weights: A file of ImageNet weights to begin with.
    progress: Called with the number of steps that have been trained since the
      last call, and with the number of all steps.

  Yields:
    The results, as soon as all their runs are written.

  Raises:
    MissingExtraError: If PyTorch cannot be imported.
    PredictionsError: If a file of the folder is in the way, or a subset has no
      training images.
    PreparationError: If the file of weights does not fit, a training set is too
      small for the protocol, or a result cannot be written.
  """
  for subset in selected:
    _check_has_train(subset)
  # Only networks need PyTorch.
  from cmnist_tfds.scoring import networks, training

  read, told = None, None
  if weights is not None:
    read, told = networks.read_weights(weights, network)
  method = f'{network}-{protocol.name}{"-pretrained" if weights else ""}'
  planned = []
  total = 0
  for subset in selected:
    examples = len(open_draw(subset, 0).split('train'))
    steps = protocol.count_steps(subset, examples)
    about = protocols.describe(network, protocol, subset, told)
    of_draws = [(method, range(1))]
    if draws and subset.per_class is not None:
      labels = predictions.true_labels(open_draw(subset.full, 0), 'train')
      possible = min(draws, count_draws(subset, labels))
      if possible:
        of_draws.append((f'{method}-draws', range(1, possible + 1)))
    for name, numbers in of_draws:
      runs = list(itertools.product(numbers, range(1, seeds + 1)))
      there = _find_predictions(folder, subset, name, dataset, about)
      predicted = _predicted_runs(there)
      total += steps * len(set(runs) - predicted.keys())
      planned.append((subset, name, about, runs, predicted))
  for subset, name, about, runs, predicted in planned:
    labels = predictions.true_labels(open_draw(subset, 0), 'test')
    result = None
    for draw, seed in runs:
      if (draw, seed) in predicted:
        continue
      predicted[draw, seed] = training.predict(
        *(open_draw(subset, draw), network, protocol, seed, read),
        progress=lambda done: progress(done, total),
      )
      ordered = sorted(predicted)
      of_runs = predictions.make_predictions(
        subset,
        np.stack([predicted[run] for run in ordered]),
        labels,
        seed=[seed for _, seed in ordered],
        draw=[draw for draw, _ in ordered],
        about=about,
        sample=dataset == SAMPLE,
      )
      result = write_result(folder, name, of_runs)
    if result is None:
      result = resume_result(folder, subset, name, dataset, about, len(runs))
      assert result is not None, 'no run is missing'
    yield result


def _predicted_runs(
  found: Predictions | None,
) -> dict[tuple[int, int], np.ndarray]:
  """Returns the predictions of each run by its draw and its seed."""
  if found is None or found.draws is None or found.seeds is None:
    return {}
  return dict(
    zip(
      zip(found.draws, found.seeds, strict=True), found.predicted, strict=True
    )
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

# SPDX-License-Identifier: Apache-2.0
"""Folders of results: the predictions and the scores of methods on subsets.

    <folder>/<subset>/<method>.npz     the predictions
    <folder>/<subset>/<method>.json    their scores, without the confusion

The scores are written last, so a result that has them is complete. It is not
computed again.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import pathlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from cmnist_tfds import subsets
from cmnist_tfds.cache.prepared import DATASET
from cmnist_tfds.load.draws import count_draws
from cmnist_tfds.scoring import evaluation, predictions, protocols, report
from cmnist_tfds.scoring.evaluation import Evaluation, Open
from cmnist_tfds.scoring.nearest_neighbors import Neighbors
from cmnist_tfds.scoring.predictions import Predictions
from cmnist_tfds.scoring.protocols import Protocol
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system import atomic, streams
from cmnist_tfds.system.errors import PredictionsError


@dataclasses.dataclass(frozen=True, eq=False)
class Wanted:
  """Which results of a method are wanted.

  Attributes:
    subsets: The subsets.
    draws: How many other draws of reduced training sets are scored, as the runs
      of a result '<method>-draws'; as many as there are if there are fewer.
    folder: The folder of results.
    dataset: 'cmnist' or 'cmnist_sample'.
    open_: Opens subsets, and those that consist of one of their sources.
  """

  subsets: Sequence[Subset]
  draws: int
  folder: pathlib.Path
  dataset: str
  open_: Open


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
  """A result in a folder.

  Attributes:
    method: Name of its files, such as 'knn-1'.
    scores: Its scores.
    existed: Whether it was there already.
  """

  method: str
  scores: Evaluation
  existed: bool


# A draw of the training set and a seed; None for methods without one.
_Run = tuple[int, int | None]

# Returns the labels of a split of a subset.
_Labels = Callable[[Subset, str], np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class _Plan:
  """A result that is to be in a folder.

  Attributes:
    subset: The subset.
    method: Name of its files.
    about: What the method says of itself.
    runs: Its runs.
    k: How many neighbors vote, if it is a result of these.
  """

  subset: Subset
  method: str
  about: Mapping[str, str]
  runs: Sequence[_Run]
  k: int = 0


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
  # The last bits of figures depend on the machine.
  fields = json.loads(
    report.to_json(scores), parse_float=lambda text: round(float(text), 8)
  )
  del fields['confusion']  # It is large, and follows from the predictions.
  return json.dumps(fields, indent=1, ensure_ascii=False) + '\n'


def recompute_scores(path: pathlib.Path) -> str:
  """Returns what the scores next to a file of predictions must be.

  Args:
    path: The predictions, in a folder that is named like their subset.

  Raises:
    PredictionsError: If they are not predictions for the test set of that
      subset of CMNIST.
  """
  found = evaluation.read_checked(subsets.subset(path.parent.name), path, None)
  return scores_json(evaluation.score(found))


def read_results(folder: pathlib.Path) -> list[ResultRow]:
  """Reads the scores of all results, in the order of `cmnist list`.

  Args:
    folder: The folder of results.

  Raises:
    PredictionsError: If a file of scores is damaged, or not of CMNIST.
  """
  place = {s: number for number, s in enumerate(subsets.declared())}
  return sorted(
    map(_read_row, folder.glob('*/*.json')),
    key=lambda row: (
      place.get(row.subset.full, -1),
      row.subset.full.name,
      -(row.subset.per_class or sys.maxsize),
      row.method,
    ),
  )


def to_table(rows: Sequence[ResultRow]) -> list[tuple[str, ...]]:
  """Returns the cells of a table of results, the header first."""
  header = 'subset, method, accuracy, 95 % interval, balanced accuracy, runs'
  table = [(*header.split(', '), 'figures')]
  for row in rows:
    accuracy = row.scores['accuracy']
    limits = [accuracy[f] for f in ('low', 'high') if f in accuracy]
    runs = [str(len(row.scores.get('runs', ' ')))]
    runs += [
      f'± {report.figure(deviation)} between {what}'
      for what, deviation in row.scores.get('accuracy_spread', {}).items()
      if deviation is not None
    ]
    table.append(
      (
        row.subset.name,
        row.scores['about']['method'],
        report.figure(accuracy['value']),
        '–'.join(map(report.figure, limits)),
        report.figure(row.scores['balanced_accuracy']['value']),
        ', '.join(runs),
        'recomputed' if row.recomputed else 'reported',
      )
    )
  return table


def _read_row(path: pathlib.Path) -> ResultRow:
  try:
    scores = json.loads(path.read_text('utf-8'))
    subset = subsets.subset(path.parent.name)
    figures = [scores[f]['value'] for f in ('accuracy', 'balanced_accuracy')]
    scored = (scores['dataset'], scores['subset'], scores['split'])
    method = scores['about']['method']
    are_shares = all(0 <= figure <= 1 for figure in figures)
    if scored != (DATASET, subset.name, 'test') or not are_shares or not method:
      raise ValueError(f'found {scored}, {figures} and the method {method!r}')
  except (ValueError, LookupError, TypeError, RecursionError) as error:
    raise PredictionsError(
      f'{path} does not hold scores for the test set of'
      f' {DATASET}/{path.parent.name}: {error!r}.'
    ) from error
  return ResultRow(subset, path.stem, path.with_suffix('.npz').exists(), scores)


def write_result(
  folder: pathlib.Path, method: str, saved: Predictions
) -> Evaluation:
  """Writes predictions and their scores.

  Args:
    folder: The folder of results.
    method: Name of the files.
    saved: The predictions.

  Returns:
    The scores.

  Raises:
    PreparationError: If a file cannot be written.
  """
  place = folder / saved.subset.name
  place.mkdir(parents=True, exist_ok=True)
  scores = evaluation.score(saved)
  predictions.write_predictions(place / f'{method}.npz', saved)
  _write_scores(folder, method, scores)
  return scores


def neighbor_results(wanted: Wanted, ks: Sequence[int]) -> Iterator[Result]:
  """Computes and writes results of nearest neighbors.

  A result is written again after each of its runs. Runs that are in the folder
  are not computed again.

  Args:
    wanted: Which results are wanted.
    ks: How many neighbors vote. Each gives a result 'knn-<k>'.

  Returns:
    The results, each as soon as all its runs are written.

  Raises:
    PredictionsError: If a file of the folder is in the way, or a subset has no
      training images.
    PreparationError: If a result cannot be written.
  """
  neighbors = Neighbors(wanted.open_, max(ks))
  # The votes of all k follow from one search.
  votes = functools.lru_cache(wanted.draws + 1)(
    lambda subset, draw: neighbors.predict(subset, ks, draw)
  )
  plans = [
    _Plan(
      subset,
      f'knn-{k}{suffix}',
      {
        # Results that were published have this spelling.
        'method': f'{k} nearest neighbour{"s" if k > 1 else ""}, raw pixels',
        'code': 'cmnist baseline knn',
        'pretraining': 'none',
        'validation': 'none',
      },
      [(draw, None) for draw in drawn],
      k,
    )
    for subset, suffix, drawn in _draws(wanted, neighbors.labels)
    for k in ks
  ]
  return _complete(
    wanted,
    plans,
    neighbors.labels,
    lambda plan, draw, seed: votes(plan.subset, draw)[plan.k],
  )


def network_results(
  wanted: Wanted,
  network: str,
  protocol: Protocol,
  seeds: int,
  weights: pathlib.Path | None = None,
) -> Iterator[Result]:
  """Computes and writes results of a network, trained from each seed.

  A result is written again after each of its runs. Runs that are in the folder
  are not computed again.

  Args:
    wanted: Which results are wanted.
    network: A key of `protocols.NETWORKS`.
    protocol: How it is trained.
    seeds: How many runs each training set gets, with the seeds from 1.
    weights: A file of ImageNet weights to begin with.

  Returns:
    The results, each as soon as all its runs are written.

  Raises:
    MissingExtraError: If PyTorch or torchvision cannot be imported.
    PredictionsError: If a file of the folder is in the way, or a subset has no
      training images.
    PreparationError: If the file of weights does not fit, a training set is too
      small for the protocol, or a result cannot be written.
  """
  # Only networks need PyTorch.
  from cmnist_tfds.scoring import networks, training

  def labels(subset: Subset, split: str) -> np.ndarray:
    return wanted.open_(subset).split(split).labels

  start, origin = None, None
  if weights is not None:
    start, origin = networks.read_weights(weights, network)
  plans = [
    _Plan(
      subset,
      f'{network}-{protocol.name}{"-pretrained" if weights else ""}{suffix}',
      protocols.describe(network, protocol, subset, origin),
      [(draw, seed) for draw in drawn for seed in range(1, seeds + 1)],
    )
    for subset, suffix, drawn in _draws(wanted, labels)
  ]
  for subset in wanted.subsets:
    # It raises where there are too few examples.
    protocol.training_steps(subset, len(wanted.open_(subset).split('train')))
  return _complete(
    wanted,
    plans,
    labels,
    lambda plan, draw, seed: training.predict(
      wanted.open_(plan.subset, draw=draw), network, protocol, seed or 0, start
    ),
  )


def _draws(
  wanted: Wanted, labels: _Labels
) -> Iterator[tuple[Subset, str, range]]:
  """Yields subsets, ends of names of results, and the draws of their runs."""
  for subset in wanted.subsets:
    # Dig-MNIST, and sources like it, have test images alone.
    if not any('train' in source.splits for source in subset.sources):
      raise PredictionsError(
        f'{subset.title} has no training images to learn from. Name a subset'
        ' with another source.'
      )
    yield subset, '', range(1)
    if wanted.draws and subset.per_class is not None:
      possible = count_draws(subset, labels(subset.full, 'train'))
      if possible:
        yield subset, '-draws', range(1, min(wanted.draws, possible) + 1)


def _complete(
  wanted: Wanted,
  plans: Sequence[_Plan],
  labels: _Labels,
  predict: Callable[[_Plan, int, int | None], np.ndarray],
) -> Iterator[Result]:
  """Computes the runs that a folder lacks, and writes the results."""
  # A file that is in the way is found before anything is computed.
  found = [_find_predictions(wanted, plan) for plan in plans]
  with streams.progress_bar(total=len(plans), desc='Scoring') as bar:
    for plan, saved in zip(plans, found, strict=True):
      predicted: dict[_Run, np.ndarray] = {}
      if saved and saved.draws:
        seeds = saved.seeds or (None,) * len(saved.draws)
        runs = zip(saved.draws, seeds, strict=True)
        predicted.update(zip(runs, saved.predicted, strict=True))
      missing = [run for run in plan.runs if run not in predicted]
      for run in missing:
        predicted[run] = predict(plan, *run)
        ordered = sorted(predicted, key=lambda run: (run[0], run[1] or 0))
        made = predictions.make_predictions(
          plan.subset,
          np.stack([predicted[run] for run in ordered]),
          labels(plan.subset, 'test'),
          dataset=wanted.dataset,
          about=plan.about,
          seed=[seed for _, seed in ordered if seed is not None] or None,
          draw=[draw for draw, _ in ordered],
        )
        scores = write_result(wanted.folder, plan.method, made)
      if saved and not missing:
        scores = evaluation.score(saved)
        _write_scores(wanted.folder, plan.method, scores)
      bar.update(1)
      yield Result(plan.method, scores, existed=not missing)


def _find_predictions(wanted: Wanted, plan: _Plan) -> Predictions | None:
  """Returns the predictions of a result, which may lack runs."""
  place = wanted.folder / plan.subset.name / f'{plan.method}.npz'
  if not place.exists():
    return None
  saved = predictions.read_predictions(place)
  expected = f'{wanted.dataset}/{plan.subset.name} by {plan.about["method"]!r}'
  found = (
    f'{saved.dataset}/{saved.subset.name} by {saved.about.get("method")!r}'
  )
  if expected != found:
    raise PredictionsError(
      f'{place}: expected predictions for {expected}, found some for {found}.'
      ' Choose another folder of results.'
    )
  return saved


def _write_scores(
  folder: pathlib.Path, method: str, scores: Evaluation
) -> None:
  """Writes scores, unless they are there."""
  path = folder / scores.subset.name / f'{method}.json'
  text = scores_json(scores).encode()
  if not path.exists() or path.read_bytes() != text:
    atomic.write_file(path, text)

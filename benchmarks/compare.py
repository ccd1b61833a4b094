# SPDX-License-Identifier: Apache-2.0
"""Measures how often comparisons of methods are wrong.

    python benchmarks/compare.py
    python benchmarks/compare.py --times 10

Prints a table. benchmarks/README.md says what the columns are.
"""

from __future__ import annotations

import argparse
import dataclasses
import pathlib

import numpy as np

import cmnist_tfds
from cmnist_tfds.scoring import intervals, predictions, writers
from cmnist_tfds.scoring.intervals import Estimate
from cmnist_tfds.scoring.predictions import Predictions

_RESULTS = pathlib.Path(__file__).resolve().parent.parent / 'results'

# How many runs each of two methods has.
_RUNS = 5


def main() -> None:
  """Measures and prints."""
  parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
  parser.add_argument(
    '--times', type=int, default=40, help='repetitions for each subset'
  )
  args = parser.parse_args()
  rng = np.random.default_rng(0)
  totals = np.zeros(3)
  names = sorted(
    p.parent.name for p in _RESULTS.glob('*/lenet-steps-draws.npz')
  )
  print('| subset | other than itself | paired covers | Welch covers |')
  print('|---|--:|--:|--:|')
  for name in names:
    lenet, knn = (
      predictions.read_predictions(_RESULTS / name / f'{method}-draws.npz')
      for method in ('lenet-steps', 'knn-1')
    )
    shares = [
      np.mean(
        [_differs_from_itself(name, lenet, rng) for _ in range(args.times)]
      ),
      *(_coverage(lenet, knn, rng, paired, args.times) for paired in (1, 0)),
    ]
    totals += shares
    _print(name, *shares)
  _print(f'all, {args.times * len(names)} times', *(totals / len(names)))


def _print(what: str, *shares: float) -> None:
  cells = ' | '.join(f'{share:.1%}' for share in shares)
  print(f'| {what} | {cells} |', flush=True)


def _differs_from_itself(
  name: str, found: Predictions, rng: np.random.Generator
) -> bool:
  """Returns whether one half of the runs seems to differ from the other."""
  order = rng.permutation(len(found.predicted))
  halves = [
    dataclasses.replace(
      found,
      predicted=found.predicted[half],
      seeds=tuple(found.seeds[run] for run in half),
      draws=tuple(found.draws[run] for run in half),
    )
    for half in (order[:_RUNS], order[_RUNS:])
  ]
  compared = cmnist_tfds.compare(name, *halves, trust_labels=True)
  return not _covers(compared.difference, 0)


def _covers(found: Estimate, truth: float) -> bool:
  return found.low <= truth <= found.high


def _coverage(
  first: Predictions,
  second: Predictions,
  rng: np.random.Generator,
  paired: int,
  times: int,
) -> float:
  """Returns how often the interval has the true difference of two methods.

  The truth is the difference of the means over the runs and images that there
  are. Each time, images or their writers are drawn from these with replacement,
  and runs from the normal distribution that has their mean and covariance.
  """
  right = [(p.predicted == p.labels).astype(float) for p in (first, second)]
  truth = float(right[0].mean() - right[1].mean())
  stratum = writers.source_numbers(first.subset, first.labels)
  _, cluster = np.unique(writers.clusters(first), return_inverse=True)
  sizes = np.bincount(cluster)
  members = np.split(np.argsort(cluster, kind='stable'), np.cumsum(sizes)[:-1])
  strata = np.array([stratum[own[0]] for own in members])
  hits = 0
  for _ in range(times):
    drawn = np.concatenate(
      [
        rng.choice(np.flatnonzero(strata == s), (strata == s).sum())
        for s in np.unique(strata)
      ]
    )
    images = np.concatenate([members[c] for c in drawn])
    weights = rng.normal(size=(2, _RUNS, len(right[0])))
    weights /= np.sqrt(len(right[0]) - 1)
    samples = []
    for found, weight in zip(
      right, weights[[0, 0 if paired else 1]], strict=True
    ):
      mean = found.mean(axis=0)
      samples.append((mean + weight @ (found - mean))[:, images])
    a, b = samples
    interval = intervals.over_runs(
      [a - b] if paired else [a, -b],
      np.repeat(np.arange(len(drawn)), sizes[drawn]),
      stratum[images],
    )
    hits += _covers(interval, truth)
  return hits / times


if __name__ == '__main__':
  main()

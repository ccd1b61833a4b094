# SPDX-License-Identifier: Apache-2.0
"""Compares two methods on the same test images."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import numpy as np

from cmnist_tfds.scoring import evaluation, intervals, writers
from cmnist_tfds.scoring.evaluation import File, Open
from cmnist_tfds.scoring.intervals import Estimate, Record
from cmnist_tfds.scoring.predictions import Predictions, draw_of_examples
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system.errors import PredictionsError


@dataclasses.dataclass(frozen=True)
class Compared:
  """One of two methods.

  Attributes:
    trained_on: The name of the subset that it was trained on.
    runs: How many runs there are.
    accuracy: The share of examples that it recognizes, a mean over runs, with
      Wilson's interval.
    about: What it says of itself.
  """

  trained_on: str
  runs: int
  accuracy: Estimate
  about: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Comparison(Record):
  """Two methods on the same examples.

  Attributes:
    dataset: 'cmnist' or 'cmnist_sample'.
    subset: The name of the subset that was compared on.
    split: The split.
    examples: How many examples there are.
    first: The first method.
    second: The second method.
    difference: The accuracy of the first minus that of the second, with its
      interval.
    interval_over: What the interval covers the choice of: 'draws and images'
      if both methods have several draws of the training set, 'seeds and images'
      if both have several runs on one, 'runs and images' if the one has this
      and the other that, with 'paired' before it if both have the same draws or
      seeds, and 'or writers' behind it where some are known. 'images' if a
      method has a single run: the interval then tells trained models apart, says
      nothing of methods, and takes all images as independent.
    only_first: How many examples the first alone recognizes; None if a method
      has several runs.
    only_second: How many examples the second alone recognizes; None likewise.
    p: The p of McNemar's exact test, two-sided; None likewise.
    notes: What a reader must know of the way the comparison was made.
  """

  dataset: str
  subset: str
  split: str
  examples: int
  first: Compared
  second: Compared
  difference: Estimate
  interval_over: str
  only_first: int | None
  only_second: int | None
  p: float | None
  notes: tuple[str, ...]


def compare(
  name: str,
  first: File,
  second: File,
  *,
  data_dir: str | os.PathLike[str] | None = None,
  sample: bool = False,
  trust_labels: bool = False,
  open_: Open | None = None,
) -> Comparison:
  """Compares the predictions of two methods for the same test images.

  Reduced forms of a subset have the same test set, so a method that was trained
  on one of them can be compared with one that was trained on another.

      compared = cmnist_tfds.compare('2-FKd', 'svm.npz', 'knn.npz')
      compared.difference  # Estimate(value=..., low=..., high=...)

  Args:
    name: Name of the subset.
    first: A file of predictions, or what `save_predictions` returned, with all
      runs of a method.
    second: Another one.
    data_dir: Where prepared datasets are; TFDS's default if None.
    sample: Whether the examples are those of `cmnist_sample`.
    trust_labels: Whether to trust the labels in the files, as in `evaluate`.
    open_: Opens the subset, in place of what `data_dir` and `sample` say.

  Returns:
    The comparison.

  Raises:
    SubsetNameError: If there is no such subset.
    PredictionsError: If a file cannot be read, or the two are not of the same
      test images.
    OriginFileError: If the subset must be prepared first and an origin file is
      missing or wrong.
    PreparationError: If the subset must be prepared first and cannot be.
  """
  where = {'data_dir': data_dir, 'sample': sample, 'open_': open_}
  pair = read_pair(name, first, second, trust_labels=trust_labels, **where)
  return of_pair(*pair)


def read_pair(
  name: str, *files: File, trust_labels: bool = False, **where: Any
) -> tuple[Subset, Predictions, Predictions]:
  """Returns the subset and what both files hold; see `compare`."""
  subset, opens = evaluation.opening(name, **where)
  checking = None if trust_labels else opens
  a, b = (
    evaluation.read_checked(subset, file, checking, reduced_too=True)
    for file in files
  )
  examples = _examples(a), _examples(b)
  if examples[0] != examples[1] or (a.labels != b.labels).any():
    raise PredictionsError(
      f'{a.title} and {b.title} are not of the same test images: {examples[0]}'
      f' against {examples[1]}, in the same order. Predict one split with both'
      ' methods.'
    )
  return subset, a, b


def of_pair(subset: Subset, a: Predictions, b: Predictions) -> Comparison:
  """Returns the comparison of what `read_pair` returns."""
  right = [(p.predicted == p.labels).mean(axis=0) for p in (a, b)]
  methods = []
  for p, share in zip((a, b), right, strict=True):
    accuracy = intervals.wilson(float(share.sum()), len(share))
    trained_on, runs = p.subset.name, len(p.predicted)
    methods.append(Compared(trained_on, runs, accuracy, dict(p.about)))
  single = len(a.predicted) == len(b.predicted) == 1
  only_first = int((right[0] > right[1]).sum())
  only_second = int((right[0] < right[1]).sum())
  samples, over = run_samples(a, b)
  cluster = writers.clusters(a)
  stratum = writers.source_numbers(a.subset, a.labels)
  has_writers = len(np.unique(cluster)) < len(cluster)
  notes = []
  if over == 'images':
    notes.append(
      'Runs are missing: with one run of a method, these trained models are'
      ' compared, not the methods. Save at least two runs of each.'
      + ' This interval takes the images of a writer as independent.'
      * has_writers
    )
    cluster = np.arange(len(cluster))
  elif has_writers:
    over = over.replace('images', 'images or writers')
  if over.startswith('runs'):
    notes.append(
      'One method has several draws of the training set and the other has one:'
      ' the interval leaves out how the other varies with the training set.'
    )
  if a.subset != b.subset:
    notes.append(
      f'The methods were trained on {a.subset.name} and on {b.subset.name}, which'
      ' have the same test images.'
    )
  notes += [*a.notes, *b.notes, *writers.doubts(a), *writers.doubts(b)]
  return Comparison(
    dataset=a.dataset,
    subset=subset.name,
    split=a.split,
    examples=len(a.labels),
    first=methods[0],
    second=methods[1],
    difference=intervals.over_runs(samples, cluster, stratum),
    interval_over=over,
    only_first=only_first if single else None,
    only_second=only_second if single else None,
    p=intervals.mcnemar(only_first, only_second) if single else None,
    notes=tuple(dict.fromkeys(notes)),
  )


def run_samples(a: Predictions, b: Predictions) -> tuple[list[np.ndarray], str]:
  """Returns the `samples` of `intervals.over_runs`, and `interval_over`."""
  (by, keys, rows), (other_by, other_keys, other_rows) = map(
    independent_runs, (a, b)
  )
  if 1 in (len(a.predicted), len(b.predicted)):
    return [(rows.mean(axis=0) - other_rows.mean(axis=0))[None]], 'images'
  if keys and (by, keys) == (other_by, other_keys):
    return [rows - other_rows], f'paired {by} and images'
  over = by if by == other_by else 'runs'
  return [rows, -other_rows], f'{over} and images'


def independent_runs(found: Predictions) -> tuple[str, list[int], np.ndarray]:
  """Returns the independent units of the runs of a method, in order.

  Returns:
    What they are, 'draws' or 'seeds'; the number of each, if it is known; and
    (units, n), the share of the unit's runs that recognize each example.
  """
  right = (found.predicted == found.labels).astype(float)
  draws, unit = np.unique([d or 0 for d in found.draws], return_inverse=True)
  if len(draws) > 1:
    means = [right[unit == draw].mean(axis=0) for draw in range(len(draws))]
    return 'draws', draws.tolist(), np.stack(means)
  seeds = [seed for seed in found.seeds if seed is not None]
  return 'seeds', sorted(seeds), right[np.argsort(seeds)] if seeds else right


def accuracy(found: Predictions) -> Estimate:
  """Returns the accuracy, with an interval over runs, and images or writers."""
  _, _, rows = independent_runs(found)
  strata = writers.source_numbers(found.subset, found.labels)
  share = intervals.over_runs([rows], writers.clusters(found), strata)
  return dataclasses.replace(share, low=max(share.low, 0.0))


def _examples(found: Predictions) -> str:
  draw = draw_of_examples(found)
  name = f'{found.dataset}/{found.subset.full.name} {found.split}'
  return f'{len(found.labels):,} of {name}' + f' of draw {draw}' * bool(draw)

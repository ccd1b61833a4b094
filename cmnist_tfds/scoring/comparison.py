# SPDX-License-Identifier: Apache-2.0
"""Compares two methods on the same test images."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator

import numpy as np

from cmnist_tfds.cache.prepared import SAMPLE
from cmnist_tfds.scoring import evaluation, intervals
from cmnist_tfds.scoring import predictions as predictions_lib
from cmnist_tfds.scoring.evaluation import title_of
from cmnist_tfds.scoring.intervals import Estimate
from cmnist_tfds.scoring.predictions import OpenDraw, Predictions
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system.errors import PredictionsError, SplitError

_PathLike = str | os.PathLike[str]


@dataclasses.dataclass(frozen=True)
class Compared:
  """One of two methods.

  Attributes:
    trained_on: The name of the subset that it was trained on.
    runs: How many runs there are.
    accuracy: The share of examples that it recognises, a mean over runs, with
      Wilson's interval.
    about: What it says of itself.
  """

  trained_on: str
  runs: int
  accuracy: Estimate
  about: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Comparison:
  """Two methods on the same examples.

  Attributes:
    dataset: 'cmnist' or 'cmnist_sample'.
    subset: The name of the subset that was compared on.
    split: The split.
    examples: How many examples there are.
    first: The first method.
    second: The second method.
    difference: The accuracy of the first minus that of the second, with its
      paired interval.
    only_first: How many examples the first alone recognises; None if a method
      has several runs.
    only_second: How many examples the second alone recognises; None likewise.
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
  only_first: int | None
  only_second: int | None
  p: float | None
  notes: tuple[str, ...]


def compare_files(
  subset: Subset,
  first: _PathLike | Predictions,
  second: _PathLike | Predictions,
  open_draw: OpenDraw | None,
) -> Comparison:
  """Compares the predictions of two methods for the same test images.

  Reduced forms of a subset have the same test set, so a method that was trained
  on one of them can be compared with one that was trained on another.

  Args:
    subset: The subset.
    first: A file of predictions, or what `save_predictions` returned.
    second: Another one.
    open_draw: Opens the subset, for its labels; None to compare the labels of the two
      only with each other and with the known sizes of the classes.

  Returns:
    The comparison.

  Raises:
    PredictionsError: If a file cannot be read, or the two are not of the same
      test images.
  """
  a, b = (_read(subset, file, open_draw) for file in (first, second))
  if (
    _part(a) != _part(b)
    or len(a.labels) != len(b.labels)
    or (a.labels != b.labels).any()
  ):
    raise PredictionsError(
      f'{title_of(first)} and {title_of(second)} are not of the same test'
      f' images: {_examples(a)} against {_examples(b)}, in the same order.'
      ' Predict one split with both methods.'
    )
  right = [(p.predicted == p.labels).mean(axis=0) for p in (a, b)]
  single = len(a.predicted) == len(b.predicted) == 1
  only_first = int((right[0] > right[1]).sum())
  only_second = int((right[0] < right[1]).sum())
  return Comparison(
    dataset=a.dataset,
    subset=subset.name,
    split=a.split,
    examples=len(a.labels),
    first=_compared(a, right[0]),
    second=_compared(b, right[1]),
    difference=intervals.paired_difference(right[0] - right[1]),
    only_first=only_first if single else None,
    only_second=only_second if single else None,
    p=intervals.mcnemar(only_first, only_second) if single else None,
    notes=tuple(_notes(a, b, single, open_draw is None)),
  )


def _read(
  subset: Subset, file: _PathLike | Predictions, open_draw: OpenDraw | None
) -> Predictions:
  read = (
    file
    if isinstance(file, Predictions)
    else predictions_lib.read_predictions(file)
  )
  try:
    # Reduced forms have the same classes and the same test set.
    same = read.subset.full == subset.full and read.split == 'test'
    checked = dataclasses.replace(read, subset=subset) if same else read
    predictions_lib.check_examples(checked, subset, open_draw)
  except (PredictionsError, SplitError) as error:
    raise PredictionsError(f'{title_of(file)}: {error}') from error
  return read


def _part(read: Predictions) -> tuple[str, str, int]:
  """Returns what predictions of the same examples agree in."""
  return read.dataset, read.split, predictions_lib.draw_of_examples(read)


def _examples(read: Predictions) -> str:
  dataset, split, draw = _part(read)
  return (
    f'{len(read.labels):,} of {dataset}/{read.subset.name} {split}'
    + f' of draw {draw}' * bool(draw)
  )


def _compared(read: Predictions, right: np.ndarray) -> Compared:
  return Compared(
    trained_on=read.subset.name,
    runs=len(read.predicted),
    accuracy=intervals.wilson(float(right.sum()), len(right)),
    about=dict(read.about),
  )


def _notes(
  a: Predictions, b: Predictions, single: bool, labels_trusted: bool
) -> Iterator[str]:
  if not single:
    yield (
      "The accuracies are means over runs. McNemar's test compares single runs"
      ' and is left out; the interval covers the choice of the images only.'
    )
  if a.subset != b.subset:
    yield (
      f'The methods were trained on {a.subset.name} and on {b.subset.name}, which'
      ' have the same test images.'
    )
  if labels_trusted:
    yield evaluation.LABELS_TRUSTED
  if a.dataset == SAMPLE:
    yield evaluation.SAMPLE_SCORED

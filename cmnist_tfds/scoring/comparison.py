# SPDX-License-Identifier: Apache-2.0
"""Compares two methods on the same test images."""

from __future__ import annotations

import dataclasses

import numpy as np

from cmnist_tfds.scoring import evaluation, intervals
from cmnist_tfds.scoring import predictions as predictions_lib
from cmnist_tfds.scoring.evaluation import File, Open
from cmnist_tfds.scoring.intervals import Estimate, Record
from cmnist_tfds.scoring.predictions import Predictions
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
      paired interval.
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
  only_first: int | None
  only_second: int | None
  p: float | None
  notes: tuple[str, ...]


def compare_files(
  subset: Subset, first: File, second: File, open_: Open | None
) -> Comparison:
  """Compares the predictions of two methods for the same test images.

  Reduced forms of a subset have the same test set, so a method that was trained
  on one of them can be compared with one that was trained on another.

  Args:
    subset: The subset.
    first: A file of predictions, or what `save_predictions` returned.
    second: Another one.
    open_: Opens the subset, for its labels; None to compare the labels of the
      two only with each other and with the known sizes of the classes.

  Returns:
    The comparison.

  Raises:
    PredictionsError: If a file cannot be read, or the two are not of the same
      test images.
  """
  a, b = (
    evaluation.read_checked(subset, file, open_, reduced_too=True)
    for file in (first, second)
  )
  examples = [_examples(p) for p in (a, b)]
  if examples[0] != examples[1] or (a.labels != b.labels).any():
    raise PredictionsError(
      f'{a.title} and {b.title} are not of the same test images: {examples[0]}'
      f' against {examples[1]}, in the same order. Predict one split with both'
      ' methods.'
    )
  right = [(p.predicted == p.labels).mean(axis=0) for p in (a, b)]
  single = len(a.predicted) == len(b.predicted) == 1
  only_first = int((right[0] > right[1]).sum())
  only_second = int((right[0] < right[1]).sum())
  missing = (
    'Runs are missing: these are two trained models. Save several of each.'
  )
  notes = [missing] * (1 in (len(a.predicted), len(b.predicted)))
  if not single:
    notes.append(
      "The accuracies are means over runs. McNemar's test compares single runs"
      ' and is left out; the interval covers the choice of the images only.'
    )
  if a.subset != b.subset:
    notes.append(
      f'The methods were trained on {a.subset.name} and on {b.subset.name}, which'
      ' have the same test images.'
    )
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
    notes=(*notes, *dict.fromkeys(a.notes + b.notes)),
  )


def _examples(found: Predictions) -> str:
  draw = predictions_lib.draw_of_examples(found)
  name = f'{found.dataset}/{found.subset.full.name} {found.split}'
  return f'{len(found.labels):,} of {name}' + f' of draw {draw}' * bool(draw)


def _compared(found: Predictions, right: np.ndarray) -> Compared:
  return Compared(
    trained_on=found.subset.name,
    runs=len(found.predicted),
    accuracy=intervals.wilson(float(right.sum()), len(right)),
    about=dict(found.about),
  )

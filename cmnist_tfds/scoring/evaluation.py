# SPDX-License-Identifier: Apache-2.0
"""Scores predictions: accuracies, confusion, and the spread over runs."""

from __future__ import annotations

import collections
import dataclasses
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from cmnist_tfds import subsets
from cmnist_tfds.cache.prepared import SAMPLE
from cmnist_tfds.load import open_subset
from cmnist_tfds.load.open_subset import Opened
from cmnist_tfds.scoring import duplicates, intervals
from cmnist_tfds.scoring import predictions as predictions_lib
from cmnist_tfds.scoring.intervals import Estimate
from cmnist_tfds.scoring.predictions import OpenDraw, Predictions
from cmnist_tfds.sources import Source
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system.errors import PredictionsError, SplitError

_log = logging.getLogger('cmnist_tfds')

# What a reader must know of the way scores were made.
ORDER_ASSUMED = (
  'ORDER ASSUMED: nothing shows that the predictions are in the order of the'
  ' examples. Do not publish these figures.'
)
LABELS_TRUSTED = (
  'The labels are those in the files. Only the sizes of the classes were compared'
  ' with those of the data.'
)
SAMPLE_SCORED = (
  'These are scores on the synthetic sample. They say nothing about CMNIST.'
)

# How many pairs of confused classes are listed.
_PAIRS = 10

_PathLike = str | os.PathLike[str]


@dataclasses.dataclass(frozen=True)
class RunScore:
  """The accuracies of one run.

  Attributes:
    seed: Its seed; None if it is not known.
    draw: Its draw of the reduced training set; None if it is not known.
    accuracy: The share of examples that it recognises.
    balanced_accuracy: The mean of these shares over the classes.
  """

  seed: int | None
  draw: int | None
  accuracy: float
  balanced_accuracy: float


@dataclasses.dataclass(frozen=True)
class Spread:
  """Standard deviations of a figure over runs.

  Attributes:
    seeds: Between runs with one draw of the training set, pooled over draws;
      None if no draw has two runs.
    draws: Between the means of the draws; None if there is only one draw.
  """

  seeds: float | None
  draws: float | None


@dataclasses.dataclass(frozen=True)
class ClassScore:
  """The scores of one class; means over runs.

  Attributes:
    label: Its number in the subset.
    name: Its name.
    source: The key of its source.
    examples: How many examples it has.
    accuracy: The share of them that is recognised, with Wilson's interval; None
      if it has none.
    precision: The share of the predictions of this class that is right; None
      if it is never predicted.
  """

  label: int
  name: str
  source: str
  examples: int
  accuracy: Estimate | None
  precision: float | None


@dataclasses.dataclass(frozen=True)
class SourceScore:
  """The scores of the examples of one source; means over runs.

  Attributes:
    key: The key of the source.
    examples: How many examples it has.
    accuracy: The share that is recognised, with Wilson's interval.
    balanced_accuracy: The mean over its classes, with a stratified interval.
    predicted: The share of its examples that is predicted as a class of each
      source of the subset, in order.
  """

  key: str
  examples: int
  accuracy: Estimate
  balanced_accuracy: Estimate
  predicted: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Confusion:
  """How often one class is predicted as another; means over runs.

  Attributes:
    label: The true class.
    predicted: The predicted class.
    examples: How many examples.
    share: Their share of the examples of the true class.
  """

  label: int
  predicted: int
  examples: float
  share: float


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
  """The scores of a method on one split of a subset.

  Intervals have 95 % confidence and cover the choice of the examples only.

  Attributes:
    subset: The subset.
    dataset: 'cmnist' or 'cmnist_sample'.
    split: The split.
    examples: How many examples were scored.
    accuracy: The share that is recognised, a mean over runs, with Wilson's
      interval.
    balanced_accuracy: The mean of the classes' shares, with a stratified
      interval.
    runs: The scores of each run.
    accuracy_spread: How `accuracy` varies between runs.
    balanced_accuracy_spread: How `balanced_accuracy` varies between runs.
    sources: The scores of each source.
    classes: The scores of each class.
    worst_pairs: The classes that are confused most often, by share.
    confusion: int64 (classes, classes), how many examples of each true class
      (row) were predicted as each class (column); summed over runs.
    about: What the method says of itself.
    notes: What a reader must know of the way the scores were made.
  """

  subset: Subset
  dataset: str
  split: str
  examples: int
  accuracy: Estimate
  balanced_accuracy: Estimate
  runs: tuple[RunScore, ...]
  accuracy_spread: Spread
  balanced_accuracy_spread: Spread
  sources: tuple[SourceScore, ...]
  classes: tuple[ClassScore, ...]
  worst_pairs: tuple[Confusion, ...]
  confusion: np.ndarray
  about: dict[str, str]
  notes: tuple[str, ...]


def evaluate(
  name: str,
  files: _PathLike | Predictions | Iterable[_PathLike | Predictions],
  *,
  data_dir: _PathLike | None = None,
  sample: bool = False,
  assume_order: bool = False,
  trust_labels: bool = False,
  without_near_duplicates: bool = False,
) -> Evaluation:
  """Scores the predictions of a method for a subset.

      scores = cmnist_tfds.evaluate('2-FKd', 'svm.npz')
      scores.accuracy  # Estimate(value=..., low=..., high=...)

  Args:
    name: Name of the subset.
    files: A file of predictions, what `save_predictions` returned, or several
      of them: the runs of one method.
    data_dir: Where prepared datasets are; TFDS's default if None.
    sample: Whether the examples are those of `cmnist_sample`.
    assume_order: Whether `files` are `.npy` or `.csv` files of predictions of
      the test split, without labels, whose order is taken on trust.
    trust_labels: Whether to score with the labels in the files. They are
      compared with the known sizes of the classes only, so the data of the
      subset is not needed.
    without_near_duplicates: Whether to leave out test images of which the full
      training set has a copy or a near-copy, as `duplicates` finds them.

  Returns:
    The scores.

  Raises:
    SubsetNameError: If there is no such subset.
    PredictionsError: If a file cannot be read, or does not belong to the
      examples of the subset.
    OriginFileError: If the subset must be prepared first and an origin file is
      missing or wrong.
    PreparationError: If the subset must be prepared first and cannot be.
  """
  subset = subsets.subset(name)
  given = (
    [files]
    if isinstance(files, str | os.PathLike | Predictions)
    else list(files)
  )

  def open_draw(draw: int) -> Opened:
    return open_subset.open_or_prepare(
      subset, data_dir=data_dir, sample=sample, draw=draw
    )

  read = read_runs(
    subset,
    given,
    None if trust_labels else open_draw,
    assume_order=assume_order,
  )
  copied = None
  if without_near_duplicates:
    copied = find_copied(
      read,
      lambda source: open_subset.open_or_prepare(
        subsets.combine([source]), data_dir=data_dir, sample=sample
      ),
      labels_trusted=trust_labels,
    )
  return score(read, labels_trusted=trust_labels, copied=copied)


def find_copied(
  scored: Predictions,
  open_source: Callable[[Source], Opened],
  *,
  labels_trusted: bool = False,
) -> np.ndarray:
  """Returns which predicted images have a copy or near-copy in train.

  Args:
    scored: The predictions.
    open_source: Opens the subset that consists of a source alone.
    labels_trusted: Whether their labels were not compared with the data.

  Returns:
    bool (n,).

  Raises:
    PredictionsError: If the predictions are not of the test set, or nothing
      shows that they are in its order.
  """
  if labels_trusted or scored.split != 'test':
    raise PredictionsError(
      'Near-duplicates are left out of the test set, for which its images are'
      ' needed. Score predictions of the test set, and do not trust labels.'
    )
  return duplicates.copies_in_train(scored.subset, open_source)


def read_runs(
  subset: Subset,
  files: Sequence[_PathLike | Predictions],
  open_draw: OpenDraw | None,
  *,
  assume_order: bool = False,
) -> Predictions:
  """Reads and checks files of predictions, the runs of one method.

  Args:
    subset: The subset.
    files: The files, or what they hold.
    open_draw: Opens the subset, for its labels; None to trust those in the
      files.
    assume_order: Whether the files are bare predictions.

  Returns:
    All runs, in order.

  Raises:
    PredictionsError: If a file cannot be read, does not belong to the examples
      of the subset, or is of another method or split than the first.
  """
  if not files:
    raise PredictionsError('There are no predictions. Name at least one file.')
  paths = [
    os.path.realpath(file)
    for file in files
    if not isinstance(file, Predictions)
  ]
  if len(set(paths)) < len(paths):
    raise PredictionsError('A file is named twice. Name each file once.')
  if assume_order:
    _log.warning('%s', ORDER_ASSUMED)
  if assume_order and open_draw is None:
    raise PredictionsError(
      'Files without labels need the data of the subset. Build it, and leave out'
      ' trust_labels.'
    )
  read: list[Predictions] = []
  for file in files:
    if isinstance(file, Predictions):
      one = file
    elif assume_order and open_draw is not None:
      one = predictions_lib.read_bare_predictions(file, open_draw(0))
    else:
      one = predictions_lib.read_predictions(file)
    try:
      predictions_lib.check_examples(one, subset, open_draw)
      if read:
        _check_same_method(read[0], one)
    except (PredictionsError, SplitError) as error:
      raise PredictionsError(f'{title_of(file)}: {error}') from error
    read.append(one)
  return _join(read)


def title_of(file: _PathLike | Predictions) -> str:
  """Returns what messages call a file of predictions, or what it holds."""
  return (
    file.about.get('method', 'Predictions')
    if isinstance(file, Predictions)
    else os.fspath(file)
  )


def score(
  scored: Predictions,
  *,
  labels_trusted: bool = False,
  copied: np.ndarray | None = None,
) -> Evaluation:
  """Scores predictions that have been checked.

  Args:
    scored: The predictions of all runs.
    labels_trusted: Whether their labels were not compared with the data.
    copied: bool (n,), the images to leave out because the training set has
      copies of them; None to score all.

  Returns:
    The scores.
  """
  notes = list(_notes(scored, labels_trusted))
  if copied is not None:
    notes.append(
      f'{copied.sum():,} test images with a copy or a near-copy in the full'
      f' training set (ratio at most {duplicates.THRESHOLD}) are left out.'
    )
    scored = dataclasses.replace(
      scored,
      labels=scored.labels[~copied],
      predicted=scored.predicted[:, ~copied],
      scores=None,
    )
  subset = scored.subset
  count = subset.num_classes
  runs = len(scored.predicted)
  codes = scored.labels * count + scored.predicted
  confusions = np.stack(
    [
      np.bincount(run, minlength=count**2).reshape(count, count)
      for run in codes
    ]
  )
  total = np.bincount(scored.labels, minlength=count)
  present = np.flatnonzero(total)
  # Of each run, and the mean of these, which may be a fraction.
  right_of_run = np.diagonal(confusions, axis1=1, axis2=2)
  right = right_of_run.mean(axis=0)
  confusion = confusions.sum(axis=0)
  accuracies = right_of_run.sum(axis=1) / len(scored.labels)
  balanced = (right_of_run[:, present] / total[present]).mean(axis=1)
  unknown = (None,) * runs
  seeds, draws = scored.seeds or unknown, scored.draws or unknown
  return Evaluation(
    subset=subset,
    dataset=scored.dataset,
    split=scored.split,
    examples=len(scored.labels),
    accuracy=intervals.wilson(float(right.sum()), len(scored.labels)),
    balanced_accuracy=_balanced(right[present], total[present]),
    runs=tuple(
      RunScore(seed, draw, *figures)
      for seed, draw, *figures in zip(
        seeds, draws, accuracies.tolist(), balanced.tolist(), strict=True
      )
    ),
    accuracy_spread=_spread(accuracies, draws),
    balanced_accuracy_spread=_spread(balanced, draws),
    sources=_score_sources(subset, confusion / runs, total),
    classes=_score_classes(subset, confusion / runs, total),
    worst_pairs=_worst_pairs(confusion / runs, total),
    confusion=confusion,
    about=dict(scored.about),
    notes=tuple(notes),
  )


def _balanced(right: np.ndarray, total: np.ndarray) -> Estimate:
  return Estimate(*map(float, intervals.mean_of_shares(right, total)))


def _score_sources(
  subset: Subset, confusion: np.ndarray, total: np.ndarray
) -> tuple[SourceScore, ...]:
  number = np.array([c.source_number for c in subset.classes])
  belongs = number == np.arange(len(subset.sources))[:, None]
  between = belongs @ confusion @ belongs.T
  scores = []
  for source, of_source, row in zip(
    subset.sources, belongs, between, strict=True
  ):
    tested = of_source & (total > 0)
    examples = int(total[tested].sum())
    if not examples:
      continue
    right = np.diagonal(confusion)[tested]
    scores.append(
      SourceScore(
        key=source.key,
        examples=examples,
        accuracy=intervals.wilson(float(right.sum()), examples),
        balanced_accuracy=_balanced(right, total[tested]),
        predicted=tuple((row / examples).tolist()),
      )
    )
  return tuple(scores)


def _score_classes(
  subset: Subset, confusion: np.ndarray, total: np.ndarray
) -> tuple[ClassScore, ...]:
  predicted = confusion.sum(axis=0).tolist()
  right = np.diagonal(confusion).tolist()
  return tuple(
    ClassScore(
      label=c.label,
      name=c.name,
      source=c.source.key,
      examples=examples,
      accuracy=intervals.wilson(right[c.label], examples) if examples else None,
      precision=right[c.label] / predicted[c.label]
      if predicted[c.label]
      else None,
    )
    for c, examples in zip(subset.classes, total.tolist(), strict=True)
  )


def _worst_pairs(
  confusion: np.ndarray, total: np.ndarray
) -> tuple[Confusion, ...]:
  wrong = confusion.copy()
  np.fill_diagonal(wrong, 0)
  shares = wrong / np.maximum(total, 1)[:, None]
  largest = np.argsort(-shares, axis=None, kind='stable')[:_PAIRS]
  pairs = zip(*np.unravel_index(largest, shares.shape), strict=True)
  return tuple(
    Confusion(int(i), int(j), float(wrong[i, j]), float(shares[i, j]))
    for i, j in pairs
    if wrong[i, j]
  )


def _spread(figures: np.ndarray, draws: Sequence[int | None]) -> Spread:
  of_draw: dict[int | None, list[float]] = collections.defaultdict(list)
  for figure, draw in zip(figures.tolist(), draws, strict=True):
    of_draw[draw].append(figure)
  degrees = len(figures) - len(of_draw)
  squares = sum(np.var(group) * len(group) for group in of_draw.values())
  means = [np.mean(group) for group in of_draw.values()]
  return Spread(
    seeds=float(np.sqrt(squares / degrees)) if degrees else None,
    draws=float(np.std(means, ddof=1)) if len(means) > 1 else None,
  )


def _notes(scored: Predictions, labels_trusted: bool) -> Iterator[str]:
  if scored.order_assumed:
    yield ORDER_ASSUMED
  if labels_trusted:
    yield LABELS_TRUSTED
  if scored.dataset == SAMPLE:
    yield SAMPLE_SCORED


def _check_same_method(first: Predictions, other: Predictions) -> None:
  if first.split != other.split:
    raise PredictionsError(
      f'expected predictions of the split {first.split!r}, found'
      f' {other.split!r}. Score each split alone.'
    )
  draws = [predictions_lib.draw_of_examples(p) for p in (first, other)]
  if draws[0] != draws[1]:
    raise PredictionsError(
      f'expected predictions for draw {draws[0]}, found some for draw {draws[1]},'
      f' which has another {first.split} split. Score each draw alone.'
    )
  methods = [p.about.get('method', '') for p in (first, other)]
  if methods[0] != methods[1]:
    raise PredictionsError(
      f'expected runs of one method, {methods[0]!r}, found {methods[1]!r}. Score'
      ' each method alone, or compare two with cmnist compare.'
    )


def _join(read: Sequence[Predictions]) -> Predictions:
  """Returns the runs of all files as one record."""
  seeds, draws = (
    _of_all([p.seeds for p in read]),
    _of_all([p.draws for p in read]),
  )
  if seeds:
    same_draw = (0,) * len(seeds)
    if len(set(zip(seeds, draws or same_draw, strict=True))) < len(seeds):
      raise PredictionsError(
        'Two runs have the same seed and draw. Name each file once.'
      )
  return dataclasses.replace(
    read[0],
    predicted=np.concatenate([p.predicted for p in read]),
    scores=None,
    seeds=seeds,
    draws=draws,
  )


def _of_all(known: Sequence[tuple[int, ...] | None]) -> tuple[int, ...] | None:
  """Joins the seeds or the draws of files; None if one has none."""
  joined: list[int] = []
  for of_file in known:
    if of_file is None:
      return None
    joined += of_file
  return tuple(joined)

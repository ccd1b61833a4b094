# SPDX-License-Identifier: Apache-2.0
"""Scores predictions: accuracies, confusion, and the spread over runs."""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cmnist_tfds import subsets
from cmnist_tfds.load.open_subset import Opened, open_or_prepare
from cmnist_tfds.scoring import confidence, duplicates, intervals, writers
from cmnist_tfds.scoring import predictions as predictions_lib
from cmnist_tfds.scoring.confidence import Confidence, Outlying
from cmnist_tfds.scoring.intervals import Estimate, Record
from cmnist_tfds.scoring.predictions import Predictions
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system import errors
from cmnist_tfds.system.errors import PredictionsError, counted
from cmnist_tfds.system.paths import PathLike

if TYPE_CHECKING:
  from matplotlib.figure import Figure

# How many pairs of confused classes are listed.
_PAIRS = 10

# A file of predictions, or what it holds.
File = PathLike | Predictions

# Opens a subset, with the draw of its training set that `draw` names.
Open = Callable[..., Opened]


@dataclasses.dataclass(frozen=True)
class RunScore:
  """The accuracies of one run.

  Attributes:
    seed: Its seed; None if it is not known.
    draw: Its draw of the reduced training set; None if it is not known.
    accuracy: The share of examples that it recognizes.
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
    draws: Between draws, without the part of the seeds; None if there is only
      one draw.
    draws_and_seeds: Between draws that have one seed each, so that nobody can
      tell what the seeds do; then the others are None.
  """

  seeds: float | None = None
  draws: float | None = None
  draws_and_seeds: float | None = None


@dataclasses.dataclass(frozen=True)
class ClassScore:
  """The scores of one class; means over runs.

  Attributes:
    label: Its number in the subset.
    name: Its name.
    source: The key of its source.
    examples: How many examples it has.
    accuracy: The share of them that is recognized, with Wilson's interval; None
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
    accuracy: The share that is recognized, with Wilson's interval.
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
class WritersScore:
  """The scores of the writers of a source's test images; means over runs.

  Attributes:
    source: The key of the source; 'all' for all examples of a union.
    writers: How many writers there are.
    accuracy: The share of the examples that is recognized, with an interval
      over writers, and over the examples of sources whose writers are unknown.
    worst: The accuracy of the writer with the lowest one.
  """

  source: str
  writers: int
  accuracy: Estimate
  worst: float


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
class Evaluation(Record):
  """The scores of a method on one split of a subset.

  Intervals have 95 % confidence and cover the choice of the examples only, as
  if they were independent. Those of `writers` cover that of the writers.

  Attributes:
    subset: The subset.
    dataset: 'cmnist' or 'cmnist_sample'.
    split: The split.
    examples: How many examples were scored.
    accuracy: The share that is recognized, a mean over runs, with Wilson's
      interval.
    balanced_accuracy: The mean of the classes' shares, with a stratified
      interval.
    runs: The scores of each run.
    accuracy_spread: How `accuracy` varies between runs.
    balanced_accuracy_spread: How `balanced_accuracy` varies between runs.
    sources: The scores of each source.
    classes: The scores of each class.
    writers: The scores of the writers of each source whose writers are known.
    worst_pairs: The classes that are confused most often, by share.
    confusion: int64 (classes, classes), how many examples of each true class
      (row) were predicted as each class (column); summed over runs.
    about: What the method says of itself.
    notes: What a reader must know of the way the scores were made.
    confidence: The figures of the scores of classes; None without scores.
    ood: How well these tell the test images from those of another set; None if
      none was given.
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
  writers: tuple[WritersScore, ...]
  worst_pairs: tuple[Confusion, ...]
  confusion: np.ndarray
  about: dict[str, str]
  notes: tuple[str, ...]
  confidence: Confidence | None = None
  ood: Outlying | None = None

  def plot(self, *, dark: bool = False) -> Figure:
    """Returns a figure of the confusion of the classes.

    Args:
      dark: Whether to draw light on a dark background.

    Raises:
      MissingExtraError: If matplotlib, the extra `figures`, is not installed.
    """
    from cmnist_tfds.figures import pictures

    return pictures.styled(self.draw, dark=dark)

  def draw(self) -> Figure:
    """Returns the figure of `plot`, which `pictures` gives its style."""
    from cmnist_tfds.figures import confusion_matrix

    title = f'{self.dataset}/{self.subset.name} {self.split}'
    said = f'accuracy {self.accuracy.value:.4f}', self.about.get('method')
    return confusion_matrix.draw_confusion(
      self.subset, self.confusion, title, '; '.join(filter(None, said))
    )


def evaluate(
  name: str,
  files: File | Iterable[File],
  *,
  data_dir: PathLike | None = None,
  sample: bool = False,
  assume_order: bool = False,
  trust_labels: bool = False,
  without_near_duplicates: bool = False,
  ood: PathLike | None = None,
  open_: Open | None = None,
) -> Evaluation:
  """Scores the predictions of a method for a subset.

      scores = cmnist_tfds.evaluate('2-FKd', 'svm.npz')
      scores.accuracy  # Estimate(value=..., low=..., high=...)

  Args:
    name: Name of the subset.
    files: A file of predictions, what `save_predictions` returned, a folder of
      `cmnist run`, or several of them: the runs of one method. A file is what
      `save_predictions` writes, or `.csv` with the columns `label` and
      `prediction`.
    data_dir: Where prepared datasets are; TFDS's default if None.
    sample: Whether the examples are those of `cmnist_sample`.
    assume_order: Whether `files` may be `.npy` or `.csv` files of predictions
      of the test split, without labels, whose order is taken on trust.
    trust_labels: Whether to score with the labels in the files. They are
      compared with the known sizes of the classes only, so the data of the
      subset is not needed.
    without_near_duplicates: Whether to leave out test images of which the full
      training set has a copy or a near-copy, as `duplicates` finds them.
    ood: A file with scores of the same model for another set, which the highest
      score is to tell from this one: see `confidence.tell_apart`.
    open_: Opens the subset, and those of its sources, in place of what
      `data_dir` and `sample` say.

  Returns:
    The scores.

  Raises:
    SubsetNameError: If there is no such subset.
    PredictionsError: If a file cannot be read, does not belong to the examples
      of the subset, or is for another method or split than the first.
    OriginFileError: If the subset must be prepared first and an origin file is
      missing or wrong.
    PreparationError: If the subset must be prepared first and cannot be.
  """
  subset, open_ = opening(name, data_dir, sample, open_)
  if isinstance(files, str | os.PathLike | Predictions):
    files = [files]
  checking = None if trust_labels and not assume_order else open_
  joined = _read_runs(subset, files, checking, assume_order=assume_order)
  cluster = writers.clusters(joined)
  if without_near_duplicates:
    if trust_labels or joined.split != 'test':
      raise PredictionsError(
        'Near-duplicates are left out of the test set, for which its images are'
        ' needed. Score predictions of the test set, and do not trust labels.'
      )
    copied = duplicates.copies_in_train(subset, open_)
    note = (
      f'{counted(int(copied.sum()), "test image")} with a copy or a near-copy in'
      f' the full training set (ratio at most {duplicates.THRESHOLD}) left out.'
    )
    joined = dataclasses.replace(
      joined,
      labels=joined.labels[~copied],
      predicted=joined.predicted[:, ~copied],
      scores=None if joined.scores is None else joined.scores[:, ~copied],
      notes=(*joined.notes, note),
    )
    cluster = cluster[~copied]
  outlying = confidence.tell_apart(joined, ood) if ood else None
  return dataclasses.replace(score(joined, cluster), ood=outlying)


def _read_runs(
  subset: Subset, files: Iterable[File], open_: Open | None, **how: bool
) -> Predictions:
  """Returns the runs of one method in several files, read by `read_checked`."""
  read: list[Predictions] = []
  for file in files:
    found = read_checked(subset, file, open_, **how)
    if read and _common(read[0]) != _common(found):
      raise PredictionsError(
        f'{found.title}: expected {_common(read[0])}, found {_common(found)}.'
        ' Score each method, split and draw alone, or compare two methods with'
        ' cmnist compare.'
      )
    read.append(found)
  if not read:
    raise PredictionsError('Name at least one file of predictions.')
  return _join(read)


def opening(
  name: str,
  data_dir: PathLike | None = None,
  sample: bool = False,
  open_: Open | None = None,
) -> tuple[Subset, Open]:
  """Returns a subset, and what opens it; see `evaluate`."""
  sample = sample or subsets.names_sample(name)
  opens = functools.partial(open_or_prepare, data_dir=data_dir, sample=sample)
  return subsets.subset(name), open_ or opens


def read_checked(
  subset: Subset,
  file: File,
  open_: Open | None,
  *,
  reduced_too: bool = False,
  assume_order: bool = False,
) -> Predictions:
  """Reads a file of predictions, and checks that they belong to a subset.

  Args:
    subset: The subset.
    file: The file, or what it holds; or a folder of files, which are the runs of
      one method, as `cmnist run` writes it.
    open_: Opens the subset, for its labels; None to compare the labels in the
      file with the known sizes of the classes only.
    reduced_too: Whether predictions of the test set may be those of a method
      that was trained on another reduced form, which has the same test set.
    assume_order: Whether the file may hold predictions alone.

  Raises:
    PredictionsError: If it cannot be read, or does not belong to the subset.
  """
  if not isinstance(file, Predictions) and os.path.isdir(file):
    # In the order of their draws and seeds.
    runs = sorted(
      pathlib.Path(file).glob('*.npz'),
      key=lambda path: [*map(int, re.findall('[0-9]+', path.stem))],
    )
    how = {'reduced_too': reduced_too, 'assume_order': assume_order}
    if not runs:
      raise PredictionsError(
        f'{file} has no files *.npz. Name a folder that cmnist run has written.'
      )
    return dataclasses.replace(
      _read_runs(subset, runs, open_, **how), file=pathlib.Path(file)
    )
  if isinstance(file, Predictions):
    found = file
  elif assume_order or predictions_lib.is_csv(file):
    opened = open_ and open_(subset)
    found = predictions_lib.read_table(file, subset, opened, assume_order)
  else:
    found = predictions_lib.read_predictions(file)
  is_same_test = (found.subset.full, found.split) == (subset.full, 'test')
  with predictions_lib.named(found.title):
    if found.subset != subset and not (reduced_too and is_same_test):
      raise PredictionsError(
        f'expected predictions for {subset.title}, found some for'
        f' {found.subset.title}. Name that subset, or another file.'
      )
    draw = predictions_lib.draw_of_examples(found)
    predictions_lib.check_examples(found, open_ and open_(subset, draw=draw))
  notes = (*found.notes, *[predictions_lib.LABELS_TRUSTED] * (open_ is None))
  return dataclasses.replace(found, notes=notes)


def _common(found: Predictions) -> str:
  """Returns what files of one method have in common."""
  return (
    f'runs of one method, {found.about.get("method", "")!r}, for the split'
    f' {found.split!r} of draw {predictions_lib.draw_of_examples(found)}'
  )


def score(scored: Predictions, cluster: np.ndarray | None = None) -> Evaluation:
  """Scores predictions that have been checked.

  Args:
    scored: The predictions of all runs.
    cluster: What `writers.clusters` returns for them; None to find it, which
      needs the predictions of the whole split.

  Returns:
    The scores.
  """
  subset, labels = scored.subset, scored.labels
  cluster = writers.clusters(scored) if cluster is None else cluster
  confusions = predictions_lib.confusions(scored)
  total = np.bincount(labels, minlength=subset.num_classes)
  right = np.diagonal(confusions, axis1=1, axis2=2)
  accuracies = right.sum(axis=1) / len(labels)
  balanced = (right / np.maximum(total, 1))[:, total > 0].mean(axis=1)
  shares = accuracies.tolist(), balanced.tolist()
  # A mean over runs, which may be a fraction.
  mean = confusions.mean(axis=0)
  accuracy, balanced_accuracy = _accuracies(np.diagonal(mean), total)
  notes = [*scored.notes, *predictions_lib.doubts(scored, confusions)]
  figures = None
  try:
    figures = confidence.measure(scored)
  except errors.MissingExtraError as error:
    notes.append(str(error))
  if (fewest := total[total > 0].min()) < 10:
    notes.append(
      f'A class has {fewest} examples. Below ten, balanced intervals are too narrow.'
    )
  return Evaluation(
    subset=subset,
    dataset=scored.dataset,
    split=scored.split,
    examples=len(labels),
    accuracy=accuracy,
    balanced_accuracy=balanced_accuracy,
    runs=tuple(map(RunScore, scored.seeds, scored.draws, *shares)),
    accuracy_spread=_spread(accuracies, scored),
    balanced_accuracy_spread=_spread(balanced, scored),
    sources=tuple(_score_sources(subset, mean, total)),
    classes=tuple(_score_classes(subset, mean, total)),
    writers=tuple(_score_writers(scored, cluster)),
    worst_pairs=tuple(_worst_pairs(mean, total)),
    confusion=confusions.sum(axis=0),
    about=dict(scored.about),
    notes=(*notes, *writers.doubts(scored)),
    confidence=figures,
  )


def _accuracies(
  right: np.ndarray, total: np.ndarray
) -> tuple[Estimate, Estimate]:
  """Returns the accuracy and the balanced accuracy of some classes."""
  right, total = right[total > 0], total[total > 0]
  return (
    intervals.wilson(float(right.sum()), int(total.sum())),
    Estimate(*map(float, intervals.mean_of_shares(right, total))),
  )


def _score_sources(
  subset: Subset, confusion: np.ndarray, total: np.ndarray
) -> Iterator[SourceScore]:
  number = np.array([c.source_number for c in subset.classes])
  for own, source in enumerate(subset.sources):
    classes = number == own
    if examples := int(total[classes].sum()):
      right = np.diagonal(confusion)[classes]
      as_class = confusion[classes].sum(axis=0) / examples
      shares = _accuracies(right, total[classes])
      predicted = tuple(np.bincount(number, as_class).tolist())
      yield SourceScore(source.key, examples, *shares, predicted)


def _score_classes(
  subset: Subset, confusion: np.ndarray, total: np.ndarray
) -> Iterator[ClassScore]:
  predicted = confusion.sum(axis=0).tolist()
  for label, c in enumerate(subset.classes):
    key, examples = c.source.key, int(total[label])
    right = float(confusion[label, label])
    accuracy = intervals.wilson(right, examples) if examples else None
    precision = right / predicted[label] if predicted[label] else None
    yield ClassScore(label, c.name, key, examples, accuracy, precision)


def _score_writers(
  scored: Predictions, cluster: np.ndarray
) -> Iterator[WritersScore]:
  right = (scored.predicted == scored.labels).mean(axis=0)
  stratum = writers.source_numbers(scored.subset, scored.labels)
  keys = [source.key for source in scored.subset.sources]
  everything = ['all'] if len(keys) > 1 else []
  for number, key in enumerate(keys + everything):
    own = (stratum == number) | (key == 'all')
    _, cluster_ = np.unique(cluster[own], return_inverse=True)
    sizes = np.bincount(cluster_)
    by_writer = (np.bincount(cluster_, right[own]) / sizes)[sizes > 1]
    if len(by_writer) > 1:
      parts = intervals.mean_variance(right[own], cluster_, stratum[own])
      accuracy = intervals.from_parts(float(right[own].mean()), *parts, least=0)
      yield WritersScore(key, len(by_writer), accuracy, float(by_writer.min()))


def _worst_pairs(mean: np.ndarray, total: np.ndarray) -> Iterator[Confusion]:
  wrong = mean * (1 - np.eye(len(total)))
  shares = wrong / np.maximum(total, 1)[:, None]
  for pair in np.argsort(-shares, axis=None, kind='stable')[:_PAIRS].tolist():
    i, j = divmod(pair, len(total))
    if wrong[i, j]:
      yield Confusion(i, j, float(wrong[i, j]), float(shares[i, j]))


def _spread(figures: np.ndarray, runs: Predictions) -> Spread:
  _, group = np.unique([*map(str, runs.draws)], return_inverse=True)
  sizes = np.bincount(group)
  means = np.bincount(group, figures) / sizes
  degrees = len(figures) - len(means)
  within = ((figures - means[group]) ** 2).sum() / max(degrees, 1)
  seeds = float(np.sqrt(within)) if degrees else None
  if len(means) == 1:
    return Spread(seeds)
  between = np.var(means, ddof=1) - within * (1 / sizes).mean()
  draws = float(np.sqrt(max(between, 0)))
  unknown = seeds is None and None not in runs.seeds
  return Spread(None, None, draws) if unknown else Spread(seeds, draws)


def _join(read: Sequence[Predictions]) -> Predictions:
  """Returns the runs of all files as one record."""
  seeds = sum((p.seeds for p in read), ())
  draws = sum((p.draws for p in read), ())
  kinds = {p.score_kind for p in read}
  scores = [p.scores for p in read if p.scores is not None and len(kinds) == 1]
  known = [run for run in zip(seeds, draws, strict=True) if run[0] is not None]
  if len({*known}) < len(known):
    raise PredictionsError(
      'Two runs have the same seed and draw. Name each file once.'
    )
  runs: dict[str, Any] = {
    'predicted': np.concatenate([p.predicted for p in read]),
    'scores': np.concatenate(scores) if len(scores) == len(read) else None,
    'seeds': seeds,
    'draws': draws,
  }
  return dataclasses.replace(read[0], **runs)

# SPDX-License-Identifier: Apache-2.0
"""Folders of results: the predictions and the scores of methods on subsets.

    <folder>/<subset>/<method>.npz     the predictions
    <folder>/<subset>/<method>.json    their scores, without the confusion

The scores are written last, so a result that has them is complete. It is not
computed again.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import pathlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np

from cmnist_tfds import subsets
from cmnist_tfds.load.draws import count_draws
from cmnist_tfds.scoring import evaluation, fits, predictions, report
from cmnist_tfds.scoring.evaluation import Evaluation, Open
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system import atomic, streams
from cmnist_tfds.system.errors import PredictionsError


class Wanted(NamedTuple):
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


# What results say of each run: a text for all of them, or one for each, with '; '
# between these.
RUN = ('time', 'machine', 'versions', 'learning_rate')
# What the predictions of a baseline may depend on.
_LIBRARIES = {'python', 'numpy', 'scipy', 'sklearn', 'skimage'}
_LIBRARIES |= {'torch', 'torchvision'}

# A result in a folder: the name of its files, such as 'knn-1', its scores, and
# whether it was there already.
Result = tuple[str, Evaluation, bool]


class Method(NamedTuple):
  """A method that results are computed of.

  Attributes:
    name: Name of its files, such as 'knn-1'.
    about: Returns what it says of itself for a subset.
    predict: Returns the labels of the test set, int64 (n,), for a subset, a draw
      of its training set and a seed; and what else there is to say of the run,
      as fields of `RUN`.
    seeds: Returns the seeds of the runs on each training set of a subset; None
      where chance plays no part.
  """

  name: str
  about: Callable[[Subset], Mapping[str, str]]
  predict: Callable[
    [Subset, int, int | None], tuple[np.ndarray, Mapping[str, str]]
  ]
  seeds: Callable[[Subset], Sequence[int | None]] = lambda _: (None,)


_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Figure(msgspec.Struct):
  """A share and its interval, which is everything where none was reported."""

  value: _Share
  low: _Share = 0
  high: _Share = 1

  def __post_init__(self) -> None:
    """Checks the order of the three."""
    if not self.low <= self.value <= self.high:
      raise ValueError('expected that low, value and high ascend')


class Scores(msgspec.Struct):
  """What is read of a file of scores, whoever wrote it.

  Attributes:
    dataset: 'cmnist'.
    subset: The name of the subset.
    split: 'test'.
    accuracy: The accuracy.
    balanced_accuracy: The balanced accuracy.
    about: Fields of `predictions.ABOUT`, at least `method`.
    runs: A record for each run.
    accuracy_spread: How the accuracy varies between runs.
  """

  dataset: Literal['cmnist']
  subset: str
  split: Literal['test']
  accuracy: Figure
  balanced_accuracy: Figure
  about: dict[str, str]
  runs: tuple[Any, ...] = (None,)
  accuracy_spread: dict[
    Literal['seeds', 'draws', 'draws_and_seeds'], _Share | None
  ] = {}


class ResultRow(NamedTuple):
  """What a table of results says of one.

  Attributes:
    subset: The subset.
    method: Name of its files.
    recomputed: Whether its predictions are there, so that its scores can be
      computed again. Other results are as they were reported.
    scores: What the file of scores holds.
  """

  subset: Subset
  method: str
  recomputed: bool
  scores: Scores


def scores_json(scores: Evaluation) -> str:
  """Returns what the file of scores holds."""
  # The last bits of figures depend on the machine.
  text = json.dumps(scores.to_dict())
  fields = json.loads(text, parse_float=lambda number: round(float(number), 8))
  del fields['confusion']  # It is large, and follows from the predictions.
  for name in ('confidence', 'ood'):
    if fields[name] is None:
      del fields[name]
  return json.dumps(fields, indent=1, ensure_ascii=False) + '\n'


def write_scores(path: pathlib.Path, scores: Evaluation) -> None:
  """Writes the scores beside predictions, a file or a folder of files."""
  text, place = scores_json(scores).encode(), path.with_suffix('.json')
  if not place.exists() or place.read_bytes() != text:
    atomic.write_file(place, text)


def recompute_scores(path: pathlib.Path) -> str:
  """Returns what the scores next to a file of predictions must be.

  Args:
    path: The predictions, a file or a folder of files, in a folder that is named
      like their subset.

  Raises:
    PredictionsError: If they are not predictions for the test set of that
      subset of CMNIST.
  """
  found = evaluation.read_checked(subsets.subset(path.parent.name), path, None)
  return scores_json(evaluation.score(dataclasses.replace(found, notes=())))


def read_results(folder: pathlib.Path) -> list[ResultRow]:
  """Reads the scores of all results, in the order of `cmnist list`.

  Args:
    folder: The folder of results.

  Raises:
    PredictionsError: If a file of scores is damaged, or not of CMNIST.
  """
  place = {s: number for number, s in enumerate(subsets.declared())}

  def order(row: ResultRow) -> tuple[int, str, int, str]:
    full, size = row.subset.full, row.subset.per_class or sys.maxsize
    return place.get(full, -1), full.name, -size, row.method

  return sorted(map(read_row, folder.glob('*/*.json')), key=order)


def to_table(rows: Sequence[ResultRow]) -> list[tuple[str, ...]]:
  """Returns the cells of a table of results, the header first."""
  header = 'subset, method, accuracy, 95 % interval, balanced accuracy, runs'
  table = [(*header.split(', '), 'figures')]
  for row in rows:
    scores, accuracy = row.scores, row.scores.accuracy
    spread = report.deviations(scores.accuracy_spread).items()
    runs = [str(len(scores.runs)), *(f'{d} {what}' for what, d in spread)]
    limits = (accuracy.low, accuracy.high)
    interval = '–'.join(map(report.figure, limits)) * (limits != (0, 1))
    shares = accuracy.value, scores.balanced_accuracy.value
    right, balanced = map(report.figure, shares)
    cells = row.subset.name, scores.about['method'], right, interval, balanced
    came = 'recomputed' if row.recomputed else 'reported'
    table.append((*cells, ', '.join(runs), came))
  return table


def read_row(path: pathlib.Path) -> ResultRow:
  """Returns what a file of scores says; raises as `read_results` does."""
  with predictions.reading(path, 'reported scores', 'See docs/reporting.md.'):
    scores = msgspec.json.decode(path.read_bytes(), type=Scores)
    scores.about = predictions.check_about(scores.about)
    subset = subsets.subset(path.parent.name)
    if scores.subset != subset.name or not scores.about.get('method'):
      raise ValueError(f'expected a method for {subset.name}, found {scores}')
  is_there = path.with_suffix('.npz').exists() or path.with_suffix('').is_dir()
  return ResultRow(subset, path.stem, is_there, scores)


def complete(wanted: Wanted, methods: Sequence[Method]) -> Iterator[Result]:
  """Computes the runs that a folder of results lacks.

  The predictions of a result are written again after each run.

  Args:
    wanted: Which results are wanted.
    methods: The methods.

  Yields:
    The results, each as soon as all its runs are written.

  Raises:
    PredictionsError: If a file of the folder is in the way, or a subset has no
      training images.
    PreparationError: If a result cannot be written.
  """
  plans = []
  # A file that is in the way is found before anything is computed.
  for subset, suffix, draws in training_sets(wanted):
    for method in methods:
      path = wanted.folder / subset.name / f'{method.name}{suffix}.npz'
      about = method.about(subset)
      before = _find_predictions(wanted.dataset, path, subset, about)
      plans.append((path, subset, about, draws, method, before))
  scored = streams.progress_bar(plans, desc='Scoring')
  for path, subset, about, draws, method, before in scored:
    saved, predicted, facts = before, {}, {}
    if before and None not in before.draws:
      there = [*zip(before.draws, before.seeds, strict=True)]
      predicted = dict(zip(there, before.predicted, strict=True))
      facts = dict(zip(there, run_facts(before), strict=True))
    runs = itertools.product(draws, method.seeds(subset))
    for run in [run for run in runs if run not in predicted]:
      began = time.perf_counter()
      predicted[run], more = method.predict(subset, *run)
      took = f'{time.perf_counter() - began:.2f} s'
      used = [' '.join(v) for v in fits.versions() if v[0] in _LIBRARIES]
      facts[run] = {'time': took, 'machine': fits.device(), **more}
      facts[run]['versions'] = ', '.join(used)
      ordered = sorted(predicted, key=lambda run: (run[0], run[1] or 0))
      told = {f: [facts[run].get(f, '') for run in ordered] for f in RUN}
      saved = predictions.make_predictions(
        subset,
        np.stack([predicted[run] for run in ordered]),
        wanted.open_(subset.full).split('test').labels,
        dataset=wanted.dataset,
        about={**about, **{f: _join(t) for f, t in told.items() if any(t)}},
        seed=[seed for _, seed in ordered if seed is not None] or None,
        draw=[draw for draw, _ in ordered],
      )
      path.parent.mkdir(parents=True, exist_ok=True)
      predictions.write_predictions(path, saved)
    assert saved, 'there is at least one run'
    scores = evaluation.score(saved)
    write_scores(path, scores)
    yield path.stem, scores, saved is before


def _join(texts: Sequence[str]) -> str:
  return texts[0] if len({*texts}) == 1 else '; '.join(t or '?' for t in texts)


def run_facts(found: predictions.Predictions) -> list[dict[str, str]]:
  """Returns the fields of `RUN` of each run."""
  count = len(found.predicted)
  facts: list[dict[str, str]] = [{} for _ in range(count)]
  for field in RUN:
    texts = found.about.get(field, '').split('; ')
    texts = texts if len(texts) == count else texts[:1] * count
    for of_run, text in zip(facts, texts, strict=True):
      of_run[field] = text
  return facts


def training_sets(wanted: Wanted) -> Iterator[tuple[Subset, str, range]]:
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
      labels = wanted.open_(subset.full).split('train').labels
      if possible := count_draws(subset, labels):
        yield subset, '-draws', range(1, min(wanted.draws, possible) + 1)


def _find_predictions(
  dataset: str, path: pathlib.Path, subset: Subset, about: Mapping[str, str]
) -> predictions.Predictions | None:
  """Returns the predictions of a result, which may lack runs."""
  if not path.exists():
    return None
  saved = predictions.read_predictions(path)
  expected = f'{dataset}/{subset.name} by {about["method"]!r}'
  method = saved.about.get('method')
  found = f'{saved.dataset}/{saved.subset.name} by {method!r}'
  if expected != found:
    raise PredictionsError(
      f'{path}: expected predictions for {expected}, found some for {found}.'
      ' Choose another folder of results.'
    )
  return saved

# SPDX-License-Identifier: Apache-2.0
"""Predictions for the examples of a split, and the file that holds them.

A file of predictions is an `.npz` file, which `numpy.load` reads without
pickles. It holds these arrays:

*   `format`: `FORMAT`.
*   `dataset`: 'cmnist' or 'cmnist_sample'.
*   `subset`: canonical name of the subset, such as '2-FKd-r-10'.
*   `split`: the split that was predicted, such as 'test'.
*   `class_names`: str (classes,), the class that each number stands for.
*   `label`: integers (n,), the true labels as the model's loader gave them. They
    prove which example each prediction belongs to.
*   `prediction`: integers (n,), or (runs, n) for several runs of one method.
*   `scores`, optional: floats (n, classes) or (runs, n, classes), higher for
    classes that are more likely; -inf for a probability of 0.
*   `score_kind`, optional: what the scores are, one of `SCORE_KINDS`.
*   `seed`, optional: integers (runs,), the random seed of each run.
*   `draw`, optional: integers (runs,), which draw of a reduced training set each
    run was trained on; 0 is the published one.
*   `about`: a JSON object of strings, with the fields of `ABOUT`.

`label` and `prediction` use the numbers of `class_names`, which may be in any
order. Examples are in the order of the prepared dataset.

A CSV file may hold the columns `label` and `prediction` of one run, too.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import json
import os
import pathlib
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cmnist_tfds import subsets
from cmnist_tfds.load.draws import check_draw
from cmnist_tfds.load.open_subset import Opened, open_subset
from cmnist_tfds.subsets import DATASET, SAMPLE, Subset
from cmnist_tfds.system import atomic, errors
from cmnist_tfds.system.errors import PredictionsError
from cmnist_tfds.system.paths import PathLike
from cmnist_tfds.system.streams import LOG

FORMAT = 'cmnist predictions 1'

# What a reader must know of the way scores were made.
ORDER_ASSUMED = (
  'ORDER ASSUMED: nothing shows that the predictions are in the order of the'
  ' examples. Do not publish these figures.'
)
LABELS_TRUSTED = 'Of the labels in the files, only their counts were compared.'
SAMPLE_SCORED = 'Scores on the synthetic sample say nothing about CMNIST.'

# What makes predictions look wrong, although their labels are right.
RENAMED = 'Some classes seem to be numbered in another order: give class_names.'
GUESSED = (
  'The accuracy is no better than chance: are the rows shuffled, or the classes'
  ' numbered in another order?'
)
IDENTICAL = 'Some runs are identical: one saved twice, or seeds without effect?'

# What a method says of itself; `save_predictions` describes the fields.
ABOUT = ['method', 'code', 'data', 'pretraining', 'validation', 'time']
ABOUT += ['machine', 'versions', 'learning_rate']

# What scores are: probabilities of the classes, which add up to 1; logits, of
# which these are the softmax; or numbers that only rank the classes.
SCORE_KINDS = ('probability', 'logit', 'other')
# Scores may be rounded to the half precision of networks.
_ADD_UP = 0.02

_TEXTS = ('format', 'dataset', 'subset', 'split', 'about', 'score_kind')
_REQUIRED = ('dataset', 'subset', 'split', 'class_names', 'label', 'prediction')
_OPTIONAL = {'format', 'about', 'scores', 'score_kind', 'seed', 'draw'}


@dataclasses.dataclass(frozen=True, eq=False)
class Predictions:
  """Predictions of one or more runs of a method.

  Attributes:
    subset: The subset that the method was trained on.
    dataset: 'cmnist' or 'cmnist_sample'.
    split: The split that was predicted, in the notation of TFDS.
    labels: int64 (n,), the true labels, numbered as in the subset.
    predicted: int64 (runs, n), the predicted labels.
    scores: Floats (runs, n, classes), or None.
    seeds: The seed of each run; None where it is not known.
    draws: The draw of each run; None where it is not known.
    about: Fields of `ABOUT`.
    notes: What a reader of their scores must know.
    file: The file that they were read from; None if they were not.
    score_kind: What the scores are, one of `SCORE_KINDS`; empty without any.
  """

  subset: Subset
  dataset: str
  split: str
  labels: np.ndarray
  predicted: np.ndarray
  scores: np.ndarray | None
  seeds: tuple[int | None, ...]
  draws: tuple[int | None, ...]
  about: Mapping[str, str] = dataclasses.field(default_factory=dict)
  notes: tuple[str, ...] = ()
  file: pathlib.Path | None = None
  score_kind: str = ''

  @property
  def title(self) -> str:
    """What messages call them."""
    return str(self.file or self.about.get('method', 'Predictions'))


def save_predictions(
  path: PathLike,
  name: str,
  prediction: npt.ArrayLike,
  label: npt.ArrayLike,
  *,
  method: str,
  split: str = 'test',
  scores: npt.ArrayLike | None = None,
  score_kind: str = 'other',
  class_names: Sequence[str] | None = None,
  seed: npt.ArrayLike | None = None,
  draw: npt.ArrayLike | None = None,
  code: str = '',
  data: str = '',
  pretraining: str = '',
  validation: str = '',
  time: str = '',
  machine: str = '',
  versions: str = '',
  learning_rate: str = '',
  sample: bool = False,
  data_dir: PathLike | None = None,
) -> Predictions:
  """Saves predictions as a file that `evaluate` and `cmnist evaluate` score.

  If the subset is prepared or in the cache, labels are compared with its labels
  before anything is written. Otherwise only the sizes of the test classes are.
  A warning tells of predictions that look wrong, as `doubts` finds them.

      (x_train, y_train), (x_test, y_test) = cmnist_tfds.load_data('2-FKd')
      cmnist_tfds.save_predictions(
        'svm.npz', '2-FKd', model.predict(x_test), y_test, method='SVM'
      )

  Args:
    path: The file, such as 'svm.npz'. A regular file of that name is replaced.
    name: Name of the subset the method was trained on.
    prediction: Integers (n,), or (runs, n) for several runs.
    label: Integers (n,), the true labels, from the same loader and in the same
      order as the images that were predicted.
    method: What was trained, in a few words.
    split: The split that was predicted.
    scores: Floats (n, classes) or (runs, n, classes), higher for classes that
      are more likely, -inf for a probability of 0. The predicted class must
      have the highest score. bfloat16 is saved as float32.
    score_kind: What they are: 'probability', 'logit', whose softmax is the
      probability, or 'other'.
    class_names: What each number stands for, if the numbers are not those of
      the subset.
    seed: The random seed of each run: (runs,), or one number for one run.
    draw: Which draw of a reduced training set each run was trained on; 0 is the
      published one.
    code: Where the code is, with its version.
    data: What was trained on, if not only the training split.
    pretraining: What the weights were before.
    validation: How settings were chosen, and on which data.
    time: How long each run took.
    machine: On which machine.
    versions: With which versions of libraries.
    learning_rate: The highest one of each run.
    sample: Whether the examples are those of `cmnist_sample`.
    data_dir: Where prepared datasets are; TFDS's default if None.

  Returns:
    What the file holds.

  Raises:
    SubsetNameError: If there is no such subset.
    PredictionsError: If the arrays do not fit together or are not of the split.
    SplitError: If the subset has no such split or draw.
    PreparationError: If the file cannot be written.
  """
  given = locals()  # Among them the fields of `about`.
  subset = subsets.subset(name)
  sample = sample or subsets.names_sample(name)
  saved = make_predictions(
    subset,
    prediction,
    label,
    dataset=SAMPLE if sample else DATASET,
    split=split,
    class_names=class_names,
    about={field: given[field] for field in ABOUT if given[field]},
    scores=scores,
    score_kind=score_kind,
    seed=seed,
    draw=draw,
  )
  drawn = draw_of_examples(saved)
  opened = open_subset(subset, data_dir=data_dir, sample=sample, draw=drawn)
  if opened or (split == 'test' and not sample):
    check_examples(saved, opened)
  for doubt in doubts(saved, confusions(saved)):
    LOG.warning('%s', doubt)
  write_predictions(pathlib.Path(path), saved)
  return saved


def make_predictions(
  subset: Subset,
  prediction: npt.ArrayLike,
  label: npt.ArrayLike,
  *,
  dataset: str = DATASET,
  split: str = 'test',
  class_names: npt.ArrayLike | None = None,
  about: Mapping[str, str] | str = '{}',
  score_kind: str = 'other',
  **others: npt.ArrayLike | None,
) -> Predictions:
  """Returns the record of predictions, checked, in the numbers of the subset.

  Args:
    subset: The subset the method was trained on.
    prediction: As in the file, as are the others.
    label: True labels.
    dataset: 'cmnist' or 'cmnist_sample'.
    split: The split.
    class_names: What each number stands for.
    about: Fields of `ABOUT`, or their JSON.
    score_kind: What the scores are, one of `SCORE_KINDS`.
    **others: `scores`, `seed` and `draw`, each of which may be None.

  Raises:
    PredictionsError: If the arrays do not fit together.
    SplitError: If the subset has no such draw.
  """
  if not split.isprintable():
    raise PredictionsError(f'split: expected one line, found {split!r}.')
  numbering = _numbering(subset, class_names)
  others = {what: v for what, v in others.items() if v is not None}
  given = {'label': label, 'prediction': prediction, **others}
  arrays: dict[str, np.ndarray] = {}
  count, n, runs = len(numbering), 0, 1
  for what, values in given.items():
    try:
      array = _to_array(values)
    # Other libraries raise the last two, and say what to do.
    except (ValueError, TypeError, RuntimeError) as error:
      fault = f'{what}: expected numbers: {error}'
      if 'inhomogeneous' in fault:
        fault += f' Join batches: give np.concatenate({what}).'
      raise PredictionsError(fault) from error
    if what == 'label':
      n = len(array) if array.shape[1:] == (count,) else array.size
    elif what == 'prediction' and array.shape[1:] == (n,):
      runs = len(array)
    axes = {'scores': (n, count), 'seed': (), 'draw': ()}.get(what, (n,))
    shape = axes if what == 'label' else (runs, *axes)
    kinds, numbers = ('f', 'floats') if what == 'scores' else ('iu', 'integers')
    # A single run needs no axis.
    possible = {shape: 0, axes: 0} if runs == 1 else {shape: 0}
    fits = array.dtype.kind in kinds and array.shape in possible
    if not fits or not array.size:
      raise PredictionsError(
        f'{what}: expected {numbers} of shape {" or ".join(map(str, possible))},'
        f' found {array.dtype} of shape {array.shape}.'
        f' {_remedy(what, array, shape, count)}'
      )
    if what in ('label', 'prediction'):
      least, most = array.min(), array.max()
      if not 0 <= least <= most < count:
        advice = f' Give {what} - 1.' if most == count else ''
        found = f'expected numbers 0 to {count - 1}, found {least} to {most}'
        raise PredictionsError(f'{what}: {found}.{advice}')
      array = numbering[array]
    arrays[what] = array.reshape(shape)
  scores = arrays.get('scores')
  if scores is not None:
    scores = scores[..., np.argsort(numbering)]
    _check_scores(scores, arrays['prediction'], score_kind)
  unknown = np.full(runs, None)
  seeds, draws = (arrays.get(n, unknown).tolist() for n in ('seed', 'draw'))
  for draw in draws:
    check_draw(subset, draw or 0)
  return Predictions(
    subset=subset,
    dataset=dataset,
    split=split,
    labels=arrays['label'],
    predicted=arrays['prediction'],
    scores=scores,
    seeds=tuple(seeds),
    draws=tuple(draws),
    about=check_about(about),
    notes=(SAMPLE_SCORED,) * (dataset == SAMPLE),
    score_kind='' if scores is None else score_kind,
  )


def write_predictions(path: pathlib.Path, saved: Predictions) -> None:
  """Writes a file of predictions. Equal predictions give equal bytes.

  Args:
    path: The file. A regular file of that name is replaced.
    saved: What it is to hold.

  Raises:
    PreparationError: If the file cannot be written.
  """
  smallest = np.min_scalar_type(saved.subset.num_classes - 1)
  scores, runs = saved.scores, len(saved.predicted)
  arrays: dict[str, Any] = {
    'format': FORMAT,
    'dataset': saved.dataset,
    'subset': saved.subset.name,
    'split': saved.split,
    'class_names': saved.subset.class_names,
    'label': saved.labels.astype(smallest),
    # Runs mostly agree. Their predictions for one example lie side by side, so
    # that they compress well.
    'prediction': np.asfortranarray(saved.predicted.astype(smallest)),
    'about': json.dumps(dict(saved.about), ensure_ascii=False, sort_keys=True),
    # Those of a single run are as they were given.
    'scores': scores[0] if scores is not None and runs == 1 else scores,
    'score_kind': saved.score_kind or None,
    'seed': None if None in saved.seeds else saved.seeds,
    'draw': None if None in saved.draws else saved.draws,
  }
  out = io.BytesIO()
  np.savez_compressed(out, **{n: a for n, a in arrays.items() if a is not None})
  atomic.write_file(path, out.getvalue())


def read_predictions(path: PathLike) -> Predictions:
  """Reads a file of predictions.

  Args:
    path: The file, which `save_predictions` or another program wrote.

  Returns:
    The predictions, checked, in the numbers of their subset.

  Raises:
    PredictionsError: If the file does not hold predictions, or its arrays do not
      fit together. The message names the file.
  """
  path = pathlib.Path(path)
  with (
    reading(
      path,
      'a file of predictions with their labels',
      'Write it with cmnist_tfds.save_predictions, or as .csv with the columns'
      ' label and prediction. Predictions alone need --assume_order.',
    ),
    # On anything but a ZIP file np.load would speak of pickles.
    zipfile.ZipFile(path),
    np.load(path, allow_pickle=False) as loaded,
  ):
    fields: dict[str, Any] = {
      name: str(loaded[name]) if name in _TEXTS else loaded[name]
      for name in (*_REQUIRED, *(_OPTIONAL & {*loaded.files}))
    }
    expected = [f'{FORMAT} of {dataset}' for dataset in (DATASET, SAMPLE)]
    found = f'{fields.pop("format", FORMAT)} of {fields["dataset"]}'
    if found not in expected:
      raise ValueError(f'expected {" or ".join(expected)}, found {found!r}')
    made = make_predictions(subsets.subset(fields.pop('subset')), **fields)
    return dataclasses.replace(made, file=path)


def is_csv(path: PathLike) -> bool:
  """Returns whether a file is called CSV, and no `.npz` file of that name."""
  is_called = pathlib.Path(path).suffix.lower() == '.csv'
  return is_called and not zipfile.is_zipfile(path)


def read_table(
  path: PathLike, subset: Subset, opened: Opened | None, assume_order: bool
) -> Predictions:
  """Reads predictions of a test set from a file that does not say of which.

  Args:
    path: A `.csv` file with the columns `label` and `prediction`, below a header
      with these names. Both hold numbers of classes, or both hold names.
    subset: The subset.
    opened: The same, open for reading; None if it is not here.
    assume_order: Whether the file may hold predictions alone: a `.csv` file
      with one column, or a `.npy` file with integers (n,) or (runs, n). The
      labels are then those of the subset, and nothing shows that the
      predictions are in their order.

  Returns:
    The predictions.

  Raises:
    PredictionsError: If the file cannot be read or does not fit the split.
  """
  path = pathlib.Path(path)
  expected = 'predictions as CSV or .npy', 'Use save_predictions instead.'
  with reading(path, *expected), path.open('rb') as file:
    if is_csv(path):
      arrays = _parse_csv(file.read().decode('utf-8-sig'), subset)
    else:
      loaded = np.lib.format.read_array(file, allow_pickle=False)
      arrays = {'prediction': loaded}
    notes = () if 'label' in arrays else (ORDER_ASSUMED,)
    if notes:
      if not assume_order or not opened:
        raise ValueError('there is no column label')
      LOG.warning('%s', *notes)
      arrays['label'] = opened.split('test').labels
    dataset = opened.dataset if opened else DATASET
    made = make_predictions(subset, dataset=dataset, **arrays)
  return dataclasses.replace(made, notes=(*notes, *made.notes), file=path)


def draw_of_examples(checked: Predictions) -> int:
  """Returns the draw that the predicted examples belong to.

  All draws have the same test set, so its examples belong to draw 0 too.

  Args:
    checked: The predictions.

  Raises:
    PredictionsError: If their runs are of training sets with other examples.
  """
  is_test = re.fullmatch(r'test(\[[^][]*\])?', checked.split)
  draws = {0} if is_test else {draw or 0 for draw in checked.draws}
  if len(draws) > 1:
    fault = f'expected one draw, because each has another {checked.split} split'
    remedy = 'Save and score the runs of each draw alone'
    raise PredictionsError(f'{fault}, found {sorted(draws)}. {remedy}.')
  return draws.pop()


def check_examples(checked: Predictions, opened: Opened | None) -> None:
  """Checks that predictions are those of the examples of their subset.

  Args:
    checked: The predictions.
    opened: The subset with their draw, for its labels; None to compare the
      labels of the predictions with the known sizes of the classes only.

  Raises:
    PredictionsError: If they are not.
  """
  if opened is None:
    _check_label_counts(checked)
    return
  found, labels = checked.labels, opened.split(checked.split).labels
  subset = checked.subset
  title = f'{opened.dataset}/{subset.name} {checked.split}'
  if (checked.dataset, len(found)) != (opened.dataset, len(labels)):
    sizes = {sum(n): split for split, n in opened.shard_lengths.items()}
    advice = _size_advice(len(labels), len(found))
    if other := sizes.get(len(found)):
      advice = f'These may be those of {other}: give its split.'
    if checked.dataset != opened.dataset or len(found) == subset.num_test:
      advice = 'Give sample=True or --sample for the sample, and only for it.'
    given = f'{len(found):,} of {checked.dataset}'
    fault = f'expected {len(labels):,} examples of {title}, found {given}'
    raise PredictionsError(f'{fault}. {advice}')
  wrong = np.flatnonzero(found != labels)
  if not len(wrong):
    return
  pairs = np.unique(np.stack([found, labels]), axis=1)
  both = (np.bincount(x, minlength=subset.num_classes) for x in (found, labels))
  differing = np.subtract(*both)
  if pairs.shape[1] == len(np.unique(found)) == len(np.unique(labels)):
    likely = 'The classes are numbered in another order: give class_names.'
  elif np.abs(differing).sum() <= len(labels) // 4:
    # A distributed sampler repeats some.
    likely = 'The examples are in another order: predict each once, unshuffled.'
    if max(map(len, opened.shard_lengths.values())) > 1:
      likely += ' For tfds.load: ReadConfig(interleave_cycle_length=1).'
  else:
    likely = f'These are other examples: predict the split of {title}.'
  names, first = subset.class_names, wrong[0]
  fault = f'{len(wrong):,} of {len(labels):,} labels are not those of {title}'
  pair = f'expected {names[labels[first]]!r}, found {names[found[first]]!r}'
  where = f'the first at example {first}'
  raise PredictionsError(f'{fault}, {where}: {pair}. {likely}')


def _check_label_counts(checked: Predictions) -> None:
  """Checks predictions of a test set by the known sizes of its classes."""
  subset = checked.subset
  if checked.split != 'test' or checked.dataset != DATASET:
    which = f'the labels of {checked.dataset} {checked.split}'
    fault = f'{which} can only be compared'
    raise PredictionsError(f'{fault} with those of the prepared data.')
  counts = np.bincount(checked.labels, minlength=subset.num_classes).tolist()
  for what, expected, found in (
    ('all classes', subset.num_test, len(checked.labels)),
    *((repr(c.name), c.test, counts[c.label]) for c in subset.classes),
  ):
    if expected is not None and expected != found:
      fault = f'expected {expected:,} test examples of {what}, found {found:,}'
      advice = _size_advice(subset.num_test or expected, len(checked.labels))
      sample = 'If they are those of the sample, give sample=True or --sample'
      raise PredictionsError(f'{fault}. {advice} {sample}.')


def _numbering(subset: Subset, given: npt.ArrayLike | None) -> np.ndarray:
  """Returns the label of each number that predictions use."""
  names = list(subset.class_names)
  given = names if given is None else [str(name) for name in np.ravel(given)]
  if sorted(given) != sorted(names):
    differing = sorted({*given} ^ {*names}) or given
    expected = f'each of the {len(names)} classes of {subset.title} once'
    found = f'{len(given)} names. They differ in {differing[:5]}'
    raise PredictionsError(f'class_names: expected {expected}, found {found}.')
  return np.array([names.index(name) for name in given])


def _size_advice(expected: int, found: int) -> str:
  """Returns what to do about a number of examples that is not the expected."""
  if 2 * found <= expected + 1:
    return 'Join what is predicted for all batches, and by all processes.'
  if found < expected:
    return 'Predict the whole split, without dropping the last batch.'
  if found > expected:
    return 'Give each example once: a distributed sampler repeats some.'
  return 'If the classes are numbered in another order, give class_names.'


def confusions(checked: Predictions) -> np.ndarray:
  """Returns how often each class is predicted as each, in each run.

  Returns:
    int64 (runs, classes, classes): the true class, then the predicted one.
  """
  count = checked.subset.num_classes
  codes = checked.labels * count + checked.predicted
  counted = np.stack([np.bincount(c, minlength=count**2) for c in codes])
  return counted.reshape(-1, count, count)


def doubts(checked: Predictions, confused: np.ndarray) -> list[str]:
  """Returns what makes predictions look wrong, although their labels are right.

  Labels prove the order only if they were read along with what was predicted.

  Args:
    checked: The predictions.
    confused: Their `confusions`.

  Returns:
    Sentences, each once; mostly none.
  """
  true, predicted = confused[0].sum(axis=1), confused.sum(axis=1)
  # Most of a class is taken for another, and few other examples are.
  mutual = 2 * confused > np.maximum(true[:, None], predicted[:, None])
  mutual &= ~np.eye(len(true), dtype=bool) & (true >= 5)[:, None]
  renamed = mutual.sum(axis=(1, 2)) > 1
  # How many would be right if the predictions were shuffled.
  chance = predicted @ true / true.sum()
  limit = chance + 3 * np.sqrt(chance * (1 - chance / true.sum()))
  right = np.trace(confused, axis1=1, axis2=2)
  guessed = ~renamed & (right <= limit) & (right < true.sum())
  identical = len({run.tobytes() for run in checked.predicted}) < len(confused)
  found = {RENAMED: renamed, GUESSED: guessed, IDENTICAL: identical}
  return [text for text, holds in found.items() if np.any(holds)]


def _to_array(values: Any) -> np.ndarray:
  """Returns numbers as an array; NumPy itself has no bfloat16."""
  if hasattr(values, 'detach'):  # A tensor of PyTorch.
    values = values.detach().cpu()
    odd = re.search('bfloat16|float8', str(values.dtype))
    values = values.float() if odd else values
  array = np.asarray(values)
  return array.astype('f4') if array.dtype.name == 'bfloat16' else array


def _remedy(
  what: str, array: np.ndarray, shape: tuple[int, ...], count: int
) -> str:
  """Returns what to do about an array of a wrong type or shape."""
  sizes, kind, many = array.shape, array.dtype.kind, array.ndim > 1
  batched = array.size == np.prod(shape)
  fits = batched and sizes in (shape, shape[1:])
  is_whole = what == 'scores' or kind != 'f' or (array % 1 == 0).all()
  by_class = many and sizes[-1] == count
  by_class &= kind not in 'iu' or array.max(initial=0) <= 1
  is_same = many and what == 'label' and (array[:1] == array).all()
  remedies = {
    'Give one number for each run.': what in ('seed', 'draw'),
    'Give the numbers of classes, not their names.': fits and kind in 'US',
    f'Give {what}.astype({"float" if what == "scores" else "int"}).': fits
    and is_whole,
    'Axes are runs, if several, examples and classes.': what == 'scores',
    f'It is a column: give {what}[:, 0].': sizes[1:] == (1,),
    f'There is a column for each class: give {what}.argmax(axis=-1).': by_class,
    'They are the same for all runs: give label[0].': is_same,
    f'Runs come first: give {what}.T.': sizes[:-1] == shape[-1:],
    f'It has batches: give {what}.reshape(-1).': many and batched,
    'Predict the whole split, each example once, as class numbers.': True,
  }
  return next(text for text, holds in remedies.items() if holds)


def _check_scores(scores: np.ndarray, predicted: np.ndarray, kind: str) -> None:
  if kind not in SCORE_KINDS:
    raise PredictionsError(
      f'score_kind: expected {", ".join(SCORE_KINDS)}, found {kind!r}.'
    )
  chosen = np.take_along_axis(scores, predicted[..., None], axis=-1)[..., 0]
  highest = scores.max(axis=-1)  # NaN if one is.
  right = np.isfinite(highest) & (chosen == highest)
  if not right.all():
    run, example = np.argwhere(~right)[0]
    raise PredictionsError(
      f'scores: those of example {example} in run {run} have NaN or infinity for'
      ' the highest, or the class that is predicted does not have the highest.'
      ' Order the columns as class_names, predict the argmax, and give distances'
      ' as -distances.'
    )
  total = scores.sum(axis=-1, dtype=float)
  if kind == 'probability' and not (
    scores.min() >= 0 and (abs(total - 1) < _ADD_UP).all()
  ):
    raise PredictionsError(
      'scores: expected probabilities, from 0 and with a sum of 1, found'
      f' {scores.min():.4g} to {scores.max():.4g} and sums from'
      f' {total.min():.4g} to {total.max():.4g}. Give another score_kind.'
    )


def check_about(given: Any) -> dict[str, str]:
  """Returns the fields of `ABOUT`, each a line, in the order of the file."""
  with contextlib.suppress(ValueError, RecursionError, AttributeError):
    fields = json.loads(given) if isinstance(given, str) else given
    about = {f: ' '.join(text.split()) for f, text in sorted(fields.items())}
    if {*about} <= {*ABOUT} and ''.join(about.values()).isprintable():
      return about
  expected = f'texts without control characters for {", ".join(ABOUT)}'
  fault = f'expected {expected}, found {str(given)[:200]!r}'
  raise PredictionsError(f'about: {fault}.')


def _parse_csv(text: str, subset: Subset) -> dict[str, Any]:
  """Returns the columns of a CSV file by name."""
  lines = filter(str.strip, text.splitlines())
  rows = [[cell.strip() for cell in row] for row in csv.reader(lines)]
  header = [cell.casefold() for cell in rows[0]] if rows else []
  header = rows.pop(0) and header if 'prediction' in header else ['prediction']
  places = {n: header.index(n) for n in ('label', 'prediction') if n in header}
  chosen = [[r[at] for at in places.values() if at < len(r)] for r in rows]
  cells = {cell for row in chosen for cell in row}
  # Who counts from 1 is told so.
  numbers = {str(label): label for label in range(subset.num_classes + 1)}
  names = {name: label for label, name in enumerate(subset.class_names)}
  known = min(numbers, names, key=lambda each: len(cells - each.keys()))
  for row, found in zip(rows, chosen, strict=True):
    if len(row) != len(header) or not {*found} <= known.keys():
      raise ValueError(
        f'expected the numbers 0 to {len(numbers) - 2} or the names of classes of'
        f' {subset.title} below `label,prediction`, found {",".join(row)[:80]!r}'
      )
  table = np.array([[known[cell] for cell in row] for row in chosen], int)
  return dict(zip(places, table.reshape(-1, len(places)).T, strict=True))


@contextlib.contextmanager
def reading(
  path: PathLike,
  expected: str,
  remedy: str,
  error: type[errors.CmnistError] = PredictionsError,
) -> Iterator[None]:
  """Turns what readers raise on foreign bytes, which may be any, into an error.

  Args:
    path: The file.
    expected: What it was expected to be.
    remedy: What the user can do, as a sentence.
    error: The class of the error.

  Yields:
    Nothing.
  """
  with errors.disk_errors(
    path, 'read', error, 'Check its name and permissions'
  ):
    try:
      with named(path), warnings.catch_warnings():
        warnings.simplefilter('ignore')  # NumPy's, of odd headers.
        yield
    except Exception as cause:
      # What a library raises for damage has no number.
      if isinstance(cause, errors.CmnistError) or getattr(cause, 'errno', None):
        raise
      # NumPy's further sentences advise to trust the file.
      text = ' '.join(str(cause).split()) or type(cause).__name__
      reason = re.split(r'[.;] ', text)[0][:300].rstrip('.')
      raise error(f'{path} is not {expected}: {reason}. {remedy}') from cause


@contextlib.contextmanager
def named(file: PathLike) -> Iterator[None]:
  """Names a file in errors that tell what is wrong with its predictions."""
  of_names = errors.SplitError, errors.SubsetNameError
  try:
    yield
  except (PredictionsError, *of_names) as error:
    raise PredictionsError(f'{os.fspath(file)}: {error}') from error

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
    classes that are more likely.
*   `seed`, optional: integers (runs,), the random seed of each run.
*   `draw`, optional: integers (runs,), which draw of a reduced training set each
    run was trained on; 0 is the published one.
*   `about`: a JSON object of strings, whose fields `ABOUT` describes.

`label` and `prediction` use the numbers of `class_names`, which may be in any
order. Examples are in the order of the prepared dataset.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import pathlib
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cmnist_tfds import schema, subsets
from cmnist_tfds.cache.prepared import DATASET, SAMPLE
from cmnist_tfds.load.draws import check_draw
from cmnist_tfds.load.open_subset import Opened, open_subset
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system import atomic
from cmnist_tfds.system.disk_errors import disk_errors
from cmnist_tfds.system.errors import (
  PredictionsError,
  SplitError,
  SubsetNameError,
)

# Opens a subset with a draw of its training set.
OpenDraw = Callable[[int], Opened]

FORMAT = 'cmnist predictions 1'

# What a method says of itself.
ABOUT = {
  'method': 'what was trained, in a few words',
  'code': 'where the code is, with its version',
  'data': 'what was trained on, if not only the training split',
  'pretraining': 'what the weights were before',
  'validation': 'how settings were chosen, and on which data',
  'time': 'how long a run took, and on which machine',
}

_UNREADABLE = (
  ValueError,
  EOFError,
  KeyError,
  NotImplementedError,
  RuntimeError,
  MemoryError,
  zipfile.BadZipFile,
  zlib.error,
)

# Stands for numbers that are too large for any class.
_BEYOND = np.iinfo(np.int64).max

_REQUIRED = ('dataset', 'subset', 'split', 'class_names', 'label', 'prediction')

# Scores of 46 runs for the largest test set take as much.
MOST_BYTES = 2**33

# The first bytes of an array that numpy.save wrote.
_NPY = b'\x93NUMPY'


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
    seeds: The seed of each run; None if they are not known.
    draws: The draw of each run; None if they are not known.
    about: Fields of `ABOUT`.
    order_assumed: Whether the true labels are not those of the predictor, so
      nothing shows that predictions and examples belong together.
  """

  subset: Subset
  dataset: str
  split: str
  labels: np.ndarray
  predicted: np.ndarray
  scores: np.ndarray | None = None
  seeds: tuple[int, ...] | None = None
  draws: tuple[int, ...] | None = None
  about: Mapping[str, str] = dataclasses.field(default_factory=dict)
  order_assumed: bool = False


def save_predictions(
  path: str | os.PathLike[str],
  name: str,
  prediction: npt.ArrayLike,
  label: npt.ArrayLike,
  *,
  method: str,
  split: str = 'test',
  scores: npt.ArrayLike | None = None,
  class_names: Sequence[str] | None = None,
  seed: npt.ArrayLike | None = None,
  draw: npt.ArrayLike | None = None,
  code: str = '',
  data: str = '',
  pretraining: str = '',
  validation: str = '',
  time: str = '',
  sample: bool = False,
  data_dir: str | os.PathLike[str] | None = None,
) -> Predictions:
  """Saves predictions as a file that `evaluate` and `cmnist evaluate` score.

  If the subset is prepared or in the cache, labels are compared with its labels
  before anything is written. Otherwise only the sizes of the test classes are.

      (x_train, y_train), (x_test, y_test) = cmnist_tfds.load_data('2-FKd')
      cmnist_tfds.save_predictions(
        'svm.npz', '2-FKd', model.predict(x_test), y_test, method='SVM'
      )

  Args:
    path: The file, which ends in `.npz`. A regular file of that name is
      replaced.
    name: Name of the subset the method was trained on.
    prediction: Integers (n,), or (runs, n) for several runs.
    label: Integers (n,), the true labels, from the same loader and in the same
      order as the images that were predicted.
    method: What was trained, in a few words.
    split: The split that was predicted.
    scores: Floats (n, classes) or (runs, n, classes), higher for classes that
      are more likely. The predicted class must have the highest score.
    class_names: What each number stands for, if the numbers are not those of
      the subset.
    seed: The random seed of each run: (runs,), or one number for one run.
    draw: Which draw of a reduced training set each run was trained on; 0 is the
      published one.
    code: Where the code is, with its version.
    data: What was trained on, if not only the training split.
    pretraining: What the weights were before.
    validation: How settings were chosen, and on which data.
    time: How long a run took, and on which machine.
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
  path = pathlib.Path(path)
  if path.suffix != '.npz':
    raise PredictionsError(
      f'{path}: expected a name that ends in .npz. Choose another name.'
    )
  subset = subsets.subset(name)
  texts = {
    'method': method,
    'code': code,
    'data': data,
    'pretraining': pretraining,
    'validation': validation,
    'time': time,
  }
  saved = make_predictions(
    subset,
    prediction,
    label,
    split=split,
    scores=scores,
    class_names=class_names,
    seed=seed,
    draw=draw,
    about={field: text for field, text in texts.items() if text},
    sample=sample,
  )
  opened = open_subset(
    subset, data_dir=data_dir, sample=sample, draw=draw_of_examples(saved)
  )
  if opened is not None:
    check_labels(saved, true_labels(opened, split))
  elif split == 'test' and not sample:
    _check_label_counts(saved)
  write_predictions(path, saved)
  return saved


def make_predictions(
  subset: Subset,
  prediction: npt.ArrayLike,
  label: npt.ArrayLike,
  *,
  split: str = 'test',
  scores: npt.ArrayLike | None = None,
  class_names: Sequence[str] | None = None,
  seed: npt.ArrayLike | None = None,
  draw: npt.ArrayLike | None = None,
  about: Mapping[str, str] | None = None,
  sample: bool = False,
) -> Predictions:
  """Returns the record of predictions, checked, in the numbers of the subset.

  Args:
    subset: The subset the method was trained on.
    prediction: As in `save_predictions`, as are the others.
    label: True labels.
    split: The split.
    scores: Scores of classes.
    class_names: What each number stands for.
    seed: Seeds of runs.
    draw: Draws of runs.
    about: Fields of `ABOUT`.
    sample: Whether the examples are those of `cmnist_sample`.

  Raises:
    PredictionsError: If the arrays do not fit together.
    SplitError: If the subset has no such draw.
  """
  label_of = _label_of_number(subset, class_names)
  labels = _to_labels(label, 'label', subset, label_of)
  predicted = _to_labels(prediction, 'prediction', subset, label_of)
  if labels.ndim != 1 or not len(labels):
    raise PredictionsError(
      f'label: expected shape (n,) with at least one example, found'
      f' {labels.shape}.'
    )
  if predicted.ndim not in (1, 2) or predicted.shape[-1] != len(labels):
    raise PredictionsError(
      f'prediction: expected shape ({len(labels)},) or (runs, {len(labels)}), as'
      f' there are {len(labels):,} labels, found {predicted.shape}. Predict the'
      ' whole split, each example once.'
    )
  predicted = predicted.reshape(-1, len(labels))
  if not len(predicted):
    raise PredictionsError('prediction: expected at least one run, found none.')
  draws = _of_runs(draw, len(predicted), 'draw')
  for number in draws or ():
    check_draw(subset, number)
  return Predictions(
    subset=subset,
    dataset=SAMPLE if sample else DATASET,
    split=split,
    labels=labels,
    predicted=predicted,
    scores=None
    if scores is None
    else _scores(scores, predicted, subset.num_classes, label_of),
    seeds=_of_runs(seed, len(predicted), 'seed'),
    draws=draws,
    about=_about({} if about is None else about),
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
  arrays: dict[str, Any] = {
    'format': FORMAT,
    'dataset': saved.dataset,
    'subset': saved.subset.name,
    'split': saved.split,
    'class_names': [c.name for c in saved.subset.classes],
    'label': saved.labels.astype(smallest),
    # Runs mostly agree. Their predictions for one example lie side by side, so
    # that they compress well.
    'prediction': np.asfortranarray(saved.predicted.astype(smallest)),
    'about': json.dumps(dict(saved.about), ensure_ascii=False, sort_keys=True),
  }
  if saved.scores is not None:
    arrays['scores'] = saved.scores
  if saved.seeds is not None:
    arrays['seed'] = saved.seeds
  if saved.draws is not None:
    arrays['draw'] = saved.draws
  out = io.BytesIO()
  np.savez_compressed(out, **arrays)
  atomic.write_file(path, out.getvalue())


def read_predictions(path: str | os.PathLike[str]) -> Predictions:
  """Reads a file of predictions.

  Args:
    path: The file, which `save_predictions` or another program wrote.

  Returns:
    The predictions, checked, in the numbers of their subset.

  Raises:
    PredictionsError: If the file is not one of predictions, or its arrays do
      not fit together. The message names the file.
  """
  path = pathlib.Path(path)
  arrays = _load_npz(path)
  try:
    return _from_arrays(arrays)
  except (PredictionsError, SplitError, SubsetNameError) as error:
    raise PredictionsError(f'{path}: {error}') from error


def read_bare_predictions(
  path: str | os.PathLike[str], opened: Opened, split: str = 'test'
) -> Predictions:
  """Reads predictions from a file that says nothing of its examples.

  Nothing shows whether such a file has the examples in the right order.

  Args:
    path: A `.npy` file with integers (n,) or (runs, n), or a `.csv` file with
      one prediction a line: all numbers, or all class names. A first line
      `prediction` is skipped.
    opened: The subset.
    split: The split that was predicted.

  Returns:
    The predictions. The true labels are those of the subset.

  Raises:
    PredictionsError: If the file cannot be read or does not fit the split.
  """
  path = pathlib.Path(path)
  read = _read_csv if path.suffix.lower() == '.csv' else _read_npy
  labels = true_labels(opened, split)
  try:
    made = make_predictions(
      opened.subset,
      read(path, opened.subset),
      labels,
      split=split,
      sample=opened.dataset == SAMPLE,
    )
  except PredictionsError as error:
    raise PredictionsError(f'{path}: {error}') from error
  return dataclasses.replace(made, order_assumed=True)


def true_labels(opened: Opened, split: str) -> np.ndarray:
  """Returns the labels of a split, int64 (n,), in the prepared order."""
  view = opened.split(split)
  return view.read([schema.LABEL.name])[schema.LABEL.name]


def draw_of_examples(checked: Predictions) -> int:
  """Returns the draw that the predicted examples belong to.

  All draws have the same test set, so its examples belong to draw 0 too.

  Args:
    checked: The predictions.

  Raises:
    PredictionsError: If their runs are of training sets with other examples.
  """
  of_test = re.fullmatch(r'test(\[[^][]*\])?', checked.split)
  draws = {0} if of_test else {*(checked.draws or (0,))}
  if len(draws) > 1:
    raise PredictionsError(
      f'expected one draw, because each draw has another {checked.split} split,'
      f' found {sorted(draws)}. Save and score the runs of each draw alone.'
    )
  return draws.pop()


def check_examples(
  checked: Predictions, subset: Subset, open_draw: OpenDraw | None
) -> None:
  """Checks that predictions are those of a subset and of its examples.

  Args:
    checked: The predictions.
    subset: The subset.
    open_draw: Opens the subset, for its labels; None to compare the labels of the
      predictions with the known sizes of the classes only.

  Raises:
    PredictionsError: If they are not.
  """
  if checked.subset != subset:
    raise PredictionsError(
      f'expected predictions for {subset.title}, found some for'
      f' {checked.subset.title}. Name that subset, or another file.'
    )
  if open_draw is None:
    _check_label_counts(checked)
    return
  opened = open_draw(draw_of_examples(checked))
  if checked.dataset != opened.dataset:
    raise PredictionsError(
      f'expected predictions for {opened.dataset}, found some for'
      f' {checked.dataset}, which has other examples.'
    )
  check_labels(checked, true_labels(opened, checked.split))


def check_labels(checked: Predictions, labels: np.ndarray) -> None:
  """Checks that predictions belong to the examples of a split.

  Args:
    checked: The predictions.
    labels: (n,) the labels of the split.

  Raises:
    PredictionsError: If their labels are not those of the split. The message
      says what is likely wrong.
  """
  found = checked.labels
  of_split = f'{checked.dataset}/{checked.subset.name} {checked.split}'
  if len(found) != len(labels):
    raise PredictionsError(
      f'expected {len(labels):,} examples of {of_split}, found {len(found):,}.'
      ' Predict the whole split, without dropping the last batch.'
    )
  wrong = np.flatnonzero(found != labels)
  if not len(wrong):
    return
  names = [c.name for c in checked.subset.classes]
  first = wrong[0]
  where = (
    f'{len(wrong):,} of {len(labels):,} labels are not those of {of_split}, the'
    f' first at example {first}: expected {names[labels[first]]!r}, found'
    f' {names[found[first]]!r}.'
  )
  pairs = np.unique(np.stack([found, labels]), axis=1)
  if pairs.shape[1] == len(np.unique(found)) == len(np.unique(labels)):
    raise PredictionsError(
      f'{where} The classes are numbered otherwise. Give class_names in the'
      ' order of your numbers.'
    )
  count = len(names)
  if (
    np.bincount(found, None, count) == np.bincount(labels, None, count)
  ).all():
    raise PredictionsError(
      f'{where} The examples are in another order. Predict the split in its'
      ' prepared order, without shuffling.'
    )
  raise PredictionsError(
    f'{where} These are other examples. Predict the {checked.split} split of'
    f' {checked.dataset}/{checked.subset.name}.'
  )


def _check_label_counts(checked: Predictions) -> None:
  """Checks predictions of a test set by the known sizes of its classes."""
  if checked.split != 'test' or checked.dataset != DATASET:
    raise PredictionsError(
      f'the labels of {checked.dataset} {checked.split} can only be compared'
      ' with those of the prepared data.'
    )
  counts = np.bincount(checked.labels, minlength=checked.subset.num_classes)
  for described, found in zip(
    checked.subset.classes, counts.tolist(), strict=True
  ):
    if described.test not in (None, found):
      raise PredictionsError(
        f'expected {described.test:,} test examples of {described.name!r}, found'
        f' {found:,}. Predict the whole test split of {checked.subset.title}, or'
        ' say that the examples are those of the sample.'
      )
  if checked.subset.num_test not in (None, len(checked.labels)):
    raise PredictionsError(
      f'expected {checked.subset.num_test:,} test examples of'
      f' {checked.subset.title}, found {len(checked.labels):,}.'
    )


def _label_of_number(
  subset: Subset, class_names: Sequence[str] | None
) -> np.ndarray | None:
  """Returns the label of each number of another numbering; None for ours."""
  names = [c.name for c in subset.classes]
  given = names if class_names is None else [str(n) for n in class_names]
  if given == names:
    return None
  label_of = {name: label for label, name in enumerate(names)}
  unknown = [name for name in given if name not in label_of]
  if unknown:
    raise PredictionsError(
      f'class_names: {subset.title} has no classes {_listed(unknown)}. Its'
      f' classes are {_listed(names, len(names))}.'
    )
  if sorted(given) != sorted(names):
    missing = [name for name in names if name not in given]
    raise PredictionsError(
      f'class_names: expected each of the {len(names)} classes of {subset.title}'
      f' once, found {len(given)} names, without {_listed(missing)}.'
    )
  return np.array([label_of[name] for name in given])


def _listed(names: Sequence[str], most: int = 5) -> str:
  more = f' and {len(names) - most} more' if len(names) > most else ''
  return ', '.join(map(repr, names[:most])) + more


def _to_array(given: npt.ArrayLike, what: str) -> np.ndarray:
  try:
    return np.asarray(given)
  # PyTorch raises the last two, and says what to do.
  except (ValueError, TypeError, RuntimeError) as error:
    raise PredictionsError(
      f'{what}: expected an array of numbers: {error}'
    ) from error


def _to_labels(
  numbers: npt.ArrayLike,
  what: str,
  subset: Subset,
  label_of: np.ndarray | None,
) -> np.ndarray:
  """Returns numbers of classes as labels of the subset, int64."""
  array = _to_array(numbers, what)
  if array.dtype.kind not in 'iu':
    raise PredictionsError(
      f'{what}: expected integers, found {array.dtype} of shape {array.shape}.'
      ' Give the number of the class of each example; of scores, the argmax.'
    )
  count = subset.num_classes
  if array.size and not 0 <= array.min() <= array.max() < count:
    raise PredictionsError(
      f'{what}: expected numbers from 0 to {count - 1}, as {subset.title} has'
      f' {count} classes, found {array.min()} to {array.max()}.'
    )
  labels = array.astype(np.int64)
  return labels if label_of is None else label_of[labels]


def _scores(
  given: npt.ArrayLike,
  predicted: np.ndarray,
  num_classes: int,
  label_of: np.ndarray | None,
) -> np.ndarray:
  """Returns scores as (runs, n, classes), in the order of the labels."""
  scores = _to_array(given, 'scores')
  shape = (*predicted.shape, num_classes)
  # Scores without runs are those of a single one.
  shapes = [shape[1:], shape] if len(predicted) == 1 else [shape]
  if scores.dtype.kind != 'f' or scores.shape not in shapes:
    raise PredictionsError(
      f'scores: expected floats of shape {" or ".join(map(str, shapes))}, found'
      f' {scores.dtype} of shape {scores.shape}.'
    )
  scores = scores.reshape(shape)
  if not np.isfinite(scores).all():
    run, example, _ = np.argwhere(~np.isfinite(scores))[0]
    raise PredictionsError(
      f'scores: those of example {example} in run {run} are not all finite.'
      ' Look for a division by zero or an overflow in the model.'
    )
  if label_of is not None:
    scores = scores[..., np.argsort(label_of)]
  of_predicted = np.take_along_axis(scores, predicted[..., None], axis=-1)
  lower = of_predicted[..., 0] < scores.max(axis=-1)
  if lower.any():
    run, example = np.argwhere(lower)[0]
    raise PredictionsError(
      f'scores: the class predicted for example {example} in run {run} does not'
      ' have the highest score. Order the columns as class_names, and predict'
      ' the argmax.'
    )
  return scores


def _of_runs(
  given: npt.ArrayLike | None, runs: int, what: str
) -> tuple[int, ...] | None:
  """Returns the seed or the draw of each run."""
  if given is None:
    return None
  numbers = np.atleast_1d(_to_array(given, what))
  if numbers.dtype.kind not in 'iu' or numbers.shape != (runs,):
    raise PredictionsError(
      f'{what}: expected one integer for each of {runs} runs, found'
      f' {numbers.dtype} of shape {numbers.shape}.'
    )
  return tuple(numbers.tolist())


def _about(given: Any) -> dict[str, str]:
  if not isinstance(given, Mapping) or not all(
    field in ABOUT and isinstance(text, str) for field, text in given.items()
  ):
    raise PredictionsError(
      f'about: expected texts for {", ".join(ABOUT)}, found {given!r}.'
    )
  # Tables have one line for each. The order is that of the file.
  texts = {
    field: ' '.join(text.split()) for field, text in sorted(given.items())
  }
  for field, text in texts.items():
    if not text.isprintable():
      raise PredictionsError(
        f'about: expected text without control characters for {field}, found'
        f' {text!r}.'
      )
  return texts


def _load_npz(path: pathlib.Path) -> dict[str, np.ndarray]:
  with disk_errors(path, 'read', PredictionsError, 'name another file'):
    with path.open('rb') as file:
      if file.read(len(_NPY)) == _NPY:
        raise PredictionsError(
          f'{path} is an array, without the labels it was predicted for. Write'
          ' it with cmnist_tfds.save_predictions, or score it with'
          ' --assume-order.'
        )
    try:
      with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
      # A file of a few megabytes can hold as many gigabytes of zeros.
      if size <= MOST_BYTES:
        with np.load(path, allow_pickle=False) as loaded:
          return {name: loaded[name] for name in loaded.files}
    except _UNREADABLE as error:
      raise PredictionsError(
        f'{path} is not a file of predictions: {str(error).rstrip(".")}. Write'
        ' one with cmnist_tfds.save_predictions.'
      ) from error
  raise PredictionsError(
    f'{path}: expected at most {MOST_BYTES:,} bytes of arrays, found {size:,}.'
    ' Leave out scores, or write one file for each run.'
  )


def _from_arrays(arrays: Mapping[str, np.ndarray]) -> Predictions:
  missing = [name for name in _REQUIRED if name not in arrays]
  if missing:
    raise PredictionsError(
      f'expected the arrays {", ".join(_REQUIRED)}, found no'
      f' {", ".join(missing)}. Write the file with cmnist_tfds.save_predictions.'
    )
  format_, dataset, subset, split, about = (
    str(arrays.get(name, default))
    for name, default in (
      ('format', FORMAT),
      ('dataset', ''),
      ('subset', ''),
      ('split', ''),
      ('about', '{}'),
    )
  )
  if format_ != FORMAT:
    raise PredictionsError(
      f'expected the format {FORMAT!r}, found {format_!r}. Use the version of'
      ' cmnist_tfds that wrote the file, or write it again.'
    )
  if dataset not in (DATASET, SAMPLE):
    raise PredictionsError(
      f'dataset: expected {DATASET} or {SAMPLE}, found {dataset!r}.'
    )
  class_names = arrays['class_names']
  if class_names.dtype.kind != 'U' or class_names.ndim != 1:
    raise PredictionsError(
      'class_names: expected texts in one dimension, found'
      f' {class_names.dtype} of shape {class_names.shape}.'
    )
  try:
    described = json.loads(about)
  except (ValueError, RecursionError) as error:
    raise PredictionsError(f'about: expected JSON: {error}.') from error
  return make_predictions(
    subsets.subset(subset),
    arrays['prediction'],
    arrays['label'],
    split=split,
    scores=arrays.get('scores'),
    class_names=class_names.tolist(),
    seed=arrays.get('seed'),
    draw=arrays.get('draw'),
    about=described,
    sample=dataset == SAMPLE,
  )


def _read_npy(path: pathlib.Path, subset: Subset) -> np.ndarray:
  del subset
  with (
    disk_errors(path, 'read', PredictionsError, 'name another file'),
    path.open('rb') as file,
  ):
    try:
      return np.lib.format.read_array(file, allow_pickle=False)
    except _UNREADABLE as error:
      if zipfile.is_zipfile(path):
        raise PredictionsError(
          'expected an array, found an archive of arrays. Score a file of'
          ' predictions without --assume-order.'
        ) from error
      raise PredictionsError(
        'expected an array that numpy.save wrote, or a .csv file:'
        f' {str(error).rstrip(".")}.'
      ) from error


def _read_csv(path: pathlib.Path, subset: Subset) -> np.ndarray:
  with disk_errors(path, 'read', PredictionsError, 'name another file'):
    try:
      with path.open(encoding='utf-8-sig', newline='') as file:
        rows = [[cell.strip() for cell in row] for row in csv.reader(file)]
    except (UnicodeDecodeError, csv.Error) as error:
      raise PredictionsError(f'expected CSV in UTF-8: {error}.') from error
  rows = [row for row in rows if row not in ([], [''])]
  if rows and rows[0] == ['prediction']:
    rows = rows[1:]
  wide = next((i for i, row in enumerate(rows) if len(row) != 1), None)
  if wide is not None:
    raise PredictionsError(
      f'expected one prediction a line, found {len(rows[wide])} values in line'
      f' {wide + 1} of the predictions.'
    )
  texts = [row[0] for row in rows]
  # Python reads Kannada digits, which are class names, as numbers.
  words = [text for text in texts if not (text.isascii() and text.isdigit())]
  if not words:
    return np.array([min(int(text), _BEYOND) for text in texts], np.int64)
  label_of = {c.name: c.label for c in subset.classes}
  # Where names and numbers are mixed, the words are told before the numbers.
  unknown = [text for text in (*words, *texts) if text not in label_of]
  if unknown:
    raise PredictionsError(
      f'expected all numbers or all names of classes of {subset.title}, below'
      f' the line `prediction` if there is a headline, found {_listed(unknown)}.'
    )
  return np.array([label_of[text] for text in texts], np.int64)

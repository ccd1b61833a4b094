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
*   `about`: a JSON object of strings, with the fields of `ABOUT`.

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
from cmnist_tfds.system.errors import (
  PredictionsError,
  SplitError,
  SubsetNameError,
  disk_errors,
)

# Opens a subset with a draw of its training set.
OpenDraw = Callable[[int], Opened]

FORMAT = 'cmnist predictions 1'

# What a method says of itself; `save_predictions` describes the fields.
ABOUT = ('method', 'code', 'data', 'pretraining', 'validation', 'time')

_REQUIRED = {'dataset', 'subset', 'split', 'class_names', 'label', 'prediction'}
_OPTIONAL = {'format', 'scores', 'seed', 'draw', 'about'}

# Scores of 46 runs for the largest test set take as much.
MOST_BYTES = 2**33


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
  about = (method, code, data, pretraining, validation, time)
  saved = make_predictions(
    subset,
    prediction,
    label,
    split=split,
    scores=scores,
    class_names=class_names,
    seed=seed,
    draw=draw,
    about={f: text for f, text in zip(ABOUT, about, strict=True) if text},
    sample=sample,
  )
  opened = open_subset(
    subset, data_dir=data_dir, sample=sample, draw=draw_of_examples(saved)
  )
  if opened is not None:
    _check_labels(saved, true_labels(opened, split))
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
  numbering = _numbering(subset, class_names)
  arrays = {
    what: _to_array(given, what)
    for what, given in (
      ('label', label),
      ('prediction', prediction),
      ('scores', scores),
      ('seed', seed),
      ('draw', draw),
    )
    if given is not None
  }
  n = arrays['label'].size
  runs = max(arrays['prediction'].size // max(n, 1), 1)
  shapes = {
    'label': (n,),
    'prediction': (runs, n),
    'scores': (runs, n, len(numbering)),
  }
  for what, array in arrays.items():
    shape = shapes.get(what, (runs,))
    kinds, numbers = ('f', 'floats') if what == 'scores' else ('iu', 'integers')
    # A single run needs no axis.
    possible = [shape, shape[1:]] if runs == 1 and what != 'label' else [shape]
    if (
      array.dtype.kind not in kinds
      or array.shape not in possible
      or not array.size
    ):
      raise PredictionsError(
        f'{what}: expected {numbers} of shape'
        f' {" or ".join(map(str, possible))}, found {array.dtype} of shape'
        f' {array.shape}. Predict the whole split, each example once, and give'
        ' the numbers of classes.'
      )
    arrays[what] = array.reshape(shape)
  for what in ('label', 'prediction'):
    array, last = arrays[what], len(numbering) - 1
    if not 0 <= array.min() <= array.max() <= last:
      raise PredictionsError(
        f'{what}: expected numbers from 0 to {last}, one for each class, found'
        f' {array.min()} to {array.max()}.'
      )
    arrays[what] = numbering[array]
  if scores is not None:
    arrays['scores'] = arrays['scores'][..., np.argsort(numbering)]
    _check_scores(arrays['scores'], arrays['prediction'])
  seeds, draws = (
    tuple(arrays[what].tolist()) if what in arrays else None
    for what in ('seed', 'draw')
  )
  for number in draws or ():
    check_draw(subset, number)
  return Predictions(
    subset=subset,
    dataset=SAMPLE if sample else DATASET,
    split=split,
    labels=arrays['label'],
    predicted=arrays['prediction'],
    scores=arrays.get('scores'),
    seeds=seeds,
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
    'class_names': saved.subset.class_names,
    'label': saved.labels.astype(smallest),
    # Runs mostly agree. Their predictions for one example lie side by side, so
    # that they compress well.
    'prediction': np.asfortranarray(saved.predicted.astype(smallest)),
    'about': json.dumps(dict(saved.about), ensure_ascii=False, sort_keys=True),
    'scores': saved.scores,
    'seed': saved.seeds,
    'draw': saved.draws,
  }
  out = io.BytesIO()
  np.savez_compressed(out, **{n: a for n, a in arrays.items() if a is not None})
  atomic.write_file(path, out.getvalue())


def read_predictions(path: str | os.PathLike[str]) -> Predictions:
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
  labels = true_labels(opened, split)
  try:
    with disk_errors(path, 'read', PredictionsError, 'name another file'):
      prediction = (
        _read_csv(path, opened.subset)
        if path.suffix.lower() == '.csv'
        else _read_npy(path)
      )
    made = make_predictions(
      opened.subset,
      prediction,
      labels,
      split=split,
      sample=opened.dataset == SAMPLE,
    )
  except PredictionsError as error:
    raise PredictionsError(f'{path}: {error}') from error
  return dataclasses.replace(made, order_assumed=True)


def true_labels(opened: Opened, split: str) -> np.ndarray:
  """Returns the labels of a split, int64 (n,), in the prepared order."""
  return opened.split(split).read([schema.LABEL.name])[schema.LABEL.name]


def draw_of_examples(checked: Predictions) -> int:
  """Returns the draw that the predicted examples belong to.

  All draws have the same test set, so its examples belong to draw 0 too.

  Args:
    checked: The predictions.

  Raises:
    PredictionsError: If their runs are of training sets with other examples.
  """
  is_test = re.fullmatch(r'test(\[[^][]*\])?', checked.split)
  draws = {0} if is_test else {*(checked.draws or (0,))}
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
    open_draw: Opens the subset, for its labels; None to compare the labels of
      the predictions with the known sizes of the classes only.

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
  _check_labels(checked, true_labels(opened, checked.split))


def _check_labels(checked: Predictions, labels: np.ndarray) -> None:
  """Checks that predictions belong to the examples that have some labels."""
  found = checked.labels
  title = f'{checked.dataset}/{checked.subset.name} {checked.split}'
  if len(found) != len(labels):
    raise PredictionsError(
      f'expected {len(labels):,} examples of {title}, found {len(found):,}.'
      ' Predict the whole split, without dropping the last batch.'
    )
  wrong = np.flatnonzero(found != labels)
  if not len(wrong):
    return
  pairs = np.unique(np.stack([found, labels]), axis=1)
  if pairs.shape[1] == len(np.unique(found)) == len(np.unique(labels)):
    likely = (
      'The classes are numbered in another order. Give class_names in the order'
      ' of your numbers.'
    )
  elif (np.sort(found) == np.sort(labels)).all():
    likely = (
      'The examples are in another order. Predict the split in its prepared'
      ' order, without shuffling.'
    )
  else:
    likely = f'These are other examples. Predict the split of {title}.'
  names, first = checked.subset.class_names, wrong[0]
  raise PredictionsError(
    f'{len(wrong):,} of {len(labels):,} labels are not those of {title}, the'
    f' first at example {first}: expected {names[labels[first]]!r}, found'
    f' {names[found[first]]!r}. {likely}'
  )


def _check_label_counts(checked: Predictions) -> None:
  """Checks predictions of a test set by the known sizes of its classes."""
  if checked.split != 'test' or checked.dataset != DATASET:
    raise PredictionsError(
      f'the labels of {checked.dataset} {checked.split} can only be compared'
      ' with those of the prepared data.'
    )
  subset = checked.subset
  counts = np.bincount(checked.labels, minlength=subset.num_classes).tolist()
  sizes = [(repr(c.name), c.test, counts[c.label]) for c in subset.classes]
  for what, expected, found in (
    *sizes,
    ('all classes', subset.num_test, len(checked.labels)),
  ):
    if expected not in (None, found):
      raise PredictionsError(
        f'expected {expected:,} test examples of {what}, found {found:,}.'
        f' Predict the whole test split of {subset.title}, or say that the'
        ' examples are those of the sample.'
      )


def _numbering(subset: Subset, class_names: Sequence[str] | None) -> np.ndarray:
  """Returns the label of each number that predictions use."""
  names = subset.class_names
  given = names if class_names is None else [str(n) for n in class_names]
  label_of = {name: label for label, name in enumerate(names)}
  if sorted(given) != sorted(names):
    differing = sorted({*given} ^ {*names}) or given
    raise PredictionsError(
      f'class_names: expected each of the {len(names)} classes of {subset.title}'
      f' once, found {len(given)} names. They differ in {_listed(differing)}.'
    )
  return np.array([label_of[name] for name in given])


def _listed(names: Sequence[str]) -> str:
  more = f' and {len(names) - 5} more' if len(names) > 5 else ''
  return ', '.join(map(repr, names[:5])) + more


def _to_array(given: npt.ArrayLike, what: str) -> np.ndarray:
  try:
    return np.asarray(given)
  # PyTorch raises the last two, and says what to do.
  except (ValueError, TypeError, RuntimeError) as error:
    raise PredictionsError(
      f'{what}: expected an array of numbers: {error}'
    ) from error


def _check_scores(scores: np.ndarray, predicted: np.ndarray) -> None:
  chosen = np.take_along_axis(scores, predicted[..., None], axis=-1)[..., 0]
  right = np.isfinite(scores).all(axis=-1) & (chosen >= scores.max(axis=-1))
  if not right.all():
    run, example = np.argwhere(~right)[0]
    raise PredictionsError(
      f'scores: those of example {example} in run {run} are not all finite, or'
      ' the class that is predicted does not have the highest one. Order the'
      ' columns as class_names, and predict the argmax.'
    )


def _about(given: Any) -> dict[str, str]:
  """Returns the fields of `ABOUT`, each a line, in the order of the file."""
  if isinstance(given, Mapping) and all(
    field in ABOUT and isinstance(text, str) for field, text in given.items()
  ):
    about = {f: ' '.join(text.split()) for f, text in sorted(given.items())}
    if ''.join(about.values()).isprintable():
      return about
  raise PredictionsError(
    f'about: expected texts without control characters for {", ".join(ABOUT)},'
    f' found {given!r}.'
  )


def _load_npz(path: pathlib.Path) -> dict[str, np.ndarray]:
  with disk_errors(path, 'read', PredictionsError, 'name another file'):
    try:
      with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
      # A file of a few megabytes can hold as many gigabytes of zeros.
      if size > MOST_BYTES:
        raise ValueError(
          f'it has {size:,} bytes of arrays, more than {MOST_BYTES:,}; leave out'
          ' scores, or write one file for each run'
        )
      with np.load(path, allow_pickle=False) as loaded:
        names = (_REQUIRED | _OPTIONAL).intersection(loaded.files)
        return {name: loaded[name] for name in names}
    except OSError:
      raise
    except Exception as error:  # Foreign bytes make it raise any.
      raise PredictionsError(
        f'{path} does not hold predictions with their labels:'
        f' {str(error).rstrip(".")}. Write it with cmnist_tfds.save_predictions,'
        ' or score an array or a .csv file with --assume-order.'
      ) from error


def _from_arrays(arrays: Mapping[str, np.ndarray]) -> Predictions:
  format_, dataset, about = (
    str(arrays.get(name, default))
    for name, default in (('format', FORMAT), ('dataset', ''), ('about', '{}'))
  )
  missing = sorted(_REQUIRED - arrays.keys())
  if missing or format_ != FORMAT or dataset not in (DATASET, SAMPLE):
    raise PredictionsError(
      f'expected {FORMAT!r} of {DATASET} or {SAMPLE} with the arrays'
      f' {", ".join(sorted(_REQUIRED))}, found {format_!r} of {dataset!r} that'
      f' lacks {", ".join(missing) or "none of them"}. Write the file with'
      ' cmnist_tfds.save_predictions.'
    )
  try:
    described = json.loads(about)
  except (ValueError, RecursionError) as error:
    raise PredictionsError(f'about: expected JSON: {error}.') from error
  return make_predictions(
    subsets.subset(str(arrays['subset'])),
    arrays['prediction'],
    arrays['label'],
    split=str(arrays['split']),
    scores=arrays.get('scores'),
    class_names=np.ravel(arrays['class_names']).tolist(),
    seed=arrays.get('seed'),
    draw=arrays.get('draw'),
    about=described,
    sample=dataset == SAMPLE,
  )


def _read_npy(path: pathlib.Path) -> np.ndarray:
  with path.open('rb') as file:
    try:
      return np.lib.format.read_array(file, allow_pickle=False)
    except OSError:
      raise
    except Exception as error:  # Foreign bytes make it raise any.
      raise PredictionsError(
        'expected an array that numpy.save wrote, or a .csv file:'
        f' {str(error).rstrip(".")}. Score a file that save_predictions wrote'
        ' without --assume-order.'
      ) from error


def _read_csv(path: pathlib.Path, subset: Subset) -> np.ndarray:
  try:
    with path.open(encoding='utf-8-sig', newline='') as file:
      rows = [[cell.strip() for cell in row] for row in csv.reader(file)]
  except (UnicodeDecodeError, csv.Error) as error:
    raise PredictionsError(f'expected CSV in UTF-8: {error}.') from error
  texts = [','.join(row) for row in rows if any(row)]
  if texts[:1] == ['prediction']:
    del texts[0]
  # Python reads Kannada digits, which are class names, as numbers.
  words = [text for text in texts if not (text.isascii() and text.isdigit())]
  if not words:
    return np.array([int(text) for text in texts], dtype=None if texts else int)
  label_of = {name: label for label, name in enumerate(subset.class_names)}
  # Where names and numbers are mixed, the words are named before the numbers.
  unknown = dict.fromkeys(t for t in (*words, *texts) if t not in label_of)
  if unknown:
    raise PredictionsError(
      f'expected one prediction a line, all numbers or all names of classes of'
      f' {subset.title}, below the line `prediction` if there is a header, found'
      f' {_listed([*unknown])}.'
    )
  return np.array([label_of[text] for text in texts])

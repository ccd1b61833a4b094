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

import contextlib
import dataclasses
import io
import json
import os
import pathlib
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cmnist_tfds import subsets
from cmnist_tfds.cache.prepared import DATASET, SAMPLE
from cmnist_tfds.load.draws import check_draw
from cmnist_tfds.load.open_subset import Opened, open_subset
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system import atomic
from cmnist_tfds.system.errors import (
  CmnistError,
  PredictionsError,
  SplitError,
  SubsetNameError,
  disk_errors,
)

FORMAT = 'cmnist predictions 1'

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

# What a method says of itself; `save_predictions` describes the fields.
ABOUT = ('method', 'code', 'data', 'pretraining', 'validation', 'time')

_TEXTS = ('format', 'dataset', 'subset', 'split', 'about')
_REQUIRED = ('dataset', 'subset', 'split', 'class_names', 'label', 'prediction')
_OPTIONAL = {'format', 'about', 'scores', 'seed', 'draw'}


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

  @property
  def title(self) -> str:
    """What messages call them."""
    return str(self.file or self.about.get('method', 'Predictions'))


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
    path: The file, such as 'svm.npz'. A regular file of that name is replaced.
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
  subset = subsets.subset(name)
  sample = sample or subsets.names_sample(name)
  about = (method, code, data, pretraining, validation, time)
  saved = make_predictions(
    subset,
    prediction,
    label,
    dataset=SAMPLE if sample else DATASET,
    split=split,
    class_names=class_names,
    about={f: text for f, text in zip(ABOUT, about, strict=True) if text},
    scores=scores,
    seed=seed,
    draw=draw,
  )
  opened = open_subset(
    subset, data_dir=data_dir, sample=sample, draw=draw_of_examples(saved)
  )
  if opened or (split == 'test' and not sample):
    check_examples(saved, opened)
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
    **others: `scores`, `seed` and `draw`, each of which may be None.

  Raises:
    PredictionsError: If the arrays do not fit together.
    SplitError: If the subset has no such draw.
  """
  numbering = _numbering(subset, class_names)
  given = {'label': label, 'prediction': prediction, **others}
  arrays: dict[str, np.ndarray] = {}
  for what in [name for name, array in given.items() if array is not None]:
    try:
      array = np.asarray(given[what])
    # PyTorch raises the last two, and says what to do.
    except (ValueError, TypeError, RuntimeError) as error:
      raise PredictionsError(f'{what}: expected numbers: {error}') from error
    count, n = len(numbering), arrays.get('label', array).size
    runs = max(arrays.get('prediction', array).size // max(n, 1), 1)
    shapes = {
      'label': (n,),
      'prediction': (runs, n),
      'scores': (runs, n, count),
    }
    shape = shapes.get(what, (runs,))
    kinds, numbers = ('f', 'floats') if what == 'scores' else ('iu', 'integers')
    # A single run needs no axis.
    possible = [shape, shape[1:]] if runs == 1 and what != 'label' else [shape]
    fits = array.dtype.kind in kinds and array.shape in possible
    if not fits or not array.size:
      shapes_text = ' or '.join(map(str, possible))
      raise PredictionsError(
        f'{what}: expected {numbers} of shape {shapes_text}, found {array.dtype}'
        f' of shape {array.shape}. Predict the whole split, each example once,'
        ' and give the numbers of classes.'
      )
    if what in ('label', 'prediction'):
      if not 0 <= array.min() <= array.max() < count:
        raise PredictionsError(
          f'{what}: expected numbers from 0 to {count - 1}, one for each class,'
          f' found {array.min()} to {array.max()}.'
        )
      array = numbering[array]
    arrays[what] = array.reshape(shape)
  scores = arrays.get('scores')
  if scores is not None:
    scores = scores[..., np.argsort(numbering)]
    _check_scores(scores, arrays['prediction'])
  seeds, draws = (
    tuple(arrays[what].tolist()) if what in arrays else (None,) * runs
    for what in ('seed', 'draw')
  )
  for draw in draws:
    check_draw(subset, draw or 0)
  return Predictions(
    subset=subset,
    dataset=dataset,
    split=split,
    labels=arrays['label'],
    predicted=arrays['prediction'],
    scores=scores,
    seeds=seeds,
    draws=draws,
    about=_about(about),
    notes=(SAMPLE_SCORED,) * (dataset == SAMPLE),
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
    'seed': None if None in saved.seeds else saved.seeds,
    'draw': None if None in saved.draws else saved.draws,
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
  with (
    reading(
      path,
      'a file of predictions with their labels',
      'Write it with cmnist_tfds.save_predictions, or score an array or a .csv'
      ' file with --assume-order.',
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


def read_bare_predictions(
  path: str | os.PathLike[str], opened: Opened
) -> Predictions:
  """Reads predictions of a test set from a file that holds nothing else.

  Nothing shows whether such a file has the examples in the right order.

  Args:
    path: A `.npy` file with integers (n,) or (runs, n), or a `.csv` file with
      one prediction a line: all numbers, or all class names. A first line
      `prediction` is skipped.
    opened: The subset.

  Returns:
    The predictions. The true labels are those of the subset.

  Raises:
    PredictionsError: If the file cannot be read or does not fit the split.
  """
  path = pathlib.Path(path)
  with (
    reading(
      path,
      'an array that numpy.save wrote, or CSV in UTF-8 with one prediction a line',
      'Score a file that save_predictions wrote without --assume-order.',
    ),
    path.open('rb') as file,
  ):
    if path.suffix.lower() == '.csv':
      text = file.read().decode('utf-8-sig')
      prediction = _parse_csv(text, opened.subset)
    else:
      prediction = np.lib.format.read_array(file, allow_pickle=False)
    labels = opened.split('test').labels
    made = make_predictions(
      opened.subset, prediction, labels, dataset=opened.dataset
    )
  return dataclasses.replace(
    made, notes=(ORDER_ASSUMED, *made.notes), file=path
  )


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
    raise PredictionsError(
      f'expected one draw, because each draw has another {checked.split} split,'
      f' found {sorted(draws)}. Save and score the runs of each draw alone.'
    )
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
  title = f'{opened.dataset}/{checked.subset.name} {checked.split}'
  if (checked.dataset, len(found)) != (opened.dataset, len(labels)):
    raise PredictionsError(
      f'expected {len(labels):,} examples of {title}, found {len(found):,} of'
      f' {checked.dataset}. Predict the whole split, without dropping the last'
      ' batch.'
    )
  wrong = np.flatnonzero(found != labels)
  if not len(wrong):
    return
  pairs = np.unique(np.stack([found, labels]), axis=1)
  if pairs.shape[1] == len(np.unique(found)) == len(np.unique(labels)):
    likely = 'The classes are numbered in another order: give class_names.'
  elif (np.sort(found) == np.sort(labels)).all():
    likely = 'The examples are in another order: predict them unshuffled.'
  else:
    likely = f'These are other examples: predict the split of {title}.'
  names, first = checked.subset.class_names, wrong[0]
  raise PredictionsError(
    f'{len(wrong):,} of {len(labels):,} labels are not those of {title}, the'
    f' first at example {first}: expected {names[labels[first]]!r}, found'
    f' {names[found[first]]!r}. {likely}'
  )


def _check_label_counts(checked: Predictions) -> None:
  """Checks predictions of a test set by the known sizes of its classes."""
  subset = checked.subset
  if checked.split != 'test' or checked.dataset != DATASET:
    raise PredictionsError(
      f'the labels of {checked.dataset} {checked.split} can only be compared'
      ' with those of the prepared data.'
    )
  counts = np.bincount(checked.labels, minlength=subset.num_classes).tolist()
  for what, expected, found in (
    *((repr(c.name), c.test, counts[c.label]) for c in subset.classes),
    ('all classes', subset.num_test, len(checked.labels)),
  ):
    if expected not in (None, found):
      raise PredictionsError(
        f'expected {expected:,} test examples of {what}, found {found:,}.'
        f' Predict the whole test split of {subset.title}, or say that the'
        ' examples are those of the sample.'
      )


def _numbering(subset: Subset, given: npt.ArrayLike | None) -> np.ndarray:
  """Returns the label of each number that predictions use."""
  names = list(subset.class_names)
  given = names if given is None else [str(name) for name in np.ravel(given)]
  if sorted(given) != sorted(names):
    differing = sorted({*given} ^ {*names}) or given
    raise PredictionsError(
      f'class_names: expected each of the {len(names)} classes of {subset.title}'
      f' once, found {len(given)} names. They differ in {differing[:5]}.'
    )
  return np.array([names.index(name) for name in given])


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
  with contextlib.suppress(ValueError, RecursionError, AttributeError):
    fields = json.loads(given) if isinstance(given, str) else given
    about = {f: ' '.join(text.split()) for f, text in sorted(fields.items())}
    if {*about} <= {*ABOUT} and ''.join(about.values()).isprintable():
      return about
  raise PredictionsError(
    'about: expected texts without control characters for'
    f' {", ".join(ABOUT)}, found {str(given)[:200]!r}.'
  )


def _parse_csv(text: str, subset: Subset) -> np.ndarray:
  texts = [text.strip() for text in text.splitlines() if text.strip()]
  if texts[:1] == ['prediction']:
    del texts[0]
  # Python reads Kannada digits, which are class names, as numbers.
  if all(text.isascii() and text.isdigit() for text in texts):
    return np.array([int(text) for text in texts], None if texts else int)
  label_of = {name: label for label, name in enumerate(subset.class_names)}
  try:
    return np.array([label_of[text] for text in texts])
  except KeyError as error:
    raise ValueError(
      f'expected all numbers or all names of classes of {subset.title}, below'
      f' the line `prediction` if there is a header, found {error}'
    ) from error


@contextlib.contextmanager
def reading(
  path: str | os.PathLike[str],
  expected: str,
  remedy: str,
  error: type[CmnistError] = PredictionsError,
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
  with disk_errors(path, 'read', error, 'name another file'), named(path):
    try:
      yield
    except (OSError, CmnistError):
      raise
    except Exception as cause:
      reason = ' '.join(str(cause).split())[:300].rstrip('.')
      raise error(f'{path} is not {expected}: {reason}. {remedy}') from cause


@contextlib.contextmanager
def named(file: str | os.PathLike[str]) -> Iterator[None]:
  """Names a file in errors that tell what is wrong with its predictions."""
  try:
    yield
  except (PredictionsError, SplitError, SubsetNameError) as error:
    raise PredictionsError(f'{os.fspath(file)}: {error}') from error

# SPDX-License-Identifier: Apache-2.0
"""One fit of a model, in a process of its own.

    <folder>/<subset>/<method>/<draw>-<seed>.npz     the predictions
    <folder>/<subset>/<method>/<draw>-<seed>.json    the record, `Record`

A fit that raises, crashes, takes all memory or never ends thus ends no other, its
peak memory is known, and what it gives depends on nothing that ran before. The
record is written first, so a fit that has predictions is complete. Everything that
differs from one time to the next is in the record: the predictions are the same
bytes, wherever the fit ran.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pathlib
import pickle
import platform
import random
import re
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np

from cmnist_tfds import subsets
from cmnist_tfds.load.open_subset import open_or_prepare
from cmnist_tfds.scoring import predictions
from cmnist_tfds.scoring.predictions import Predictions, make_predictions
from cmnist_tfds.sources import SPLITS
from cmnist_tfds.system import atomic
from cmnist_tfds.system.errors import CmnistError, PredictionsError

# How many warnings of a fit are kept.
_WARNINGS = 5

# What gives the scores of a model, the first that does, and what they are.
_SCORING = {'predict_proba': 'probability', 'decision_function': 'other'}


class Model(NamedTuple):
  """What all fits have in common.

  Attributes:
    make_model: The function, pickled.
    where: Options of `open_or_prepare`.
    environment: Variables that the processes of fits get.
  """

  make_model: bytes
  where: Mapping[str, Any]
  environment: Mapping[str, str]


class Record(msgspec.Struct):
  """What is known of a fit beside its predictions.

  Attributes:
    subset: The name of the subset.
    draw: The draw of its training set.
    seed: Its seed.
    code: The code of the model, with its hash.
    data: For each split of the full subset, a hash of its examples.
    format: 'cmnist fit 1'.
    error: Why there are no predictions; empty if there are.
    traceback: Where the code of the model raised it.
    notes: What a reader must know, such as why there are no scores.
    warnings: The first warnings of the code of the model, each once.
    fit_seconds: How long fitting took.
    predict_seconds: How long predicting the test set took.
    peak_memory: The most bytes of memory that its process had, with Python and
      the data; 0 where the system does not tell, which is not Linux.
    device: The processor, how many threads a fit has of it, and the GPU.
    versions: The version of each library that was imported.
  """

  subset: str
  draw: int
  seed: int
  code: str
  data: dict[str, str]
  format: Literal['cmnist fit 1'] = 'cmnist fit 1'
  error: str = ''
  traceback: str = ''
  notes: list[str] = []
  warnings: list[str] = []
  fit_seconds: float | None = None
  predict_seconds: float | None = None
  peak_memory: int = 0
  device: str = ''
  versions: dict[str, str] = {}


class Fit(NamedTuple):
  """A fit.

  Attributes:
    place: The folder of the result that it is part of, absolute.
    method: What predictions call the method.
    record: What is known of it before it is made.
  """

  place: pathlib.Path
  method: str
  record: Record

  @property
  def path(self) -> pathlib.Path:
    """The file of its predictions."""
    return self.place / f'{self.record.draw}-{self.record.seed}.npz'

  @property
  def title(self) -> str:
    """What messages call it."""
    of = self.record
    return f'{self.method} on {of.subset}, draw {of.draw}, seed {of.seed}'


def read_record(path: pathlib.Path) -> Record:
  """Returns the record beside a file of predictions.

  Raises:
    PredictionsError: If it is missing, damaged, or of another version.
  """
  record = path.with_suffix('.json')
  remedy = 'Move the folder away, or choose another one.'
  with predictions.reading(record, 'the record of a fit', remedy):
    return msgspec.json.decode(record.read_bytes(), type=Record)


def run(model: Model, timeout: float | None, fit: Fit) -> str:
  """Runs a fit in a process of its own, and waits for it.

  Args:
    model: What it has in common with others.
    timeout: The seconds after which it is ended; None for no limit.
    fit: The fit.

  Returns:
    Why it failed, with its title; empty if it did not.
  """
  # Ctrl-C is for its parent. What the model prints is no output of a command.
  how: dict[str, Any] = {'start_new_session': True, 'stdout': 2}
  how |= {'env': {**os.environ, **model.environment}, 'stdin': subprocess.PIPE}
  process = subprocess.Popen([sys.executable, '-m', __name__], **how)
  assert process.stdin, 'it is a pipe'
  error = ''
  try:
    with contextlib.suppress(BrokenPipeError):
      process.stdin.write(pickle.dumps((model, fit)))
      process.stdin.flush()
    # The pipe stays open: its end tells the process that this one has died.
    if status := process.wait(timeout):
      error = f'its process ended with status {status}'
      if status == -9:
        error += ', as the system does where memory runs out'
  except subprocess.TimeoutExpired:
    error = f'it did not end within {timeout:,g} seconds'
  finally:
    with contextlib.suppress(OSError):  # Nothing is left of it.
      # With what it has started; Windows has no groups of processes.
      getattr(os, 'killpg', os.kill)(process.pid, 9)
    with contextlib.suppress(BrokenPipeError):
      process.communicate()
  if error:
    fit.record.error = error
    _write(fit)
  error = read_record(fit.path).error
  return error and f'{fit.title}: {error}'


def _write(fit: Fit) -> None:
  text = msgspec.json.format(msgspec.json.encode(fit.record), indent=1)
  fit.place.mkdir(parents=True, exist_ok=True)
  atomic.write_file(fit.path.with_suffix('.json'), text + b'\n')


def _compute(common: Model, fit: Fit) -> None:
  """Fits, predicts, and writes the record and the predictions."""
  record, made = fit.record, None
  subset, seed, draw = subsets.subset(record.subset), record.seed, record.draw
  opened = open_or_prepare(subset, draw=draw, **common.where)
  features = 'image', 'label'
  (x, y), (x_test, y_test) = (
    opened.split(split).read(features).values() for split in SPLITS
  )
  # For models that take their numbers from here.
  random.seed(seed)
  np.random.seed(seed)
  doing = f'make_model({seed})'
  with warnings.catch_warnings(record=True) as caught:
    try:
      model = pickle.loads(common.make_model)(seed)
      # The classes of scikit-learn, and those derived from them, take rows.
      if any(c.__module__.startswith('sklearn.') for c in type(model).__mro__):
        x, x_test = (images.reshape(len(images), -1) for images in (x, x_test))
      doing, began = 'fit', time.perf_counter()
      model.fit(x, y)
      record.fit_seconds = round(time.perf_counter() - began, 4)
      doing, began = 'predict', time.perf_counter()
      predicted = np.asarray(model.predict(x_test))
      record.predict_seconds = round(time.perf_counter() - began, 4)
      if predicted.dtype.kind == 'f' and (bad := np.isnan(predicted).sum()):
        raise PredictionsError(f'predict gave NaN {bad:,} times')
      make = functools.partial(
        make_predictions,
        *(subset, predicted, y_test),
        dataset=opened.dataset,
        about={'method': fit.method, 'code': record.code},
        seed=[seed],
        draw=[draw],
      )
      made = _with_scores(model, x_test, make, record.notes)
    # The code of a model may raise any.
    except (Exception, SystemExit) as error:
      record.error = f'{doing} raised {type(error).__name__}: {_line(error)}'
      if isinstance(error, CmnistError):
        record.error = _line(error)
      record.traceback = ''.join(traceback.format_exception(error))
  told = (f'{w.category.__name__}: {_line(w.message)}' for w in caught)
  record.warnings = list(dict.fromkeys(told))[:_WARNINGS]
  record.peak_memory = 1024 * int(_first(r'VmHWM:\s+(\d+)', 'self/status', '0'))
  record.device = device()
  record.versions = dict(versions())
  _write(fit)
  if made:
    predictions.write_predictions(fit.path, made)


def _with_scores(
  model: Any, x: np.ndarray, make: Callable[..., Predictions], notes: list[str]
) -> Predictions:
  """Returns predictions, with scores if a method of the model gives any."""
  for method, kind in _SCORING.items():
    if scoring := getattr(model, method, None):
      try:
        return make(scores=np.asarray(scoring(x), np.float32), score_kind=kind)
      # Those of some models disagree with what they predict.
      except Exception as error:
        notes.append(f'There are no scores of {method}: {_line(error)}')
  return make()


def _line(said: object) -> str:
  return ' '.join(str(said).split())[:500]


def _first(pattern: str, name: str, otherwise: str) -> str:
  """Returns what the system tells of a process or a processor, if it does."""
  with contextlib.suppress(OSError):
    found = re.search(pattern, pathlib.Path('/proc', name).read_text('utf-8'))
    return found[1] if found else otherwise
  return otherwise


def device() -> str:
  """Returns the processor, how many there are, a limit on threads, the GPU."""
  found = _first('model name\\s*: (.*)', 'cpuinfo', platform.machine())
  found += f', {os.cpu_count()} processors'
  if threads := os.environ.get('OMP_NUM_THREADS'):
    found += f', OMP_NUM_THREADS={threads}'
  torch = sys.modules.get('torch')
  if torch and torch.cuda.is_available():
    found += f', {torch.cuda.get_device_name()}'
  return found


def versions() -> Iterator[tuple[str, str]]:
  """Yields the versions of what is imported and is not Python's own."""
  yield 'python', platform.python_version()
  for name in sorted(name for name in sys.modules if '.' not in name):
    version = getattr(sys.modules[name], '__version__', None)
    if isinstance(version, str) and name not in sys.stdlib_module_names:
      yield name, version


def _end_with_parent() -> None:
  os.read(0, 1)  # It returns at the end of the pipe.
  os._exit(1)


def main() -> None:
  """Runs the fit that is on the standard input."""
  common, fit = pickle.load(sys.stdin.buffer)
  threading.Thread(target=_end_with_parent, daemon=True).start()
  try:
    _compute(common, fit)
  except CmnistError as error:
    fit.record.error = str(error)
    _write(fit)


if __name__ == '__main__':
  main()

# SPDX-License-Identifier: Apache-2.0
"""Runs a method of a user on many subsets; `fits` says what a folder holds.

When all fits of a result are there, its scores are written beside them, as those
of other results are:

    <folder>/<subset>/<method>.json          of the published training set
    <folder>/<subset>/<method>-draws.json    of other draws
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import inspect
import itertools
import os
import pathlib
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from cmnist_tfds import subsets
from cmnist_tfds.load.open_subset import Where, is_here, open_or_prepare
from cmnist_tfds.scoring import evaluation, fits, results, suites
from cmnist_tfds.scoring.fits import Fit, Record
from cmnist_tfds.scoring.results import Result, Wanted
from cmnist_tfds.subsets import DATASET, SAMPLE, Subset
from cmnist_tfds.system import errors, streams
from cmnist_tfds.system.errors import CmnistError, PreparationError
from cmnist_tfds.system.extras import needs_extra
from cmnist_tfds.system.paths import PathLike

# What of joblib starts fits.
BACKENDS = ('loky', 'dask', 'ray')

# What the process of a fit must know, on whatever machine it is.
_PASSED = ('CMNIST_', 'TFDS_', 'XDG_')
_THREADS = ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS')


# A subset, the folder of a result on it, and its fits.
_Planned = tuple[Subset, pathlib.Path, list[Fit]]


class Benchmark(NamedTuple):
  """What running a method on many subsets gave.

  Attributes:
    results: Each result that is complete: the name of its files, which ends with
      '-draws' for other draws of the training set, its scores, and whether it
      was there already.
    failures: What failed, a line each. The next run tries it again.
    notes: What a reader must know of what did not fail.
  """

  results: tuple[Result, ...]
  failures: tuple[str, ...]
  notes: tuple[str, ...]


def benchmark(
  make_model: Callable[[int], Any],
  names: str | Sequence[str] = (),
  *,
  suite: str = '',
  per_class: Sequence[int] = (),
  method: str = '',
  code: str = '',
  draws: int = 0,
  seeds: int = 1,
  jobs: int = 1,
  backend: str = 'loky',
  scheduler: str | None = None,
  timeout: float | None = None,
  shard: tuple[int, int] = (1, 1),
  output: PathLike | None = None,
  data_dir: PathLike | None = None,
  sample: bool = False,
) -> Benchmark:
  """Fits and scores a method on many subsets, and writes a file for each fit.

      def make_svm(seed):
        return sklearn.svm.SVC(random_state=seed)

      cmnist_tfds.benchmark(make_svm, suite='few-shot', draws=5, jobs=4)

  A fit that is in the folder is not repeated. Each one has a process of its own,
  with one thread unless OMP_NUM_THREADS says otherwise, so that what it gives
  does not depend on `jobs`. One that fails does not keep the others from being
  made; it is recorded, and made again by the next run.

  Args:
    make_model: Returns a model for a seed: anything with `fit(x, y)` and
      `predict(x)`. `x` is uint8 (n, 28, 28), or (n, 784) for the classes of
      scikit-learn and those derived from them; `y`, and what `predict` returns,
      are int64 (n,), labels of the subset. Scores of `predict_proba`, or else of
      `decision_function`, are kept.
    names: A name of a subset, or several. Their files are here, as none is fetched.
    suite: The name of a suite of subsets, which `cmnist list --suite` lists,
      taken beside the names.
    per_class: The forms with so many training images of each class are taken in
      place of the named subsets.
    method: The name of the files, and what results call the method; that of the
      function, without `make_`, if it is empty.
    code: Where its code is, with its version. The module of the function and the
      hash of its source, if it is empty. Fits of other code are not mixed with
      these.
    draws: How many other draws of reduced training sets are used as well.
    seeds: How many fits each training set gets, with the seeds from 1.
    jobs: How many fits are made at a time; -1 for one on each processor.
    backend: What of joblib starts them: 'loky', on this machine; 'dask' or
      'ray', also on others, which share the folders of results and of data.
    scheduler: The address of the scheduler of Dask, such as 'tcp://host:8786';
      a cluster on this machine if None.
    timeout: The seconds after which a fit is ended; None for no limit.
    shard: (i, n) to make only the i-th of n parts of the fits, i from 1.
    output: The folder of results: 'results', or 'results_sample' for the sample,
      if None.
    data_dir: Where prepared datasets are; TFDS's default if None.
    sample: Whether to take the synthetic sample instead of CMNIST.

  Returns:
    The scores, and what failed.

  Raises:
    SubsetNameError: If there is no such subset or suite.
    MissingExtraError: If a library of the extra `scoring` is not installed.
    PreparationError: If the folder cannot be written, or Dask not be reached.
  """
  names = [names] if isinstance(names, str) else names
  sample = sample or any(map(subsets.names_sample, names))
  chosen = [*map(subsets.subset, names)]
  chosen += suites.members(suite, data_dir, sample) if suite else []
  chosen = list(dict.fromkeys(suites.reduced(chosen, per_class)))
  if not callable(make_model):
    raise PreparationError(f'{make_model!r:.50} is not a function of a seed.')
  name = getattr(make_model, '__name__', 'model')
  method = method or name.removeprefix('make_')
  if not re.fullmatch(r'[\w+-]+(?<!-draws)', method):
    raise PreparationError(
      f'method: expected letters, digits, _, + and -, without -draws at the end,'
      f' found {method!r}. It names files.'
    )
  pickled, found_code = _pack(make_model, name)
  code = code or found_code
  data_dir = data_dir and os.path.abspath(data_dir)
  where: Where = {'data_dir': data_dir, 'sample': sample}
  folder = pathlib.Path(output or 'results' + '_sample' * sample).absolute()
  dataset = SAMPLE if sample else DATASET
  open_ = functools.partial(open_or_prepare, **where)
  known = {n: v for n, v in os.environ.items() if n.startswith(_PASSED)}
  threads = os.environ.get('OMP_NUM_THREADS', '1')
  # With the folders of modules, of which the model may need some.
  known |= {n: os.environ.get(n, threads) for n in _THREADS}
  known['PYTHONPATH'] = os.pathsep.join(map(os.path.abspath, sys.path))
  model = fits.Model(pickled, where, known)
  planned: list[_Planned] = []
  failures = []
  for subset in streams.progress_bar(chosen, desc='Opening', leave=False):
    wanted = Wanted([subset], draws, folder, dataset, open_)
    try:
      if not (sample or is_here(subset.full, data_dir)):
        raise PreparationError(
          f'its files are not here. Run: cmnist build {subset.full.name}'
        )
      planned += _plan(wanted, method, code, range(1, seeds + 1))
    except CmnistError as error:
      failures.append(f'{subset.name}: {error}')
  part = [fit for *_, made in planned for fit in made][shard[0] - 1 :: shard[1]]
  todo = [fit for fit in part if not fit.path.exists()]
  start = functools.partial(fits.run, model, timeout)
  done = _parallel(start, todo, jobs, backend, scheduler)
  bar = {'total': len(todo), 'desc': 'Fits', 'unit': 'fit'}
  failures += sorted(filter(None, streams.progress_bar(done, **bar)))
  found, new = [], {fit.path for fit in todo}
  for subset, place, made in planned:
    if all(fit.path.exists() for fit in made):
      try:
        scores = evaluation.score(evaluation.read_checked(subset, place, open_))
        results.write_scores(place, scores)
        found.append(
          (place.name, scores, new.isdisjoint(fit.path for fit in made))
        )
      except CmnistError as error:
        failures.append(f'{subset.name}: {error}')
  return Benchmark(tuple(found), tuple(failures), tuple(_notes(todo)))


def _pack(make_model: Callable[[int], Any], name: str) -> tuple[bytes, str]:
  """Returns a function, pickled, and what there is to say of its code."""
  with needs_extra('A benchmark', 'scoring'):
    import cloudpickle
  code = f'{make_model.__module__}:{name}'
  with contextlib.suppress(OSError, TypeError):  # A notebook has no file.
    source = inspect.getsource(inspect.getmodule(make_model) or make_model)
    code += f', SHA-256 {hashlib.sha256(source.encode()).hexdigest()}'
  try:
    return cloudpickle.dumps(make_model), code
  except Exception as error:  # The objects of users may raise any.
    raise PreparationError(
      f'{name} cannot be sent to the processes of fits: {error}. Make in it what'
      ' it needs.'
    ) from error


def _plan(
  wanted: Wanted, method: str, code: str, seeds: Sequence[int]
) -> Iterator[_Planned]:
  """Yields the results of a subset, with the fits that they are made of."""
  for subset, suffix, draws in results.training_sets(wanted):
    data = dict(wanted.open_(subset.full).digests)
    place = wanted.folder / subset.name / f'{method}{suffix}'
    _check_place(place, code, data)
    runs = itertools.product(draws, seeds)
    records = (Record(subset.name, *run, code, data) for run in runs)
    yield subset, place, [Fit(place, method, record) for record in records]


def _check_place(place: pathlib.Path, code: str, data: dict[str, str]) -> None:
  """Checks that a folder has no fits but those of this code and these data."""
  for other in (place.with_suffix('.npz'), place.with_suffix('.json')):
    if other.exists() and not place.is_dir():
      raise errors.PredictionsError(
        f'{other} is a result with the same name and without a folder of fits.'
        ' Give the method another name, or choose another folder.'
      )
  expected = {'code': code, **data}
  for path in place.glob('*.npz'):
    record = fits.read_record(path)
    found = {'code': record.code, **record.data}
    for of, value in expected.items():
      if found.get(of) != value:
        raise errors.PredictionsError(
          f'{place} has fits of another version: expected {of} {value},'
          f' found {found.get(of)}. Give the method another name, choose another'
          ' folder, or move this one away.'
        )


def _parallel(
  start: Callable[[Fit], str],
  todo: Sequence[Fit],
  jobs: int,
  backend: str,
  scheduler: str | None,
) -> Iterator[str]:
  """Yields what a function returns for each fit, as soon as it does."""
  import joblib

  with contextlib.ExitStack() as stack:
    if backend == 'dask' and todo:
      with needs_extra('The backend dask', 'cluster'):
        from distributed import Client
      workers = joblib.effective_n_jobs(jobs)
      local = {'n_workers': workers, 'threads_per_worker': 1}
      try:
        stack.enter_context(Client(scheduler, **({} if scheduler else local)))
      except (OSError, ValueError) as error:
        raise PreparationError(
          f'the scheduler {scheduler} of Dask: {error}. Start it, or correct the'
          ' address.'
        ) from error
    if backend == 'ray' and todo:
      with needs_extra('The backend ray', 'cluster'):
        from ray.util.joblib import register_ray
      register_ray()
    stack.enter_context(joblib.parallel_config(backend, n_jobs=jobs))
    # Ray gives all results at once.
    how = 'list' if backend == 'ray' else 'generator_unordered'
    parallel = joblib.Parallel(
      batch_size=1, pre_dispatch='n_jobs', return_as=how
    )
    try:
      yield from parallel(map(joblib.delayed(start), todo))
    except CmnistError:
      raise
    except Exception as error:  # Each backend has errors of its own.
      raise PreparationError(
        f'{backend} failed: {type(error).__name__}: {error}. What is finished is'
        ' kept. Run the same command again.'
      ) from error


def _notes(made: Sequence[Fit]) -> Iterator[str]:
  """Yields what there is to say of fits that did not fail, with the first one."""
  told: dict[str, str] = {}
  for fit in made:
    record = fits.read_record(fit.path)
    for note in (*record.notes, *record.warnings) if not record.error else ():
      kind = re.sub(r'\d+', '', note)  # Fits differ in the examples they name.
      told.setdefault(kind, f'{fit.title}, and perhaps others: {note}')
  yield from told.values()

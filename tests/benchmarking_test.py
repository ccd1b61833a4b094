# SPDX-License-Identifier: Apache-2.0
"""A model is run on many subsets: files, failures, processes, versions."""

from __future__ import annotations

import json
import os
import pathlib
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import running
from command_line import run

import cmnist_tfds
from cmnist_tfds import subsets
from cmnist_tfds.scoring import fits, predictions, suites
from cmnist_tfds.system.errors import CmnistError

pytest.importorskip('joblib', reason='joblib, of the extra scoring')

_MODELS = """
import os, threading, warnings
import numpy as np

class Means:
  '''The class whose mean image is nearest.'''
  def __init__(self, seed):
    self.seed = seed
  def fit(self, x, y):
    assert (x.dtype, x.shape[1:], y.dtype) == ('uint8', (28, 28), 'int64')
    warnings.warn('fitted')
    self.means = np.stack([x[y == c].mean(axis=0) for c in np.unique(y)])
    self.noise = np.random.rand(len(self.means)) * 1e5 * self.seed
  def predict(self, x):
    return self.decision_function(x).argmax(axis=1)
  def decision_function(self, x):
    return -((x[:, None] - self.means) ** 2).sum(axis=(2, 3)) - self.noise

class Bad(Means):
  def predict(self, x):
    right = super().predict(x)
    if self.seed == 6:
      os.kill(os.getpid(), 9)
    return {
      1: right, 2: right[:-1], 3: right * np.nan, 4: right + 20, 5: None,
    }[self.seed]

class Unsure(Means):
  def predict(self, x):
    found = super().predict(x)
    found[self.seed] = (found[self.seed] + 1) % 20
    return found

def make_model(seed):
  return Means(seed)

def make_unsure(seed):
  return Unsure(seed)

def make_bad(seed):
  if seed == 5:
    raise ValueError('no\\nmodel')
  return Bad(seed)

lock = threading.Lock()

def make_locked(seed):
  return lock
"""


class _Hanging:
  def __init__(self, path):
    self._path = path

  def fit(self, *_):
    pathlib.Path(self._path).write_text(str(os.getpid()))
    time.sleep(600)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """A folder with `means.py` and the results of running it."""
  made = tmp_path_factory.mktemp('benchmark')
  (made / 'means.py').write_text(_MODELS)
  found = _benchmark(made, 'serial')
  assert not found.failures
  assert [(n, was_there) for n, _, was_there in found.results] == [
    ('means', False),
    ('means-draws', False),
  ]
  return made


def _benchmark(folder, output, **options):
  with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(folder)
    import means

    return cmnist_tfds.benchmark(
      means.make_model,
      ['cmnist_sample/2-FKd-r-1'],
      **{'method': 'means', 'draws': 1, 'seeds': 2} | options,
      output=folder / output,
      data_dir=folder / 'data',
    )


def _files(folder):
  """What the files of a folder hold, but for the records of times."""
  files = [p for p in folder.rglob('*') if p.is_file()]
  scores = [p for p in files if p.parent.name.startswith('2-FKd')]
  kept = [*scores, *folder.rglob('*.npz')]
  return {str(p.relative_to(folder)): p.read_bytes() for p in kept}


def test_each_fit_has_a_file_of_predictions_and_a_record(folder):
  place = folder / 'serial/2-FKd-r-1'
  names = ['means-draws.json', 'means.json']
  names += [f'means/0-{seed}.npz' for seed in (1, 2)]
  names += [f'means-draws/1-{seed}.npz' for seed in (1, 2)]
  assert {*_files(place)} == {*names}
  found = predictions.read_predictions(place / 'means-draws/1-2.npz')
  assert (found.draws, found.seeds) == ((1,), (2,))
  assert (found.score_kind, found.scores.shape) == ('other', (1, 480, 20))
  assert found.about['code'].startswith('means:make_model, SHA-256 ')
  record = fits.read_record(place / 'means-draws/1-2.npz')
  assert (record.subset, record.draw, record.seed) == ('2-FKd-r-1', 1, 2)
  assert record.warnings == ['UserWarning: fitted']
  assert record.fit_seconds > 0 < record.predict_seconds
  assert 'OMP_NUM_THREADS=1' in record.device
  assert record.versions['numpy'] == np.__version__
  if sys.platform == 'linux':
    assert record.peak_memory > 20e6


def test_what_is_there_is_not_made_again(folder):
  before = {p: p.stat().st_mtime_ns for p in folder.rglob('*.*')}
  found = _benchmark(folder, 'serial')
  assert all(was_there for *_, was_there in found.results)
  assert before == {p: p.stat().st_mtime_ns for p in folder.rglob('*.*')}


def test_shards_in_parallel_give_the_same_bytes(folder):
  first = _benchmark(folder, 'shards', shard=(1, 2), jobs=2)
  assert len(first.results) == 0
  second = _benchmark(folder, 'shards', shard=(2, 2))
  assert len(second.results) == 2
  assert _files(folder / 'shards') == _files(folder / 'serial')


@pytest.mark.slow
def test_two_workers_of_dask_give_the_same_bytes(folder):
  distributed = pytest.importorskip('distributed', reason='the extra cluster')
  with distributed.LocalCluster(
    n_workers=2, threads_per_worker=1, dashboard_address=None
  ) as cluster:
    where = {'backend': 'dask', 'scheduler': cluster.scheduler_address}
    assert not _benchmark(folder, 'dask', **where).failures
  assert _files(folder / 'dask') == _files(folder / 'serial')


def test_a_folder_is_evaluated_and_compared(folder):
  place = folder / 'serial/2-FKd-r-1/means'
  where = {'sample': True, 'data_dir': folder / 'data'}
  scores = cmnist_tfds.evaluate('2-FKd-r-1', place, **where)
  assert [run.seed for run in scores.runs] == [1, 2]
  written = json.loads(place.with_suffix('.json').read_text('utf-8'))
  assert written['accuracy']['value'] == round(scores.accuracy.value, 8)
  compared = cmnist_tfds.compare('2-FKd-r-1', place, place, **where)
  assert compared.difference.value == 0
  with pytest.raises(CmnistError, match='no files'):
    cmnist_tfds.evaluate('2-FKd-r-1', folder / 'serial', **where)


@pytest.fixture
def command(capsys, folder, tmp_path):
  """Runs `cmnist run` on 2-FKd-r-1 of the sample."""

  def run_(function, *argv, names=('2-FKd-r-1',)):
    where = ('--sample', '--data_dir', folder / 'data', '-o', tmp_path / 'out')
    named = f'{folder / "means.py"}:{function}'
    return run(capsys, 'run', named, *names, *where, *argv)

  return run_


def test_a_failure_is_a_line_and_the_rest_goes_on(command, tmp_path):
  status, out, err = command('make_bad', '--seeds', '6', '--jobs', '2')
  assert (status, out) == (1, '')
  lines = [line for line in err.splitlines() if ', seed ' in line]
  expected = ('expected integers', 'NaN 480 times', 'numbers 0 to 19')
  expected += ('make_model(5) raised ValueError: no model', 'with status -9')
  for seed, (line, told) in enumerate(zip(lines[1:], expected, strict=True), 2):
    assert line.startswith('cmnist: means on 2-FKd-r-1, draw 0, seed ')
    assert f'seed {seed}: ' in line
    assert told in line
  assert 'UserWarning: fitted' in lines[0]  # Of the one that works.
  place = tmp_path / 'out/2-FKd-r-1/means'
  assert [p.name for p in place.glob('*.npz')] == ['0-1.npz']
  assert 'no\nmodel' in fits.read_record(place / '0-5.npz').traceback
  status, out, _ = command('make_bad')
  assert status == 0
  assert 'was there' in out


def test_a_warning_of_several_fits_is_told_once(command):
  status, _, err = command('make_unsure', '--seeds', '2')
  assert status == 0
  (line,) = [t for t in err.splitlines() if 'no scores of decision' in t]
  assert 'draw 0, seed 1, and perhaps others' in line
  assert 'example 1 ' in line


def test_results_of_other_versions_are_left_alone(command, folder, tmp_path):
  copied = tmp_path / 'out/2-FKd-r-1/means'
  copied.mkdir(parents=True)
  for path in (folder / 'serial/2-FKd-r-1/means').iterdir():
    (copied / path.name).write_bytes(path.read_bytes())
  before = _files(tmp_path)
  names = '2-FKd-r-1', '1-F-r-1'
  status, out, err = command('make_model', names=names)
  assert status == 1
  assert 'fits of another version: expected code means.py:make_model' in err
  assert '1-F-r-1' in out
  assert before.items() <= _files(tmp_path).items()
  record = copied / '0-1.json'
  record.write_text(record.read_text().replace('fit 1', 'fit 9'))
  status, _, err = command('make_model', names=names)
  assert status == 1
  assert "0-1.json is not the record of a fit: Invalid enum value 'cmni" in err


def _fit(tmp_path, make_model):
  data = {'sample': True, 'data_dir': str(tmp_path / 'data')}
  cloudpickle = pytest.importorskip('cloudpickle')
  cloudpickle.register_pickle_by_value(sys.modules[__name__])
  model = fits.Model(
    cloudpickle.dumps(make_model), data, {'OMP_NUM_THREADS': '1'}
  )
  return model, fits.Fit(
    tmp_path / 'm', 'm', fits.Record('1-F-r-1', 0, 1, 'c', {})
  )


def _run(made, timeout=None):
  model, fit = made
  return fits.run(model, timeout, fit)


@pytest.mark.slow
def test_a_fit_that_does_not_end_is_ended(tmp_path):
  pid = tmp_path / 'pid'
  error = _run(_fit(tmp_path, lambda _: _Hanging(pid)), 15)
  assert (
    error == 'm on 1-F-r-1, draw 0, seed 1: it did not end within 15 seconds'
  )
  assert fits.read_record(tmp_path / 'm/0-1.npz').error in error
  with pytest.raises(ProcessLookupError):
    os.kill(int(pid.read_text()), 0)


def test_a_fit_ends_with_the_process_that_waits_for_it(tmp_path):
  pid = tmp_path / 'pid'
  pickled = pickle.dumps(_fit(tmp_path, lambda _: _Hanging(pid)))
  (tmp_path / 'fit').write_bytes(pickled)
  code = (
    'import pickle, sys; from cmnist_tfds.scoring import fits;'
    'model, fit = pickle.load(open(sys.argv[1], "rb")); fits.run(model, None, fit)'
  )
  waiting = subprocess.Popen(
    [sys.executable, '-c', code, tmp_path / 'fit'],
    env={**os.environ, 'PYTHONPATH': str(running.REPOSITORY)},
  )
  _wait(lambda: pid.exists() and pid.read_text())
  waiting.send_signal(signal.SIGKILL)
  waiting.wait()

  def is_gone():
    stat = pathlib.Path('/proc', pid.read_text(), 'stat')
    return not stat.exists() or stat.read_text().split()[2] == 'Z'

  _wait(is_gone)


def _wait(condition):
  for _ in range(600):
    if condition():
      return
    time.sleep(0.1)
  raise AssertionError('it did not happen')


def test_the_classes_of_scikit_learn_get_rows(tmp_path):
  pytest.importorskip('sklearn', reason='scikit-learn, of the extra scoring')

  def make_model(seed):
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(1)

  assert not _run(_fit(tmp_path, make_model))
  found = predictions.read_predictions(tmp_path / 'm/0-1.npz')
  assert found.score_kind == 'probability'


@pytest.mark.parametrize(
  ('argv', 'status', 'told'),
  [
    ('means.py:make_model', 2, 'name the subsets, or give --suite'),
    ('means.py:make_model 1-F --suite nothing', 2, "invalid choice: 'nothing'"),
    ('means.py:make_model 1-F --shard 3/2', 2, 'expected i/n'),
    ('means.py:make_model 1-F --scheduler tcp://x:1', 2, '--backend dask'),
    ('means.py:make_model 1-F --method a/b', 1, 'expected letters'),
    ('means.py:nothing 1-F', 1, "no attribute 'nothing'"),
    ('means.py:lock 1-F', 1, '> is not a function of a seed'),
    ('ends.py:make_model 1-F', 1, 'cannot be imported: SystemExit: 3'),
    ('nowhere.py:make_model 1-F', 1, 'FileNotFoundError'),
    ('wrong.py:make_model 1-F', 1, 'SyntaxError'),
    ('means.py:make_locked 1-F', 1, 'make_locked cannot be sent'),
  ],
)
def test_wrong_arguments(capsys, folder, monkeypatch, argv, status, told):
  monkeypatch.chdir(folder)
  (folder / 'wrong.py').write_text('def')
  (folder / 'ends.py').write_text('raise SystemExit(3)')
  found, _, err = run(capsys, 'run', *argv.split(), '--sample')
  assert found == status
  assert told in err


# Suites ----------------------------------------------------------------------


def test_members_of_suites_are_subsets_with_reasons():
  assert [*suites.suites()] == [
    'single',
    'core',
    'few-shot',
    'paper',
    'available',
  ]
  for name in suites.suites():
    found = suites.members(name, sample=True)
    assert all(reason.strip() for reason in found.values())
  assert [*suites.members('paper')] == [*subsets.published()]
  assert len(suites.members('single')) == 11
  assert subsets.subset('2-FKd-r-10') in suites.members('few-shot')


def test_available_is_what_has_its_files(capsys, folder, tmp_path, monkeypatch):
  monkeypatch.setenv('CMNIST_CACHE_DIR', str(tmp_path / 'cache'))
  where = ('--data_dir', tmp_path, '--format', 'json')
  status, _, err = run(capsys, 'list', '--suite', 'available', *where)
  assert status == 1
  assert 'the files of no subset' in err
  named = ('run', folder / 'means.py:make_model', '1-Km', *where[:2])
  status, _, err = run(capsys, *named, '-o', tmp_path / 'out')
  assert status == 1
  assert '1-Km: its files are not here. Run: cmnist build 1-Km' in err
  for source in subsets.subset('2-FKd').sources:
    for file in source.origin_files:
      place = tmp_path / 'downloads/manual' / file.path
      place.parent.mkdir(parents=True, exist_ok=True)
      place.touch()
  status, out, _ = run(capsys, 'list', '--suite', 'available', *where)
  listed = json.loads(out)
  assert [row['name'] for row in listed] == ['1-F', '1-Kd', '2-FKd']
  assert {row['suite'] for row in listed} == {'available 1'}

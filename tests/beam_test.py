# SPDX-License-Identifier: Apache-2.0
"""Apache Beam writes the shards that a local build writes."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest
import tensorflow_datasets as tfds

from cmnist_tfds import subsets
from cmnist_tfds.cache import store
from cmnist_tfds.datasets.get_builder import get_builder
from cmnist_tfds.system.errors import MissingExtraError, PreparationError

_PROCESSES = (
  '--direct_running_mode=multi_processing',
  '--direct_num_workers=2',
)
_THREADS = ('--direct_running_mode=multi_threading', '--direct_num_workers=2')
_JOB_SERVICE = (
  '--runner=PortableRunner',
  '--job_endpoint=embed',
  '--environment_type=LOOPBACK',
)

_BUILD = """
import json, sys
import tensorflow_datasets as tfds
from apache_beam.options.pipeline_options import PipelineOptions
from cmnist_tfds import subsets
from cmnist_tfds.datasets.get_builder import get_builder

name, data_dir, num_shards, flags = sys.argv[1:]
builder = get_builder(subsets.subset(name), data_dir=data_dir, sample=True)
builder.download_and_prepare(
  download_config=tfds.download.DownloadConfig(
    num_shards=int(num_shards), beam_options=PipelineOptions(json.loads(flags))
  )
)
"""


@pytest.fixture(name='beam')
def _beam():
  return pytest.importorskip(
    'apache_beam', reason='Apache Beam, the extra `beam`, is not installed'
  )


@pytest.fixture
def direct_runner(beam):
  """The class of the runner that runs all in this process."""
  from apache_beam.runners.portability.fn_api_runner import FnApiRunner

  return FnApiRunner


def _build(name, data_dir, *, file_format=None, num_shards=3, **options):
  builder = get_builder(subsets.subset(name), data_dir=data_dir, sample=True)
  builder.download_and_prepare(
    file_format=file_format,
    download_config=tfds.download.DownloadConfig(
      num_shards=num_shards, **options
    ),
  )
  return _hashes(builder.data_path)


def _hashes(folder):
  return {
    path.name: hashlib.sha256(path.read_bytes()).hexdigest()
    for path in pathlib.Path(folder).iterdir()
  }


def _start(name, data_dir, num_shards, flags):
  """Starts a build in a process group of its own."""
  return subprocess.Popen(
    [
      *(sys.executable, '-c', _BUILD, name, data_dir),
      *(str(num_shards), json.dumps(flags)),
    ],
    start_new_session=True,
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
    env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
  )


def _left(data_dir):
  """Returns what is in the folder of all versions of a dataset."""
  folders = data_dir.glob('cmnist_sample/[!.]*')
  return [path for folder in folders for path in folder.iterdir()]


@pytest.mark.parametrize('file_format', ['tfrecord', 'array_record'])
@pytest.mark.parametrize('name', ['X-12', '2-FKd-r-10', 'X-12-r-5', '2-EcF'])
def test_same_bytes_as_a_local_build(name, file_format, beam, tmp_path):
  local = _build(name, tmp_path / 'local', file_format=file_format)
  with_beam = _build(
    name,
    tmp_path / 'beam',
    file_format=file_format,
    beam_runner='DirectRunner',
  )
  assert with_beam == local
  assert sum(file_format in shard for shard in local) == 6


def test_same_bytes_from_threads(beam, tmp_path):
  options = beam.options.pipeline_options.PipelineOptions(list(_THREADS))
  assert _build('X-12', tmp_path / 'b', beam_options=options) == _build(
    'X-12', tmp_path / 'local'
  )


@pytest.mark.parametrize(
  'flags', [_PROCESSES, _JOB_SERVICE], ids=['processes', 'job service']
)
def test_same_bytes_from_other_processes(flags, beam, tmp_path):
  local = _build('X-12', tmp_path / 'local')
  with _start('X-12', tmp_path / 'beam', 3, flags) as process:
    assert process.wait(120) == 0
  assert _hashes(tmp_path / 'beam/cmnist_sample/X-12/1.0.0') == local


def test_test_shards_of_the_full_subset_are_linked_to(beam, tmp_path):
  alone = _build('X-12-r-5', tmp_path / 'alone')
  _build('X-12', tmp_path / 'data')
  linked = _build('X-12-r-5', tmp_path / 'data', beam_runner='DirectRunner')
  assert linked == alone
  reduced, full = (
    tmp_path / 'data/cmnist_sample' / name / '1.0.0'
    for name in ('X-12-r-5', 'X-12')
  )
  (first, *_) = sorted(reduced.glob('*-test.*'))
  assert os.path.samefile(first, full / first.name)


def test_relative_folders_are_those_of_the_process_that_starts(
  beam, tmp_path, monkeypatch
):
  local = _build('X-12', tmp_path / 'local')
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv('CMNIST_CACHE_DIR', 'cache')
  assert _build('X-12', 'data', beam_runner='DirectRunner') == local


def test_shards_may_be_written_twice(direct_runner, tmp_path):
  class Retrying(direct_runner):
    def run_pipeline(self, pipeline, options):
      super().run_pipeline(pipeline, options)
      return super().run_pipeline(pipeline, options)

  with_beam = _build('X-12', tmp_path / 'beam', beam_runner=Retrying())
  assert with_beam == _build('X-12', tmp_path / 'local')


def test_shards_that_a_runner_loses_are_missed(direct_runner, tmp_path):
  class Losing(direct_runner):
    def run_pipeline(self, pipeline, options):
      result = super().run_pipeline(pipeline, options)
      next(tmp_path.rglob('*-test.tfrecord-00001-of-00003')).unlink()
      return result

  with pytest.raises(PreparationError, match='1 of 6 shards are missing'):
    _build('X-12', tmp_path, beam_runner=Losing())
  assert _left(tmp_path) == []


@pytest.mark.parametrize('change', ['removed', 'damaged', 'other'])
def test_workers_without_the_cache_leave_nothing(
  change, direct_runner, tmp_path, monkeypatch
):
  cache_dir = tmp_path / 'cache'
  monkeypatch.setenv('CMNIST_CACHE_DIR', str(cache_dir))

  class Elsewhere(direct_runner):
    def run_pipeline(self, pipeline, options):
      train, *_ = sorted(cache_dir.glob('encoded/F-train-*'))
      if change == 'removed':
        shutil.rmtree(train)
      elif change == 'damaged':
        data = bytearray((train / 'pngs.npy').read_bytes())
        data[-40] ^= 1
        (train / 'pngs.npy').write_bytes(data)
      else:
        (test,) = cache_dir.glob('encoded/F-test-*')
        shutil.rmtree(train)
        shutil.copytree(test, train)
      return super().run_pipeline(pipeline, options)

  with pytest.raises(PreparationError, match='CMNIST_CACHE_DIR') as caught:
    _build('2-FKd', tmp_path / 'data', beam_runner=Elsewhere())
  assert 'F-train' in str(caught.value)
  assert _left(tmp_path / 'data') == []


def test_a_cache_that_cannot_be_written_is_told(
  beam, tmp_path, monkeypatch, caplog
):
  local = _build('2-FKd', tmp_path / 'local')
  (tmp_path / 'file').touch()
  monkeypatch.setenv('CMNIST_CACHE_DIR', str(tmp_path / 'file'))
  with caplog.at_level(logging.ERROR, 'cmnist_tfds'):
    again = _build('2-FKd', tmp_path / 'again', beam_runner='DirectRunner')
  assert again == local
  assert 'without Apache Beam' in caplog.text
  assert store.CACHE_DIR_VARIABLE in caplog.text


def test_a_limit_on_examples_is_not_for_beam(beam, tmp_path, caplog):
  with caplog.at_level(logging.WARNING, 'cmnist_tfds'):
    _build(
      'X-12', tmp_path, beam_runner='DirectRunner', max_examples_per_split=10
    )
  assert 'without Apache Beam' in caplog.text


def test_the_dask_runner_is_refused(beam, direct_runner, tmp_path):
  class DaskRunner(direct_runner):
    """Has the name of the real one, which needs another package."""

  options = beam.options.pipeline_options.PipelineOptions(
    ['--runner=DaskRunner']
  )
  for given in (
    {'beam_runner': DaskRunner()},
    {'beam_runner': 'DaskRunner'},
    {'beam_runner': 'apache_beam.runners.dask.dask_runner.DaskRunner'},
    {'beam_options': options},
  ):
    with pytest.raises(PreparationError, match='loses the others'):
      _build('X-12', tmp_path, **given)
  assert _left(tmp_path) == []


def test_without_beam_the_extra_is_named(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, 'apache_beam', None)
  monkeypatch.delitem(sys.modules, 'apache_beam.options', raising=False)
  with pytest.raises(MissingExtraError, match=r'cmnist_tfds\[beam\]'):
    _build('X-12', tmp_path, beam_runner='DirectRunner')
  assert _left(tmp_path) == []


def _workers(session):
  """Returns the Beam workers in a session of processes."""
  found = []
  for status in pathlib.Path('/proc').glob('[0-9]*/stat'):
    try:
      fields = status.read_text().rpartition(')')[2].split()
      command = (status.parent / 'cmdline').read_bytes().split(b'\0')
    except OSError:  # The process has ended.
      continue
    if int(fields[3]) == session and b'-m' in command:
      found.append(int(status.parent.name))
  return found


@pytest.mark.skipif(not os.path.isdir('/proc'), reason='there is no /proc')
def test_a_worker_killed_midway_leaves_nothing(beam, tmp_path):
  data_dir = tmp_path / 'data'
  with _start('X-12', data_dir, 280, _PROCESSES) as process:
    while not any(data_dir.rglob('*tfrecord-00*-of-00280')):
      assert process.poll() is None
      time.sleep(0.01)
    workers = _workers(process.pid)
    assert workers
    for worker in workers:
      os.kill(worker, signal.SIGKILL)
    # Beam waits for its workers for ever.
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGKILL)
  assert not (data_dir / 'cmnist_sample/X-12/1.0.0').exists()
  again = _build('X-12', data_dir, num_shards=3, beam_runner='DirectRunner')
  assert again == _build('X-12', tmp_path / 'local')
  assert [path.name for path in _left(data_dir)] == ['1.0.0']

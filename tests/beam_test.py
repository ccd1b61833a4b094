# SPDX-License-Identifier: Apache-2.0
"""Apache Beam writes the shards that a local build writes."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest
import tensorflow_datasets as tfds
from preparing import prepare, shards
from synthetic import flip

from cmnist_tfds.system.errors import MissingExtraError, PreparationError

_THREADS = '--direct_running_mode=multi_threading --direct_num_workers=2'
_PROCESSES = '--direct_running_mode=multi_processing --direct_num_workers=2'
_JOB_SERVICE = (
  '--runner=PortableRunner --job_endpoint=embed --environment_type=LOOPBACK'
)


@pytest.fixture(name='beam')
def _beam():
  return pytest.importorskip(
    'apache_beam', reason='Apache Beam, the extra `cluster`, is not installed'
  )


@pytest.fixture
def direct_runner(beam):
  """The class of the runner that runs all in this process."""
  from apache_beam.runners.portability.fn_api_runner import FnApiRunner

  return FnApiRunner


def _build(name, data_dir, num_shards=3, **options):
  builder = prepare(data_dir, name, num_shards=num_shards, **options)
  return shards(builder, '*')


# Programs start workers, which import the main module.
_BUILD = """
import sys
from apache_beam.options.pipeline_options import PipelineOptions
from beam_test import _build
_build(sys.argv[1], sys.argv[2], num_shards=int(sys.argv[3]),
       beam_options=PipelineOptions(sys.argv[4].split()))
"""


def _versions(data_dir):
  return [path.name for path in data_dir.glob('cmnist_sample/[!.]*/*')]


@pytest.mark.parametrize('file_format', ['tfrecord', 'array_record'])
@pytest.mark.parametrize(
  ('name', 'limit'), [('X-12-r-5', None), ('2-EcF', None), ('X-12', 10)]
)
def test_same_bytes_as_a_local_build(name, limit, file_format, beam, tmp_path):
  how = {'file_format': file_format, 'max_examples_per_split': limit}
  local = _build(name, tmp_path / 'local', **how)
  with_beam = _build(name, tmp_path / 'beam', beam_runner='DirectRunner', **how)
  assert with_beam == local
  assert sum(file_format in shard for shard in local) == 6


@pytest.mark.slow
@pytest.mark.parametrize(
  'flags',
  [_THREADS, _PROCESSES, _JOB_SERVICE],
  ids=['threads', 'processes', 'job service'],
)
def test_same_bytes_from_other_workers(flags, beam, tmp_path):
  local = _build('X-12', tmp_path / 'local')
  # Workers are of its process group.
  with subprocess.Popen(
    [sys.executable, '-c', _BUILD, 'X-12', tmp_path / 'beam', '3', flags],
    cwd=pathlib.Path(__file__).parent,
    start_new_session=True,
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
    env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
  ) as process:
    assert process.wait(120) == 0
  found = tfds.builder('cmnist_sample/X-12', data_dir=tmp_path / 'beam')
  assert shards(found, '*') == local


@pytest.mark.parametrize('cache', ['cache', 'file'])
def test_folders_may_be_relative_and_a_cache_may_be_unusable(
  cache, beam, tmp_path, monkeypatch
):
  local = _build('X-12', tmp_path / 'local')
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'file').touch()
  monkeypatch.setenv('CMNIST_CACHE_DIR', cache)
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
  assert _versions(tmp_path) == []


@pytest.mark.parametrize(
  'change', [shutil.rmtree, lambda entry: flip(entry / 'pngs.npy', -40)]
)
def test_workers_without_the_cache_leave_nothing(
  change, direct_runner, empty_cache, tmp_path
):
  class Elsewhere(direct_runner):
    def run_pipeline(self, pipeline, options):
      (train,) = empty_cache.glob('encoded/unverified-F-train-*')
      change(train)
      return super().run_pipeline(pipeline, options)

  with pytest.raises(PreparationError, match='encoded/unverified-F-train'):
    _build('2-FKd', tmp_path, beam_runner=Elsewhere())
  assert _versions(tmp_path) == []


def test_without_beam_the_extra_is_named(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, 'apache_beam', None)
  with pytest.raises(MissingExtraError, match=r'\[cluster\]'):
    _build('X-12', tmp_path, beam_runner='DirectRunner')
  assert _versions(tmp_path) == []

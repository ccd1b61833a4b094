# SPDX-License-Identifier: Apache-2.0
"""A new dataset takes the place of the old one, wherever that is."""

from __future__ import annotations

import ctypes
import logging
import os
import pathlib
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest

from cmnist_tfds import cli, subsets
from cmnist_tfds.cache import prepared

_BUILD = ('build', '2-FKd', '--sample', '--data_dir')
_PLACE = pathlib.Path('cmnist_sample/2-FKd/1.0.0')


@pytest.fixture(scope='module')
def built(tmp_path_factory):
  folder = tmp_path_factory.mktemp('built')
  assert cli.main([*_BUILD, str(folder)]) == 0
  return folder


@pytest.fixture
def data_dir(built, tmp_path):
  """A data folder with a dataset that was built and then marked as the old."""
  folder = tmp_path / 'data'
  shutil.copytree(built, folder)
  _mark(folder)
  return folder


def _mark(folder):
  (folder / _PLACE / 'old').write_text('')


def _assert_new(data_dir, built, *, left=0):
  """Asserts that the new dataset is in place."""
  names = {path.name for path in (built / _PLACE).iterdir()}
  assert {path.name for path in (data_dir / _PLACE).iterdir()} == names
  for name in names:
    new = (data_dir / _PLACE / name).read_bytes()
    assert new == (built / _PLACE / name).read_bytes()
  assert len(_remains(data_dir)) == left


def _remains(data_dir):
  return [
    path
    for path in (data_dir / _PLACE).parent.iterdir()
    if path.name != _PLACE.name
  ]


def _overwrite(data_dir):
  return cli.main([*_BUILD, str(data_dir), '--overwrite'])


def test_it_is_exchanged(data_dir, built, record_property):
  folder = os.open(data_dir / _PLACE, os.O_RDONLY)
  assert _overwrite(data_dir) == 0
  os.close(folder)
  _assert_new(data_dir, built)
  record_property('surroundings', 'survived')


@pytest.mark.parametrize('library', [object(), TypeError()])
def test_a_system_that_cannot_exchange_renames(
  library, data_dir, built, monkeypatch, record_property
):
  def load(name, **kwargs):
    if isinstance(library, Exception):
      raise library
    return library

  monkeypatch.setattr(ctypes, 'CDLL', load)
  assert _overwrite(data_dir) == 0
  _assert_new(data_dir, built)
  record_property('surroundings', 'survived')


def _in_namespace(script, tmp_path):
  """Runs a shell script with mounts of its own, which only root may make."""
  if not sys.platform.startswith('linux') or not shutil.which('unshare'):
    pytest.skip('only Linux has mounts of one process')
  done = subprocess.run(
    ['unshare', '--mount', 'sh', '-e', '-c', script],
    cwd=tmp_path,
    env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
    capture_output=True,
    text=True,
    check=False,
  )
  if done.returncode == 77:
    pytest.skip('mounting a file system is not allowed')
  return done


_OVERLAY = (
  'mkdir upper work place && mount -t overlay overlay -o'
  ' lowerdir=data,upperdir=upper,workdir=work,redirect_dir=off place'
  ' || exit 77\n'
)


def test_a_folder_in_the_image_of_a_container(
  data_dir, built, tmp_path, record_property
):
  command = shlex.join([sys.executable, '-m', 'cmnist_tfds', *_BUILD, 'place'])
  done = _in_namespace(
    f'{_OVERLAY} {command} --overwrite && cp -r place seen', tmp_path
  )
  assert (done.returncode, done.stderr) == (0, '')
  _assert_new(tmp_path / 'seen', built)
  record_property('surroundings', 'survived')


def test_a_replacement_of_files_that_was_killed_is_finished(
  data_dir, built, tmp_path, record_property
):
  """The last file of the old dataset is gone, some new ones are there."""
  beside = data_dir / _PLACE.parent / 'incomplete.KILLED_1.0.0'
  shutil.copytree(built / _PLACE, beside / _PLACE)
  (data_dir / _PLACE / 'dataset_info.json').unlink()
  (data_dir / _PLACE / 'features.json').write_text('old')
  assert cli.main([*_BUILD, str(data_dir)]) == 0
  _assert_new(data_dir, built)
  record_property('surroundings', 'survived')


def test_remains_that_are_busy_are_told_and_tried_again(
  data_dir, built, tmp_path, record_property, caplog
):
  (data_dir / _PLACE / 'busy').mkdir()
  command = shlex.join([sys.executable, '-m', 'cmnist_tfds', *_BUILD, 'data'])
  done = _in_namespace(
    f'mount -t tmpfs tmpfs data/{_PLACE}/busy || exit 77\n'
    f'{command} --overwrite && {command} --overwrite',
    tmp_path,
  )
  assert done.returncode == 0, done.stderr
  assert 'refuses to remove it' in done.stderr
  assert 'Traceback' not in done.stderr
  _assert_new(data_dir, built, left=1)
  with caplog.at_level(logging.WARNING):
    assert _overwrite(data_dir) == 0
  _assert_new(data_dir, built)
  assert 'refuses' not in caplog.text
  record_property('surroundings', 'survived')


_REPLACE = """
import sys
from cmnist_tfds.datasets.cmnist_sample import cmnist_sample_dataset_builder
import tensorflow_datasets as tfds
for file_format in ['array_record', 'tfrecord'] * 3:
  builder = cmnist_sample_dataset_builder.Builder(
    data_dir=sys.argv[1], config='2-FKd')
  builder.download_and_prepare(
    file_format=file_format,
    download_config=tfds.download.DownloadConfig(
      download_mode=tfds.GenerateMode.REUSE_CACHE_IF_EXISTS, num_shards=1 + len(file_format) % 3))
"""


@pytest.mark.parametrize('exchanges', [True, False])
def test_readers_look_again_at_what_is_replaced(
  exchanges, data_dir, record_property
):
  """Another process replaces the dataset by one in another format."""
  (data_dir / _PLACE / 'old').unlink()
  opened = prepared.find_prepared(
    subsets.subset('2-FKd'), data_dir=data_dir, sample=True
  )
  expected = opened.split('test').read()
  part = opened.split('test[:50%]')
  no_exchange = 'import ctypes; ctypes.CDLL = lambda *a, **k: object()\n'
  replacing = subprocess.Popen(
    [
      sys.executable,
      '-c',
      ('' if exchanges else no_exchange) + _REPLACE,
      data_dir,
    ],
    env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
  )
  reads = 0
  while replacing.poll() is None or not reads:
    found = prepared.find_prepared(
      subsets.subset('2-FKd'), data_dir=data_dir, sample=True
    )
    # One that was opened long ago is of use too.
    for each in (found, opened):
      half = each.split('test[:50%]').read()
      for name, array in half.items():
        np.testing.assert_array_equal(array, expected[name][: len(array)])
    reads += 1
  assert replacing.returncode == 0
  np.testing.assert_array_equal(part.read()['image'], half['image'])
  record_property('surroundings', 'survived')

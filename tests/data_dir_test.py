# SPDX-License-Identifier: Apache-2.0
"""A data folder is the same place on disk wherever it is named."""

import os
import pathlib
import tempfile

import fsspec
import numpy as np
import pytest
import tensorflow_datasets as tfds
from command_line import status
from etils.epath import gpath

import cmnist_tfds
from cmnist_tfds import subsets
from cmnist_tfds.cache import prepared
from cmnist_tfds.system.errors import PreparationError

_NAME = 'X-12-r-1'
_SUBSET = subsets.subset(_NAME)
_INSIDE = pathlib.Path('cmnist_sample', _NAME, '1.0.0', 'dataset_info.json')


def _options(data_dir):
  return [] if data_dir is None else ['--data_dir', data_dir]


def _build(data_dir):
  assert status('build', _NAME, '--sample', *_options(data_dir)) == 0


def _load(data_dir, name=_NAME):
  return tfds.load(f'cmnist_sample/{name}', split='train', data_dir=data_dir)


def _assert_there(folder, data_dir, capsys):
  """Asserts that every way to read finds the dataset, and builds no other."""
  inode = os.stat(folder / _INSIDE).st_ino
  images = [example['image'] for example in tfds.as_numpy(_load(data_dir))]
  (x, _), _ = cmnist_tfds.load_data(_NAME, data_dir=data_dir, sample=True)
  np.testing.assert_array_equal(np.stack(images)[..., 0], x)
  _build(data_dir)
  capsys.readouterr()
  assert status('info', _NAME, '--sample', *_options(data_dir)) == 0
  where = prepared.dataset_dir(_SUBSET, data_dir=data_dir, sample=True)
  assert f'prepared  {where}\n' in capsys.readouterr().out
  assert where.samefile((folder / _INSIDE).parent)
  assert os.stat(folder / _INSIDE).st_ino == inode


@pytest.mark.parametrize(
  'name',
  [
    *('[1]', 'a[!b]', '*', '?', '{a,b}', '{SPLIT}', '(x)', 'a b', ' a '),
    *('line\nend', '#1', '%20', '%s', "it's", 'a\\b', 'a@2', '-x', 'a:b', '~'),
    *('$', '$no_such', 'データ', '😀', '.hidden', 'x-00000-of-00001', '1.0.0'),
    *('incomplete.AB_1.0.0', 'x' * 255),
  ],
  ids=lambda name: ascii(name[:30]),
)
def test_any_name_of_a_folder(tmp_path, name, capsys):
  folder = tmp_path / name
  _build(folder)
  assert list(tmp_path.iterdir()) == [folder]
  _assert_there(folder, folder, capsys)


@pytest.mark.parametrize(
  ('data_dir', 'place'),
  [
    ('data', 'work/data'),
    ('./data//', 'work/data'),
    ('.', 'work'),
    ('../data', 'data'),
    ('~/data', 'home/data'),
    ('./~/data', 'work/~/data'),
    ('${HOME}/data', 'home/data'),
    ('$CMNIST_TEST_DIR/a', 'other/a'),
    ('$CMNIST_TEST_UNSET/a', 'work/$CMNIST_TEST_UNSET/a'),
    ('link/data', 'target/data'),
    ('', 'home/tensorflow_datasets'),
    (None, 'home/tensorflow_datasets'),
  ],
)
@pytest.mark.parametrize('in_variable', [False, True])
def test_ways_to_write_a_folder(
  tmp_path, monkeypatch, data_dir, place, in_variable, capsys
):
  for folder in ('work', 'home', 'target'):
    (tmp_path / folder).mkdir()
  (tmp_path / 'work/link').symlink_to(tmp_path / 'target')
  monkeypatch.chdir(tmp_path / 'work')
  monkeypatch.setenv('HOME', str(tmp_path / 'home'))
  monkeypatch.setenv('CMNIST_TEST_DIR', str(tmp_path / 'other'))
  monkeypatch.delenv('TFDS_DATA_DIR', raising=False)
  if in_variable and data_dir is not None:
    monkeypatch.setenv('TFDS_DATA_DIR', data_dir)
    data_dir = None
  _load(data_dir)
  found = [path.relative_to(tmp_path) for path in tmp_path.rglob(_INSIDE.name)]
  assert found == [place / _INSIDE]
  _assert_there(tmp_path / place, data_dir, capsys)


def test_a_folder_that_tfds_was_told_of(tmp_path, monkeypatch):
  monkeypatch.setenv('TFDS_DATA_DIR', str(tmp_path / 'default'))
  _build(tmp_path / 'added')
  tfds.core.add_data_dir(tmp_path / 'added')
  try:
    _load(None)
  finally:
    tfds.core.utils.file_utils.clear_registered_data_dirs()
  assert not (tmp_path / 'default').exists()


@pytest.mark.parametrize(
  'data_dir', ['gs://bucket/data', 's3://bucket', 'http://host/data', 'gs:/b']
)
def test_nothing_is_built_at_a_remote_address(tmp_path, monkeypatch, data_dir):
  monkeypatch.chdir(tmp_path)
  for sample in ([], ['--sample']):
    assert status('build', _NAME, *sample, '--data_dir', data_dir) == 1
  with pytest.raises(PreparationError, match='is not a local path'):
    cmnist_tfds.load_data(_NAME, data_dir=data_dir, sample=True)
  assert list(tmp_path.iterdir()) == []


@pytest.fixture
def bucket(monkeypatch):
  """gs:// as files in memory."""
  monkeypatch.setattr(gpath, '_is_tf_installed', lambda: False)
  known = fsspec.registry.get('gcs')
  fsspec.register_implementation(
    'gcs', fsspec.get_filesystem_class('memory'), clobber=True
  )
  yield fsspec.filesystem('gcs')
  if known is not None:
    fsspec.register_implementation('gcs', known, clobber=True)


def test_a_copy_at_a_remote_address_is_read(bucket, sample_dir):
  info = pathlib.Path('cmnist_sample/X-12/1.0.0')
  for file in (sample_dir / info).iterdir():
    bucket.pipe(f'gs://bucket/data/{info}/{file.name}', file.read_bytes())
  builder = tfds.builder('cmnist_sample/X-12', data_dir='gs://bucket/data')
  builder.download_and_prepare()
  local = tfds.builder('cmnist_sample/X-12', data_dir=sample_dir)
  for split, expected in local.info.splits.items():
    found = builder.info.splits[split]
    assert found.num_examples == expected.num_examples
    (path,) = map(os.fspath, found.filepaths)
    assert path.startswith(f'gs://bucket/data/{info}/')


@pytest.mark.parametrize(
  'name',
  [
    *('x' * 256, 'x/' * 3000, 'circle', 'file', 'file/x', 'broken'),
    '~no_such_user_of_cmnist/x',
  ],
  ids=lambda name: ascii(name[:30]),
)
def test_what_cannot_be_a_folder_is_named(tmp_path, monkeypatch, capsys, name):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'file').touch()
  (tmp_path / 'circle').symlink_to('circle')
  (tmp_path / 'broken').symlink_to('nowhere')
  assert status('build', _NAME, '--sample', '--data_dir', name) == 1
  (line,) = capsys.readouterr().err.splitlines()
  assert name[:30].strip('/') in line


def test_builds_leave_nothing_in_the_temporary_folder(tmp_path, monkeypatch):
  temporary = tmp_path / 'tmp'
  temporary.mkdir()
  monkeypatch.setattr(tempfile, 'tempdir', str(temporary))
  for option in ([], ['--overwrite']):
    argv = ['build', _NAME, '--sample', '--data_dir', tmp_path / 'data']
    assert status(*argv, *option) == 0
  tfds.builder(f'cmnist_sample/{_NAME}', data_dir=tmp_path / 'other')
  assert list(temporary.iterdir()) == []

# SPDX-License-Identifier: Apache-2.0
"""A new dataset takes the place of the old one when it is finished."""

import errno
import os
import pathlib

import pytest
import tensorflow_datasets as tfds
from preparing import prepare

from cmnist_tfds import origin
from cmnist_tfds.system.errors import OriginFileError, PreparationError

_NAME = '2-FKd-r-1'
_OVERWRITE = {'download_mode': tfds.GenerateMode.REUSE_CACHE_IF_EXISTS}


def _versions(data_dir):
  return [p.name for p in (data_dir / 'cmnist_sample' / _NAME).iterdir()]


def _inode(data_dir):
  folder = data_dir / 'cmnist_sample' / _NAME / '1.0.0'
  return (folder / 'features.json').stat().st_ino


@pytest.mark.parametrize('file_format', ['tfrecord', 'array_record'])
def test_the_new_dataset_replaces_the_old_one(file_format, tmp_path):
  prepare(tmp_path, _NAME, file_format=file_format)
  old = _inode(tmp_path)
  builder = prepare(tmp_path, _NAME, file_format=file_format, **_OVERWRITE)
  assert _inode(tmp_path) != old
  assert builder.info.splits['train'].num_examples == 20
  assert builder.info.metadata['classes'][0]['train'] == 1
  assert file_format in os.fspath(builder.info.splits['test'].filepaths[0])
  assert _versions(tmp_path) == ['1.0.0']


@pytest.mark.parametrize('overwrite', [True, False])
def test_a_build_that_fails_leaves_what_was_there(
  overwrite, tmp_path, monkeypatch
):
  def fail_at_the_second_source(source, *args, **kwargs):
    if source.key == 'Kd':
      raise OriginFileError('damaged on purpose')
    return load_pieces(source, *args, **kwargs)

  if overwrite:
    prepare(tmp_path, _NAME)
  load_pieces = origin.load_split.load_pieces
  monkeypatch.setattr(
    origin.load_split, 'load_pieces', fail_at_the_second_source
  )
  with pytest.raises(OriginFileError, match='on purpose'):
    prepare(tmp_path, _NAME, **(_OVERWRITE if overwrite else {}))
  assert _versions(tmp_path) == (['1.0.0'] if overwrite else [])
  monkeypatch.undo()
  assert prepare(tmp_path, _NAME).info.splits['train'].num_examples == 20


def test_a_rename_that_fails_leaves_the_old_dataset(tmp_path, monkeypatch):
  prepare(tmp_path, _NAME)
  old = _inode(tmp_path)

  def fail(path, target):
    if 'incomplete' in os.fspath(path.parent):
      raise OSError(errno.EIO, os.strerror(errno.EIO))
    return rename(path, target)

  rename = pathlib.Path.rename
  monkeypatch.setattr(pathlib.Path, 'rename', fail)
  with pytest.raises(PreparationError, match='Input/output error'):
    prepare(tmp_path, _NAME, **_OVERWRITE)
  assert _versions(tmp_path) == ['1.0.0']
  assert _inode(tmp_path) == old

# SPDX-License-Identifier: Apache-2.0
"""A damaged dataset is one clear error, and overwriting mends it."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import preparing
import pytest
import tensorflow_datasets as tfds

import cmnist_tfds
from cmnist_tfds.system.errors import PreparationError

_NAME = 'X-12-r-1'
_PROGRAMS = pathlib.Path(__file__).parent / 'programs'


@pytest.fixture(scope='module')
def sound(tmp_path_factory):
  folder = tmp_path_factory.mktemp('sound')
  preparing.prepare(folder, _NAME)
  return folder


@pytest.fixture
def data_dir(sound, tmp_path):
  """A data folder with one prepared subset, which may be damaged."""
  return shutil.copytree(sound, tmp_path / 'data')


@pytest.fixture
def folder(data_dir):
  return data_dir / f'cmnist_sample/{_NAME}/1.0.0'


def load(data_dir):
  return cmnist_tfds.load_data(
    _NAME,
    split='train',
    features=('image', 'class_name'),
    data_dir=data_dir,
    sample=True,
  )


def check_told(data_dir, *parts):
  """Checks that all ways to read name the file and the remedy."""
  remedy = f'cmnist build {_NAME} --overwrite --sample --data_dir {data_dir}`'
  builder = tfds.builder(f'cmnist_sample/{_NAME}', data_dir=data_dir)
  for read in (
    lambda: load(data_dir),
    lambda: tfds.load(f'cmnist_sample/{_NAME}', data_dir=data_dir),
    builder.as_dataset,
    builder.download_and_prepare,
    lambda: builder.info.splits,
  ):
    with pytest.raises(PreparationError) as caught:
      read()
    for part in (*parts, remedy):
      assert part in str(caught.value)


def check_mended(data_dir, sound):
  mode = tfds.download.GenerateMode.REUSE_CACHE_IF_EXISTS
  builder = tfds.builder(f'cmnist_sample/{_NAME}', data_dir=data_dir)
  builder.download_and_prepare(
    download_config=tfds.download.DownloadConfig(download_mode=mode)
  )
  assert builder.info.splits['train'].num_examples == 12
  for array, expected in zip(load(data_dir), load(sound), strict=True):
    np.testing.assert_array_equal(array, expected)


def change(path, **changes):
  path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
  'file',
  ['dataset_info.json', 'features.json', 'metadata.json', 'label.labels.txt'],
)
@pytest.mark.parametrize(
  'content', [b'', b'{}', b'[]', bytes(99), b'\xff', b'[' * 99_999]
)
def test_a_damaged_file_is_named_and_mended(
  data_dir, folder, sound, file, content
):
  (folder / file).write_bytes(content)
  check_told(data_dir, f'{folder / file} is damaged')
  check_mended(data_dir, sound)


@pytest.mark.parametrize('make', [pathlib.Path.mkdir, os.mkfifo])
@pytest.mark.parametrize('file', ['dataset_info.json', 'source.labels.txt'])
def test_what_is_not_a_file_is_named_and_mended(
  data_dir, folder, sound, file, make
):
  (folder / file).unlink()
  make(folder / file)
  check_told(data_dir, f'{folder / file} is damaged', 'not a regular file')
  check_mended(data_dir, sound)


@pytest.mark.parametrize(
  'file', ['dataset_info.json', 'features.json', 'label.labels.txt', 'LICENSE']
)
def test_a_missing_file_is_named_and_mended(data_dir, folder, sound, file):
  (folder / file).unlink()
  check_told(data_dir, 'not a finished dataset', f'{file} is missing')
  check_mended(data_dir, sound)


@pytest.mark.parametrize(
  ('file', 'changes', 'why'),
  [
    ('dataset_info.json', {'version': '2.0.0'}, "'2.0.0' instead of 1.0.0"),
    ('dataset_info.json', {'configName': 'X-24'}, "'X-24' instead of X-12-r-1"),
    ('dataset_info.json', {'splits': []}, 'not train and test'),
    ('dataset_info.json', {'fileFormat': 7}, 'fileFormat'),
    ('metadata.json', {'classes': []}, 'its classes are others'),
    ('metadata.json', {'sources': []}, 'its sources are others'),
    ('metadata.json', {'balanced': 'yes'}, 'neither true nor false'),
    ('metadata.json', {'digests': {'train': 7}}, 'digests are no text'),
  ],
)
def test_other_facts_are_told(data_dir, folder, file, changes, why):
  change(folder / file, **changes)
  check_told(data_dir, str(folder / file), why)


def test_what_only_tfds_reads_is_told_by_its_builder(data_dir, folder):
  change(folder / 'dataset_info.json', description=['no', 'text'])
  with pytest.raises(PreparationError, match='TFDS cannot read it'):
    tfds.load(f'cmnist_sample/{_NAME}', data_dir=data_dir)


def test_a_forged_proof_or_count_is_told(data_dir, folder):
  path = folder / 'metadata.json'
  text = path.read_text()
  path.write_text(text.replace('"unverified"', '"sha356"', 1))
  check_told(data_dir, str(path), 'sha356')
  path.write_text(text.replace('"train": 1', '"train": 2', 1))
  check_told(data_dir, str(path), 'counts 13 examples of train')


def test_a_long_value_is_cut_in_the_error(data_dir, folder):
  path = folder / 'metadata.json'
  path.write_text(path.read_text().replace('unverified', '9\\n' * 5000, 1))
  with pytest.raises(PreparationError) as caught:
    load(data_dir)
  assert len(str(caught.value)) < 1000
  assert '\n' not in str(caught.value)


def test_other_class_names_are_never_given(data_dir, folder, sound):
  path = folder / 'label.labels.txt'
  path.write_text(path.read_text().replace('T-shirt/top', 'Shirt'))
  check_told(data_dir, str(path), 'it has other names than CMNIST-X-12-r-1')
  builder = tfds.builder(f'cmnist_sample/{_NAME}', data_dir=data_dir)
  assert 'T-shirt/top' in builder.info.features['label'].names
  check_mended(data_dir, sound)


@pytest.mark.parametrize('damage', ['missing', 'cut', 'folder'])
def test_tfds_is_not_given_a_missing_or_cut_shard(
  data_dir, folder, sound, damage
):
  (path,) = folder.glob('*-train.tfrecord-*')
  data = path.read_bytes()
  path.unlink()
  if damage == 'cut':
    path.write_bytes(data[:-20])
  elif damage == 'folder':
    path.mkdir()
  check_told(data_dir, str(folder))
  check_mended(data_dir, sound)


def test_a_builder_sees_that_another_has_mended(data_dir, folder, sound):
  builder = tfds.builder(f'cmnist_sample/{_NAME}', data_dir=data_dir)
  (folder / 'metadata.json').write_text('')
  late = tfds.builder(f'cmnist_sample/{_NAME}', data_dir=data_dir)
  with pytest.raises(PreparationError):
    builder.download_and_prepare()
  check_mended(data_dir, sound)
  late.download_and_prepare()
  assert late.info.splits['train'].num_examples == 12


def test_a_file_in_the_place_of_the_folder_is_mended(data_dir, folder, sound):
  shutil.rmtree(folder)
  folder.write_text('')
  check_told(data_dir, str(folder))
  check_mended(data_dir, sound)


def test_everything_is_on_disk_before_the_folder_gets_its_name(
  tmp_path, monkeypatch
):
  synced = set()

  def note(descriptor):
    synced.add(os.readlink(f'/proc/self/fd/{descriptor}'))

  monkeypatch.setattr(os, 'fsync', note)
  builder = tfds.builder(f'cmnist_sample/{_NAME}', data_dir=tmp_path)
  builder.download_and_prepare()
  folder = pathlib.Path(builder.data_dir)
  unfinished = {path for path in synced if 'incomplete' in path}
  names = {pathlib.Path(path).name for path in unfinished}
  assert {path.name for path in folder.iterdir()} <= names
  assert any(name.startswith('incomplete') for name in names)
  # The new name is on disk, too.
  assert str(folder.parent) in synced


@pytest.mark.parametrize(
  ('program', 'arguments', 'expected'),
  [
    # The seed is that of random damages.
    ('damage_metadata.py', ['--count', '10', '--seed', '240'], 'mended'),
    ('flip_bytes.py', ['--count', '150'], 'headers in the cache: right: 150'),
    ('flip_bytes.py', ['--count', '150', '--seed', '100000'], 'of shards'),
  ],
)
def test_the_counted_trials_give_nothing_else(program, arguments, expected):
  done = subprocess.run(
    [sys.executable, _PROGRAMS / program, *arguments],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stdout + done.stderr
  assert expected in done.stdout

# SPDX-License-Identifier: Apache-2.0
"""Arrays read from shards equal those of TFDS, and errors name the damage."""

from __future__ import annotations

import logging
import pathlib
import shutil
import subprocess
import sys

import framing
import numpy as np
import preparing
import pytest
import tensorflow_datasets as tfds
from cmnist_tfds.load.prepared import find_prepared

import cmnist_tfds
from cmnist_tfds.load.numpy_arrays import first_of_each_class
from cmnist_tfds.system import errors

X_12 = cmnist_tfds.subset('X-12')

FEATURES = ('image', 'label', 'source', 'source_label')


def by_tfds(data_dir, split, **kwargs):
  """The features as TFDS itself reads them, from one shard."""
  loaded = tfds.load(
    'cmnist_sample/X-12', split=split, data_dir=data_dir, batch_size=-1
  )
  loaded = {name: np.asarray(array) for name, array in loaded.items()}
  loaded['image'] = loaded['image'][..., 0]
  return tuple(loaded[name] for name in FEATURES)


def load_x12(data_dir, **kwargs):
  return cmnist_tfds.load_data('X-12', data_dir=data_dir, sample=True, **kwargs)


def check_equal(ours, theirs):
  for array, expected in zip(ours, theirs, strict=True):
    assert array.dtype == expected.dtype
    np.testing.assert_array_equal(array, expected)


def test_arrays_are_those_of_tfds(sample_dir):
  train, test = load_x12(sample_dir, features=FEATURES)
  check_equal(train, by_tfds(sample_dir, 'train'))
  check_equal(test, by_tfds(sample_dir, 'test'))


@pytest.mark.parametrize(
  'how',
  [
    {'file_format': 'array_record'},
    {'file_format': 'array_record', 'num_shards': 3},
    {'num_shards': 3},
    {'stock': True},
  ],
)
def test_other_ways_to_prepare_give_the_same(how, sample_dir, tmp_path):
  preparing.prepare(tmp_path, **how)
  expected = load_x12(sample_dir, features=FEATURES)
  for ours, theirs in zip(
    load_x12(tmp_path, features=FEATURES), expected, strict=True
  ):
    check_equal(ours, theirs)
  for split in ('train[:10%]', 'train[100:]+test', 'all', 'train[7:7]'):
    check_equal(
      load_x12(tmp_path, split=split), load_x12(sample_dir, split=split)
    )


def test_slices_are_slices(sample_dir):
  (x_train, y_train), (x_test, y_test) = load_x12(sample_dir)
  x, y = load_x12(sample_dir, split='train[50:]+test[:10]')
  np.testing.assert_array_equal(x, np.concatenate([x_train[50:], x_test[:10]]))
  np.testing.assert_array_equal(y, np.concatenate([y_train[50:], y_test[:10]]))


@pytest.mark.parametrize('prepared', [{}, {'num_shards': 3}])
def test_the_second_reading_gives_the_same(prepared, tmp_path):
  preparing.prepare(tmp_path, **prepared)
  part = load_x12(tmp_path, split='train[5:-5]', features=FEATURES)
  first = load_x12(tmp_path, split='train', features=FEATURES)
  check_equal(load_x12(tmp_path, split='train', features=FEATURES), first)
  check_equal([array[5:-5] for array in first], part)
  again = load_x12(tmp_path, split='train[5:-5]', features=FEATURES)
  check_equal(again, part)


def test_a_dataset_built_anew_is_read_anew(tmp_path):
  preparing.prepare(tmp_path, name='X-12')
  expected = load_x12(tmp_path)[0]
  folder = tmp_path / 'cmnist_sample/X-12/1.0.0'
  shutil.rmtree(folder)
  preparing.prepare(tmp_path, name='2-FKd')
  shutil.copytree(tmp_path / 'cmnist_sample/2-FKd/1.0.0', folder)
  with pytest.raises(errors.PreparationError, match='instead of X-12'):
    load_x12(tmp_path)
  shutil.rmtree(folder)
  preparing.prepare(tmp_path, name='X-12')
  check_equal(load_x12(tmp_path)[0], expected)


def test_features_are_what_was_asked_for(sample_dir):
  names, labels = load_x12(
    sample_dir, split='test', features=('class_name', 'label')
  )
  subset = cmnist_tfds.subset('X-12')
  assert names.tolist() == [subset.classes[i].name for i in labels]
  with pytest.raises(ValueError, match=r"\['size'\].*image, label"):
    load_x12(sample_dir, features=('image', 'size'))


def test_what_is_not_prepared_is_prepared(tmp_path):
  (x_train, y_train), _ = cmnist_tfds.load_data(
    'CMNIST-2-FKd-r-1', data_dir=tmp_path, sample=True
  )
  assert x_train.shape == (20, 28, 28)
  assert sorted(y_train) == list(range(20))
  assert find_prepared(
    cmnist_tfds.subset('2-FKd-r-1'), data_dir=tmp_path, sample=True
  )


def test_the_data_folder_is_that_of_tfds(sample_dir, monkeypatch):
  monkeypatch.setenv('TFDS_DATA_DIR', str(sample_dir))
  found = find_prepared(X_12, sample=True)
  assert found.folder == sample_dir / 'cmnist_sample/X-12/1.0.0'
  assert find_prepared(X_12) is None


def test_neither_tensorflow_nor_tfds_is_imported(sample_dir):
  program = pathlib.Path(__file__).parent / 'programs/load_without_tfds.py'
  subprocess.run([sys.executable, program, sample_dir], check=True)


def test_first_of_each_class(sample_dir):
  (images, labels), _ = load_x12(sample_dir)
  found = find_prepared(X_12, data_dir=sample_dir, sample=True)
  for count in (1, 3, 10**6):
    first = first_of_each_class(found, count)
    assert len(first) == 12
    for label, of_class in enumerate(first):
      expected = images[labels == label][:count]
      np.testing.assert_array_equal(np.stack(of_class), expected)


# Faults ----------------------------------------------------------------------


@pytest.fixture
def copy(sample_dir, tmp_path):
  """A data folder that may be damaged."""
  return shutil.copytree(sample_dir, tmp_path / 'data')


def only_file(data_dir, pattern):
  (path,) = data_dir.glob(f'cmnist_sample/X-12/1.0.0/{pattern}')
  return path


def flip_within(path, marker, number):
  """Damages one byte after the given occurrence of a marker."""
  data = bytearray(path.read_bytes())
  at = -1
  for _ in range(number + 1):
    at = data.index(marker, at + 1)
  data[at + len(marker)] ^= 1
  path.write_bytes(data)


def test_a_damaged_record_is_named(copy):
  path = only_file(copy, '*train*')
  flip_within(path, b'source_label', 5)
  with pytest.raises(errors.PreparationError, match='record 5,') as caught:
    load_x12(copy)
  assert str(path) in str(caught.value)


def test_a_damaged_array_record_is_named(tmp_path):
  preparing.prepare(tmp_path, file_format='array_record')
  path = only_file(tmp_path, '*train*')
  flip_within(path, b'source_label', 5)
  with pytest.raises(errors.PreparationError, match='record 5:') as caught:
    load_x12(tmp_path)
  assert str(path) in str(caught.value)


@pytest.mark.parametrize('file_format', ['tfrecord', 'array_record'])
def test_a_missing_or_short_shard_is_named(tmp_path, file_format):
  preparing.prepare(tmp_path, file_format=file_format)
  path = only_file(tmp_path, '*train*')
  path.write_bytes(only_file(tmp_path, '*test*').read_bytes())
  with pytest.raises(errors.PreparationError, match='records instead of'):
    load_x12(tmp_path)
  path.write_bytes(b'')
  with pytest.raises(errors.PreparationError, match='0 records instead of'):
    load_x12(tmp_path)
  path.unlink()
  with pytest.raises(errors.PreparationError, match='is missing'):
    load_x12(tmp_path)


def test_other_examples_are_refused(copy):
  from cmnist_tfds.formats import tfrecord

  path = only_file(copy, '*test*')
  records = tfrecord.File(path)
  written = records.records(np.arange(len(records)))
  written[3] = b'no example'
  path.write_bytes(b''.join(map(framing.frame, written)))
  with pytest.raises(
    errors.PreparationError, match='record 3 is not an example'
  ):
    load_x12(copy, split='test')


def test_an_image_of_another_size_is_refused(copy):
  from cmnist_tfds.formats import tfrecord

  path = only_file(copy, '*test*')
  records = tfrecord.File(path)
  written = records.records(np.arange(len(records)))
  written[3] = framing.encode(
    b'no image', {'label': 1, 'source': 0, 'source_label': 4}
  )
  path.write_bytes(b''.join(map(framing.frame, written)))
  with pytest.raises(errors.PreparationError, match=r'record 3 .*not a PNG'):
    load_x12(copy, split='test')


def test_an_unknown_format_is_refused(copy):
  path = only_file(copy, 'dataset_info.json')
  path.write_text(path.read_text().replace('"tfrecord"', '"bagz"'))
  with pytest.raises(errors.PreparationError, match=r'bagz.*tfrecord or'):
    load_x12(copy)


def test_an_unknown_split_is_refused(sample_dir):
  with pytest.raises(errors.SplitError, match='train, test, all'):
    load_x12(sample_dir, split='dev')


def test_a_file_that_is_not_there_is_named(tmp_path):
  with pytest.raises(errors.OriginFileError, match='fashion_mnist'):
    cmnist_tfds.load_data('2-FKd', data_dir=tmp_path)


@pytest.fixture
def as_real(copy):
  """The sample in the place of the real dataset."""
  (copy / 'cmnist_sample').rename(copy / 'cmnist')
  return copy


def load_as_real(data_dir):
  return cmnist_tfds.load_data('X-12', data_dir=data_dir)


def test_unverified_sources_are_told(as_real, sample_dir, caplog):
  with caplog.at_level(logging.WARNING):
    (x_train, _), _ = load_as_real(as_real)
  assert 'unverified origin files: emnist/' in caplog.text
  np.testing.assert_array_equal(x_train, load_x12(sample_dir)[0][0])


def test_the_sample_itself_is_not_warned_of(sample_dir, caplog):
  load_x12(sample_dir)
  assert not caplog.text


def test_other_code_is_told(as_real, caplog):
  (as_real / 'cmnist/X-12/1.0.0/metadata.json').unlink()
  load_as_real(as_real)
  assert 'does not say how its origin files' in caplog.text

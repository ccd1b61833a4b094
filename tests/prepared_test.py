# SPDX-License-Identifier: Apache-2.0
"""Prepared datasets are found, enter the cache once, and damage is named."""

import errno
import json
import logging
import pathlib
import shutil

import numpy as np
import preparing
import pytest
import synthetic
import tensorflow as tf

import cmnist_tfds
from cmnist_tfds.cache import store
from cmnist_tfds.load.open_subset import open_subset
from cmnist_tfds.system.errors import PreparationError

X_12 = cmnist_tfds.subset('X-12')
FEATURES = ('image', 'label', 'source', 'source_label')
PLACE = 'cmnist_sample/X-12/1.0.0'
REMEDY = 'Run `cmnist build X-12 --overwrite --sample --data_dir '


pytestmark = pytest.mark.usefixtures('empty_cache')


def prepare_for_others(data_dir, **how):
  """Prepares the sample as another package would: its shards are read."""
  preparing.prepare(data_dir, **how)
  (data_dir / PLACE / 'metadata.json').unlink()


@pytest.fixture
def data_dir(sample_dir, tmp_path):
  """The sample, prepared as by another package."""
  copy = shutil.copytree(sample_dir, tmp_path / 'data')
  (copy / PLACE / 'metadata.json').unlink()
  return copy


def load(data_dir, **kwargs):
  kwargs = {'features': FEATURES, 'sample': True, **kwargs}
  return cmnist_tfds.load_data('X-12', data_dir=data_dir, **kwargs)


def check_equal(ours, theirs):
  for split, expected in zip(ours, theirs, strict=True):
    for array, other in zip(split, expected, strict=True):
      np.testing.assert_array_equal(array, other, strict=True)


def entries_of_shards():
  return [e for e in store.entries('arrays') if str(PLACE) in e.description]


@pytest.mark.parametrize(
  'how',
  [{}, {'num_shards': 3}, {'file_format': 'array_record', 'num_shards': 3}],
)
def test_shards_enter_the_cache_once(how, sample_dir, tmp_path):
  prepare_for_others(tmp_path, **how)
  expected = load(sample_dir)
  assert not entries_of_shards()
  check_equal(load(tmp_path), expected)
  assert len(entries_of_shards()) == 2
  first = load(tmp_path, split='train[:3]+test')
  check_equal([first], [load(sample_dir, split='train[:3]+test')])
  assert len(entries_of_shards()) == 2
  found = open_subset(X_12, data_dir=tmp_path, sample=True)
  assert found.digests == {} and found.class_counts == [(120, 24)] * 12
  lengths = found.shard_lengths['train']
  assert len(lengths) == how.get('num_shards', 1)
  check_equal(
    [load(tmp_path, split='train[0shard]')],
    [[array[: lengths[0]] for array in expected[0]]],
  )


def test_a_dataset_of_the_same_sources_is_read_from_these(sample_dir):
  load(sample_dir)
  assert not entries_of_shards()
  found = open_subset(X_12, data_dir=sample_dir, sample=True)
  assert found.metadata['subset'] == 'X-12'
  assert found.folder == sample_dir / PLACE


def test_a_dataset_that_was_built_of_less_is_read_from_its_shards(tmp_path):
  builder = preparing.prepare(tmp_path, 'X-12-r-1')
  metadata = pathlib.Path(builder.data_path) / 'metadata.json'
  content = json.loads(metadata.read_text())
  content['digests']['train'] = 'of other files'
  metadata.write_text(json.dumps(content))
  cmnist_tfds.load_data('X-12-r-1', data_dir=tmp_path, sample=True)
  assert len(store.entries('arrays')) > 2


def test_a_dataset_built_anew_is_read_anew(data_dir):
  expected = load(data_dir)
  for path in (data_dir / PLACE).glob('*train*'):
    path.write_bytes(path.read_bytes())
  check_equal(load(data_dir), expected)
  assert len(entries_of_shards()) == 3


# Shards that cannot be read ----------------------------------------------------


def shard(data_dir, split='train'):
  (path,) = (data_dir / PLACE).glob(f'*{split}*-of-*')
  return path


def replace(path, record):
  """Replaces record 3."""
  records = [*tf.data.TFRecordDataset(path).as_numpy_iterator()]
  records[3] = record
  with tf.io.TFRecordWriter(str(path)) as writer:
    for each in records:
      writer.write(each)


def encode(png, label):
  return preparing.example(png, label, 0, 4).SerializeToString()


def flip(path, number):
  """Damages the record of a number."""
  at = -1
  for _ in range(number + 1):
    at = path.read_bytes().index(b'source_label', at + 1)
  synthetic.flip(path, at + 12)


def check_named(data_dir, *parts):
  with pytest.raises(PreparationError) as caught:
    load(data_dir)
  for part in parts:
    assert part in str(caught.value)
  assert '\n' not in str(caught.value)
  assert not entries_of_shards()


@pytest.mark.parametrize(
  ('damage', 'parts'),
  [
    (lambda path: flip(path, 5), ['record 5 fails its checksum']),
    (lambda path: path.write_bytes(b''), ['it has 0 records, not 1,440']),
    (
      lambda path: path.write_bytes(b'\1' + path.read_bytes()[1:]),
      ['the length of record 0 fails its checksum'],
    ),
    (
      lambda path: replace(path, b'no example'),
      ['record 3 is not an example of CMNIST-X-12'],
    ),
    (
      lambda path: replace(path, encode(b'no image', 1)),
      ['image 3 is damaged', 'PNG'],
    ),
    (lambda path: replace(path, encode(b'', -1)), ['record 3']),
  ],
)
def test_a_damaged_shard_is_named(damage, parts, data_dir):
  path = shard(data_dir)
  damage(path)
  check_named(data_dir, *parts, str(path), f'{REMEDY}{data_dir}`')


def test_a_damaged_array_record_is_named(tmp_path):
  prepare_for_others(tmp_path, file_format='array_record')
  path = shard(tmp_path)
  flip(path, 5)
  check_named(tmp_path, f'{path} is damaged', REMEDY)


def test_an_unknown_format_is_refused(data_dir):
  path = data_dir / PLACE / 'dataset_info.json'
  path.write_text(path.read_text().replace('"tfrecord"', '"bagz"'))
  for split in ('train', 'test'):
    path = shard(data_dir, split)
    path.rename(path.with_name(path.name.replace('tfrecord', 'bagz')))
  check_named(data_dir, 'bagz', 'tfrecord or array_record')


@pytest.mark.parametrize(
  ('number', 'remedy'),
  [
    (errno.EACCES, ' Ask its owner to make it readable.'),
    (errno.EMFILE, ' Raise the limit of open files (ulimit -n).'),
    (errno.ENFILE, ' Raise the limit of open files of all users.'),
    (errno.EIO, ' Check its disk, and the connection to it.'),
  ],
)
@pytest.mark.parametrize(
  ('name', 'method'),
  [
    *zip(['cmnist_sample-train*'] * 2, ['open', 'exists'], strict=True),
    *zip(['dataset_info.json'] * 2, ['exists', 'read_bytes'], strict=True),
  ],
)
def test_what_the_system_refuses_is_not_called_damage(
  name, method, number, remedy, data_dir, monkeypatch
):
  (path,) = (data_dir / PLACE).glob(name)
  original = getattr(pathlib.Path, method)

  def refuse(self, *args, **kwargs):
    if self == path:
      raise OSError(number, 'The reason')
    return original(self, *args, **kwargs)

  monkeypatch.setattr(pathlib.Path, method, refuse)
  with pytest.raises(PreparationError) as caught:
    load(data_dir)
  assert str(caught.value) == f'{path}: The reason.{remedy}'


# Descriptions that are damaged ----------------------------------------------------


@pytest.mark.parametrize('name', ['dataset_info.json', 'metadata.json'])
@pytest.mark.parametrize(
  'content',
  [b'', b'{}', b'null', b'{"splits": [3]}', {'subset': 'X-24'}, {'subset': 0}],
)
def test_a_damaged_description_is_named(name, content, sample_dir, tmp_path):
  copy = shutil.copytree(sample_dir, tmp_path / 'data')
  path = copy / PLACE / name
  if isinstance(content, dict):  # Metadata of another subset.
    path = copy / PLACE / 'metadata.json'
    content = json.dumps(json.loads(path.read_text()) | content).encode()
  path.write_bytes(content)
  check_named(copy, f'{path} is damaged', f'{REMEDY}{copy}`')


def test_a_folder_without_a_description_is_no_dataset(data_dir, sample_dir):
  (data_dir / PLACE / 'dataset_info.json').unlink()
  check_equal(load(data_dir), load(sample_dir))
  assert open_subset(X_12, data_dir=data_dir, sample=True).prepared is None


# Warnings ---------------------------------------------------------------------


@pytest.mark.parametrize('metadata', [True, False])
def test_data_that_nothing_proves_are_warned_of_once(
  metadata, sample_dir, tmp_path, caplog
):
  # The sample, in the place of the real dataset.
  place = tmp_path / 'cmnist/X-12/1.0.0'
  shutil.copytree(sample_dir / PLACE, place)
  for path in place.glob('cmnist_sample-*'):
    path.rename(path.with_name(path.name.replace('_sample', '')))
  if not metadata:
    (place / 'metadata.json').unlink()
  with caplog.at_level(logging.WARNING):
    for _ in range(2):
      found = load(tmp_path, sample=False)
  (record,) = caplog.records
  assert (
    'unverified origin files: emnist/' if metadata else 'how its origin files'
  ) in record.message
  check_equal(found, load(sample_dir))


def test_the_sample_itself_is_not_warned_of(data_dir, caplog):
  load(data_dir)
  assert not caplog.records

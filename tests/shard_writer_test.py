# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os

import encoded_sources
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from array_record.python import array_record_data_source
from tensorflow_datasets.core import (
  example_serializer,
  file_adapters,
  naming,
)
from tensorflow_datasets.core import writer as writer_lib
from tensorflow_datasets.core.utils import shard_utils

from cmnist_tfds.cache.shuffle_order import shuffle_order
from cmnist_tfds.datasets.fast_path import shard_writer
from cmnist_tfds.datasets.fast_path.records import SplitRecords
from cmnist_tfds.formats import tfrecord
from cmnist_tfds.system import errors

COUNTS = (300, 200)
FEATURES = tfds.features.FeaturesDict(
  {
    'image': tfds.features.Image(shape=(28, 28, 1), encoding_format='png'),
    'label': tfds.features.ClassLabel(num_classes=20),
    'source': tfds.features.ClassLabel(num_classes=2),
    'source_label': np.int64,
  }
)


def read(path):
  file = tfrecord.File(path)
  return file.records(np.arange(len(file)))


def make_source(number, count):
  rng = np.random.default_rng(number)
  return encoded_sources.encode(
    rng.integers(0, 256, (count, 28, 28), np.uint8),
    rng.integers(0, 10, count).astype(np.uint8),
    number=number,
    first_label=10 * number,
    raw_labels=range(10),
  )


@pytest.fixture(scope='module')
def sources():
  return [make_source(number, count) for number, count in enumerate(COUNTS)]


@pytest.fixture(scope='module')
def split(sources):
  return SplitRecords(sources, shuffle_order('train', sum(COUNTS)))


def template(folder, suffix):
  return naming.ShardedFileTemplate(
    data_dir=folder,
    dataset_name='cmnist',
    split='train',
    filetype_suffix=suffix,
  )


def paths_and_ends(folder, suffix, num_shards):
  paths = [
    template(folder, suffix).sharded_filepath(
      shard_index=i, num_shards=num_shards
    )
    for i in range(num_shards)
  ]
  return paths, shard_utils.get_shard_boundaries(sum(COUNTS), num_shards)


def write_as_tfds(folder, sources, num_shards, suffix='tfrecord'):
  """Writes the same examples with TFDS's own writer."""
  writer = writer_lib.Writer(
    serializer=example_serializer.ExampleSerializer(
      FEATURES.get_serialized_info()
    ),
    filename_template=template(folder, suffix),
    hash_salt='train',
    disable_shuffling=False,
    example_writer=writer_lib.ExampleWriter(
      file_adapters.FileFormat.from_value(suffix)
    ),
    shard_config=shard_utils.ShardConfig(num_shards=num_shards),
  )
  along = [f for source in sources for f in encoded_sources.features(source)]
  for key, (image, integers) in enumerate(along):
    writer.write(key, FEATURES.encode_example({'image': image, **integers}))
  return writer.finalize()


def parse(data):
  return [tf.train.Example.FromString(d) for d in data]


@pytest.mark.parametrize('num_shards', [1, 3])
def test_shards_hold_what_tfds_writes(tmp_path, sources, split, num_shards):
  theirs, ours = tmp_path / 'theirs', tmp_path / 'ours'
  theirs.mkdir()
  ours.mkdir()
  lengths, num_bytes = write_as_tfds(theirs, sources, num_shards)
  paths, ends = paths_and_ends(ours, 'tfrecord', num_shards)
  shard_writer.write_tfrecords(split, paths, ends)
  assert split.num_bytes == num_bytes
  assert np.diff([0, *ends]).tolist() == lengths
  names = sorted(os.listdir(ours))
  assert names == sorted(os.listdir(theirs))
  for name in names:
    by_tensorflow = tf.data.TFRecordDataset(str(ours / name))
    data = list(by_tensorflow.as_numpy_iterator())
    assert data == read(ours / name)
    assert parse(data) == parse(read(theirs / name))
    assert os.path.getsize(ours / name) == os.path.getsize(theirs / name)


def test_two_writes_give_the_same_bytes(tmp_path, split):
  for path in [tmp_path / 'a', tmp_path / 'b']:
    shard_writer.write_tfrecords(split, [path], [len(split)])
  assert (tmp_path / 'a').read_bytes() == (tmp_path / 'b').read_bytes()


def test_many_records_in_unequal_shards(tmp_path):
  rng = np.random.default_rng(0)
  source = encoded_sources.encode(
    np.arange(256, dtype=np.uint8).repeat(784 * 80).reshape(-1, 28, 28),
    rng.integers(0, 62, 256 * 80).astype(np.uint8),
  )
  along = encoded_sources.serialized([source])
  order = rng.permutation(len(source))
  paths = [tmp_path / str(number) for number in range(4)]
  ends = [1, 8193, 20_000, len(source)]
  shard_writer.write_tfrecords(SplitRecords([source], order), paths, ends)
  found = [record for path in paths for record in read(path)]
  assert found == [along[number] for number in order]
  lengths = [len(tfrecord.File(path)) for path in paths]
  assert np.cumsum(lengths).tolist() == ends


def test_what_was_there_is_replaced(tmp_path, split):
  path = tmp_path / 'a'
  path.write_bytes(bytes(10_000_000))
  shard_writer.write_tfrecords(split, [path], [len(split)])
  assert len(tfrecord.File(path)) == len(split)


@pytest.mark.parametrize('num_shards', [1, 3])
def test_array_records_hold_the_same(tmp_path, split, num_shards):
  paths, ends = paths_and_ends(tmp_path, 'array_record', num_shards)
  shard_writer.write_array_records(split, paths, ends)
  source = array_record_data_source.ArrayRecordDataSource(
    [os.fspath(path) for path in paths]
  )
  assert len(source) == len(split)
  found = source.__getitems__(range(len(split)))
  assert found == list(split.examples(0, len(split)))


@pytest.mark.parametrize(
  'write', [shard_writer.write_tfrecords, shard_writer.write_array_records]
)
def test_a_folder_that_is_not_there_is_named(tmp_path, split, write):
  path = tmp_path / 'missing' / 'a'
  with pytest.raises(errors.PreparationError, match='No such file') as info:
    write(split, [path], [len(split)])
  assert str(path) in str(info.value)


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='no /dev/full')
@pytest.mark.parametrize(
  'write', [shard_writer.write_tfrecords, shard_writer.write_array_records]
)
def test_a_full_disk_is_named(split, write):
  with pytest.raises(errors.PreparationError, match='No space left'):
    write(split, ['/dev/full'], [len(split)])

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os

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

from cmnist_tfds import errors
from cmnist_tfds.cache import split_sources, store
from cmnist_tfds.cache.shuffle_order import order
from cmnist_tfds.datasets.fast_path import records, shard_writer
from cmnist_tfds.formats import tfrecord

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


@pytest.fixture(scope='module')
def pieces(tmp_path_factory):
  folder = tmp_path_factory.mktemp('cache')
  made = []
  for source, count in enumerate(COUNTS):
    rng = np.random.default_rng(source)
    images = rng.integers(0, 256, (count, 28, 28)).astype(np.uint8)
    labels = rng.integers(0, 10, count).astype(np.uint8)
    found = store.open_or_encode(
      str(source), lambda of=(images, labels): store.Loaded(*of, {}), folder
    )
    table = np.full(256, -1)
    table[:10] = np.arange(10) + 10 * source
    made.append(split_sources.Piece(found, np.arange(count), table, source))
  return made


@pytest.fixture(scope='module')
def split(pieces):
  return records.Records(pieces, order('train', sum(COUNTS)))


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


def write_as_tfds(folder, pieces, num_shards, suffix='tfrecord'):
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
  key = 0
  for piece in pieces:
    for row in piece.rows:
      raw_label = int(piece.store.labels[row])
      writer.write(
        key,
        FEATURES.encode_example(
          {
            'image': piece.store.png(row),
            'label': int(piece.labels[raw_label]),
            'source': piece.source,
            'source_label': raw_label,
          }
        ),
      )
      key += 1
  return writer.finalize()


def parse(data):
  return [tf.train.Example.FromString(d) for d in data]


@pytest.mark.parametrize('num_shards', [1, 3])
def test_shards_hold_what_tfds_writes(tmp_path, pieces, split, num_shards):
  theirs, ours = tmp_path / 'theirs', tmp_path / 'ours'
  theirs.mkdir()
  ours.mkdir()
  lengths, num_bytes = write_as_tfds(theirs, pieces, num_shards)
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


def test_runs_meet_without_a_gap(tmp_path, split, monkeypatch):
  shard_writer.write_tfrecords(split, [tmp_path / 'a'], [len(split)])
  for at_once in [1, 7, len(split) - 1]:
    monkeypatch.setattr(shard_writer, '_AT_ONCE', at_once)
    shard_writer.write_tfrecords(split, [tmp_path / 'b'], [len(split)])
    assert (tmp_path / 'a').read_bytes() == (tmp_path / 'b').read_bytes()


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

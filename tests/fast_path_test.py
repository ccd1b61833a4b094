# SPDX-License-Identifier: Apache-2.0
"""Shards have the right examples, however many shards there are."""

import json
import os
import pathlib

import numpy as np
import pytest
from preparing import prepare, shards
from tensorflow_datasets.core import hashing

from cmnist_tfds import origin, sample


@pytest.mark.parametrize('name', ['3-EElKm', '2-FKd-r-10', '2-EcF'])
def test_more_shards_have_the_same_records(name, tmp_path):
  three = shards(prepare(tmp_path / 'three', name, num_shards=3))
  one = shards(prepare(tmp_path / 'one', name))
  assert len(three) == 6
  assert b''.join(three.values()) == b''.join(one.values())


def test_a_limit_takes_the_first_examples_in_tfds_order(tmp_path):
  limited = prepare(tmp_path / 'limited', '2-FKd', max_examples_per_split=30)
  classes = limited.info.metadata['classes']
  for split in ('train', 'test'):
    assert sum(c[split] for c in classes) == 30
    (source, _) = limited.subset.sources
    where = sample.locations()
    first = origin.load_split.load_split(source, split, where).images[:30]
    order = sorted(range(30), key=hashing.Hasher(split).hash_key)
    found = limited.as_dataset(split=split, batch_size=-1)
    np.testing.assert_array_equal(found['image'][..., 0], first[order])


# Shards of the full subset ---------------------------------------------------


@pytest.mark.parametrize('file_format', ['tfrecord', 'array_record'])
def test_reduced_subset_shares_the_test_shards_of_the_full_one(
  file_format, tmp_path
):
  alone = shards(
    prepare(tmp_path / 'alone', 'X-12-r-5', file_format=file_format)
  )
  full = prepare(tmp_path, file_format=file_format)
  reduced = prepare(tmp_path, 'X-12-r-5', file_format=file_format)
  (one,), (other,) = (b.info.splits['test'].filepaths for b in (full, reduced))
  assert os.path.samefile(one, other)
  assert shards(reduced) == alone


def _change_digest(folder):
  metadata = json.loads((folder / 'metadata.json').read_text())
  metadata['digests']['test'] = '0'
  (folder / 'metadata.json').write_text(json.dumps(metadata))


def _cut(folder):
  (shard,) = folder.glob('*-test.*')
  os.truncate(shard, 1000)


@pytest.mark.parametrize(
  ('change', 'options'),
  [
    (_change_digest, {}),
    (_cut, {}),
    (lambda folder: next(folder.glob('*-test.*')).unlink(), {}),
    (lambda folder: (folder / 'metadata.json').write_text('{'), {}),
    (lambda folder: None, {'num_shards': 2}),
  ],
  ids=['other examples', 'cut', 'missing', 'damaged', 'other number'],
)
def test_shards_that_are_not_the_same_are_written(change, options, tmp_path):
  full = prepare(tmp_path)
  change(pathlib.Path(full.data_dir))
  reduced = prepare(tmp_path, 'X-12-r-5', **options)
  alone = prepare(tmp_path / 'alone', 'X-12-r-5', **options)
  assert shards(reduced) == shards(alone)
  for path in reduced.info.splits['test'].filepaths:
    assert os.stat(path).st_nlink == 1

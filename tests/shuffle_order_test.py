# SPDX-License-Identifier: Apache-2.0
"""Examples have the order in which TFDS writes them."""

import numpy as np
import pytest
from tensorflow_datasets.core import hashing, shuffle

from cmnist_tfds.cache import store
from cmnist_tfds.cache.shuffle_order import shuffle_order


@pytest.fixture(autouse=True)
def _empty_cache(empty_cache):
  """An empty cache, of which this process remembers nothing."""
  shuffle_order.cache_clear()
  yield
  shuffle_order.cache_clear()


def by_hasher(split, num_examples):
  hasher = hashing.Hasher(split)
  return sorted(range(num_examples), key=hasher.hash_key)


@pytest.mark.parametrize('split', ['train', 'test'])
def test_order_is_that_of_tfds(split):
  for num_examples in [0, 1, 2, 10, 11, 1000, 20_000]:
    found = shuffle_order(split, num_examples)
    assert found.dtype == np.uint32
    assert found.tolist() == by_hasher(split, num_examples)


def test_order_is_that_of_the_shuffler(tmp_path, monkeypatch):
  # So little memory that it sorts in buckets on disk.
  monkeypatch.setattr(shuffle, 'MAX_MEM_BUFFER_SIZE', 100)
  shuffler = shuffle.Shuffler(dirpath=tmp_path, hash_salt='train')
  for key in range(500):
    shuffler.add(key, b'%d' % key)
  shuffled = [int(data) for _, data in shuffler]
  assert shuffle_order('train', 500).tolist() == shuffled


def test_many_examples_and_the_first_of_them():
  expected = by_hasher('test', 140_000)
  for num_examples in [32_768, 32_769, 40_000, 140_000]:
    whole = [n for n in expected if n < num_examples]
    assert shuffle_order('test', num_examples).tolist() == whole
    for stop in (0, 1, 10, 32_768, num_examples):
      found = shuffle_order('test', num_examples, stop)
      assert found.tolist() == whole[:stop]


def test_callers_cannot_spoil_it():
  for stop in (None, 5):
    with pytest.raises(ValueError, match='read-only'):
      shuffle_order('train', 10, stop)[0] = 3


def test_one_entry_of_a_split_serves_many_numbers_of_examples():
  for num_examples in [100, 7, 300, 299, 30_000]:
    shuffle_order('test', num_examples)
  assert len(store.entries('order')) == 1
  shuffle_order('train', 1000)
  assert len(store.entries('order')) == 2

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging

import numpy as np
import pytest
from tensorflow_datasets.core import hashing, shuffle

from cmnist_tfds.cache import store
from cmnist_tfds.cache.shuffle_order import shuffle_order


@pytest.fixture(autouse=True)
def cache_dir(monkeypatch, tmp_path):
  """An empty cache, of which this process remembers nothing."""
  monkeypatch.setenv('CMNIST_CACHE_DIR', str(tmp_path / 'cache'))
  shuffle_order.cache_clear()
  yield tmp_path / 'cache'
  shuffle_order.cache_clear()


def order_anew(split, num_examples):
  """Returns the order as another process would."""
  shuffle_order.cache_clear()
  return shuffle_order(split, num_examples)


def by_hasher(split, num_examples):
  hasher = hashing.Hasher(split)
  return sorted(range(num_examples), key=hasher.hash_key)


@pytest.mark.parametrize('split', ['train', 'test'])
def test_order_is_that_of_tfds(split):
  for num_examples in [1, 2, 10, 11, 1000, 20_000]:
    found = order_anew(split, num_examples)
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


def test_more_examples_than_the_shortest_order_in_the_cache_has():
  expected = by_hasher('test', 140_000)
  for num_examples in [32_768, 32_769, 40_000]:
    found = shuffle_order('test', num_examples)
    assert found.tolist() == [n for n in expected if n < num_examples]


def test_no_examples():
  assert shuffle_order('train', 0).shape == (0,)


def test_callers_cannot_spoil_it():
  with pytest.raises(ValueError, match='read-only'):
    shuffle_order('train', 10)[0] = 3


def test_one_entry_of_a_split_serves_many_numbers_of_examples():
  for num_examples in [100, 7, 300, 299, 30_000]:
    shuffle_order('test', num_examples)
  (entry,) = store.entries('order')
  before = entry.path.stat()
  order_anew('test', 1000)
  assert entry.path.stat() == before
  shuffle_order('train', 1000)
  assert len(store.entries('order')) == 2


def damage(path):
  data = bytearray(path.read_bytes())
  data[len(data) // 2] ^= 1
  path.write_bytes(data)


def test_a_damaged_entry_is_made_anew(caplog):
  expected = shuffle_order('test', 1000)
  (entry,) = store.entries('order')
  damage(entry.path / 'order.npy')
  with caplog.at_level(logging.WARNING):
    np.testing.assert_array_equal(order_anew('test', 1000), expected)
  assert caplog.text.count(str(entry.path)) == 1
  caplog.clear()
  np.testing.assert_array_equal(order_anew('test', 1000), expected)
  assert not caplog.records


@pytest.mark.parametrize(
  'planted',
  [
    {'order': np.arange(1000, dtype=np.uint32)},
    {'order': np.arange(2**15, dtype=np.int64)},
    {'order': np.zeros((2**15, 1), np.uint32)},
    {'other': np.arange(2**15, dtype=np.uint32)},
  ],
)
def test_an_entry_of_other_form_is_made_anew(planted, caplog):
  shuffle_order('test', 1)
  (entry,) = store.clear('order')
  store.keep(
    'order',
    entry.path.name,
    lambda: store.Made(planted, {}, 'planted'),
    lambda kept: None,
  )
  with caplog.at_level(logging.WARNING):
    assert order_anew('test', 1000).tolist() == by_hasher('test', 1000)
  assert str(entry.path) in caplog.text


def test_a_cache_that_cannot_be_written_does_no_harm(cache_dir, caplog):
  cache_dir.write_text('a file')
  with caplog.at_level(logging.WARNING):
    assert order_anew('test', 1000).tolist() == by_hasher('test', 1000)
  assert f'{cache_dir} cannot be used' in caplog.text

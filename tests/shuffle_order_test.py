# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from tensorflow_datasets.core import hashing, shuffle

from cmnist_tfds.cache import md5
from cmnist_tfds.cache import shuffle_order as shuffle_order_lib
from cmnist_tfds.cache.shuffle_order import order


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch):
  monkeypatch.setattr(shuffle_order_lib, '_longest', {})


def by_hasher(split, num_examples):
  hasher = hashing.Hasher(split)
  return sorted(range(num_examples), key=hasher.hash_key)


@pytest.mark.parametrize('split', ['train', 'test'])
@pytest.mark.parametrize('num_examples', [1, 2, 10, 11, 1000, 20_000])
def test_order_is_that_of_tfds(split, num_examples):
  found = order(split, num_examples)
  assert found.dtype == np.uint32
  assert found.tolist() == by_hasher(split, num_examples)


def test_order_is_that_of_the_shuffler(tmp_path, monkeypatch):
  # So little memory that it sorts in buckets on disk.
  monkeypatch.setattr(shuffle, 'MAX_MEM_BUFFER_SIZE', 100)
  shuffler = shuffle.Shuffler(dirpath=tmp_path, hash_salt='train')
  for key in range(500):
    shuffler.add(key, b'%d' % key)
  shuffled = [int(data) for _, data in shuffler]
  assert order('train', 500).tolist() == shuffled


def test_shorter_and_longer_orders_in_turn():
  for num_examples in [100, 7, 300, 299, 300, 1]:
    found = order('test', num_examples)
    assert found.tolist() == by_hasher('test', num_examples)


def test_callers_cannot_spoil_it():
  with pytest.raises(ValueError, match='read-only'):
    order('train', 10)[0] = 3


def test_digests_that_begin_alike_are_told_apart(monkeypatch):
  digests = np.zeros((4, 16), np.uint8)
  digests[:, 0] = [1, 0, 1, 0]
  digests[:, 15] = [1, 4, 0, 3]
  monkeypatch.setattr(md5, 'of_numbers', lambda salt, count: digests[:count])
  assert order('train', 4).tolist() == [3, 1, 2, 0]

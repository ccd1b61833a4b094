# SPDX-License-Identifier: Apache-2.0
"""Batches of tf.data have all examples, in random and repeatable order."""

from __future__ import annotations

import json
import os
import pathlib
import random
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

import cmnist_tfds
from cmnist_tfds.cache.store import Entry
from cmnist_tfds.load import tf_data

FEATURES = ('image', 'label', 'source', 'source_label')


@pytest.fixture
def batches(sample_dir):
  def make(split, batch_size, **kwargs):
    where = {'data_dir': sample_dir, 'sample': True}
    return cmnist_tfds.as_batches('X-12', split, batch_size, **where, **kwargs)

  return make


def together(dataset):
  """The features of all batches, joined."""
  return [
    np.concatenate(arrays)
    for arrays in zip(*dataset.as_numpy_iterator(), strict=True)
  ]


def order_of(dataset):
  """What tells one order of the examples from another."""
  images, *_ = together(dataset)
  return images.reshape(len(images), -1)


def sort(rows):
  return rows[np.lexsort(rows.T)]


def test_batches_are_those_of_tfds(batches, sample_dir):
  theirs = tfds.load(
    'cmnist_sample/X-12', split='train', data_dir=sample_dir
  ).batch(50)
  ours = batches('train', 50, features=FEATURES)
  assert ours.element_spec == tuple(theirs.element_spec[f] for f in FEATURES)
  assert len(ours) == len(theirs)
  for batch, expected in zip(
    ours.as_numpy_iterator(), theirs.as_numpy_iterator(), strict=True
  ):
    for array, feature in zip(batch, FEATURES, strict=True):
      np.testing.assert_array_equal(array, expected[feature])


def test_each_epoch_has_all_in_a_new_order(batches):
  plain = order_of(batches('train', 64))
  shuffled = batches('train', 64, shuffle=True, seed=1)
  images, _ = together(shuffled.repeat(2))
  repeated = images.reshape(2, *plain.shape)
  orders = [plain, order_of(shuffled), order_of(shuffled), *repeated]
  for number, rows in enumerate(orders):
    np.testing.assert_array_equal(sort(rows), sort(plain))
    # An epoch of `repeat` may be that of a pass over the dataset.
    assert number in (0, 3) or not np.array_equal(rows, orders[number - 1])


def test_a_seed_makes_the_order_repeatable(batches):
  def two_epochs(seed):
    dataset = batches('train', 64, shuffle=True, seed=seed)
    return np.stack([order_of(dataset), order_of(dataset)])

  np.testing.assert_array_equal(two_epochs(5), two_epochs(5))
  assert not np.array_equal(two_epochs(5), two_epochs(6))
  assert not np.array_equal(two_epochs(None), two_epochs(None))


def test_the_seed_of_the_program_counts_where_none_is_given(batches):
  def orders(program_seed):
    tf.random.set_seed(program_seed)
    return [
      order_of(batches('train', 64, shuffle=True, seed=s)) for s in (5, None)
    ]

  try:
    given, not_given = zip(*map(orders, (1, 1, 2)), strict=True)
  finally:
    tf.random.set_seed(None)
  np.testing.assert_array_equal(given[0], given[2])
  np.testing.assert_array_equal(not_given[0], not_given[1])
  assert not np.array_equal(not_given[0], not_given[2])


def test_workers_share_the_examples_of_each_epoch(sample_dir):
  program = pathlib.Path(__file__).parent / 'programs/worker.py'
  # Of ports that systems give to no connection of another test meanwhile.
  ports = random.sample(range(20_000, 32_000), 2)
  addresses = [f'localhost:{port}' for port in ports]
  workers = [
    subprocess.Popen(
      [sys.executable, program, number, ','.join(addresses), sample_dir],
      stdout=subprocess.PIPE,
      text=True,
    )
    for number in '01'
  ]
  results = [worker.communicate(timeout=300)[0] for worker in workers]
  first, second = (json.loads(found.splitlines()[-1]) for found in results)
  for mine, others in zip(first, second, strict=True):
    assert sorted(mine + others) == list(range(1440))
    assert abs(len(mine) - len(others)) <= 100
  assert first[0] != first[1]


def test_batches_are_saved_sent_and_resumed(batches, tmp_path):
  made = batches('train[:300]', 64, shuffle=True, seed=1)
  made.save(str(tmp_path / 'saved'))
  expected = sort(order_of(made))
  service = tf.data.experimental.service
  dispatcher = service.DispatchServer()
  address = dispatcher.target.partition('://')[2]
  worker = service.WorkerServer(service.WorkerConfig(address))
  sent = service.distribute('distributed_epoch', dispatcher.target)
  for other in (
    tf.data.Dataset.load(str(tmp_path / 'saved')),
    made.snapshot(str(tmp_path / 'snapshot')),
    made.apply(sent),
  ):
    np.testing.assert_array_equal(sort(order_of(other)), expected)
  del worker
  iterator = iter(made)
  next(iterator)
  path = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / 'point'))
  _, labels = next(iterator)
  again = iter(made)
  tf.train.Checkpoint(iterator=again).restore(path)
  np.testing.assert_array_equal(next(again)[1], labels)


def test_images_are_those_of_the_file_that_is_there_now(tmp_path):
  for value in range(2):
    # TensorFlow keeps the values of small files.
    images = np.full((20_000, 28, 28), value, np.uint8)
    (tmp_path / 'images.npy').unlink(missing_ok=True)
    np.save(tmp_path / 'images.npy', images)
    os.utime(tmp_path / 'images.npy', (0, value))
    found = tf_data._images(Entry({'images': images}, {}, tmp_path))
    np.testing.assert_array_equal(found, images[..., None])


@pytest.mark.parametrize('replaced', [None, b'', b'0' * 1000])
def test_images_of_a_file_that_another_process_deletes_stay(tmp_path, replaced):
  if replaced is not None:  # It is being written again.
    (tmp_path / 'images.npy').write_bytes(replaced)
  images = np.full((2, 28, 28), 7, np.uint8)
  found = tf_data._images(Entry({'images': images}, {}, tmp_path))
  np.testing.assert_array_equal(found, images[..., None])


def test_a_program_ends_while_an_iterator_is_alive(sample_dir):
  code = f"""
import cmnist_tfds
batches = iter(cmnist_tfds.as_batches(
  'X-12', 'train', 1, shuffle=True, data_dir={str(sample_dir)!r}, sample=True
).repeat())
next(batches)
"""
  subprocess.run([sys.executable, '-c', code], check=True, timeout=120)


def test_unknown_features_are_refused(batches):
  with pytest.raises(ValueError, match='no features'):
    batches('train', 10, features=('name',))

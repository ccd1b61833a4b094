# SPDX-License-Identifier: Apache-2.0
"""CMNIST from real files: 2-FKd and 2-FKd-r-10, every pixel."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import tensorflow_datasets as tfds

import cmnist_tfds
from cmnist_tfds import subsets


def _idx(path, header):
  with gzip.open(path) as stream:
    return np.frombuffer(stream.read(), np.uint8)[header:]


@pytest.fixture(scope='module')
def plain(origin_files):
  """The arrays of F and Kd by plain NumPy, by split: images, raw labels."""
  needed = (
    'fashion_mnist/train-images-idx3-ubyte.gz',
    'kannada_mnist/X_kannada_MNIST_train.npz',
  )
  for path in needed:
    if not (origin_files / path).exists():
      pytest.skip(f'local copies of the origin files lack {path}')
  arrays = {}
  for split, f_name, kd_name in (
    ('train', 'train', 'train'),
    ('test', 't10k', 'test'),
  ):
    f, kd = origin_files / 'fashion_mnist', origin_files / 'kannada_mnist'
    arrays[split] = (
      np.concatenate(
        [
          _idx(f / f'{f_name}-images-idx3-ubyte.gz', 16).reshape(-1, 28, 28),
          np.load(kd / f'X_kannada_MNIST_{kd_name}.npz')['arr_0'],
        ]
      ),
      np.concatenate(
        [
          _idx(f / f'{f_name}-labels-idx1-ubyte.gz', 8),
          np.load(kd / f'y_kannada_MNIST_{kd_name}.npz')['arr_0'],
        ]
      ),
    )
  return arrays


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  return tmp_path_factory.mktemp('real')


def _load(name, data_dir, origin_files):
  config = tfds.download.DownloadConfig(manual_dir=origin_files)
  return tfds.load(
    f'cmnist/{name}',
    data_dir=data_dir,
    with_info=True,
    download_and_prepare_kwargs={'download_config': config},
  )


def _rows_in_order(keys, split):
  from tensorflow_datasets.core import hashing

  hasher = hashing.Hasher(split)
  return sorted(range(len(keys)), key=hasher.hash_key)


@pytest.mark.parametrize('name', ['2-FKd', '2-FKd-r-10'])
def test_every_pixel_is_the_files(name, plain, data_dir, origin_files):
  datasets, info = _load(name, data_dir, origin_files)
  for row in info.metadata['sources']:
    assert len(row['verified']) == 4
    assert set(row['verified'].values()) == {'sha256'}
  for split, (images, raw) in plain.items():
    source = np.repeat([0, 1], len(raw) // 2)
    labels = raw + 10 * source
    kept = np.arange(len(raw))
    if split == 'train' and name.endswith('-r-10'):
      kept = np.concatenate(
        [np.flatnonzero(labels == label)[:10] for label in range(20)]
      )
      kept.sort()
    assert info.splits[split].num_examples == len(kept)
    assert [c[split] for c in info.metadata['classes']] == (
      np.bincount(labels[kept]).tolist()
    )
    order = kept[_rows_in_order(kept, split)]
    start = 0
    for batch in datasets[split].batch(1000).as_numpy_iterator():
      rows = order[start : start + 1000]
      start += 1000
      np.testing.assert_array_equal(batch['image'][..., 0], images[rows])
      np.testing.assert_array_equal(batch['label'], labels[rows])
      np.testing.assert_array_equal(batch['source'], source[rows])
      np.testing.assert_array_equal(batch['source_label'], raw[rows])
    assert start >= len(kept)


def test_load_data_is_the_files(plain, data_dir, origin_files):
  _load('2-FKd', data_dir, origin_files)
  (x_train, y_train), (x_test, y_test) = cmnist_tfds.load_data(
    '2-FKd', data_dir=data_dir
  )
  assert x_train.shape == (120_000, 28, 28) and x_train.dtype == np.uint8
  assert y_train.shape == (120_000,) and y_train.dtype == np.int64
  order = _rows_in_order(np.arange(20_000), 'test')
  images, raw = plain['test']
  np.testing.assert_array_equal(x_test, images[order])
  np.testing.assert_array_equal(
    y_test, (raw + 10 * np.repeat([0, 1], 10_000))[order]
  )


def test_reduced_forms_of_kannada_mnist_hold_one_writer(plain):
  """Each writer fills 1,280 rows, 128 of each digit, as the known issues say."""
  labels = plain['train'][1][60_000:]
  np.testing.assert_array_equal(labels, np.arange(60_000) % 10)
  last = subsets.rows(labels, range(10), 100).max()
  assert last < 10 * 128
  issues = subsets.subset('1-Kd').sources[0].known_issues
  assert any('one writer' in issue for issue in issues)

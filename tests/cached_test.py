# SPDX-License-Identifier: Apache-2.0
"""Subsets are read from the stores of their sources as builds write them."""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest

import cmnist_tfds
from cmnist_tfds import cli, load
from cmnist_tfds.cache import split_sources, store

# One more than is read in one go, and a source with labels from 1.
NAMES = ('2-FKd', '2-ElKd', '2-FKd-r-3')
FEATURES = ('image', 'label', 'source', 'source_label')


@pytest.fixture(scope='module', autouse=True)
def cache_dir(tmp_path_factory):
  """A cache with stores of three sources, as proved files would have them."""
  folder = tmp_path_factory.mktemp('stores')
  rng = np.random.default_rng(0)
  for source in cmnist_tfds.subset('3-ElFKd').sources:
    for split, count in (('train', 1500), ('test', 60)):
      labels = rng.permutation(
        np.resize(np.array(source.raw_labels, np.uint8), count)
      )
      images = rng.integers(0, 256, (count, 28, 28), np.uint8)
      images[:, ::2] = 0
      store.open_or_encode(
        split_sources.origin_of(source, split),
        lambda images=images, labels=labels: store.Loaded(images, labels, {}),
        folder,
      )
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv('CMNIST_CACHE_DIR', str(folder))
    yield folder


def built(name, data_dir):
  load.get_builder(name, data_dir=data_dir).download_and_prepare()
  found = load.find(name, data_dir=data_dir)
  assert found
  return found


@pytest.mark.parametrize('name', NAMES)
def test_gives_what_a_build_would(name, tmp_path):
  empty = tmp_path / 'empty'
  splits = ('train', 'test', 'test[3:9]+train[:10%]', 'all')
  got = [
    cmnist_tfds.load_data(name, split=split, features=FEATURES, data_dir=empty)
    for split in splits
  ]
  assert not empty.exists()
  built(name, tmp_path)
  for split, arrays in zip(splits, got, strict=True):
    expected = cmnist_tfds.load_data(
      name, split=split, features=FEATURES, data_dir=tmp_path
    )
    for array, same in zip(arrays, expected, strict=True):
      assert array.dtype == same.dtype
      np.testing.assert_array_equal(array, same)


def test_first_of_each_class_are_those_of_a_build(tmp_path):
  stored = load.find_readable('2-FKd', data_dir=tmp_path)
  assert isinstance(stored, load.Stored)
  first = load.first_of_each_class(stored, 2)
  expected = load.first_of_each_class(built('2-FKd', tmp_path), 2)
  np.testing.assert_array_equal(first, expected)


@pytest.mark.parametrize('name', NAMES)
def test_tells_of_the_classes_what_a_build_would(name, tmp_path):
  stored = load.find_readable(name, data_dir=tmp_path)
  assert isinstance(stored, load.Stored)
  prepared = built(name, tmp_path)
  assert stored.class_names == prepared.class_names
  assert stored.class_counts == prepared.class_counts
  assert stored.dataset == prepared.dataset


def test_batches_need_no_shards(tmp_path):
  batches = list(cmnist_tfds.as_batches('2-FKd', 'test', 50, data_dir=tmp_path))
  assert [len(labels) for _, labels in batches] == [50, 50, 20]
  assert not any(tmp_path.iterdir())


def test_commands_need_no_shards(tmp_path, capsys):
  data_dir, folder = tmp_path / 'data', tmp_path / 'exported'
  where = ('--data_dir', str(data_dir), '-o')
  assert not cli.main(
    ['export', '2-FKd', '--format', 'npz', *where, str(folder)]
  )
  picture = tmp_path / 'counts.svg'
  assert not cli.main(['show', '2-FKd', '--histogram', *where, str(picture)])
  assert 'cmnist/2-FKd: 20 classes drawn' in capsys.readouterr().out
  assert not data_dir.exists()
  _, (images, labels) = cmnist_tfds.load_data('2-FKd', data_dir=data_dir)
  with np.load(folder / 'CMNIST-2-FKd.npz') as exported:
    np.testing.assert_array_equal(exported['x_test'], images)
    np.testing.assert_array_equal(exported['y_test'], labels)


def test_shards_come_first(tmp_path):
  built('2-FKd', tmp_path)
  assert isinstance(
    load.find_readable('2-FKd', data_dir=tmp_path), load.Prepared
  )


def test_a_source_that_is_not_encoded_is_missed(tmp_path):
  assert load.find_readable('3-EFKd', data_dir=tmp_path) is None


def test_the_sample_is_not_read_from_stores_of_cmnist(tmp_path):
  assert load.find_readable('2-FKd', data_dir=tmp_path, sample=True) is None


def test_a_damaged_store_is_missed_and_said(cache_dir, tmp_path, caplog):
  folder = tmp_path / 'cache'
  shutil.copytree(cache_dir, folder)
  for entry in store.entries(folder):
    if entry.description == 'labels of El test':
      entry.path.write_bytes(entry.path.read_bytes()[:-1])
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv('CMNIST_CACHE_DIR', str(folder))
    assert load.find_readable('2-ElKd', data_dir=tmp_path) is None
    assert load.find_readable('2-FKd', data_dir=tmp_path)
  assert 'El test' in caplog.text


def test_imports_neither_tensorflow_nor_tfds(tmp_path):
  code = f"""
import sys
import cmnist_tfds
cmnist_tfds.load_data('2-FKd', data_dir={str(tmp_path)!r})
assert not {{'tensorflow', 'tensorflow_datasets'}} & set(sys.modules)
"""
  subprocess.run([sys.executable, '-c', code], check=True)

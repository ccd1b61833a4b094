# SPDX-License-Identifier: Apache-2.0
"""Subsets are read from the cache as builds write them."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import synthetic
import tensorflow_datasets as tfds
from cmnist_tfds.load.cached import Cached
from cmnist_tfds.load.prepared import Prepared, find_prepared

import cmnist_tfds
from cmnist_tfds import subsets
from cmnist_tfds.cache import split_sources, store
from cmnist_tfds.cache.shuffle_order import shuffle_order
from cmnist_tfds.datasets.get_builder import get_builder
from cmnist_tfds.load.numpy_arrays import first_of_each_class
from cmnist_tfds.load.open_subset import open_or_prepare, open_subset
from cmnist_tfds.origin import Locations
from cmnist_tfds.sources import SPLITS
from cmnist_tfds.subsets import Subset

_TESTS = pathlib.Path(__file__).resolve().parent

# More than are read in one go, and a source whose images lie on their side.
TOY = synthetic.make(sizes={'train': 5000, 'test': 60})
UPRIGHT = synthetic.make(
  form='zip',
  key='U',
  folder='upright',
  seed=1,
  sizes={'train': 1500, 'test': 40},
)
UPRIGHT = dataclasses.replace(
  UPRIGHT,
  source=dataclasses.replace(UPRIGHT.source, class_names=('two', 'three')),
)
BOTH = Subset('2-TU', ((TOY.source, (0, 1)), (UPRIGHT.source, (0, 1))))
SUBSETS = (
  BOTH,
  Subset('2-TU-r-3', BOTH.members, per_class=3),
  Subset('X-3', ((TOY.source, (1,)), (UPRIGHT.source, (1, 0)))),
)
ONE = Subset('1-T', ((TOY.source, (0, 1)),))


@pytest.fixture(scope='module')
def origin_dir(tmp_path_factory):
  folder = tmp_path_factory.mktemp('origin')
  for made in (TOY, UPRIGHT):
    made.write(folder)
  return folder


def fill_cache(subset, folder):
  for split in SPLITS:
    split_sources.open_raw(
      subset, split, Locations(manual_dir=folder), allow_unverified=False
    )


@pytest.fixture(scope='module')
def full_cache(tmp_path_factory, origin_dir):
  """A cache with the raw pixels of both sources."""
  folder = tmp_path_factory.mktemp('cached')
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv('CMNIST_CACHE_DIR', str(folder))
    fill_cache(BOTH, origin_dir)
  return folder


@pytest.fixture(autouse=True)
def cache_dir(full_cache, tmp_path, monkeypatch):
  """A copy of that cache, which tests may change."""
  folder = tmp_path / 'cache'
  shutil.copytree(full_cache, folder)
  monkeypatch.setenv('CMNIST_CACHE_DIR', str(folder))
  return folder


@pytest.fixture(autouse=True)
def _names(monkeypatch):
  """Makes the subsets known by their names, in whatever spelling."""
  by_name = {subset.name.casefold(): subset for subset in (*SUBSETS, ONE)}
  known = subsets.subset
  monkeypatch.setattr(
    subsets, 'subset', lambda name: by_name.get(name.casefold()) or known(name)
  )


def build(subset, data_dir, origin_dir, **kwargs):
  get_builder(subset, data_dir=data_dir, **kwargs).download_and_prepare(
    download_config=tfds.download.DownloadConfig(manual_dir=origin_dir)
  )
  found = find_prepared(subset, data_dir=data_dir)
  assert found
  return found


def assert_same_examples(left, right):
  assert left.keys() == right.keys()
  for name, array in left.items():
    assert array.dtype == right[name].dtype
    np.testing.assert_array_equal(array, right[name])


@pytest.mark.parametrize('subset', SUBSETS, ids=lambda subset: subset.name)
def test_gives_what_a_build_would(subset, tmp_path, origin_dir):
  data_dir = tmp_path / 'data'
  cached = open_subset(subset, data_dir=data_dir)
  assert isinstance(cached, Cached)
  assert not data_dir.exists()
  prepared = build(subset, data_dir, origin_dir)
  assert cached.class_names == prepared.class_names
  assert cached.class_counts == prepared.class_counts
  assert cached.dataset == prepared.dataset
  assert cached.digests == prepared.digests
  rng = np.random.default_rng(0)
  for spec in (
    *('train', 'test', 'test[3:9]+train[:10%]', 'all', 'test[:0]'),
    *('validation', 'fit', 'test+validation[1:]'),
  ):
    ours, theirs = (of.split(spec) for of in (cached, prepared))
    assert len(ours) == len(theirs)
    assert_same_examples(ours.read(), theirs.read())
    some = rng.permutation(len(ours))[:50]
    assert_same_examples(ours.take(some), theirs.take(some))
    assert_same_examples(ours.read(['label']), theirs.read(['label']))
  np.testing.assert_array_equal(
    first_of_each_class(cached, 2), first_of_each_class(prepared, 2)
  )


def test_encoded_images_do_as_well(origin_dir, tmp_path):
  expected = open_subset(BOTH, data_dir=tmp_path).split('train').read()
  for split in SPLITS:
    split_sources.open_encoded(BOTH, split, Locations(), allow_unverified=False)
  store.clear('arrays')
  opened = open_subset(BOTH, data_dir=tmp_path)
  assert isinstance(opened, Cached)
  assert_same_examples(opened.split('train').read(), expected)


def test_arrays_and_batches_need_no_shards(tmp_path):
  data_dir = tmp_path / 'data'
  expected = open_subset(BOTH, data_dir=data_dir).split('test').read()
  _, (images, labels) = cmnist_tfds.load_data('2-TU', data_dir=data_dir)
  np.testing.assert_array_equal(images, expected['image'])
  np.testing.assert_array_equal(labels, expected['label'])
  batches = list(cmnist_tfds.as_batches('2-TU', 'test', 30, data_dir=data_dir))
  assert [len(of_batch) for _, of_batch in batches] == [30, 30, 30, 10]
  assert not data_dir.exists()


# What is read first -----------------------------------------------------------


def change_metadata(prepared, change):
  path = prepared.folder / 'metadata.json'
  path.write_text(json.dumps(change(json.loads(path.read_text()))))


def test_the_cache_comes_first_where_its_examples_are_those_of_the_shards(
  tmp_path, origin_dir
):
  prepared = build(BOTH, tmp_path, origin_dir)
  for shards in prepared.shards.values():
    for shard in shards:
      shard.path.unlink()
  opened = open_subset(BOTH, data_dir=tmp_path)
  assert isinstance(opened, Cached)
  assert len(opened.split('all').read()['image']) == 6600


@pytest.mark.parametrize(
  'change',
  [
    lambda m: {**m, 'digests': {**m['digests'], 'test': '0' * 64}},
    lambda m: {**m, 'digests': {'train': m['digests']['train']}},
    lambda m: {k: v for k, v in m.items() if k != 'digests'},
  ],
)
def test_shards_come_first_where_they_may_hold_other_examples(
  change, tmp_path, origin_dir
):
  change_metadata(build(BOTH, tmp_path, origin_dir), change)
  assert isinstance(open_subset(BOTH, data_dir=tmp_path), Prepared)


def test_shards_of_unverified_files_come_first(tmp_path, origin_dir, caplog):
  other = tmp_path / 'other'
  shutil.copytree(origin_dir, other)
  images, _ = TOY.arrays['test']
  (other / 'toy/test-images.gz').write_bytes(synthetic.idx(images ^ 1))
  data_dir = tmp_path / 'data'
  build(ONE, data_dir, other, allow_unverified=True)
  with caplog.at_level(logging.WARNING):
    opened = open_subset(ONE, data_dir=data_dir)
  assert isinstance(opened, Prepared)
  assert 'toy/test-images.gz' in caplog.text
  read = opened.split('test').read()['image']
  np.testing.assert_array_equal(read, (images ^ 1)[shuffle_order('test', 60)])


def test_shards_are_read_where_the_cache_is_empty(tmp_path, origin_dir):
  expected = open_subset(BOTH, data_dir=tmp_path).split('all').read()
  build(BOTH, tmp_path, origin_dir)
  store.clear()
  opened = open_subset(BOTH, data_dir=tmp_path)
  assert isinstance(opened, Prepared)
  assert_same_examples(opened.split('all').read(), expected)


def test_shards_are_read_where_the_cache_cannot_be_written(
  tmp_path, origin_dir, cache_dir, caplog
):
  expected = open_subset(BOTH, data_dir=tmp_path).split('all').read()
  build(BOTH, tmp_path, origin_dir)
  shutil.rmtree(cache_dir)
  cache_dir.write_text('mine')
  with caplog.at_level(logging.WARNING):
    opened = open_subset(BOTH, data_dir=tmp_path)
    assert_same_examples(opened.split('all').read(), expected)
  assert caplog.text.count('cannot be used') == 1


# What is missing --------------------------------------------------------------


def test_nothing_is_found_where_a_source_is_missing(tmp_path):
  for entry in store.entries('arrays'):
    if entry.description.startswith('U test'):
      shutil.rmtree(entry.path)
  assert open_subset(BOTH, data_dir=tmp_path) is None
  assert isinstance(open_subset(ONE, data_dir=tmp_path), Cached)


def test_a_damaged_entry_is_missing_and_said(tmp_path, caplog):
  (entry,) = (
    e for e in store.entries('arrays') if e.description.startswith('U test')
  )
  data = bytearray((entry.path / 'images.npy').read_bytes())
  data[-1] ^= 1
  (entry.path / 'images.npy').write_bytes(data)
  with caplog.at_level(logging.WARNING):
    assert open_subset(BOTH, data_dir=tmp_path) is None
    assert open_subset(BOTH, data_dir=tmp_path) is None
    assert isinstance(open_subset(ONE, data_dir=tmp_path), Cached)
  assert caplog.text.count(str(entry.path)) == 1


def test_the_sample_is_not_read_from_the_cache_of_cmnist(tmp_path):
  assert open_subset(BOTH, data_dir=tmp_path, sample=True) is None


def test_what_is_nowhere_is_prepared(tmp_path):
  subset = subsets.subset('1-Km-r-7')
  opened = open_or_prepare(subset, data_dir=tmp_path, sample=True)
  assert isinstance(opened, Prepared)
  assert opened.dataset == 'cmnist_sample'
  assert len(opened.split('train')) == 70


# Shards that were read whole --------------------------------------------------


def test_shards_are_read_once(tmp_path, origin_dir):
  prepared = build(ONE, tmp_path, origin_dir)
  expected = prepared.split('test').read()
  for shard in prepared.shards['test']:
    # Its bytes are others; size and time are as they were.
    stat = shard.path.stat()
    shard.path.write_bytes(bytes(stat.st_size))
    os.utime(shard.path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
  again = find_prepared(ONE, data_dir=tmp_path)
  assert_same_examples(again.split('test').read(), expected)


def test_shards_that_were_replaced_are_read_again(tmp_path, origin_dir):
  prepared = build(ONE, tmp_path / 'data', origin_dir)
  before = prepared.split('test').read()
  other = tmp_path / 'other'
  shutil.copytree(origin_dir, other)
  images, _ = TOY.arrays['test']
  (other / 'toy/test-images.gz').write_bytes(synthetic.idx(images ^ 1))
  shutil.rmtree(prepared.folder)
  prepared = build(ONE, tmp_path / 'data', other, allow_unverified=True)
  after = prepared.split('test').read()
  np.testing.assert_array_equal(after['image'], before['image'] ^ 1)


@pytest.mark.parametrize(
  'planted',
  [
    {'images': np.zeros((60, 28, 28), np.uint8)},
    {
      'images': np.zeros((60, 28, 28), np.uint8),
      'labels': np.full(60, 2),
    },
    {
      'images': np.zeros((59, 28, 28), np.uint8),
      'labels': np.zeros(59, np.int64),
    },
    {
      'images': np.zeros((60, 28, 28), np.int64),
      'labels': np.zeros(60, np.int64),
    },
    {
      'images': np.zeros((60, 28, 28), np.uint8),
      'labels': np.zeros(60, np.uint8),
    },
  ],
)
def test_a_planted_copy_of_shards_is_not_used(planted, tmp_path, origin_dir):
  prepared = build(ONE, tmp_path, origin_dir)
  expected = prepared.split('test').read()
  (entry,) = (
    e for e in store.entries('arrays') if e.path.name.startswith('cmnist-')
  )
  shutil.rmtree(entry.path)
  store.keep(
    'arrays',
    entry.path.name,
    lambda: store.Made(planted, {}, 'planted'),
    lambda kept: None,
  )
  again = find_prepared(ONE, data_dir=tmp_path)
  assert_same_examples(again.split('test').read(), expected)


def test_imports_neither_tensorflow_nor_tfds(tmp_path):
  code = f"""
import sys
sys.path[:0] = [{str(_TESTS)!r}]
import synthetic
import cmnist_tfds
from cmnist_tfds.load.open_subset import open_subset
made = synthetic.make(sizes={{'train': 5000, 'test': 60}})
subset = cmnist_tfds.Subset('1-T', ((made.source, (0, 1)),))
found = open_subset(subset, data_dir={str(tmp_path)!r}).split('all').read()
assert len(found['image']) == 5060
assert not {{'tensorflow', 'tensorflow_datasets'}} & set(sys.modules)
"""
  subprocess.run([sys.executable, '-c', code], check=True)

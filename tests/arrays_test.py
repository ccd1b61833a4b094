# SPDX-License-Identifier: Apache-2.0
"""`load_data` gives the arrays that TFDS gives, wherever they come from."""

from __future__ import annotations

import msgspec
import numpy as np
import preparing
import pytest
import running
import synthetic
import tensorflow_datasets as tfds

import cmnist_tfds
from cmnist_tfds import sample, subsets
from cmnist_tfds.cache import store
from cmnist_tfds.load import draws
from cmnist_tfds.load.numpy_arrays import first_of_each_class
from cmnist_tfds.load.open_subset import open_or_prepare, open_subset
from cmnist_tfds.load.split_view import SplitView
from cmnist_tfds.origin import load_split
from cmnist_tfds.system import errors
from cmnist_tfds.system.streams import warn_once

FEATURES = ('image', 'label', 'source', 'source_label')


def load_x12(data_dir, **kwargs):
  return cmnist_tfds.load_data('X-12', data_dir=data_dir, sample=True, **kwargs)


def check_equal(ours, theirs):
  for array, expected in zip(ours, theirs, strict=True):
    np.testing.assert_array_equal(array, expected, strict=True)


@pytest.mark.parametrize('reading', ['the cache', 'memory'])
@pytest.mark.parametrize('name', ['2-FKd', 'X-12', '3-EElKm-r-5'])
def test_parts_are_parts_of_the_whole(reading, name, tmp_path, monkeypatch):
  if reading == 'memory':
    (tmp_path / 'file').touch()
    monkeypatch.setenv('CMNIST_CACHE_DIR', str(tmp_path / 'file'))
  where = {'data_dir': tmp_path, 'sample': True, 'features': FEATURES}
  train, test = cmnist_tfds.load_data(name, **where)
  for split, expected in {
    'train[:10]': [array[:10] for array in train],
    # Fewer than one in eight, and more, are copied in different ways.
    'train[3:40]': [array[3:40] for array in train],
    'train[10:-10]': [array[10:-10] for array in train],
    'test[5:]+train[:7]+train[3:9]+test': [
      np.concatenate([y[5:], x[:7], x[3:9], y])
      for x, y in zip(train, test, strict=True)
    ],
    'all': map(np.concatenate, zip(train, test, strict=True)),
  }.items():
    arrays = cmnist_tfds.load_data(name, split=split, **where)
    check_equal(arrays, expected)
    (batch,) = cmnist_tfds.as_batches(
      name, split, 10**6, **where
    ).as_numpy_iterator()
    check_equal([batch[0][..., 0], *batch[1:]], arrays)


@pytest.mark.parametrize(
  'split',
  [
    *('train[7:7]', 'test[:0]+train[5:2]', 'fit[0:0]'),
    tfds.core.ReadInstruction('train', to=0, unit='abs'),
  ],
  ids=str,
)
def test_parts_that_are_empty_are_an_error_in_every_reader(split, sample_dir):
  from cmnist_tfds.load.torch_dataset import CMNIST

  where = {'data_dir': sample_dir, 'sample': True}
  for read in (
    lambda: load_x12(sample_dir, split=split),
    lambda: load_x12(sample_dir, split=[split, 'test']),
    lambda: cmnist_tfds.as_batches('X-12', split, 8, **where),
    lambda: cmnist_tfds.training_rows('X-12', split, **where),
    lambda: CMNIST('X-12', split, **where),
  ):
    with pytest.raises(cmnist_tfds.SplitError, match='no examples in'):
      read()


@pytest.mark.parametrize('split', ['train[7:7]', 'test[5:2]'])
def test_data_sources_that_are_empty_are_an_error(split, sample_dir):
  with pytest.raises(cmnist_tfds.SplitError, match='no examples in'):
    tfds.data_source('cmnist_sample/X-12', split=split, data_dir=sample_dir)


@pytest.mark.parametrize(
  ('split', 'warns'),
  [('train[-1%:]', True), ('train[-10%:]', False), ('train[-100%:]', False)],
)
def test_a_percentage_that_rounds_to_the_whole_warns(
  split, warns, sample_dir, caplog
):
  warn_once.cache_clear()
  x, _ = cmnist_tfds.load_data(
    'X-12-r-1', split=split, data_dir=sample_dir, sample=True
  )
  assert len(x) == (1 if split == 'train[-10%:]' else 12)
  assert ('-1% of 12 examples is 0' in caplog.text) == warns


def test_a_name_may_say_that_the_sample_is_meant(sample_dir, tmp_path):
  name = 'cmnist_sample/X-12'
  x, y = cmnist_tfds.load_data(name, split='test', data_dir=sample_dir)
  assert len(x) == 288
  rows = cmnist_tfds.training_rows(name, 'fit', data_dir=sample_dir)
  assert len(rows) < 1440
  path = tmp_path / 'p.npz'
  cmnist_tfds.save_predictions(
    path, name, y, y, method='none', data_dir=sample_dir
  )
  scores = cmnist_tfds.evaluate(name, path, data_dir=sample_dir)
  assert scores.dataset == 'cmnist_sample' and scores.accuracy.value == 1


def test_the_first_examples_need_little_of_the_arrays(monkeypatch, tmp_path):
  """Reading ten examples takes the same time whatever the size of a source."""
  where = {'data_dir': tmp_path, 'sample': True}
  opened = open_or_prepare(subsets.subset('2-FKd'), **where)
  looked_up = []
  labels = SplitView._labels
  monkeypatch.setattr(
    SplitView,
    '_labels',
    lambda view, keys: looked_up.append(len(keys)) or labels(view, keys),
  )
  view = opened.split('train[:10]')
  assert not looked_up
  view.read()
  assert looked_up == [10]


def test_first_of_each_class(sample_dir):
  (images, labels), _ = load_x12(sample_dir)
  found = open_subset(subsets.subset('X-12'), data_dir=sample_dir, sample=True)
  for count in (1, 3, 10**6):
    first = first_of_each_class(found, count)
    assert len(first) == 12
    for label, of_class in enumerate(first):
      expected = images[labels == label][:count]
      np.testing.assert_array_equal(np.stack(of_class), expected)


@pytest.mark.parametrize(
  ('name', 'draw'), [('X-12', 0), ('3-EElKm-r-5', 0), ('2-FKd-r-5', 1)]
)
def test_rows_are_those_of_the_files(name, draw, tmp_path):
  where = {'data_dir': tmp_path, 'sample': True, 'draw': draw}
  subset = subsets.subset(name)
  for split in ('train', 'test'):
    images, raw, sources, rows, writers = cmnist_tfds.load_data(
      name,
      split=split,
      features=('image', 'source_label', 'source', 'row', 'writer'),
      **where,
    )
    assert set(writers) == {-1}, 'nobody wrote the sample'
    for number, source in enumerate(subset.sources):
      files = load_split.load_split(source, split, sample.locations(subset))
      mine = sources == number
      np.testing.assert_array_equal(images[mine], files.images[rows[mine]])
      np.testing.assert_array_equal(raw[mine], files.labels[rows[mine]])


@pytest.mark.parametrize(
  ('chosen', 'keep'),
  [
    ({'sources': ['F']}, lambda c: c.source.key == 'F'),
    ({'classes': [0, 'は']}, lambda c: c.label in (0, 8)),
    (
      {'sources': ('E', 'F'), 'classes': range(1, 5)},
      lambda c: c.label in (1, 4),
    ),
  ],
)
def test_some_sources_and_classes_are_taken(sample_dir, chosen, keep):
  kept = [c.label for c in subsets.subset('X-12').classes if keep(c)]
  whole = load_x12(sample_dir)
  for some, all_of in zip(load_x12(sample_dir, **chosen), whole, strict=True):
    mine = np.isin(all_of[1], kept)
    check_equal(some, [array[mine] for array in all_of])


@pytest.mark.parametrize(
  ('given', 'fault'),
  [
    (
      {'sources': ['Km', 'Xy']},
      r"no sources \['Xy'\]. The sources are 'E', 'El'",
    ),
    ({'sources': 'F'}, r"sources takes a list, such as \['F'\]"),
    ({'classes': [12, 'zero']}, r"no classes \[12, 'zero'\]"),
    ({'features': 'image'}, r"features takes a list, such as \['image'\]"),
    ({'features': ['pixels']}, r"no features \['pixels'\]"),
    ({'classes': 5}, r'classes takes a list, such as \[5\]'),
    ({'sources': []}, "no examples of these .* in 'train'"),
    ({'sources': ['F'], 'classes': ['O']}, 'no examples of these'),
    ({'split': ['test', 'fit[:1]'], 'classes': range(1)}, r"in 'fit\[:1\]'"),
  ],
)
def test_what_is_not_there_cannot_be_taken(sample_dir, given, fault):
  with pytest.raises(ValueError, match=fault):
    load_x12(sample_dir, **given)


# Origin files -----------------------------------------------------------------

TOY = synthetic.make()
ONE = subsets.Subset('1-T', ((TOY.source, (0, 1)),))


def test_writers_are_told_by_their_blocks(tmp_path, empty_cache):
  TOY.write(tmp_path / 'downloads/manual')
  source = msgspec.structs.replace(TOY.source, writer_block=7)
  blocks = subsets.Subset('1-T', ((source, (0, 1)),))
  opened = open_or_prepare(blocks, data_dir=tmp_path)
  read = opened.split('train').read(['label', 'row', 'writer'])
  _, labels = TOY.arrays['train']
  np.testing.assert_array_equal(labels[read['row']], read['label'])
  writers = draws.class_ranks(labels) // 7
  np.testing.assert_array_equal(writers[read['row']], read['writer'])
  assert set(opened.split('test').read(['writer'])['writer']) == {-1}


def test_of_shards_alone_no_rows_are_known(tmp_path, empty_cache):
  (preparing.prepare(tmp_path).data_path / 'metadata.json').unlink()
  found = load_x12(tmp_path, split='test', features=('row', 'writer'))
  np.testing.assert_array_equal(found, -1)


@pytest.mark.parametrize('place', ['mirror', 'manual'])
def test_origin_files_are_read_into_the_cache(
  place, tmp_path, empty_cache, monkeypatch
):
  where = {'data_dir': tmp_path / 'data'}
  assert open_subset(ONE, **where) is None
  with pytest.raises(errors.OriginFileError, match='toy/train-images'):
    open_or_prepare(ONE, **where)
  if place == 'mirror':
    monkeypatch.setenv('CMNIST_MIRROR', str(TOY.write(tmp_path / 'mirror')))
  else:
    TOY.write(tmp_path / 'data/downloads/manual')
  opened = open_or_prepare(ONE, **where)
  images, labels = (
    opened.split('test').read([name])[name] for name in ('image', 'label')
  )
  rows = opened.split('test').read(['row'])['row']
  np.testing.assert_array_equal(images, TOY.arrays['test'][0][rows])
  assert sorted(rows) == [*range(20)]
  assert opened.class_counts == [(20, 10), (20, 10)]
  assert opened.shard_lengths == {'train': [40], 'test': [20]}
  assert opened.prepared is None
  assert np.bincount(labels).tolist() == [10, 10]
  assert not (tmp_path / 'data/cmnist').exists()
  # From now on nothing else is needed.
  monkeypatch.delenv('CMNIST_MIRROR', raising=False)
  assert open_subset(ONE).digests == opened.digests
  store.clear('arrays')
  assert open_subset(ONE) is None


def test_neither_tensorflow_nor_tfds_is_imported(sample_dir):
  code = f"""
import sys, cmnist_tfds
for data_dir in ({str(sample_dir)!r}, {str(sample_dir / 'empty')!r}):
  cmnist_tfds.load_data('X-12', data_dir=data_dir, sample=True)
  cmnist_tfds.load_data(
    'X-12', split='fit+train[:9]', data_dir=data_dir, sample=True)
assert not {{'tensorflow', 'tensorflow_datasets', 'torch'}} & {{*sys.modules}}
"""
  running.works('-c', code)

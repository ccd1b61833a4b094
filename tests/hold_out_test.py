# SPDX-License-Identifier: Apache-2.0
"""Validation sets and draws are the same, and right, in every reader."""

import dataclasses

import msgspec
import numpy as np
import pytest
import synthetic
import tensorflow_datasets as tfds

import cmnist_tfds
from cmnist_tfds import origin, sample, subsets
from cmnist_tfds.cache import split_sources
from cmnist_tfds.cache.shuffle_order import shuffle_order
from cmnist_tfds.load import draws, hold_out
from cmnist_tfds.load.open_subset import open_or_prepare
from cmnist_tfds.origin import Locations
from cmnist_tfds.sources import SPLITS, source
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system.errors import PredictionsError, SplitError

_SPLITS = ('validation', 'fit', 'validation[:50%]', 'fit[10:20]+test')


def load(name, split, sample_dir, **kwargs):
  return cmnist_tfds.load_data(
    name, split=split, data_dir=sample_dir, sample=True, **kwargs
  )


def batches(name, split, sample_dir, **kwargs):
  dataset = cmnist_tfds.as_batches(
    name, split, 50, data_dir=sample_dir, sample=True, **kwargs
  )
  images, labels = zip(*dataset.as_numpy_iterator(), strict=True)
  return np.concatenate(images)[..., 0], np.concatenate(labels)


def of_torch(name, split, sample_dir, **kwargs):
  pytest.importorskip('torch', reason='PyTorch is not installed')
  from cmnist_tfds.load.torch_dataset import CMNIST

  found = CMNIST(name, split, data_dir=sample_dir, sample=True, **kwargs)
  images, labels = zip(*(found[n] for n in range(len(found))), strict=True)
  return np.concatenate(images), np.array(labels)


def assert_equal(left, right):
  for one, other in zip(left, right, strict=True):
    np.testing.assert_array_equal(one, other)


def as_set(images):
  found = {image.tobytes() for image in images}
  assert len(found) == len(images)
  return found


# Validation -------------------------------------------------------------------


@pytest.mark.parametrize('reader', [batches, of_torch])
@pytest.mark.parametrize('split', _SPLITS)
@pytest.mark.parametrize(
  ('name', 'draw'), [('X-12', 0), ('2-FKd-r-20', 0), ('3-EElKm-r-12', 3)]
)
def test_readers_hold_out_the_same(name, draw, split, reader, sample_dir):
  expected = load(name, split, sample_dir, draw=draw)
  assert_equal(reader(name, split, sample_dir, draw=draw), expected)


def test_tfds_takes_the_same_with_the_rows(sample_dir):
  where = {'data_dir': sample_dir}
  rows = cmnist_tfds.training_rows('X-12', 'validation', sample=True, **where)
  train = tfds.load(
    'cmnist_sample/X-12',
    split='train',
    as_supervised=True,
    read_config=tfds.ReadConfig(interleave_cycle_length=1),
    **where,
  )
  read = list(train.as_numpy_iterator())
  images, labels = zip(*(read[row] for row in rows), strict=True)
  expected = load('X-12', 'validation', sample_dir)
  assert_equal((np.stack(images)[..., 0], labels), expected)


def test_instructions_of_tfds_name_parts(sample_dir):
  whole = load('X-12', tfds.Split.VALIDATION, sample_dir)
  thirds = load('X-12', tfds.even_splits('validation', 3), sample_dir)
  assert_equal(map(np.concatenate, zip(*thirds, strict=True)), whole)
  half = tfds.core.ReadInstruction('validation', to=50, unit='%')
  assert_equal(
    load('X-12', half, sample_dir), load('X-12', 'validation[:50%]', sample_dir)
  )


def test_the_choice_is_that_of_the_documented_recipe(sample_dir):
  where = sample.locations()
  arrays = origin.load_split.load_split(source('F'), 'train', where)
  expected = []
  for label in range(10):
    rows = np.flatnonzero(arrays.labels == label)
    chosen = np.random.RandomState(0).permutation(len(rows))
    expected.extend(rows[chosen[: max(1, round(len(rows) / 10))]])
  found, _ = load('1-F', 'validation', sample_dir)
  assert as_set(found) == as_set(arrays.images[expected])


def test_a_union_holds_out_what_its_sources_hold_out(sample_dir):
  union, one, other = (
    as_set(load(name, 'validation', sample_dir)[0])
    for name in ('2-FKd', '1-F', '1-Kd')
  )
  assert union == one | other


def test_predictions_for_the_validation_sets_of_draws_are_scored(
  sample_dir, tmp_path
):
  name, where = '2-FKd-r-20', {'data_dir': sample_dir, 'sample': True}
  about = {'method': 'copy', 'split': 'validation', **where}
  paths = [tmp_path / '1.npz', tmp_path / '2.npz']
  for draw, path in enumerate(paths, 1):
    _, labels = load(name, 'validation', sample_dir, draw=draw)
    saved = cmnist_tfds.save_predictions(
      path, name, labels, labels, draw=draw, **about
    )
    scored = cmnist_tfds.evaluate(name, path, **where)
    assert (scored.accuracy.value, scored.examples) == (1, len(labels))
    other = dataclasses.replace(saved, draws=(3 - draw,))
    with pytest.raises(PredictionsError, match='are not those of'):
      cmnist_tfds.evaluate(name, other, **where)
  with pytest.raises(PredictionsError, match=r'draw 1.*draw 2.*draw alone'):
    cmnist_tfds.evaluate(name, paths, **where)
  with pytest.raises(PredictionsError, match=r'of draw 1 against .* of draw 2'):
    cmnist_tfds.compare(name, *paths, **where)
  both = np.stack([labels, labels])
  with pytest.raises(PredictionsError, match=r'found \[1, 2\]'):
    cmnist_tfds.save_predictions(
      tmp_path / 'both.npz', name, both, labels, draw=[1, 2], **about
    )


# Blocks of writers ------------------------------------------------------------

_TOY = synthetic.make(sizes={'train': 400, 'test': 60})


def toy(block, per_class=None):
  record = msgspec.structs.replace(_TOY.source, writer_block=block)
  name = '1-T' if per_class is None else f'1-T-r-{per_class}'
  return Subset(name, ((record, (0, 1)),), per_class=per_class)


def held_out_ranks(labels, block, **kwargs):
  """For each class, which of its examples in the file are held out."""
  order = shuffle_order('train', len(labels))
  prepared = toy(block), labels[order]
  rows = hold_out.part_rows(*prepared, dataset='cmnist', **kwargs)
  held = np.sort(order[rows['validation']])
  ranks = draws.class_ranks(labels)
  return [ranks[held][labels[held] == label].tolist() for label in (0, 1)]


@pytest.mark.parametrize(
  ('count', 'block', 'num_held'), [(200, 20, 1), (200, 7, 3), (5, 2, 1)]
)
def test_writers_are_held_out_whole(count, block, num_held):
  labels = np.random.default_rng(0).permutation(np.arange(2 * count) % 2)
  zeros, ones = held_out_ranks(labels, block)
  assert zeros == ones
  writers = set(np.array(zeros) // block)
  assert len(writers) == num_held
  # A class without training examples is left out.
  assert held_out_ranks(np.zeros(count, int), block) == [zeros, []]
  assert zeros == [n for n in range(count) if n // block in writers]


@pytest.mark.parametrize(
  ('count', 'block', 'draw', 'why'),
  [
    (1, 1, 0, r"nothing of '\w+' can be held out: it has 1 training example\."),
    (20, 20, 0, r'it has 20 training examples by one writer'),
    (200, 20, 1, 'mixes the writers'),
  ],
)
def test_says_where_nothing_can_be_held_out(count, block, draw, why):
  with pytest.raises(SplitError, match=why):
    held_out_ranks(np.arange(2 * count) % 2, block, draw=draw)


# Draws ------------------------------------------------------------------------


@pytest.mark.parametrize('reader', [load, batches, of_torch])
def test_readers_give_the_same_draws(reader, sample_dir):
  images, labels = load('X-12', 'train', sample_dir)
  ranks = draws.class_ranks(labels)
  for draw in (1, 2):
    rows = ranks // 5 == draw - 1
    found = reader('X-12-r-5', 'train', sample_dir, draw=draw)
    assert_equal(found, (images[rows], labels[rows]))
  found = reader('X-12-r-5', 'test', sample_dir, draw=2)
  assert_equal(found, load('X-12', 'test', sample_dir))


def test_draws_have_validation_sets(sample_dir):
  train, fit, validation = (
    load('X-12-r-20', split, sample_dir, draw=2)
    for split in ('train', 'fit', 'validation')
  )
  assert as_set(train[0]) == as_set(fit[0]) | as_set(validation[0])
  assert np.bincount(validation[1]).tolist() == [2] * 12
  assert len(fit[1]) + len(validation[1]) == len(train[1])


@pytest.mark.parametrize(
  ('name', 'split', 'draw', 'why'),
  [
    ('X-12-r-50', 'train', 3, "2 draws, not 3: '0' has 120 training examples"),
    ('X-12-r-60', 'train', 3, 'has 2 draws, not 3'),
    ('X-12-r-500', 'train', 1, 'has 0 draws, not 1'),
    *(
      ('X-12-r-5', 'train', draw, 'draw must be a whole number')
      for draw in (-1, 1.0, True, '1', None)
    ),
    ('X-12', 'train', 1, 'has all training examples, so it has no draws'),
    ('X-12', 'val', 0, "no split 'val'.*validation, fit"),
    ('X-12', 'fit[:1297]', 0, 'fit, which has 1,296 examples'),
    ('X-12', 'validation[-150:]', 0, 'validation, which has 144 examples'),
  ],
)
@pytest.mark.parametrize('reader', [load, batches, of_torch])
def test_says_what_is_no_draw_or_part(
  reader, name, split, draw, why, sample_dir
):
  with pytest.raises(SplitError, match=why):
    reader(name, split, sample_dir, draw=draw)


def test_the_rarest_class_limits_the_draws():
  reduced = toy(1, per_class=3)
  labels = np.array([0] * 10 + [1] * 7)
  assert draws.count_draws(reduced, labels) == 2
  rows = draws.draw_rows(reduced, labels, 2)
  assert rows.tolist() == [3, 4, 5, 13, 14, 15]
  with pytest.raises(SplitError, match='has 2 draws, not 3'):
    draws.draw_rows(reduced, labels, 3)


@pytest.mark.parametrize('split', ['test', 'all', 'validation+test[:1]'])
def test_rows_are_of_training_examples_alone(split, sample_dir):
  with pytest.raises(SplitError, match='has test examples'):
    cmnist_tfds.training_rows('X-12', split, data_dir=sample_dir, sample=True)


# Real files -------------------------------------------------------------------


def test_kannada_mnist_holds_out_whole_writers(origin_files, tmp_path):
  subset = subsets.subset('1-Kd')
  for split in SPLITS:
    split_sources.open_split(subset, split, Locations(manual_dir=origin_files))
  opened = open_or_prepare(subset, data_dir=tmp_path)
  order = shuffle_order('train', 60_000)
  ((_, fit),), ((_, held),) = opened.rows('fit'), opened.rows('validation')
  writers = [set(order[rows] // 1280) for rows in (fit, held)]
  assert not set.intersection(*writers)
  assert [len(of_part) for of_part in writers] == [42, 5]
  read = opened.split('train').read(['row', 'writer'])
  np.testing.assert_array_equal(read['row'], order)
  np.testing.assert_array_equal(read['writer'], order // 1280)

  with pytest.raises(SplitError, match='100 training examples by one writer'):
    cmnist_tfds.load_data('1-Kd-r-100', split='fit', data_dir=tmp_path)

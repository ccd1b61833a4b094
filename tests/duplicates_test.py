# SPDX-License-Identifier: Apache-2.0
"""Copies and near-copies are found, all of them and no others."""

import csv
import dataclasses
import functools
import itertools

import numpy as np
import pytest
from command_line import run as _run

import cmnist_tfds
from cmnist_tfds import origin, sample, subsets
from cmnist_tfds import sources as sources_lib
from cmnist_tfds.load.open_subset import open_subset
from cmnist_tfds.scoring import duplicates
from cmnist_tfds.scoring.duplicates import AuditedImages
from cmnist_tfds.system.errors import PredictionsError


def _parts(train, test):
  """Makes parts of images (n, 784); their labels are 0 and their rows shifted."""
  source, parts = sources_lib.source('F'), []
  for split, given in (('train', train), ('test', test)):
    images, rows = np.asarray(given, np.uint8), np.arange(len(given)) + 100
    parts.append(AuditedImages(source, split, rows, 0 * rows, images))
  return parts


def _brute_force(images, limit):
  """All pairs within a limit, with their ratios, in integers."""
  images = images.astype(np.int64)
  norms = np.sqrt((images**2).sum(axis=1))
  found = {}
  for i, j in itertools.combinations(range(len(images)), 2):
    ratio = ((images[i] - images[j]) ** 2).sum() / (norms[i] * norms[j])
    if 0 < ratio <= limit:
      found[i, j] = ratio
  return found


def _random(seed, count):
  return np.random.default_rng(seed).integers(0, 256, (count, 784), np.uint8)


def _families(rng, count):
  """Images that are the nearer to each other the later they come."""
  base = rng.integers(0, 200, (12, 784))
  noise = rng.normal(0, 1, (count, 784)) * np.linspace(60, 1, count)[:, None]
  return np.clip(base[rng.integers(0, 12, count)] + noise, 0, 255)


@pytest.mark.parametrize('limit', [0.001, 0.01, 0.2])
def test_all_pairs_are_found(limit):
  images = _families(np.random.default_rng(0), 160).astype(np.uint8)
  images = np.unique(images, axis=0)
  found = duplicates.find_duplicates(_parts(images[:90], images[90:]), limit)
  expected = _brute_force(images, limit)
  assert expected
  found_pairs = map(tuple, found.pairs.tolist())
  pairs = dict(zip(found_pairs, found.ratios.tolist(), strict=True))
  assert pairs == pytest.approx(expected)
  assert list(pairs.values()) == sorted(pairs.values())


def test_without_a_pair_the_nearest_is_there():
  images = _random(1, 50)
  found = duplicates.find_duplicates(_parts(images[:30], images[30:]), 1e-6)
  nearest = min(_brute_force(images, 9).items(), key=lambda pair: pair[1])
  assert len(found.pairs) == 1
  assert tuple(found.pairs[0]) == nearest[0]
  assert found.ratios[0] == pytest.approx(nearest[1])


def test_equal_images_form_a_group_with_the_first():
  images = _random(2, 10)
  images[[4, 7, 9]] = images[1]
  near = images[3].copy()
  near[5] ^= 1
  test = [*images[6:], near, near]
  found = duplicates.find_duplicates(_parts(images[:6], test))
  assert found.firsts[[1, 4, 7, 9]].tolist() == [1] * 4
  assert found.pairs.tolist() == [[1, 4], [1, 7], [1, 9], [10, 11], [3, 10]]
  assert not found.ratios[:4].any() and found.ratios[4] > 0
  assert np.flatnonzero(found.with_copy(0)).tolist() == [7, 9]
  # Copies of a near-copy count too.
  assert np.flatnonzero(found.with_copy(0.01)).tolist() == [7, 9, 10, 11]


def test_a_pair_at_the_threshold_is_a_near_copy():
  train, test = np.zeros((2, 2, 784), np.uint8)
  train[:, 0] = test[:, 0] = 100, 50
  test[0, 9] = 10
  # The distance is 10, the norms are 100 and that of (100, 10).
  ratio = 100 / (100 * np.hypot(100, 10))
  for limit, pairs in (
    (ratio, [[1, 3], [0, 2]]),
    (np.nextafter(ratio, 0), [[1, 3]]),
  ):
    found = duplicates.find_duplicates(_parts(train, test), limit)
    assert found.pairs.tolist() == pairs
    assert found.with_copy(limit).sum() == len(pairs)
  found = duplicates.find_duplicates(_parts(train, test), 2 * ratio)
  assert found.with_copy(ratio).sum() == 2


@pytest.mark.parametrize('value', [0, 255])
def test_blank_images_are_copies_of_each_other_only(value):
  images = _random(4, 20)
  images[[3, 8]] = value
  found = duplicates.find_duplicates(_parts(images, images[:0]))
  assert found.pairs.tolist() == [[3, 8]]
  alone = duplicates.find_duplicates(_parts(images[3:4], images[:0]))
  assert not len(alone.pairs) and not alone.with_copy(1).any()


# Real files -------------------------------------------------------------------


def _real_parts(key, splits, folder):
  source = sources_lib.source(key)
  where = origin.Locations(manual_dir=folder)
  parts = []
  for split in splits:
    try:
      arrays = origin.load_split.load_split(source, split, where)
    except cmnist_tfds.OriginFileError as error:
      pytest.skip(str(error))
    labels = arrays.labels.astype(int)
    images = arrays.images.reshape(-1, 784)
    rows = np.arange(len(labels))
    parts.append(AuditedImages(source, split, rows, labels, images))
  return parts


def test_notmnist_has_the_known_number_of_different_test_images(origin_files):
  (part,) = parts = _real_parts('N', ['test'], origin_files)
  found = duplicates.find_duplicates(parts, 1e-9)
  assert len(np.unique(found.firsts)) == 9804
  largest = np.bincount(found.firsts).argmax()
  white = np.flatnonzero(found.firsts == largest)
  assert (part.images[white] == part.images[white[0], 0]).all()
  assert len(white) == 141
  assert {part.class_name(n) for n in white} == {'I'}


def test_fashion_mnist_has_the_known_near_copies(origin_files):
  parts = _real_parts('F', ['train', 'test'], origin_files)
  found = duplicates.find_duplicates(parts)
  assert (found.ratios > 0).all()
  assert [found.with_copy(most).sum() for most in (0.005, 0.01)] == [11, 31]


# The commands -----------------------------------------------------------------


@pytest.mark.parametrize('name', ['F', '2-FKd'])
def test_the_command_lists_pairs_by_their_rows(capsys, tmp_path, name):
  files = [tmp_path / 'pairs.tsv', tmp_path / 'pairs.svg']
  status, out, err = _run(
    *(capsys, 'audit', name, '--sample', '--threshold', '0.05'),
    *('--pairs', files[0], '--picture', files[1]),
  )
  assert (status, err) == (0, '')
  assert 'F train' in out and 'Nearest pair: ratio' in out
  assert files[1].stat().st_size > 1000
  rows = list(csv.DictReader(files[0].open(encoding='utf-8'), delimiter='\t'))
  assert rows
  where = sample.locations()
  read = functools.cache(
    lambda source, split: origin.load_split.load_split(source, split, where)
  )
  for row in rows:
    pixels = []
    for n in '12':
      source = sources_lib.source(row[f'source_{n}'])
      arrays, number = read(source, row[f'split_{n}']), int(row[f'row_{n}'])
      assert row[f'class_{n}'] == source.class_names[arrays.labels[number]]
      pixels.append(arrays.images[number].ravel())
    found = _brute_force(np.stack(pixels), 0.1)
    assert found == {(0, 1): pytest.approx(float(row['ratio']), abs=1e-6)}


def test_evaluation_leaves_out_near_copies(capsys, monkeypatch, tmp_path):
  # The sample has few near-copies at the threshold of real data.
  monkeypatch.setattr(duplicates, 'THRESHOLD', 0.1)
  (x_train, _), (x_test, labels) = cmnist_tfds.load_data('2-FKd', sample=True)
  open_ = functools.partial(open_subset, sample=True)
  copied = duplicates.copies_in_train(subsets.subset('2-FKd'), open_)
  assert 0 < copied.sum() < len(copied)
  # The images are those with a near one in the training set.
  x_train, x_test = (
    x.reshape(len(x), 784).astype(float) for x in (x_train, x_test)
  )
  norms = np.linalg.norm(x_train, axis=1)
  for image, is_copied in zip(x_test[:40], copied, strict=False):
    ratios = ((x_train - image) ** 2).sum(1) / norms / np.linalg.norm(image)
    assert (ratios.min() <= 0.1) == is_copied
  # A model that is right on those alone loses everything.
  wrong = np.where(copied, labels, (labels + 1) % 20)
  path = tmp_path / 'p.npz'
  made = cmnist_tfds.save_predictions(
    path, '2-FKd', wrong, labels, method='wrong', sample=True
  )
  evaluate = functools.partial(cmnist_tfds.evaluate, '2-FKd')
  assert evaluate(made, sample=True).accuracy.value == copied.mean()
  without = evaluate(made, sample=True, without_near_duplicates=True)
  assert without.accuracy.value == 0
  assert without.examples == (~copied).sum()
  assert f'{copied.sum():,} test images' in without.notes[1]
  arguments = ('2-FKd', path, '--without_near_duplicates', '--sample')
  printed = ' '.join(_run(capsys, 'evaluate', *arguments)[1].split())
  assert without.notes[1] in printed
  labels = np.tile(np.arange(20), 1000)
  made = dataclasses.replace(made, dataset='cmnist', labels=labels)
  with pytest.raises(PredictionsError, match='do not trust labels'):
    evaluate(made, trust_labels=True, without_near_duplicates=True)

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import logging
import os
import pickle
import shutil

import google_crc32c
import numpy as np
import pytest
import synthetic

from cmnist_tfds import subsets
from cmnist_tfds.cache import split_sources, store
from cmnist_tfds.formats import png
from cmnist_tfds.origin import Locations
from cmnist_tfds.sources import SPLITS
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system.errors import OriginFileError

TOY = synthetic.make()
# Its labels begin at one class's; more images than are encoded in one go.
UPRIGHT = synthetic.make(
  form='zip',
  key='U',
  folder='upright',
  seed=1,
  sizes={'train': 2100, 'test': 10},
)
BOTH = Subset('2-TU', ((TOY.source, (0, 1)), (UPRIGHT.source, (0, 1))))
ONE = Subset('1-T', ((TOY.source, (0, 1)),))
NOWHERE = Locations()


@pytest.fixture(autouse=True)
def cache_dir(monkeypatch, tmp_path):
  monkeypatch.setenv('CMNIST_CACHE_DIR', str(tmp_path / 'cache'))
  return tmp_path / 'cache'


@pytest.fixture
def origin_dir(tmp_path):
  for made in (TOY, UPRIGHT):
    made.write(tmp_path / 'origin')
  return tmp_path / 'origin'


@pytest.fixture
def locations(origin_dir):
  return Locations(manual_dir=origin_dir)


def open_raw(subset, split, locations=NOWHERE, *, allow_unverified=False):
  return split_sources.open_raw(
    subset, split, locations, allow_unverified=allow_unverified
  )


def open_encoded(subset, split, locations=NOWHERE, *, allow_unverified=False):
  return split_sources.open_encoded(
    subset, split, locations, allow_unverified=allow_unverified
  )


def images_of(made, split):
  images, _ = made.arrays[split]
  return images.transpose(0, 2, 1) if made.source.steps else images


def pngs_of(source):
  """Returns the PNG of each example that a split takes."""
  arrays = source.kept.arrays
  ends = np.cumsum(arrays['lengths'], dtype=np.int64)
  pngs = [
    arrays['pngs'][end - length : end].tobytes()
    for length, end in zip(arrays['lengths'], ends, strict=True)
  ]
  assert len(arrays['pngs']) == sum(map(len, pngs)) + split_sources.MARGIN
  assert arrays['crcs'].tolist() == list(map(google_crc32c.value, pngs))
  return pngs if source.rows is None else [pngs[row] for row in source.rows]


def assert_whole(source, made, split, *, encoded=False):
  """Asserts that a source gives all examples of the split."""
  assert source.rows is None
  images = png.decode(pngs_of(source)) if encoded else source.take('images')
  np.testing.assert_array_equal(images, images_of(made, split))
  np.testing.assert_array_equal(source.take('labels'), made.arrays[split][1])
  files = made.source.splits[split]
  assert source.proofs == {
    files.images.path: 'sha256',
    files.labels.path: 'sha256',
  }
  assert len(source) == len(images)


@pytest.mark.parametrize('split', SPLITS)
def test_raw_pixels_are_read_once_and_are_upright(split, locations, origin_dir):
  for _ in range(2):
    toy, upright = open_raw(BOTH, split, locations)
    assert_whole(toy, TOY, split)
    assert_whole(upright, UPRIGHT, split)
    shutil.rmtree(origin_dir, ignore_errors=True)
  assert {e.kind for e in store.entries()} == {'arrays'}
  assert sorted(e.description for e in store.entries()) == [
    f'T {split}, pixels',
    f'U {split}, pixels',
  ]


@pytest.mark.parametrize('split', SPLITS)
def test_images_are_encoded_from_raw_pixels(split, locations, origin_dir):
  open_raw(BOTH, split, locations)
  shutil.rmtree(origin_dir)
  for _ in range(2):
    toy, upright = open_encoded(BOTH, split)
    assert_whole(toy, TOY, split, encoded=True)
    assert_whole(upright, UPRIGHT, split, encoded=True)
    # They are not needed any more.
    store.clear('arrays')


def test_each_kind_is_kept_when_it_is_first_needed(locations):
  open_encoded(BOTH, 'train', locations)
  assert [len(store.entries(kind)) for kind in ('arrays', 'encoded')] == [0, 2]
  assert split_sources.find_raw(BOTH, 'train')
  assert [len(store.entries(kind)) for kind in ('arrays', 'encoded')] == [2, 2]


def test_images_are_encoded_from_raw_pixels_without_origin_files(
  locations, origin_dir
):
  expected = open_encoded(BOTH, 'train', locations)
  open_raw(BOTH, 'train', locations)
  shutil.rmtree(origin_dir)
  assert len(store.clear('encoded')) == 2
  for before, after in zip(
    expected, open_encoded(BOTH, 'train', locations), strict=True
  ):
    np.testing.assert_array_equal(after.take('crcs'), before.take('crcs'))


def test_raw_pixels_are_decoded_where_origin_files_are_gone(
  locations, origin_dir
):
  open_encoded(BOTH, 'train', locations)
  shutil.rmtree(origin_dir)
  for open_again in (
    lambda: open_raw(BOTH, 'train'),
    lambda: split_sources.find_raw(BOTH, 'train'),
  ):
    store.clear('arrays')
    toy, upright = open_again()
    assert_whole(toy, TOY, 'train')
    assert_whole(upright, UPRIGHT, 'train')
    assert len(store.entries('arrays')) == 2


def test_both_ways_to_raw_pixels_give_the_same_files(locations):
  open_raw(ONE, 'train', locations)

  def files():
    (entry,) = store.entries('arrays')
    return {path.name: path.read_bytes() for path in entry.path.iterdir()}

  from_origin = files()
  open_encoded(ONE, 'train', locations)
  store.clear('arrays')
  open_raw(ONE, 'train')
  assert files() == from_origin


def test_nothing_is_found_in_an_empty_cache(locations):
  assert split_sources.find_raw(ONE, 'train') is None
  open_raw(ONE, 'train', locations)
  assert split_sources.find_raw(ONE, 'train')
  assert split_sources.find_raw(ONE, 'test') is None
  assert split_sources.find_raw(BOTH, 'train') is None
  with pytest.raises(OriginFileError, match='upright/train-images'):
    open_raw(BOTH, 'train')


def test_a_cache_that_cannot_be_written_does_no_harm(
  cache_dir, locations, caplog
):
  cache_dir.write_text('mine')
  with caplog.at_level(logging.WARNING):
    for split in SPLITS:
      toy, upright = open_raw(BOTH, split, locations)
      assert_whole(toy, TOY, split)
      assert_whole(upright, UPRIGHT, split)
      toy, upright = open_encoded(BOTH, split, locations)
      assert_whole(toy, TOY, split, encoded=True)
      assert_whole(upright, UPRIGHT, split, encoded=True)
  assert caplog.text.count('cannot be used') == 1


# What a subset takes ----------------------------------------------------------


def test_a_reduced_subset_takes_the_first_of_each_class(locations):
  reduced = Subset('2-TU-r-3', BOTH.members, per_class=3)
  for sources in (
    open_raw(reduced, 'train', locations),
    open_encoded(reduced, 'train', locations),
  ):
    toy, upright = sources
    assert toy.rows.tolist() == upright.rows.tolist() == [0, 1, 2, 3, 4, 5]
    assert toy.labels().tolist() == [0, 1, 0, 1, 0, 1]
    assert upright.labels().tolist() == [2, 3, 2, 3, 2, 3]
    assert upright.labels().dtype == np.int64
  np.testing.assert_array_equal(
    png.decode(pngs_of(upright)), images_of(UPRIGHT, 'train')[:6]
  )
  toy, _ = open_raw(reduced, 'test', locations)
  assert toy.rows is None


def test_a_subset_may_take_some_classes(locations):
  mixed = Subset('X-2', ((TOY.source, (1,)), (UPRIGHT.source, (0,))))
  toy, upright = open_raw(mixed, 'test', locations)
  assert toy.rows.tolist() == list(range(1, 20, 2))
  assert upright.rows.tolist() == list(range(0, 10, 2))
  assert toy.labels().tolist() == [0] * 10
  assert upright.labels().tolist() == [1] * 5
  np.testing.assert_array_equal(
    upright.take('images'), images_of(UPRIGHT, 'test')[::2]
  )


def digest(subset, split, locations, **kwargs):
  sources = open_raw(subset, split, locations, **kwargs)
  found = split_sources.digest(sources, sum(map(len, sources)))
  encoded = open_encoded(subset, split, locations, **kwargs)
  assert split_sources.digest(encoded, sum(map(len, encoded))) == found
  return found


def test_digests_are_equal_where_examples_are(locations):
  def subset(members, per_class=None):
    return Subset('any', members, per_class)

  toy, upright = BOTH.members
  train = {
    name: digest(of, 'train', locations)
    for name, of in {
      'toy': subset((toy,)),
      'upright': subset((upright,)),
      'both': subset((toy, upright)),
      'other order': subset((upright, toy)),
      'reduced': subset((toy, upright), 3),
      'more': subset((toy, upright), 4),
      'other labels': subset(((TOY.source, (1, 0)),)),
      'one class': subset(((TOY.source, (0,)),)),
      'other class': subset(((TOY.source, (1,)),)),
    }.items()
  }
  assert len(set(train.values())) == len(train)
  # As many of each class as there are, and more.
  for per_class in (20, 21):
    reduced = subset((toy,), per_class)
    assert digest(reduced, 'train', locations) == train['toy']
  test = digest(BOTH, 'test', locations)
  assert test not in train.values()
  assert digest(subset(BOTH.members, 3), 'test', locations) == test


def test_the_number_of_examples_decides_too(locations):
  sources = open_raw(ONE, 'train', locations)
  assert split_sources.digest(sources, 40) != split_sources.digest(sources, 39)


# Unverified files -------------------------------------------------------------


def write_other(folder, seed, count=40):
  """Writes files of the source that nothing proves; returns the images."""
  images = np.random.default_rng(seed).integers(
    0, 256, (count, 28, 28), np.uint8
  )
  (folder / 'toy/train-images.gz').write_bytes(synthetic.idx(images))
  labels = TOY.arrays['train'][1][:count]
  (folder / 'toy/train-labels.gz').write_bytes(synthetic.idx(labels))
  return images


def test_unverified_files_are_kept_by_their_content(locations, origin_dir):
  digests = []
  for seed in (5, 6, 5):
    images = write_other(origin_dir, seed)
    with pytest.raises(OriginFileError, match='not the published one'):
      open_raw(ONE, 'train', locations)
    (raw,) = open_raw(ONE, 'train', locations, allow_unverified=True)
    np.testing.assert_array_equal(raw.take('images'), images)
    (encoded,) = open_encoded(ONE, 'train', locations, allow_unverified=True)
    np.testing.assert_array_equal(png.decode(pngs_of(encoded)), images)
    assert raw.proofs == {
      'toy/train-images.gz': 'unverified',
      'toy/train-labels.gz': 'sha256',
    }
    digests.append(digest(ONE, 'train', locations, allow_unverified=True))
  assert digests[0] == digests[2] != digests[1]
  assert len(store.entries('arrays')) == len(store.entries('encoded')) == 2
  # They are never taken for the verified ones.
  assert split_sources.find_raw(ONE, 'train') is None
  TOY.write(origin_dir)
  (raw,) = open_raw(ONE, 'train', locations)
  assert_whole(raw, TOY, 'train')


def test_unverified_files_are_those_of_their_declaration(locations, origin_dir):
  write_other(origin_dir, 5)
  keys = set()
  for declared in ('a', 'b'):
    source = dataclasses.replace(TOY.source, digest=declared)
    subset = Subset('1-T', ((source, (0, 1)),))
    (raw,) = open_raw(subset, 'train', locations, allow_unverified=True)
    keys.add(raw.key)
  assert len(keys) == len(store.entries('arrays')) == 2


def test_fewer_unverified_examples(locations, origin_dir):
  for count in (7, 1, 0):
    images = write_other(origin_dir, 7, count)
    (raw,) = open_raw(ONE, 'train', locations, allow_unverified=True)
    np.testing.assert_array_equal(raw.take('images'), images)
    (encoded,) = open_encoded(ONE, 'train', locations, allow_unverified=True)
    np.testing.assert_array_equal(png.decode(pngs_of(encoded)), images)


def test_verified_files_are_kept_as_such_where_others_are_allowed(locations):
  open_raw(ONE, 'train', locations, allow_unverified=True)
  (raw,) = split_sources.find_raw(ONE, 'train')
  assert_whole(raw, TOY, 'train')


# Planted entries --------------------------------------------------------------


def planted_arrays(kind, kept):
  """Yields names of faults, and arrays and note that have them."""
  arrays, note = dict(kept.arrays), dict(kept.note)
  labels = arrays['labels']
  proofs = note['proofs']
  shuffled = np.random.default_rng(0).integers(0, 2, len(labels), np.uint8)
  fewer = {name: array[:30] for name, array in arrays.items()}
  yield 'random labels', {**arrays, 'labels': shuffled}, note
  yield 'labels of no class', {**arrays, 'labels': labels + 2}, note
  yield 'wide labels', {**arrays, 'labels': labels.astype(np.uint64)}, note
  yield 'signed labels', {**arrays, 'labels': labels.astype(np.int64)}, note
  yield 'flat labels', {**arrays, 'labels': labels[:, None]}, note
  yield 'fewer', fewer, note
  yield 'none', {name: array[:0] for name, array in arrays.items()}, note
  yield 'fewer labels', {**arrays, 'labels': labels[:-1]}, note
  for name, array in arrays.items():
    yield f'no {name}', {k: v for k, v in arrays.items() if k != name}, note
    other = {**arrays, name: array.astype(np.int16)}
    yield f'{name} of another type', other, note
  yield 'nothing', {}, note
  yield 'no note', arrays, {}
  yield 'another key', arrays, {**note, 'key': note['key'].replace('T', 'U')}
  for name, other in {
    'a forged proof': dict.fromkeys(proofs, 'sha356'),
    'no proof': dict.fromkeys(proofs, 'unverified'),
    'a proof of no kind': {path: ['sha256'] for path in proofs},
    'a file too few': dict(list(proofs.items())[:1]),
    'other files': {'a': 'sha256', 'b': 'sha256'},
    'a list of files': list(proofs),
    'a word': 'sha256',
  }.items():
    yield name, arrays, {**note, 'proofs': other}
  if kind == 'encoded':
    lengths = arrays['lengths'] + 1
    yield 'longer', {**arrays, 'lengths': lengths}, note
    yield 'no margin', {**arrays, 'pngs': arrays['pngs'][:-1]}, note
  else:
    images = arrays['images']
    yield 'turned', {**arrays, 'images': images.reshape(-1, 14, 56)}, note
    yield 'flat', {**arrays, 'images': images.reshape(-1)}, note


@pytest.mark.parametrize('kind', ['arrays', 'encoded'])
def test_planted_entries_are_not_used(
  kind, locations, tmp_path, monkeypatch, caplog
):
  opened = {'arrays': open_raw, 'encoded': open_encoded}[kind]
  (right,) = opened(ONE, 'train', locations)
  (entry,) = store.entries(kind)
  planted = list(planted_arrays(kind, right.kept))
  assert len({name for name, *_ in planted}) == len(planted)
  for number, (name, arrays, note) in enumerate(planted):
    monkeypatch.setenv('CMNIST_CACHE_DIR', str(tmp_path / str(number)))
    made = store.Made(arrays, note, name)
    store.keep(kind, entry.path.name, lambda made=made: made, lambda kept: None)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
      assert split_sources.find_raw(ONE, 'train') is None, name
      (found,) = opened(ONE, 'train', locations)
    assert_whole(found, TOY, 'train', encoded=kind == 'encoded')
    assert 'is not used' in caplog.text, name
    assert 'cannot be used' not in caplog.text, name


def test_an_unverified_entry_with_forged_proofs_is_not_used(
  locations, origin_dir, caplog
):
  write_other(origin_dir, 5)
  (right,) = open_raw(ONE, 'train', locations, allow_unverified=True)
  (entry,) = store.clear()
  note = {**right.kept.note, 'proofs': dict.fromkeys(right.proofs, 'sha256')}
  store.keep(
    'arrays',
    entry.path.name,
    lambda: store.Made(right.kept.arrays, note, 'forged'),
    lambda kept: None,
  )
  with caplog.at_level(logging.WARNING):
    (found,) = open_raw(ONE, 'train', locations, allow_unverified=True)
  assert found.proofs == right.proofs
  assert str(entry.path) in caplog.text


def test_an_entry_of_another_source_is_not_used(locations):
  open_raw(BOTH, 'test', locations)
  toy, upright = store.entries('arrays')
  shutil.rmtree(toy.path)
  shutil.copytree(upright.path, toy.path)
  assert split_sources.find_raw(ONE, 'test') is None
  (raw,) = open_raw(ONE, 'test', locations)
  assert_whole(raw, TOY, 'test')


# Entries of other users -------------------------------------------------------


def give_away(folder):
  """Gives the entries of the cache to another user, who may write to it."""
  if not hasattr(os, 'geteuid') or os.geteuid() != 0:
    pytest.skip('only the superuser gives files away')
  folder.chmod(0o2777)
  for path in folder.rglob('*'):
    os.chown(path, 12345, -1)


@pytest.mark.parametrize('made', [TOY, UPRIGHT], ids=['turned', 'upright'])
@pytest.mark.parametrize('kind', ['arrays', 'encoded'])
def test_proved_entries_of_another_user_are_used(
  kind, made, locations, cache_dir, caplog
):
  opened = {'arrays': open_raw, 'encoded': open_encoded}[kind]
  subset = Subset(f'1-{made.source.key}', ((made.source, (0, 1)),))
  opened(subset, 'train', locations)
  give_away(cache_dir)
  with caplog.at_level(logging.WARNING):
    (found,) = opened(subset, 'train', NOWHERE)
  assert_whole(found, made, 'train', encoded=kind == 'encoded')
  assert not caplog.records


@pytest.mark.parametrize('kind', ['arrays', 'encoded'])
@pytest.mark.parametrize('planted', ['images', 'garbage'])
def test_planted_entries_of_another_user_are_not_used(
  kind, planted, locations, cache_dir, caplog
):
  opened = {'arrays': open_raw, 'encoded': open_encoded}[kind]
  (right,) = opened(ONE, 'train', locations)
  (entry,) = store.clear(kind)
  arrays = dict(right.kept.arrays)
  if kind == 'arrays':
    images = np.random.default_rng(0).integers(0, 256, arrays['images'].shape)
    arrays['images'] = images.astype(np.uint8)
  elif planted == 'images':
    # Each class keeps its number of images; they are not its own.
    arrays['labels'] = arrays['labels'][::-1].copy()
  else:
    arrays['pngs'] = np.zeros_like(arrays['pngs'])
  planted_ones = store.Made(arrays, right.kept.note, 'planted')
  store.keep(kind, entry.path.name, lambda: planted_ones, lambda kept: None)
  give_away(cache_dir)
  with caplog.at_level(logging.INFO, 'cmnist_tfds'):
    (found,) = opened(ONE, 'train', locations)
  assert_whole(found, TOY, 'train', encoded=kind == 'encoded')
  assert f'{entry.path} is not used' in caplog.text


def test_images_that_cannot_be_decoded_are_read_from_origin_files(
  locations, caplog
):
  (right,) = open_encoded(ONE, 'train', locations)
  (entry,) = (e for e in store.clear() if e.kind == 'encoded')
  arrays = dict(right.kept.arrays)
  arrays['pngs'] = np.zeros_like(arrays['pngs'])
  planted = store.Made(arrays, right.kept.note, 'planted')
  store.keep('encoded', entry.path.name, lambda: planted, lambda kept: None)
  with caplog.at_level(logging.WARNING):
    assert split_sources.find_raw(ONE, 'train') is None
    (found,) = open_raw(ONE, 'train', locations)
  assert_whole(found, TOY, 'train')
  assert 'in the cache are not used' in caplog.text


def test_another_process_opens_what_is_shared():
  subset = subsets.subset('1-Km')
  labels = np.arange(10, dtype=np.uint8)
  arrays = {'labels': labels}
  kept = store.keep(
    'arrays',
    'shared',
    lambda: store.Made(arrays, {}, 'labels'),
    lambda kept: None,
  )
  (shared,) = split_sources.share(
    [split_sources.SplitSource(subset.classes, kept, labels[:3], 'key', 1)]
  )
  sent = pickle.dumps(shared)
  received = pickle.loads(sent)
  # Another machine may not know the declaration of an extension.
  assert received.classes[0].source is not subset.sources[0]
  opened = received.open()
  np.testing.assert_array_equal(opened.kept.arrays['labels'], labels)
  np.testing.assert_array_equal(opened.rows, labels)

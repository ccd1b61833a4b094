# SPDX-License-Identifier: Apache-2.0
"""Sources enter the cache once, as raw pixels and as encoded images."""

import functools
import pickle
import shutil
import weakref

import google_crc32c
import msgspec
import numpy as np
import pytest
import synthetic

from cmnist_tfds.cache import split_sources, store
from cmnist_tfds.formats import png
from cmnist_tfds.origin import Locations, Proof, SplitArrays, load_split
from cmnist_tfds.sources import SPLITS
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system.errors import OriginFileError

TOY = synthetic.make()
# Its labels begin at one class's; more images than are encoded in one go.
SIZES = {'train': 2100, 'test': 10}
UPRIGHT = synthetic.make(form='zip', key='U', folder='up', seed=1, sizes=SIZES)
BOTH = Subset('2-TU', ((TOY.source, (0, 1)), (UPRIGHT.source, (0, 1))))
ONE = Subset('1-T', ((TOY.source, (0, 1)),))


pytestmark = pytest.mark.usefixtures('empty_cache')


@pytest.fixture
def origin_dir(tmp_path):
  for made in (TOY, UPRIGHT):
    made.write(tmp_path / 'origin')
  return tmp_path / 'origin'


@pytest.fixture
def locations(origin_dir):
  return Locations(manual_dir=origin_dir)


@pytest.fixture
def unverified(origin_dir):
  return Locations(manual_dir=origin_dir, allow_unverified=True)


open_raw = split_sources.open_split
open_encoded = functools.partial(open_raw, encoded=True)


def pngs_of(source):
  """Returns the PNG of each example that a split takes."""
  arrays = source.arrays
  ends = np.cumsum(arrays['lengths'], dtype=np.int64)
  pngs = [
    arrays['pngs'][end - length : end].tobytes()
    for length, end in zip(arrays['lengths'], ends, strict=True)
  ]
  assert len(arrays['pngs']) == sum(map(len, pngs))
  assert arrays['crcs'].tolist() == list(map(google_crc32c.value, pngs))
  return pngs if source.rows is None else [pngs[row] for row in source.rows]


def images_in(source):
  """Returns the images that a split takes, decoded where they are encoded."""
  if 'pngs' in source.arrays:
    return png.decode(pngs_of(source), 28, 28)
  return source.take('images')


def assert_whole(source, made, split):
  """Asserts that a source gives all examples of the split."""
  assert source.rows is None
  np.testing.assert_array_equal(images_in(source), made.upright(split))
  np.testing.assert_array_equal(source.take('labels'), made.arrays[split][1])
  paths = [file.path for file in made.source.splits[split].files]
  assert source.entry.note['proofs'] == dict.fromkeys(paths, 'sha256')
  assert len(source) == len(made.arrays[split][1])


@pytest.mark.parametrize('split', SPLITS)
def test_raw_pixels_are_read_once_and_are_upright(split, locations, origin_dir):
  for _ in range(2):
    toy, upright = open_raw(BOTH, split, locations)
    assert_whole(toy, TOY, split)
    assert_whole(upright, UPRIGHT, split)
    shutil.rmtree(origin_dir, ignore_errors=True)
  assert {e.kind for e in store.entries()} == {'arrays'}
  assert [e.description for e in store.entries()] == [
    f'T {split}, pixels',
    f'U {split}, pixels',
  ]
  assert split_sources.find_raw(BOTH, split)
  assert not split_sources.find_raw(BOTH, {'train': 'test'}.get(split, 'train'))


@pytest.mark.parametrize('split', SPLITS)
def test_images_are_encoded_from_raw_pixels(split, locations, origin_dir):
  for _ in range(2):
    toy, upright = open_encoded(BOTH, split, locations)
    assert_whole(toy, TOY, split)
    assert_whole(upright, UPRIGHT, split)
    # They are not needed any more.
    store.clear('arrays')
  open_raw(BOTH, split, locations)
  shutil.rmtree(origin_dir)
  assert len(store.clear('encoded')) == 2
  toy, upright = open_encoded(BOTH, split, Locations())
  assert_whole(upright, UPRIGHT, split)


# What a subset takes ----------------------------------------------------------


@pytest.mark.parametrize(
  ('toy', 'upright', 'per_class', 'split', 'rows', 'labels'),
  [
    ((0, 1), (0, 1), 3, 'train', [range(6), range(6)], [[0, 1], [2, 3]]),
    ((0, 1), (0, 1), 3, 'test', [None, None], [[0, 1], [2, 3]]),
    ((1,), (0,), None, 'test', [range(1, 20, 2), range(0, 10, 2)], [[0], [1]]),
  ],
)
def test_a_subset_may_take_some_examples(
  toy, upright, per_class, split, rows, labels, locations
):
  members = ((TOY.source, toy), (UPRIGHT.source, upright))
  subset = Subset('any', members, per_class)
  for open_split in (open_raw, open_encoded):
    for source, expected, numbers in zip(
      open_split(subset, split, locations), rows, labels, strict=True
    ):
      found = None if source.rows is None else source.rows.tolist()
      assert found == (expected and [*expected])
      repeated = numbers * (len(source) // len(numbers))
      assert source.labels().tolist() == repeated
      assert source.labels().dtype == np.int64
  np.testing.assert_array_equal(
    images_in(source),
    UPRIGHT.upright(split)[slice(None) if found is None else found],
  )


def digest(subset, split, locations):
  sources = open_raw(subset, split, locations)
  found = split_sources.digest(sources, sum(map(len, sources)))
  encoded = open_encoded(subset, split, locations)
  assert split_sources.digest(encoded, sum(map(len, encoded))) == found
  return found


def test_digests_are_equal_where_examples_are(locations):
  def of(*members, per_class=None, split='train'):
    return digest(Subset('any', members, per_class), split, locations)

  toy, upright = BOTH.members
  alone, test = of(toy), of(toy, upright, split='test')
  others = [
    *(of(upright), of(toy, upright), of(upright, toy), test),
    *(of(toy, upright, per_class=3), of(toy, upright, per_class=4)),
    *(of((TOY.source, labels)) for labels in ((1, 0), (0,), (1,))),
    split_sources.digest(open_raw(ONE, 'train', locations), 39),
  ]
  assert len({alone, *others}) == 1 + len(others)
  # As many of each class as there are, and more.
  assert of(toy, per_class=20) == of(toy, per_class=21) == alone
  assert of(toy, upright, per_class=3, split='test') == test


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


def test_unverified_files_are_kept_by_their_content(
  locations, unverified, origin_dir
):
  digests = []
  for seed, count in ((5, 40), (6, 40), (5, 40), (7, 7), (7, 1), (7, 0)):
    images = write_other(origin_dir, seed, count)
    with pytest.raises(OriginFileError, match=r'not the published|an array of'):
      open_raw(ONE, 'train', locations)
    (raw,) = open_raw(ONE, 'train', unverified)
    np.testing.assert_array_equal(raw.take('images'), images)
    (encoded,) = open_encoded(ONE, 'train', unverified)
    np.testing.assert_array_equal(images_in(encoded), images)
    assert raw.entry.note['proofs'] == {
      'toy/train-images.gz': 'unverified',
      'toy/train-labels.gz': 'sha256' if count == 40 else 'unverified',
    }
    digests.append(digest(ONE, 'train', unverified))
  assert digests[0] == digests[2] and len({*digests}) == 5
  assert len(store.entries('arrays')) == len(store.entries('encoded')) == 5
  # They are never taken for the verified ones.
  assert split_sources.find_raw(ONE, 'train') == []
  TOY.write(origin_dir)
  open_raw(ONE, 'train', unverified)
  # The right ones are kept as such even where others are allowed.
  (raw,) = split_sources.find_raw(ONE, 'train')
  assert_whole(raw, TOY, 'train')


def test_unverified_files_are_those_of_their_declaration(
  unverified, origin_dir
):
  write_other(origin_dir, 5)
  keys = set()
  for declared in ('a', 'b'):
    source = msgspec.structs.replace(TOY.source, digest=declared)
    subset = Subset('1-T', ((source, (0, 1)),))
    (raw,) = open_raw(subset, 'train', unverified)
    keys.add(raw.key)
  assert len(keys) == len(store.entries('arrays')) == 2


# Other processes and large sources ----------------------------------------------


def test_another_process_maps_the_same_entry(locations):
  for subset in (ONE, Subset('1-T-r-3', ONE.members, per_class=3)):
    (sent,) = open_raw(subset, 'train', locations)
    received = pickle.loads(pickle.dumps(sent))
    # Another machine may not know the declaration of an extension.
    assert received.classes[0].source is not TOY.source
    assert received.entry.folder == sent.entry.folder
    np.testing.assert_array_equal(received.take('images'), sent.take('images'))
    assert received.labels().tolist() == sent.labels().tolist()


def test_without_a_cache_examples_are_in_memory(locations, empty_cache):
  empty_cache.write_text('a file')
  (source,) = open_encoded(ONE, 'train', locations)
  assert_whole(source, TOY, 'train')
  received = pickle.loads(pickle.dumps(source))
  assert_whole(received, TOY, 'train')


@pytest.mark.parametrize('open_split', [open_raw, open_encoded])
@pytest.mark.parametrize('allow_unverified', [False, True])
def test_few_chunks_are_in_memory_at_a_time(
  open_split, allow_unverified, monkeypatch
):
  class Images(np.ndarray):
    __hash__ = object.__hash__  # It can be in a set.

  alive, most = weakref.WeakSet(), 0
  drawn = np.random.default_rng(0).integers(0, 256, (9, 300, 28, 28), np.uint8)
  labels = np.arange(300, dtype=np.uint8) % 2
  proof = Proof.NONE if allow_unverified else Proof.SHA256

  def load_pieces(*args, **kwargs):
    nonlocal most
    for images in drawn:
      chunk = images.copy().view(Images)
      alive.add(chunk)
      most = max(most, len(alive))
      yield SplitArrays(chunk, labels, {'toy': proof})

  monkeypatch.setattr(load_split, 'load_pieces', load_pieces)
  where = Locations(allow_unverified=allow_unverified)
  (source,) = open_split(ONE, 'train', where)
  assert len(source) == 2700
  assert 1 <= most <= 2
  images = images_in(source)
  np.testing.assert_array_equal(images, drawn.reshape(images.shape))

# SPDX-License-Identifier: Apache-2.0
"""Sources are read, encoded and kept in pieces, so they may be large."""

from __future__ import annotations

import pathlib
import signal
import subprocess
import sys
import weakref

import numpy as np
import pytest

from cmnist_tfds import origin, subsets
from cmnist_tfds.cache import split_sources, store
from cmnist_tfds.formats import png
from cmnist_tfds.origin import draft, load_split
from cmnist_tfds.sources import SPLITS
from cmnist_tfds.system.errors import OriginFileError

_PROGRAM = pathlib.Path(__file__).with_name('programs') / 'encode_killed.py'

# Images are encoded 1,024 at a time. They are dark, as drafts expect.
_COUNTS = {'ant': 1500, 'bee': 4, 'cat': 1100, 'dog': 40, 'eel': 2000}
_FIRST = 3


@pytest.fixture
def pixels(tmp_path, monkeypatch):
  """Declares '1-Xy', with a file for each class, and returns its images."""
  monkeypatch.setenv('CMNIST_CACHE_DIR', str(tmp_path / 'cache'))
  folder = tmp_path / 'animals'
  folder.mkdir()
  rng = np.random.default_rng(0)
  images = {
    name: rng.integers(0, 100, (count, 28, 28), np.uint8)
    for name, count in _COUNTS.items()
  }
  for name, array in images.items():
    np.save(folder / f'{name}.npy', array)
  text = draft.draft(folder, key='Xy', title='Animals', first=_FIRST)
  declaration = tmp_path / 'animals.toml'
  declaration.write_text(text, 'utf-8')
  monkeypatch.setenv('CMNIST_SOURCES', str(declaration))
  return images


def _open(open_split, split, *, allow_unverified=False):
  (source,) = open_split(
    subsets.subset('1-Xy'),
    split,
    origin.Locations(),
    allow_unverified=allow_unverified,
  )
  return source


def _encode(split, **kwargs):
  return _open(split_sources.open_encoded, split, **kwargs)


def _finished():
  return [e for e in store.entries() if not e.path.name.startswith('.')]


def _expected(pixels, split):
  chosen = slice(_FIRST, None) if split == 'train' else slice(_FIRST)
  return np.concatenate([images[chosen] for images in pixels.values()])


def _assert_same(found, expected):
  assert found.key == expected.key
  assert found.entry.note == expected.entry.note
  assert found.arrays.keys() == expected.arrays.keys()
  for name, array in expected.arrays.items():
    np.testing.assert_array_equal(found.arrays[name], array)


@pytest.mark.parametrize('split', SPLITS)
def test_groups_are_encoded_as_the_whole_is(split, pixels, monkeypatch):
  whole = _encode(split)
  (entry,) = store.clear('encoded')
  monkeypatch.setattr(load_split, 'GROUP_BYTES', 784 * 1100)
  source = subsets.subset('1-Xy').sources[0]
  groups = [slice(0, 1), slice(1, 3), slice(3, 5)]
  assert load_split.class_groups(source, split) == groups
  _assert_same(_encode(split), whole)
  assert store.entries() == [entry]
  raw = split_sources.find_raw(subsets.subset('1-Xy'), split)[0]
  np.testing.assert_array_equal(raw.take('images'), _expected(pixels, split))


@pytest.mark.parametrize('split', SPLITS)
def test_a_killed_process_goes_on_where_it_was(split, pixels):
  # Each run opens three files at most, and there are five. So it would never
  # end if it began anew.
  statuses = []
  while not statuses or statuses[-1]:
    command = [sys.executable, str(_PROGRAM), split, '3']
    statuses.append(subprocess.run(command, check=False).returncode)
    assert len(statuses) <= len(_COUNTS)
    names = [entry.path.name for entry in _finished()]
    # Groups have the numbers of their classes after the hash.
    assert (statuses[-1] == 0) == any(n.count('-') == 2 for n in names)
  assert statuses == [-signal.SIGKILL, -signal.SIGKILL, 0]
  assert len(store.entries()) == 1
  resumed = _encode(split)
  store.clear('encoded')
  _assert_same(resumed, _encode(split))


def test_a_damaged_group_is_encoded_again(pixels):
  whole = _encode('train')
  store.clear('encoded')
  command = [sys.executable, str(_PROGRAM), 'train', '3']
  subprocess.run(command, check=False)
  groups = _finished()
  assert len(groups) == 2
  path = groups[0].path / 'pngs.npy'
  data = bytearray(path.read_bytes())
  data[-100] ^= 1
  path.write_bytes(data)
  for _ in range(2):
    subprocess.run(command, check=False)
  _assert_same(_encode('train'), whole)


@pytest.mark.parametrize(
  'open_split', [split_sources.open_encoded, split_sources.open_raw]
)
@pytest.mark.parametrize('allow_unverified', [False, True])
def test_few_pieces_are_in_memory_at_a_time(
  open_split, allow_unverified, pixels, monkeypatch, tmp_path
):
  if allow_unverified:
    np.save(tmp_path / 'animals/ant.npy', pixels['ant'] ^ 1)
  alive = weakref.WeakSet()
  most = 0

  class Images(np.ndarray):
    """An array that can be in a set."""

    __hash__ = object.__hash__

  def watched(*args, **kwargs):
    nonlocal most
    for piece in load_pieces(*args, **kwargs):
      images = piece.images.view(Images)
      alive.add(images)
      most = max(most, len(alive))
      yield origin.SplitArrays(images, piece.labels, piece.proofs)

  load_pieces = load_split.load_pieces
  monkeypatch.setattr(load_split, 'load_pieces', watched)
  source = _open(open_split, 'train', allow_unverified=allow_unverified)
  assert len(source) == len(_expected(pixels, 'train'))
  assert 1 <= most <= 2


def test_unverified_pieces_are_told_apart(pixels, tmp_path):
  proved = _encode('train', allow_unverified=True)
  assert set(proved.proofs.values()) == {'sha256'}
  keys = {proved.key}
  for bit in (1, 2):
    pixels['eel'][:] ^= bit
    np.save(tmp_path / 'animals/eel.npy', pixels['eel'])
    found = _open(split_sources.open_raw, 'train', allow_unverified=True)
    keys.add(found.key)
    images = _expected(pixels, 'train')
    np.testing.assert_array_equal(found.take('images'), images)
    assert found.proofs['animals/eel.npy'] == 'unverified'
  assert len(keys) == 3
  with pytest.raises(OriginFileError, match='eel'):
    store.clear()
    _encode('train')


def test_a_file_that_changes_between_two_readings_is_refused(
  pixels, tmp_path, monkeypatch
):
  np.save(tmp_path / 'animals/ant.npy', pixels['ant'] ^ 1)

  def changing(*args, **kwargs):
    yield from load_pieces(*args, **kwargs)
    np.save(tmp_path / 'animals/bee.npy', pixels['bee'] ^ 1)
    np.save(tmp_path / 'animals/eel.npy', pixels['eel'] ^ 1)

  load_pieces = load_split.load_pieces
  monkeypatch.setattr(load_split, 'load_pieces', changing)
  with pytest.raises(OriginFileError, match='changed while being read'):
    _encode('train', allow_unverified=True)
  assert not store.entries()


def test_wrong_counts_of_a_group_are_refused(pixels, tmp_path, monkeypatch):
  monkeypatch.setattr(load_split, 'GROUP_BYTES', 1)
  np.save(tmp_path / 'animals/dog.npy', pixels['dog'][:-1])
  with pytest.raises(OriginFileError, match=r'dog\.npy'):
    _encode('train')
  # The groups before it stay for the next time.
  assert len(store.entries()) == 3
  np.save(tmp_path / 'animals/dog.npy', pixels['dog'])
  found = _encode('train')
  arrays = found.arrays
  ends = np.cumsum(arrays['lengths'], dtype=np.int64)
  encoded = [
    arrays['pngs'][end - length : end].tobytes()
    for length, end in zip(arrays['lengths'], ends, strict=True)
  ]
  np.testing.assert_array_equal(png.decode(encoded), _expected(pixels, 'train'))

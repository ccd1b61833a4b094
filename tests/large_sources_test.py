# SPDX-License-Identifier: Apache-2.0
"""Sources are read file by file and in chunks, so they may be large."""

from __future__ import annotations

import tarfile

import numpy as np
import pytest
import running

import cmnist_tfds
from cmnist_tfds.origin import Locations, draft, load_split, picture_files
from cmnist_tfds.sources import source
from cmnist_tfds.system.errors import CmnistError

_COUNTS = {'ant': 1500, 'bee': 4, 'cat': 1100, 'dog': 40, 'eel': 2000}
_FIRST = 3


@pytest.fixture
def declared(tmp_path, monkeypatch):
  """Declares '1-Xy', with a file for each class, by their images."""
  monkeypatch.setenv('CMNIST_CACHE_DIR', str(tmp_path / 'cache'))
  monkeypatch.setenv('CMNIST_SOURCES', str(tmp_path / 'animals.toml'))

  def declare(images, first=_FIRST):
    folder = tmp_path / 'animals'
    folder.mkdir()
    for name, array in images.items():
      np.save(folder / f'{name}.npy', array)
    text = draft.draft(folder, key='Xy', title='Animals', first=first)
    (tmp_path / 'animals.toml').write_text(text, 'utf-8')
    return images

  return declare


@pytest.fixture
def pixels(declared):
  rng = np.random.default_rng(0)
  return declared(
    {
      name: rng.integers(0, 100, (count, 28, 28), np.uint8)
      for name, count in _COUNTS.items()
    }
  )


def test_chunks_are_files_in_order(pixels):
  for images, chunk in zip(
    pixels.values(),
    load_split.load_pieces(source('Xy'), 'train', Locations()),
    strict=True,
  ):
    np.testing.assert_array_equal(chunk.images, images[_FIRST:])


def test_a_changed_file_is_refused_before_any_of_it_is_used(pixels, tmp_path):
  np.save(tmp_path / 'animals/dog.npy', pixels['dog'] ^ 1)
  with pytest.raises(CmnistError, match=r'dog\.npy'):
    cmnist_tfds.load_data('1-Xy', data_dir=tmp_path)
  np.save(tmp_path / 'animals/dog.npy', pixels['dog'])
  (x, _), _ = cmnist_tfds.load_data('1-Xy', data_dir=tmp_path)
  expected = np.concatenate([images[_FIRST:] for images in pixels.values()])
  found = np.sort(x.reshape(len(x), -1).sum(1, np.int64))
  sums = np.sort(expected.reshape(len(x), -1).sum(1, np.int64))
  np.testing.assert_array_equal(found, sums)


_READ_IN_LITTLE_MEMORY = """
import resource, sys
from cmnist_tfds.origin import Locations, load_split
from cmnist_tfds.sources import source
xy = source('Xy')
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
chunks = load_split.load_pieces(xy, 'train', Locations())
count = sum(len(chunk.images) for chunk in chunks)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert count == 200_000 - 20, count
# All images have 150 MiB.
assert after - before < 80 << 10, after - before
"""


def test_files_of_classes_are_read_in_little_memory(declared):
  image = np.full((10_000, 28, 28), 99, np.uint8)
  declared(dict.fromkeys(range(20), image), first=1)
  running.works('-c', _READ_IN_LITTLE_MEMORY)


def test_what_nobody_needs_of_an_archive_is_not_kept(tmp_path):
  (tmp_path / 'zeros').write_bytes(bytes(1 << 20))
  path = tmp_path / 'zeros.tar.gz'
  with tarfile.open(path, 'w:gz') as archive:
    archive.add(tmp_path / 'zeros', '0.bin')
  files = picture_files.open_archive(path.read_bytes(), '.', 'zeros.tar.gz')
  assert (files.names, files.others) == ([], ['0.bin'])
  with pytest.raises(CmnistError, match=r'0\.bin: expected a file that'):
    files.read('0.bin')

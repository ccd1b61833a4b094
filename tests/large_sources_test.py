# SPDX-License-Identifier: Apache-2.0
"""Sources are read file by file and in chunks, so they may be large."""

from __future__ import annotations

import gc
import subprocess
import sys
import tarfile
import weakref

import numpy as np
import pytest

import cmnist_tfds
from cmnist_tfds.origin import Locations, draft, load_split, picture_files
from cmnist_tfds.sources import source
from cmnist_tfds.system.errors import CmnistError

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
  declaration = tmp_path / 'animals.toml'
  text = draft.draft(folder, key='Xy', title='Animals', first=_FIRST)
  declaration.write_text(text, 'utf-8')
  monkeypatch.setenv('CMNIST_SOURCES', str(declaration))
  return images


def test_chunks_are_files_in_order_and_one_is_in_memory(pixels):
  previous = lambda: None  # noqa: E731
  for images, chunk in zip(
    pixels.values(),
    load_split.load_pieces(source('Xy'), 'train', Locations()),
    strict=True,
  ):
    np.testing.assert_array_equal(chunk.images, images[_FIRST:])
    assert previous() is None
    previous = weakref.ref(chunk.images)
    del chunk
    gc.collect()


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
count = sum(
  len(chunk.images)
  for chunk in load_split.load_pieces(xy, 'train', Locations())
)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert count == 200_000 - 20, count
# All images have 150 MiB.
assert after - before < 80 << 10, after - before
"""


def test_files_of_classes_are_read_in_little_memory(tmp_path, monkeypatch):
  folder = tmp_path / 'many'
  folder.mkdir()
  for number in range(20):
    np.save(folder / f'{number}.npy', np.full((10_000, 28, 28), 99, np.uint8))
  text = draft.draft(folder, key='Xy', title='Many', first=1)
  (tmp_path / 'many.toml').write_text(text, 'utf-8')
  monkeypatch.setenv('CMNIST_SOURCES', str(tmp_path / 'many.toml'))
  subprocess.run([sys.executable, '-c', _READ_IN_LITTLE_MEMORY], check=True)


def test_what_nobody_needs_of_an_archive_is_not_kept(tmp_path):
  (tmp_path / 'zeros').write_bytes(bytes(1 << 20))
  path = tmp_path / 'zeros.tar.gz'
  with tarfile.open(path, 'w:gz') as archive:
    for number in range(4):
      archive.add(tmp_path / 'zeros', f'{number}.bin')
  files = picture_files.open_archive(path.read_bytes(), '.', 'zeros.tar.gz')
  assert files.names == []
  assert files.others == ['0.bin', '1.bin', '2.bin', '3.bin']
  with pytest.raises(CmnistError, match=r'no picture or table 0\.bin'):
    files.read('0.bin')

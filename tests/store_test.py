# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging
import multiprocessing
import os
import pathlib
import signal

import google_crc32c
import numpy as np
import pytest

from cmnist_tfds import errors
from cmnist_tfds.cache import store
from cmnist_tfds.formats import png

RNG = np.random.default_rng(0)
# More than one thread takes at once.
IMAGES = (RNG.random((5000, 28, 28)) < 0.1).astype(np.uint8) * 255
LABELS = RNG.integers(0, 50, 5000).astype(np.uint8)
OTHERS = RNG.integers(0, 256, (7, 28, 28)).astype(np.uint8)
OTHER_LABELS = np.arange(7, dtype=np.uint8)


def load():
  return store.Loaded(IMAGES, LABELS, {'file': 'sha256'})


def load_others():
  return store.Loaded(OTHERS, OTHER_LABELS, {})


def must_not_load():
  raise AssertionError('The store is there.')


def files(cache_dir):
  return sorted(
    p
    for p in pathlib.Path(cache_dir).rglob('*')
    if p.is_file() and p.suffix != '.lock'
  )


def images_file(cache_dir):
  (path,) = [p for p in files(cache_dir) if p.name.startswith('images-')]
  return path


def labels_file(cache_dir):
  (path,) = [p for p in files(cache_dir) if p.name.startswith('labels-')]
  return path


def check(found, images, labels):
  assert len(found) == len(images)
  np.testing.assert_array_equal(found.labels, labels)
  pngs = [found.png(i) for i in range(len(found))]
  assert pngs == png.encode(images)
  np.testing.assert_array_equal(found.lengths, [len(p) for p in pngs])
  np.testing.assert_array_equal(
    found.crcs, [google_crc32c.value(p) for p in pngs]
  )
  last = found.offsets[-1] + found.lengths[-1]
  assert len(found.pngs) == last + store.MARGIN


def test_encodes_once_then_opens(tmp_path):
  assert store.find('F train', tmp_path) is None
  check(store.open_or_encode('F train', load, tmp_path), IMAGES, LABELS)
  again = store.open_or_encode('F train', must_not_load, tmp_path)
  check(again, IMAGES, LABELS)
  assert again.note == {'file': 'sha256'}
  check(store.find('F train', tmp_path), IMAGES, LABELS)


def test_origins_are_told_apart(tmp_path):
  store.open_or_encode('F train', load, tmp_path)
  check(
    store.open_or_encode('F test', load_others, tmp_path), OTHERS, OTHER_LABELS
  )
  check(store.find('F train', tmp_path), IMAGES, LABELS)


def test_origins_with_equal_images_share_them(tmp_path):
  store.open_or_encode('Ec train', load, tmp_path)
  written = images_file(tmp_path).stat()
  merged = LABELS % 10
  found = store.open_or_encode(
    'Em train', lambda: store.Loaded(IMAGES, merged, {}), tmp_path
  )
  check(found, IMAGES, merged)
  check(store.find('Ec train', tmp_path), IMAGES, LABELS)
  assert images_file(tmp_path).stat() == written


def test_files_are_the_same_whenever_they_are_made(tmp_path):
  for folder in ['a', 'b']:
    store.open_or_encode('F train', load, tmp_path / folder)
  first, second = files(tmp_path / 'a'), files(tmp_path / 'b')
  assert [p.name for p in first] == [p.name for p in second]
  assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_decodes_rows_in_any_order(tmp_path):
  found = store.open_or_encode('F train', load, tmp_path)
  rows = np.random.default_rng(1).permutation(len(IMAGES))
  np.testing.assert_array_equal(found.images(rows), IMAGES[rows])
  np.testing.assert_array_equal(found.images(rows[:3]), IMAGES[rows[:3]])
  assert found.images(rows[:0]).shape == (0, 28, 28)


def test_arrays_cannot_be_written(tmp_path):
  found = store.open_or_encode('F test', load_others, tmp_path)
  with pytest.raises(ValueError, match='read-only'):
    found.pngs[0] = 1


@pytest.mark.parametrize('of', [images_file, labels_file])
@pytest.mark.parametrize('at', [0, 30, 1022, 1024, -1])
def test_damage_is_found_said_and_mended(tmp_path, caplog, of, at):
  store.open_or_encode('F test', load_others, tmp_path)
  data = bytearray(of(tmp_path).read_bytes())
  data[at] ^= 1
  of(tmp_path).write_bytes(data)
  with caplog.at_level(logging.WARNING):
    check(
      store.open_or_encode('F test', load_others, tmp_path),
      OTHERS,
      OTHER_LABELS,
    )
  assert len(caplog.records) == 1
  assert str(of(tmp_path)) in caplog.text
  check(store.find('F test', tmp_path), OTHERS, OTHER_LABELS)


@pytest.mark.parametrize('of', [images_file, labels_file])
@pytest.mark.parametrize('size', [0, 10, 1023, 1024, 1025, -1])
def test_truncation_is_found_and_mended(tmp_path, of, size):
  store.open_or_encode('F test', load_others, tmp_path)
  data = of(tmp_path).read_bytes()
  of(tmp_path).write_bytes(data[:size])
  assert store.find('F test', tmp_path) is None
  check(
    store.open_or_encode('F test', load_others, tmp_path), OTHERS, OTHER_LABELS
  )


def test_deleted_images_are_made_anew(tmp_path, caplog):
  store.open_or_encode('F test', load_others, tmp_path)
  images_file(tmp_path).unlink()
  with caplog.at_level(logging.WARNING):
    check(
      store.open_or_encode('F test', load_others, tmp_path),
      OTHERS,
      OTHER_LABELS,
    )
  assert not caplog.records


def test_files_of_another_version_are_made_anew(tmp_path, monkeypatch):
  with monkeypatch.context() as before:
    before.setattr(store, '_IMAGES', 'cmnist_tfds images 0')
    store.open_or_encode('F test', load_others, tmp_path)
  assert store.find('F test', tmp_path) is None
  check(
    store.open_or_encode('F test', load_others, tmp_path), OTHERS, OTHER_LABELS
  )


def test_a_file_under_the_name_of_another_is_not_taken_for_it(tmp_path):
  store.open_or_encode('F test', load_others, tmp_path)
  wrong = images_file(tmp_path).read_bytes()
  right = images_file(tmp_path)
  store.clear(tmp_path)
  store.open_or_encode('F test', load, tmp_path)
  images_file(tmp_path).write_bytes(wrong)
  assert right != images_file(tmp_path)
  assert store.find('F test', tmp_path) is None


def test_an_open_store_outlives_its_files(tmp_path):
  found = store.open_or_encode('F test', load_others, tmp_path)
  store.clear(tmp_path)
  check(found, OTHERS, OTHER_LABELS)


@pytest.mark.parametrize(
  ('images', 'labels'),
  [
    (OTHERS, np.zeros(6, np.uint8)),
    (OTHERS[:, :27], np.zeros(7, np.uint8)),
    (OTHERS.astype(np.int16), np.zeros(7, np.uint8)),
    (OTHERS, np.zeros(7, np.int64)),
  ],
)
def test_refuses_arrays_of_other_form(tmp_path, images, labels):
  with pytest.raises(ValueError, match='uint8'):
    store.open_or_encode(
      'F test', lambda: store.Loaded(images, labels, {}), tmp_path
    )
  assert not files(tmp_path)


def test_nothing_is_left_of_a_failed_write(tmp_path, monkeypatch):
  def full(*unused_args):
    raise OSError(28, 'No space left on device')

  monkeypatch.setattr(os, 'replace', full)
  with pytest.raises(errors.PreparationError, match='No space left'):
    store.open_or_encode('F test', load_others, tmp_path)
  assert not files(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
  blocked = tmp_path / 'file'
  blocked.touch()
  with pytest.raises(errors.PreparationError, match='CMNIST_CACHE_DIR') as info:
    store.open_or_encode('F test', load_others, blocked)
  assert str(blocked) in str(info.value)


def encode_in_process(cache_dir):
  found = store.open_or_encode('F train', load, cache_dir)
  return bytes(found.png(4999))


def test_several_processes_at_once(tmp_path):
  context = multiprocessing.get_context('spawn')
  with context.Pool(3) as pool:
    last = pool.map(encode_in_process, [tmp_path] * 3)
  assert last == png.encode(IMAGES[-1:]) * 3
  assert len(files(tmp_path)) == 2
  check(store.find('F train', tmp_path), IMAGES, LABELS)


def be_killed_while_writing(cache_dir):
  os.replace = lambda *unused_args: os.kill(os.getpid(), signal.SIGKILL)
  store.open_or_encode('F train', load, cache_dir)


def test_a_killed_process_leaves_nothing_that_is_used(tmp_path):
  process = multiprocessing.get_context('spawn').Process(
    target=be_killed_while_writing, args=[tmp_path]
  )
  process.start()
  process.join()
  assert process.exitcode == -signal.SIGKILL
  (left,) = store.entries(tmp_path)
  assert left.description.startswith('being written')
  assert store.find('F train', tmp_path) is None
  check(store.open_or_encode('F train', load, tmp_path), IMAGES, LABELS)


def test_entries_are_listed_and_cleared(tmp_path):
  assert store.entries(tmp_path) == []
  store.open_or_encode('F test', load_others, tmp_path)
  part = images_file(tmp_path).with_suffix('.store.0123.part')
  part.write_bytes(b'abc')
  broken = part.with_name('labels-0.store')
  broken.write_bytes(b'')
  foreign = part.with_name('mine.txt')
  foreign.write_text('mine')
  entries = store.entries(tmp_path)
  assert {e.path for e in entries} == {*files(tmp_path)} - {foreign}
  assert all(e.num_bytes == e.path.stat().st_size for e in entries)
  described = {e.path.name: e.description for e in entries}
  assert described[part.name].startswith('being written')
  assert described[broken.name] == 'damaged'
  assert '7 images' in described.values()
  assert 'labels of F test' in described.values()
  assert store.clear(tmp_path) == entries
  assert files(tmp_path) == [foreign]
  assert store.find('F test', tmp_path) is None


def test_where_the_cache_is(monkeypatch, tmp_path):
  monkeypatch.setenv('HOME', str(tmp_path))
  monkeypatch.delenv('CMNIST_CACHE_DIR', raising=False)
  monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
  assert store.default_cache_dir() == tmp_path / '.cache' / 'cmnist_tfds'
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'xdg'))
  assert store.default_cache_dir() == tmp_path / 'xdg' / 'cmnist_tfds'
  monkeypatch.setenv('CMNIST_CACHE_DIR', '~/mine')
  assert store.default_cache_dir() == tmp_path / 'mine'
  store.open_or_encode('F test', load_others)
  assert len(files(tmp_path / 'mine')) == 2

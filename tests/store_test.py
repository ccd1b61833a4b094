# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
import errno
import itertools
import json
import logging
import multiprocessing
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import zlib

import numpy as np
import pytest

from cmnist_tfds.cache import store

RNG = np.random.default_rng(0)
ARRAYS = {
  'images': RNG.integers(0, 256, (9, 4, 3), np.uint8),
  'labels': RNG.integers(0, 9, 9).astype(np.uint16),
}
NOTE = {'key': 'Ä key', 'proofs': {'file': 'sha256'}}
FILES = ('manifest.json', 'images.npy', 'labels.npy')


@pytest.fixture(autouse=True)
def cache_dir(monkeypatch, tmp_path):
  """The cache, which is not there yet."""
  monkeypatch.setenv('CMNIST_CACHE_DIR', str(tmp_path / 'cache'))
  return tmp_path / 'cache'


@pytest.fixture(autouse=True)
def _warnings(caplog):
  with caplog.at_level(logging.WARNING, 'cmnist_tfds'):
    yield


def make():
  return store.Made(ARRAYS, NOTE, 'toy train, pixels')


def make_in_chunks():
  labels = []

  def images():
    for start in range(0, 9, 4):
      labels.append(ARRAYS['labels'][start : start + 4])
      yield ARRAYS['images'][start : start + 4]

  return store.Made({'images': images(), 'labels': labels}, NOTE, 'chunks')


def must_not_make():
  raise AssertionError('The entry is there.')


def check(kept):
  """Says what is wrong, as those who keep arrays do."""
  for name, array in ARRAYS.items():
    found = kept.arrays.get(name)
    if found is None or (found.dtype, found.shape) != (
      array.dtype,
      array.shape,
    ):
      return f'expected other {name}'
  return None


def keep(make=make, name='T-train'):
  return store.keep('arrays', name, make, check)


def find(name='T-train'):
  return store.find_kept('arrays', name, check)


def assert_right(kept):
  assert kept.arrays.keys() == ARRAYS.keys()
  for name, array in ARRAYS.items():
    assert kept.arrays[name].dtype == array.dtype
    np.testing.assert_array_equal(kept.arrays[name], array)
  assert kept.note == NOTE


def assert_made_anew(caplog, *, said):
  """Asserts that a faulty entry is not used, and is right afterwards."""
  caplog.clear()
  assert find() is None
  assert_right(keep())
  texts = [record.getMessage() for record in caplog.records]
  assert len(texts) == said, texts
  assert all(str(store.cache_dir()) in text for text in texts)
  assert_right(keep(must_not_make))
  assert len(caplog.records) == said
  (entry,) = store.entries()
  assert set(os.listdir(entry.path)) == set(FILES)


def tree(folder):
  """Returns the files in a folder by path, without locks."""
  return {
    str(path.relative_to(folder)): path.read_bytes()
    for path in folder.rglob('*')
    if path.is_file() and path.suffix != '.lock'
  }


def test_made_once_then_mapped(cache_dir, caplog):
  assert find() is None
  assert not cache_dir.exists()
  assert_right(keep())
  kept = keep(must_not_make)
  assert_right(kept)
  assert_right(find())
  for array in kept.arrays.values():
    with pytest.raises(ValueError, match='read-only'):
      array[0] = 0
  assert not caplog.records


def test_arrays_are_those_that_numpy_loads(cache_dir):
  keep()
  for name, array in ARRAYS.items():
    loaded = np.load(cache_dir / 'arrays' / 'T-train' / f'{name}.npy')
    np.testing.assert_array_equal(loaded, array)


def test_kinds_and_names_are_told_apart():
  keep()
  assert find('T-test') is None
  assert store.find_kept('encoded', 'T-train', check) is None


def test_files_are_the_same_whenever_they_are_made(monkeypatch, tmp_path):
  trees = []
  for folder in ('a', 'b'):
    monkeypatch.setenv('CMNIST_CACHE_DIR', str(tmp_path / folder))
    keep()
    trees.append(tree(tmp_path / folder))
  assert trees[0] == trees[1]


def test_chunks_are_joined(cache_dir):
  assert_right(keep(make_in_chunks))
  in_chunks = tree(cache_dir)
  store.clear()
  keep()
  whole = tree(cache_dir)
  for name in ('arrays/T-train/images.npy', 'arrays/T-train/labels.npy'):
    assert in_chunks[name] == whole[name]


def test_a_first_chunk_may_be_empty():
  def make():
    images = ARRAYS['images']
    return store.Made(
      {**ARRAYS, 'images': [images[:0], images, images[:0]]}, NOTE, ''
    )

  assert_right(keep(make))


def test_arrays_without_rows_are_kept():
  empty = {name: array[:0] for name, array in ARRAYS.items()}
  for _ in range(2):
    kept = store.keep(
      'arrays',
      'empty',
      lambda: store.Made(empty, {}, ''),
      lambda kept: None,
    )
    for name, array in empty.items():
      assert kept.arrays[name].dtype == array.dtype
      assert kept.arrays[name].shape == array.shape


# Damage -----------------------------------------------------------------------


def each_in_a_cache_of_its_own(monkeypatch, tmp_path, faults):
  """Yields an entry for each fault; messages about it are new."""
  for number, fault in enumerate(faults):
    monkeypatch.setenv('CMNIST_CACHE_DIR', str(tmp_path / str(number)))
    keep()
    yield tmp_path / str(number) / 'arrays' / 'T-train', fault


def flip(path, at, change):
  data = bytearray(path.read_bytes())
  data[at] ^= change
  path.write_bytes(data)


def test_any_changed_byte_of_the_manifest(monkeypatch, tmp_path, caplog):
  keep()
  text = (tmp_path / 'cache/arrays/T-train/manifest.json').read_bytes()
  for entry, at in each_in_a_cache_of_its_own(
    monkeypatch, tmp_path, range(len(text))
  ):
    # The case of letters, or any bits.
    flip(
      entry / 'manifest.json', at, int(RNG.choice([0x20, RNG.integers(256)]))
    )
    with contextlib.suppress(ValueError):
      changed = json.loads((entry / 'manifest.json').read_text())
      if changed == json.loads(text):
        # Nothing, or a digit of \u00c4 in upper case.
        assert_right(keep(must_not_make))
        continue
    assert_made_anew(caplog, said=1)


@pytest.mark.parametrize('file', FILES)
def test_any_truncation(monkeypatch, tmp_path, caplog, file):
  keep()
  size = (tmp_path / 'cache/arrays/T-train' / file).stat().st_size
  # Every length of a header would take long.
  lengths = (
    range(size) if file == 'manifest.json' else {*range(0, size, 9), size - 1}
  )
  for entry, length in each_in_a_cache_of_its_own(
    monkeypatch, tmp_path, lengths
  ):
    os.truncate(entry / file, length)
    assert_made_anew(caplog, said=1)


@pytest.mark.parametrize('file', FILES[1:])
def test_any_changed_byte_of_an_array(monkeypatch, tmp_path, caplog, file):
  keep()
  size = (tmp_path / 'cache/arrays/T-train' / file).stat().st_size
  for entry, at in each_in_a_cache_of_its_own(
    monkeypatch, tmp_path, range(size)
  ):
    flip(entry / file, at, int(RNG.integers(1, 256)))
    assert_made_anew(caplog, said=1)


def test_changed_bytes_of_a_large_array(monkeypatch, tmp_path, caplog):
  large = RNG.integers(0, 256, 3_000_000, np.uint8)

  def keep_large():
    return store.keep(
      'encoded',
      'large',
      lambda: store.Made({'pngs': large}, {}, ''),
      lambda kept: None,
    )

  for number, at in enumerate(RNG.integers(0, len(large), 10).tolist()):
    monkeypatch.setenv('CMNIST_CACHE_DIR', str(tmp_path / str(number)))
    keep_large()
    flip(tmp_path / str(number) / 'encoded/large/pngs.npy', at, 1)
    np.testing.assert_array_equal(keep_large().arrays['pngs'], large)
    assert 'pngs.npy fails its checksum' in caplog.text
    caplog.clear()


@pytest.mark.parametrize('file', FILES)
def test_appended_bytes(cache_dir, caplog, file):
  keep()
  with (cache_dir / 'arrays' / 'T-train' / file).open('ab') as damaged:
    damaged.write(b'\0')
  assert_made_anew(caplog, said=1)


@pytest.mark.parametrize('file', FILES)
def test_a_missing_file(cache_dir, caplog, file):
  keep()
  (cache_dir / 'arrays' / 'T-train' / file).unlink()
  assert_made_anew(caplog, said=0)


def make_loop(path):
  path.symlink_to(path.name)


def make_dangling_link(path):
  path.symlink_to('nowhere')


def link_to_zeros(path):
  path.symlink_to('/dev/zero')


def in_time(function):
  """Runs a function, which must not wait for anything."""
  results = []
  thread = threading.Thread(
    target=lambda: results.append(function()), daemon=True
  )
  thread.start()
  thread.join(60)
  assert not thread.is_alive(), 'It waits forever.'
  return results


def replace(path, by):
  if path.is_dir():
    shutil.rmtree(path)
  else:
    path.unlink()
  by(path)


@pytest.mark.parametrize(
  ('by', 'said'),
  [
    (pathlib.Path.touch, 1),
    (pathlib.Path.mkdir, 0),
    (os.mkfifo, 1),
    (make_loop, 1),
    (make_dangling_link, 0),
    (link_to_zeros, 1),
  ],
)
def test_an_entry_that_is_no_folder_of_files(cache_dir, caplog, by, said):
  keep()
  replace(cache_dir / 'arrays' / 'T-train', by)
  assert in_time(lambda: assert_made_anew(caplog, said=said))


@pytest.mark.parametrize('file', FILES)
@pytest.mark.parametrize(
  ('by', 'said'),
  [
    (pathlib.Path.mkdir, 1),
    (os.mkfifo, 1),
    (make_loop, 1),
    (make_dangling_link, 0),
    (link_to_zeros, 1),
  ],
)
def test_what_is_no_file_in_an_entry(cache_dir, caplog, file, by, said):
  keep()
  replace(cache_dir / 'arrays' / 'T-train' / file, by)
  assert in_time(lambda: assert_made_anew(caplog, said=said))


def test_an_entry_that_is_a_link_to_a_folder_is_read(
  cache_dir, tmp_path, caplog
):
  keep()
  entry = cache_dir / 'arrays' / 'T-train'
  entry.rename(tmp_path / 'elsewhere')
  entry.symlink_to(tmp_path / 'elsewhere')
  assert_right(keep(must_not_make))
  assert [e.path for e in store.clear()] == [entry]
  assert not entry.is_symlink()
  assert (tmp_path / 'elsewhere').is_dir()


@pytest.mark.skipif(not os.getuid(), reason='root may read everything')
def test_a_folder_that_cannot_be_read(cache_dir, caplog):
  keep()
  folder = cache_dir / 'arrays' / 'T-train'
  folder.chmod(0)
  assert find() is None
  for _ in range(2):
    assert_right(keep())
  texts = [record.getMessage() for record in caplog.records]
  assert len(texts) == len(set(texts))
  assert f'The cache entry {folder} is not used: Permission denied.' in texts
  with contextlib.suppress(FileNotFoundError):
    folder.chmod(0o700)


@pytest.mark.parametrize(
  'arrays',
  [
    {'images': ARRAYS['images']},
    {**ARRAYS, 'images': ARRAYS['images'][:-1]},
    {**ARRAYS, 'images': ARRAYS['images'].astype(np.int16)},
    {**ARRAYS, 'labels': ARRAYS['labels'][:, None]},
  ],
)
def test_arrays_of_another_form_are_made_anew(caplog, arrays):
  store.keep(
    'arrays',
    'T-train',
    lambda: store.Made(arrays, NOTE, 'planted'),
    lambda kept: None,
  )
  assert_made_anew(caplog, said=1)


def write_manifest(path, change):
  """Changes a manifest and gives it the checksum of its new contents."""
  manifest = json.loads(path.read_text())
  del manifest['crc32']
  manifest = change(manifest)
  if isinstance(manifest, dict):
    text = json.dumps(manifest, sort_keys=True).encode()
    manifest['crc32'] = zlib.crc32(text)
  path.write_text(json.dumps(manifest))


@pytest.mark.parametrize(
  'change',
  [
    lambda m: {**m, 'format': 'cmnist_tfds cache 1000'},
    lambda m: {**m, 'format': None},
    lambda m: {},
    lambda m: [],
    lambda m: 5,
    lambda m: {'format': m['format']},
    lambda m: {**m, 'files': None},
    lambda m: {**m, 'files': {}},
    lambda m: {**m, 'files': {**m['files'], 'labels': 3}},
    lambda m: {**m, 'files': {**m['files'], 'more': m['files']['labels']}},
    lambda m: {**m, 'note': 'sha256'},
  ],
)
def test_a_manifest_of_another_version_or_hand(cache_dir, caplog, change):
  keep()
  write_manifest(cache_dir / 'arrays/T-train/manifest.json', change)
  assert len(store.entries()) == 1
  caplog.clear()
  assert_right(keep())
  assert len(caplog.records) <= 1
  assert_right(keep(must_not_make))


def test_another_version_is_named(cache_dir, caplog):
  keep()
  write_manifest(
    cache_dir / 'arrays/T-train/manifest.json',
    lambda m: {**m, 'format': 'cmnist_tfds cache 1000'},
  )
  (entry,) = store.entries()
  assert 'another version' in entry.description
  assert_made_anew(caplog, said=1)
  assert 'another version' in caplog.text


def test_what_numpy_does_not_read_is_made_anew(cache_dir, caplog):
  keep()
  data = b'These are no bytes of an array.'
  (cache_dir / 'arrays/T-train/labels.npy').write_bytes(data)
  facts = {'size': len(data), 'crc32': zlib.crc32(data)}
  write_manifest(
    cache_dir / 'arrays/T-train/manifest.json',
    lambda m: {**m, 'files': {**m['files'], 'labels': facts}},
  )
  assert_made_anew(caplog, said=1)


def test_arrays_outlive_their_files():
  kept = keep()
  assert store.clear()
  assert find() is None
  assert_right(kept)


# Folders that cannot be written -----------------------------------------------


def assert_kept_elsewhere(caplog, instead):
  """Asserts that arrays are right, and that it is said once where they are."""
  for make_, name in itertools.product(
    (make, make_in_chunks), ('T-train', 'T-test')
  ):
    assert_right(keep(make_, name))
  said = [
    record.getMessage()
    for record in caplog.records
    if 'cannot be used' in record.getMessage()
  ]
  assert len(said) == 1
  assert str(store.cache_dir()) in said[0]
  assert f'arrays are kept in {instead}' in said[0]
  assert 'CMNIST_CACHE_DIR' in said[0]


def test_a_file_in_place_of_the_cache(cache_dir, caplog):
  cache_dir.write_text('mine')
  assert_kept_elsewhere(caplog, store.temporary_cache_dir())
  assert cache_dir.read_text() == 'mine'
  names = ['T-test', 'T-train']
  temporary = store.temporary_cache_dir() / 'arrays'
  assert [e.path for e in store.entries()] == [temporary / n for n in names]
  assert_right(keep(must_not_make))
  assert_right(find())
  store.clear()
  assert store.entries() == []


def test_a_temporary_cache_is_its_users_own(cache_dir, caplog):
  cache_dir.write_text('mine')
  keep()
  folder = store.temporary_cache_dir()
  assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_no_folder_can_be_written(cache_dir, caplog, monkeypatch, tmp_path):
  cache_dir.write_text('mine')
  monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path / 'missing'))
  made = []

  def make_and_note():
    made.append(1)
    return make_in_chunks()

  for _ in range(2):
    assert_right(keep(make_and_note))
  assert len(made) == 2
  texts = [record.getMessage() for record in caplog.records]
  assert sum('arrays are kept in memory' in text for text in texts) == 1


@pytest.mark.parametrize('by', ['another user', 'everyone', 'a link', 'a file'])
def test_a_temporary_cache_that_others_made_is_not_used(
  by, cache_dir, caplog, tmp_path
):
  cache_dir.write_text('mine')
  folder = store.temporary_cache_dir()
  if by == 'a link':
    (tmp_path / 'other').mkdir()
    folder.symlink_to(tmp_path / 'other')
  elif by == 'a file':
    folder.write_text('')
  else:
    folder.mkdir(0o700)
    folder.chmod(0o777 if by == 'everyone' else 0o700)
    if by == 'another user':
      chown(folder)
  assert_right(keep())
  assert 'not a folder that only its user may write' in caplog.text
  assert 'arrays are kept in memory' in caplog.text
  assert not any((tmp_path / 'other').glob('*'))


# Several users ----------------------------------------------------------------


def chown(path):
  """Gives a file, or a folder with all in it, to another user."""
  if not hasattr(os, 'geteuid') or os.geteuid() != 0:
    pytest.skip('only the superuser gives files away')
  for each in [path, *path.rglob('*')]:
    os.chown(each, 12345, -1)


def check_trusted(kept):
  return check(kept) or (None if kept.is_trusted else 'it is of somebody')


@pytest.mark.parametrize('of', ['', *FILES])
def test_an_entry_of_another_user_is_left_alone(of, cache_dir, caplog):
  caplog.set_level(logging.INFO, 'cmnist_tfds')
  keep()
  cache_dir.chmod(0o2777)
  entry = cache_dir / 'arrays/T-train'
  chown(entry / of)
  assert store.find_kept('arrays', 'T-train', check_trusted) is None
  assert 'it is of somebody' in caplog.text
  before = tree(entry)
  assert_right(store.keep('arrays', 'T-train', make, check_trusted))
  if not of:
    assert tree(entry) == before
    assert 'T-train in it belongs to another user' in caplog.text
  kept = store.keep('arrays', 'T-train', must_not_make, check_trusted)
  assert_right(kept)
  # A check may find the content proved.
  assert_right(find())


def test_the_owner_of_a_folder_is_trusted(cache_dir, caplog):
  keep()
  chown(cache_dir)
  assert store.find_kept('arrays', 'T-train', check_trusted)
  cache_dir.chmod(0o777)
  assert store.find_kept('arrays', 'T-train', check_trusted) is None


def test_a_shared_folder_stays_shared(cache_dir):
  cache_dir.mkdir()
  cache_dir.chmod(0o2777)
  keep()
  assert stat.S_IMODE((cache_dir / 'arrays').stat().st_mode) == 0o2777
  entry = cache_dir / 'arrays/T-train'
  assert not stat.S_IMODE(entry.stat().st_mode) & 0o022


# File systems -----------------------------------------------------------------


@contextlib.contextmanager
def mounted(folder, size):
  """Mounts a small file system, which only root may."""
  folder.mkdir()
  try:
    subprocess.run(
      ['mount', '-t', 'tmpfs', '-o', f'size={size}', 'tmpfs', folder],
      check=True,
      capture_output=True,
    )
  except (OSError, subprocess.CalledProcessError):
    pytest.skip('mounting a file system is not allowed')
  try:
    yield
  finally:
    subprocess.run(['umount', '-l', folder], check=True)


def test_a_read_only_file_system(cache_dir, caplog):
  with mounted(cache_dir, '1m'):
    keep(name='earlier')
    subprocess.run(['mount', '-o', 'remount,ro', cache_dir], check=True)
    assert_right(keep(must_not_make, 'earlier'))
    assert not caplog.records
    assert in_time(
      lambda: assert_kept_elsewhere(caplog, store.temporary_cache_dir())
    )


def test_a_full_file_system(cache_dir, caplog):
  large = {**ARRAYS, 'more': RNG.integers(0, 256, 400_000, np.uint8)}

  def make_large():
    return store.Made(large, NOTE, 'large')

  with mounted(cache_dir, '256k'):
    for _ in range(2):
      kept = keep(make_large)
      np.testing.assert_array_equal(kept.arrays['more'], large['more'])
    assert tree(cache_dir) == {}
    assert caplog.text.count('No space left on device') == 1
    # Small entries still find room.
    keep(name='T-test')
    assert_right(keep(must_not_make, 'T-test'))


def test_a_disk_that_fills_up_in_the_middle(cache_dir, caplog):
  attempts = []

  def make():
    def images():
      yield ARRAYS['images'][:4]
      if len(attempts) % 2:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
      yield ARRAYS['images'][4:]

    attempts.append(1)
    return store.Made({**ARRAYS, 'images': images()}, NOTE, '')

  for _ in range(2):
    assert_right(keep(make))
  assert len(attempts) == 2
  assert caplog.text.count('No space left on device') == 1
  assert tree(cache_dir) == {}


def test_errors_of_making_are_raised(cache_dir):
  def fail():
    raise ZeroDivisionError

  with pytest.raises(ZeroDivisionError):
    keep(fail)
  assert tree(cache_dir) == {}
  assert_right(keep())


# Several processes ------------------------------------------------------------


def keep_and_note(cache_dir):
  def make_and_note():
    with (cache_dir.parent / 'made').open('a') as file:
      file.write('made\n')
    return make_in_chunks()

  os.environ['CMNIST_CACHE_DIR'] = str(cache_dir)
  assert_right(keep(make_and_note))


def run(target, cache_dir, count=1):
  """Runs a function in processes of their own; returns exit statuses."""
  context = multiprocessing.get_context('spawn')
  processes = [
    context.Process(target=target, args=[cache_dir]) for _ in range(count)
  ]
  for process in processes:
    process.start()
  for process in processes:
    process.join()
  return [process.exitcode for process in processes]


def test_several_processes_make_it_once(cache_dir):
  assert run(keep_and_note, cache_dir, 4) == [0] * 4
  assert (cache_dir.parent / 'made').read_text() == 'made\n'
  assert_right(keep(must_not_make))


def be_killed_while_writing(cache_dir):
  def images():
    yield ARRAYS['images'][:4]
    os.kill(os.getpid(), signal.SIGKILL)

  os.environ['CMNIST_CACHE_DIR'] = str(cache_dir)
  keep(lambda: store.Made({**ARRAYS, 'images': images()}, NOTE, ''))


@pytest.mark.parametrize('damaged', [False, True])
def test_a_killed_process_leaves_nothing_that_is_used(
  cache_dir, caplog, damaged
):
  if damaged:
    keep()
    flip(cache_dir / 'arrays/T-train/images.npy', -1, 1)
  assert run(be_killed_while_writing, cache_dir) == [-signal.SIGKILL]
  assert len([e for e in store.entries() if 'killed' in e.description]) == 1
  assert find() is None
  caplog.clear()
  assert_right(keep())
  assert not caplog.records
  # The remains are gone too.
  assert {e.path.name for e in store.entries()} == {'T-train'}
  assert len(tree(cache_dir)) == len(FILES)


def test_remains_of_killed_processes_are_cleared(cache_dir):
  run(be_killed_while_writing, cache_dir)
  assert len(store.clear('arrays')) == 1
  assert tree(cache_dir) == {}


def test_remains_of_other_entries_are_removed_too(cache_dir):
  run(be_killed_while_writing, cache_dir)
  keep(name='T-test')
  assert {e.path.name for e in store.entries()} == {'T-test'}
  assert len(tree(cache_dir)) == len(FILES)


def test_what_another_process_writes_is_not_removed(cache_dir):
  def images():
    yield ARRAYS['images'][:4]
    thread = threading.Thread(target=keep, kwargs={'name': 'T-test'})
    thread.start()
    thread.join()
    yield ARRAYS['images'][4:]

  assert_right(
    keep(lambda: store.Made({**ARRAYS, 'images': images()}, NOTE, ''))
  )
  assert {e.path.name for e in store.entries()} == {'T-train', 'T-test'}


def test_clearing_waits_for_what_is_being_made(cache_dir):
  cleared = []

  def images():
    yield ARRAYS['images'][:4]
    clearing.start()
    clearing.join(0.5)
    assert not cleared
    yield ARRAYS['images'][4:]

  clearing = threading.Thread(target=lambda: cleared.extend(store.clear()))
  assert_right(
    keep(lambda: store.Made({**ARRAYS, 'images': images()}, NOTE, ''))
  )
  clearing.join()
  assert len(cleared) == 1


def keep_often(cache_dir):
  os.environ['CMNIST_CACHE_DIR'] = str(cache_dir)
  for number in range(200):
    assert_right(keep(make_in_chunks, f'T-{number % 3}'))


def clear_often(cache_dir):
  os.environ['CMNIST_CACHE_DIR'] = str(cache_dir)
  for _ in range(200):
    store.clear()


def work_or_clear(cache_dir, number):
  (keep_often if number % 2 else clear_often)(cache_dir)


def test_clearing_while_entries_are_made_and_read(cache_dir):
  context = multiprocessing.get_context('spawn')
  processes = [
    context.Process(target=work_or_clear, args=[cache_dir, number])
    for number in range(4)
  ]
  for process in processes:
    process.start()
  for process in processes:
    process.join()
  assert [process.exitcode for process in processes] == [0] * 4
  store.clear()
  assert tree(cache_dir) == {}


# Listing and clearing ---------------------------------------------------------


def fill():
  for kind in store.KINDS:
    for name in ('a', 'b'):
      store.keep(
        kind,
        name,
        lambda kind=kind, name=name: store.Made(ARRAYS, {}, f'{kind} {name}'),
        check,
      )


def test_entries_are_listed_with_sizes_that_add_up(cache_dir):
  assert store.entries() == []
  fill()
  entries = store.entries()
  assert [e.description for e in entries] == [
    f'{kind} {name}' for kind in store.KINDS for name in ('a', 'b')
  ]
  assert [(e.kind, e.path) for e in entries] == [
    (kind, cache_dir / kind / name)
    for kind in store.KINDS
    for name in ('a', 'b')
  ]
  total = sum(map(len, tree(cache_dir).values()))
  assert sum(e.num_bytes for e in entries) == total
  assert store.entries('order') == [e for e in entries if e.kind == 'order']


def test_entries_are_cleared(cache_dir):
  fill()
  entries = store.entries()
  encoded = store.entries('encoded')
  assert store.clear('encoded') == encoded
  assert store.entries() == [e for e in entries if e.kind != 'encoded']
  foreign = cache_dir / 'arrays' / 'mine.txt'
  foreign.write_text('mine')
  store.clear()
  assert store.entries() == []
  assert tree(cache_dir) == {'arrays/mine.txt': b'mine'}


def test_damaged_entries_are_listed_and_cleared(cache_dir):
  keep()
  (cache_dir / 'arrays/T-train/manifest.json').write_text('')
  (entry,) = store.entries()
  assert entry.description == 'not usable: manifest.json is damaged'
  assert store.clear() == [entry]
  assert tree(cache_dir) == {}


def test_files_of_an_older_version_are_said_once_and_cleared(cache_dir, caplog):
  keep()
  assert not caplog.records
  old = cache_dir / 'encoded' / 'images-0123.store'
  old.parent.mkdir()
  old.write_bytes(bytes(3_000_000))
  part = old.with_name('labels-0.store.1.part')
  part.write_bytes(b'abc')
  for name in ('T-test', 'U-train'):
    assert_right(keep(name=name))
  (record,) = caplog.records
  assert f'{cache_dir} holds 3.0 MB' in record.getMessage()
  assert 'cmnist cache clear --kind older' in record.getMessage()
  older = store.entries(store.OLDER)
  assert {e.path for e in older} == {old, part}
  assert {e.kind for e in older} == {'older'}
  total = sum(map(len, tree(cache_dir).values()))
  assert sum(e.num_bytes for e in store.entries()) == total
  assert store.clear('older') == older
  assert not old.exists()
  assert_right(keep(must_not_make))


def test_where_the_cache_is(monkeypatch, tmp_path):
  monkeypatch.setenv('HOME', str(tmp_path))
  monkeypatch.delenv('CMNIST_CACHE_DIR')
  monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
  assert store.cache_dir() == tmp_path / '.cache' / 'cmnist_tfds'
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'xdg'))
  assert store.cache_dir() == tmp_path / 'xdg' / 'cmnist_tfds'
  monkeypatch.setenv('CMNIST_CACHE_DIR', '~/mine')
  assert store.cache_dir() == tmp_path / 'mine'
  keep()
  assert len(tree(tmp_path / 'mine')) == len(FILES)


def test_the_folder_may_be_moved(monkeypatch, cache_dir, tmp_path):
  keep()
  cache_dir.rename(tmp_path / 'moved')
  monkeypatch.setenv('CMNIST_CACHE_DIR', str(tmp_path / 'moved'))
  assert_right(keep(must_not_make))

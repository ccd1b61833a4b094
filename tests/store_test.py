# SPDX-License-Identifier: Apache-2.0
"""The cache keeps arrays, finds damage, and does no harm where it cannot."""

import concurrent.futures
import os
import pathlib
import pickle

import command_line
import numpy as np
import pytest
import running
from synthetic import flip

from cmnist_tfds.cache import store
from cmnist_tfds.system.errors import PreparationError

_ARRAYS = {
  'images': np.arange(5 * 784, dtype=np.uint8).reshape(5, 28, 28),
  'labels': np.arange(5, dtype=np.uint16),
  'none': np.empty((0, 3), np.uint32),
}


@pytest.fixture(autouse=True)
def root(empty_cache):
  return empty_cache


def create(name='entry', arrays=_ARRAYS, calls=None):
  def make():
    if calls is not None:
      calls.append(name)
    return arrays

  return store.get_or_create('arrays', name, make, {'what': f'the {name}'})


def assert_right(entry):
  assert entry.arrays.keys() == _ARRAYS.keys()
  for name, expected in _ARRAYS.items():
    assert entry.arrays[name].dtype == expected.dtype
    np.testing.assert_array_equal(entry.arrays[name], expected)
  assert entry.note == {'what': 'the entry'}


def manifest(folder):
  (path,) = (path for path in folder.iterdir() if path.suffix != '.npy')
  return path


def run_cache(capsys, *argv):
  return command_line.run(capsys, 'cache', *argv)[:2]


def test_an_entry_is_made_once_and_mapped(root):
  calls = []
  assert store.find('arrays', 'entry') is None
  for _ in range(2):
    entry = create(calls=calls)
    assert_right(entry)
    assert entry.folder == root / 'arrays/entry'
    with pytest.raises(ValueError, match='read-only'):
      entry.arrays['labels'][0] = 1
  assert calls == ['entry']
  assert_right(store.find('arrays', 'entry'))
  assert_right(pickle.loads(pickle.dumps(entry)))
  loaded = np.load(entry.folder / 'images.npy', mmap_mode='r')
  np.testing.assert_array_equal(loaded, _ARRAYS['images'])


def test_chunks_are_written_as_they_come_and_may_fill_later_arrays():
  labels, note = [], {'what': 'chunks'}

  def images():
    for start in range(0, 5, 2):
      labels.append(_ARRAYS['labels'][start : start + 2])
      # Whatever the layout of a chunk is.
      yield np.asfortranarray(_ARRAYS['images'][start : start + 2])
    note['proofs'] = 'seen'

  entry = store.get_or_create(
    'arrays', 'entry', lambda: {'images': images(), 'labels': labels}, note
  )
  for name in ('images', 'labels'):
    np.testing.assert_array_equal(entry.arrays[name], _ARRAYS[name])
  assert store.find('arrays', 'entry').note['proofs'] == 'seen'


@pytest.mark.parametrize('usable', [True, False])
@pytest.mark.parametrize('length', [1, 2, 5, 9])
def test_arrays_are_read_in_chunks(usable, length, root):
  if not usable:
    root.write_text('a file')
  entry = create()
  assert (entry.folder is None) != usable
  for name, expected in _ARRAYS.items():
    chunks = list(entry.chunks(name, length))
    assert max(map(len, chunks)) <= length
    np.testing.assert_array_equal(np.concatenate(chunks), expected)


@pytest.mark.parametrize('replaced', [None, b'', b'0' * 130])
def test_chunks_go_on_when_another_process_deletes_the_entry(replaced):
  entry = create()
  for name, expected in _ARRAYS.items():
    chunks = entry.chunks(name, 1)
    found = [next(chunks)]
    path = entry.folder / f'{name}.npy'
    path.unlink()
    if replaced is not None:
      path.write_bytes(replaced)  # It is being written again.
    found += chunks
    np.testing.assert_array_equal(np.concatenate(found), expected)


# Damage -----------------------------------------------------------------------


@pytest.mark.parametrize(
  'damage',
  [
    lambda folder: flip(folder / 'images.npy'),
    lambda folder: flip(folder / 'images.npy', 128),
    lambda folder: (folder / 'labels.npy').write_bytes(b''),
    lambda folder: (folder / 'labels.npy').unlink(),
    lambda folder: flip(manifest(folder), 60),
    lambda folder: manifest(folder).write_text('[1]'),
    lambda folder: manifest(folder).write_bytes(b''),
  ],
)
def test_a_damaged_entry_is_made_again_with_one_line(damage, caplog):
  entry = create()
  damage(entry.folder)
  calls = []
  assert_right(create(calls=calls))
  assert_right(create(calls=calls))
  assert calls == ['entry']
  (record,) = caplog.records
  assert f'{entry.folder} is damaged' in record.message


def test_files_are_checked_only_if_they_have_changed(monkeypatch):
  entry = create()
  opened = []
  original = pathlib.Path.open

  def record(path, *args, **kwargs):
    opened.append(path.name)
    return original(path, *args, **kwargs)

  monkeypatch.setattr(pathlib.Path, 'open', record)
  assert_right(create())
  assert 'images.npy' not in opened
  os.utime(entry.folder / 'images.npy')
  assert_right(create())
  assert_right(create())
  # What was found is noted, so the next process does not look again.
  assert opened.count('images.npy') == 1


def test_damage_that_no_time_tells_is_found_by_check(capsys, monkeypatch):
  entry = create()
  create('sound')
  assert run_cache(capsys, 'check')[0] == 0
  path = entry.folder / 'images.npy'
  before, stat = path.stat(), pathlib.Path.stat
  flip(path)
  monkeypatch.setattr(
    pathlib.Path, 'stat', lambda p, **k: before if p == path else stat(p, **k)
  )
  assert store.find('arrays', 'entry') is not None
  status, out = run_cache(capsys, 'check')
  assert status == 1 and 'images.npy fails' in out and '1 entry' in out
  assert [e.description for e in store.entries()] == ['the sound']
  assert_right(create())


def test_what_a_killed_process_or_another_version_left_is_replaced(
  root, caplog
):
  folder = root / 'arrays/entry'
  folder.mkdir(parents=True)
  (folder / 'images.npy').write_bytes(b'half')
  (folder / 'manifest-5.json').write_text('{}')
  assert store.find('arrays', 'entry') is None
  (left,) = store.entries()
  assert 'unfinished, or of another version' in left.description
  assert_right(create())
  assert not (folder / 'manifest-5.json').exists() and not caplog.records


def test_nothing_is_left_of_an_entry_that_cannot_be_made(root):
  def images():
    yield _ARRAYS['images']
    raise PreparationError('the disk of the origin is gone')

  with pytest.raises(PreparationError, match='is gone'):
    create(arrays={'images': images()})
  assert not store.entries()
  assert_right(create())


def test_entries_that_are_deleted_while_they_are_listed_are_left_out():
  with concurrent.futures.ThreadPoolExecutor(1) as pool:
    listing = pool.submit(lambda: [store.entries() for _ in range(200)])
    while not listing.done():
      create()
      store.clear()
  listing.result()


# Folders that cannot be used ----------------------------------------------------


def assert_in_memory(caplog, reason):
  calls = []
  for _ in range(2):
    entry = create(calls=calls)
    assert_right(entry)
    assert entry.folder is None
  assert len(calls) == 2
  (record,) = caplog.records
  assert 'cannot be used' in record.message and reason in record.message
  assert 'CMNIST_CACHE_DIR' in record.message


def test_a_file_in_place_of_the_folder(root, caplog):
  root.write_text('mine')
  assert_in_memory(caplog, f'{root} cannot be used')
  assert root.read_text() == 'mine'


@pytest.mark.skipif(
  not hasattr(os, 'geteuid') or os.geteuid() != 0,
  reason='only the superuser gives folders away',
)
def test_a_folder_of_another_user_is_not_used(root, caplog):
  folder = create().folder
  os.chown(root, 12345, 12345)
  assert_in_memory(caplog, 'it belongs to another user')
  assert command_line.status('cache', 'clear') == 1 and folder.exists()


@pytest.mark.parametrize('home', ['~', 'gs://bucket'])
def test_without_a_home_directory(home, tmp_path, monkeypatch, caplog):
  monkeypatch.chdir(tmp_path)
  monkeypatch.delenv('CMNIST_CACHE_DIR')
  monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
  monkeypatch.setattr(os.path, 'expanduser', lambda p: p.replace('~', home))
  assert_in_memory(caplog, 'CMNIST_CACHE_DIR')
  assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
  ('variables', 'expected'),
  [
    ({'CMNIST_CACHE_DIR': '~/a'}, 'a'),
    ({'XDG_CACHE_HOME': '~/b'}, 'b/cmnist_tfds'),
    ({}, '.cache/cmnist_tfds'),
  ],
)
def test_the_folder(variables, expected, monkeypatch, tmp_path):
  for name in ('CMNIST_CACHE_DIR', 'XDG_CACHE_HOME'):
    monkeypatch.delenv(name, raising=False)
  for name, value in {**variables, 'HOME': str(tmp_path)}.items():
    monkeypatch.setenv(name, value)
  assert store.cache_dir() == tmp_path / expected


# Several processes ---------------------------------------------------------------


def test_one_process_makes_an_entry_while_others_wait(root):
  code = """
import time, numpy as np
from cmnist_tfds.cache import store
def make():
  print('made', flush=True)
  time.sleep(1)
  return {'numbers': np.arange(9)}
entry = store.get_or_create('arrays', 'shared', make, {'what': 'numbers'})
assert entry.folder and entry.arrays['numbers'].tolist() == list(range(9))
"""
  with concurrent.futures.ThreadPoolExecutor() as pool:
    printed = pool.map(running.works, ['-c'] * 3, [code] * 3)
  assert ''.join(printed) == 'made\n'


# The command ----------------------------------------------------------------------


def test_entries_are_listed_measured_and_deleted(capsys, root):
  path = create().folder
  store.get_or_create(
    'order', 'x', lambda: {'order': np.arange(3)}, {'what': 'an order'}
  )
  size = sum(file.stat().st_size for file in path.iterdir())
  _, out = run_cache(capsys)
  assert f'{size:,}  the entry' in out and 'an order' in out
  assert '2 entries' in out
  _, out = run_cache(capsys, 'size')
  assert f'arrays  {size:,}\n' in out
  _, out = run_cache(capsys, 'clear', '--kind', 'order')
  assert '1 entry,' in out and f'deleted from {root}' in out
  _, out = run_cache(capsys, 'clear')
  assert '1 entry,' in out
  assert run_cache(capsys)[1].startswith('0 entries, 0 bytes')

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import json
import os
import pathlib
import stat
import threading

import pytest

from cmnist_tfds.system import atomic
from cmnist_tfds.system.errors import PreparationError

_MINE = 'years of work'


def _fill(path: pathlib.Path, files: dict[str, str], writer='w', **kwargs):
  with atomic.write_folder(path, writer, files, **kwargs) as unfinished:
    for name, text in files.items():
      (unfinished / name).parent.mkdir(parents=True, exist_ok=True)
      (unfinished / name).write_text(text)


def _tree(folder: pathlib.Path) -> dict[str, str | None]:
  """Returns the files in a folder with their text, without the manifest."""
  return {
    path.relative_to(folder).as_posix(): path.read_text()
    for path in folder.rglob('*')
    if path.is_file() and path != folder / atomic.MANIFEST
  }


def test_our_files_are_replaced_and_removed_and_others_stay(tmp_path):
  place = tmp_path / 'site'
  _fill(place, {'a': '1', 'b/c': '1', 'b/d/e': '1', 'f/g': '1'})
  (place / 'b/mine.txt').write_text(_MINE)
  (place / 'CNAME').write_text(_MINE)
  _fill(place, {'a': '2', 'b/h': '2'})
  assert _tree(place) == {
    'a': '2',
    'b/h': '2',
    'b/mine.txt': _MINE,
    'CNAME': _MINE,
  }
  # Folders that became empty are gone.
  assert sorted(p.name for p in place.iterdir() if p.is_dir()) == ['b']
  assert list(tmp_path.iterdir()) == [place]


def test_the_manifest_lists_what_was_written(tmp_path):
  _fill(tmp_path / 'site', {'a/b': 'x'})
  manifest = json.loads((tmp_path / 'site' / atomic.MANIFEST).read_text())
  assert manifest['writer'] == 'w'
  assert manifest['files'] == {
    'a/b': {
      'size': 1,
      'sha256': (
        '2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881'
      ),
    }
  }
  assert 'replaced' not in manifest


def test_a_file_that_the_user_removed_is_written_again(tmp_path):
  _fill(tmp_path / 'site', {'a': '1', 'b/c': '1'})
  (tmp_path / 'site/b/c').unlink()
  (tmp_path / 'site/b').rmdir()
  _fill(tmp_path / 'site', {'a': '2', 'b/c': '2'})
  assert _tree(tmp_path / 'site') == {'a': '2', 'b/c': '2'}


@pytest.mark.parametrize('again', [{'a': '2', 'b/c': '2'}, {'b/c': '2'}])
def test_an_edited_file_is_neither_replaced_nor_removed(tmp_path, again):
  place = tmp_path / 'site'
  _fill(place, {'a': '1', 'b/c': '1'})
  (place / 'a').write_text('9')
  with pytest.raises(PreparationError, match='a was changed since cmnist'):
    _fill(place, again)
  assert _tree(place) == {'a': '9', 'b/c': '1'}


def _to_link(path: pathlib.Path) -> None:
  (path.parent / 'other').write_text('1')
  path.unlink()
  path.symlink_to('other')


def _to_folder(path: pathlib.Path) -> None:
  path.unlink()
  path.mkdir()
  (path / 'mine').write_text(_MINE)


def _to_fifo(path: pathlib.Path) -> None:
  path.unlink()
  os.mkfifo(path)


@pytest.mark.parametrize('change', [_to_link, _to_folder, _to_fifo])
def test_what_took_the_place_of_our_file_stays(tmp_path, change):
  place = tmp_path / 'site'
  _fill(place, {'a': '1', 'b': '1'})
  change(place / 'a')
  before = (place / 'a').lstat()
  with pytest.raises(PreparationError, match='a was changed since cmnist'):
    _fill(place, {'a': '2', 'b': '2'})
  assert (place / 'a').lstat() == before
  assert (place / 'b').read_text() == '1'


def test_a_link_to_a_folder_in_the_way_is_not_followed(tmp_path):
  place = tmp_path / 'site'
  _fill(place, {'a': '1'})
  (tmp_path / 'elsewhere').mkdir()
  (place / 'b').symlink_to(tmp_path / 'elsewhere')
  with pytest.raises(PreparationError, match='b would be overwritten'):
    _fill(place, {'a': '2', 'b/c': '2'})
  assert list((tmp_path / 'elsewhere').iterdir()) == []
  # Nor is a link in whose folder our file was.
  (place / 'b').unlink()
  _fill(place, {'a': '2', 'b/c': '2'})
  (place / 'b').rename(tmp_path / 'moved')
  (place / 'b').symlink_to(tmp_path / 'moved')
  with pytest.raises(PreparationError, match='b/c was changed'):
    _fill(place, {'a': '3'})
  assert (tmp_path / 'moved/c').read_text() == '2'


@pytest.mark.parametrize('names', [('a', 'b/c'), ('a', 'b/')])
def test_a_file_in_the_way_is_named_before_the_work(tmp_path, names):
  place = tmp_path / 'site'
  _fill(place, {'a': '1'})
  (place / 'b').mkdir()
  (place / 'b/c').write_text(_MINE)
  with (
    pytest.raises(PreparationError, match='b/c would be overwritten'),
    atomic.write_folder(place, 'w', names),
  ):
    pytest.fail('the work began')
  assert _tree(place) == {'a': '1', 'b/c': _MINE}


def test_what_is_put_or_changed_during_the_work_stays(tmp_path):
  place = tmp_path / 'site'
  _fill(place, {'a': '1'})
  with (
    pytest.raises(PreparationError, match='b would be overwritten'),
    atomic.write_folder(place, 'w', ['a', 'b']) as unfinished,
  ):
    (unfinished / 'a').write_text('2')
    (unfinished / 'b').write_text('2')
    (place / 'b').write_text(_MINE)
  (place / 'b').unlink()
  with (
    pytest.raises(PreparationError, match='a was changed'),
    atomic.write_folder(place, 'w', ['a']) as unfinished,
  ):
    (unfinished / 'a').write_text('2')
    (place / 'a').write_text('9')
  assert _tree(place) == {'a': '9'}


def test_another_writer_replaces_nothing(tmp_path):
  _fill(tmp_path / 'site', {'a': '1'}, 'cmnist catalog')
  with pytest.raises(
    PreparationError, match='written by cmnist catalog, which'
  ):
    _fill(tmp_path / 'site', {'a': '2'}, 'cmnist publish')
  assert _tree(tmp_path / 'site') == {'a': '1'}


def test_a_folder_of_an_earlier_version_is_left_with_a_way_to_go_on(tmp_path):
  (tmp_path / 'README.md').write_text('prepared by cmnist_tfds')
  (tmp_path / 'croissant').mkdir()
  with pytest.raises(PreparationError) as raised:
    _fill(tmp_path, {'a': '1'})
  assert str(raised.value) == (
    f'{tmp_path} is not empty: it holds croissant. It has no .cmnist_tfds.json,'
    ' the list of files that cmnist wrote, which earlier versions did not write'
    ' either. Choose another folder, or, if cmnist wrote those, remove them.'
  )


@pytest.mark.parametrize(
  'text',
  [
    *('', '{', '[]', '7', 'null', '\0\0\0', '[' * 100_000),
    *('{}', '{"files": {}}', '{"writer": "w", "files": 3}'),
    *('{"writer": "w", "files": {"a": 3}}', '{"writer": "w", "files": {"a": {}}}'),
    *(
      json.dumps({'writer': 'w', 'files': {path: {'size': 1, 'sha256': ''}}})
      for path in ('../a', '/a', '.git/HEAD', 'b/../../a', 'b//a', '', 'b\\a')
    ),
  ],
)  # fmt: skip
def test_a_manifest_that_is_damaged_or_leads_elsewhere_is_named(tmp_path, text):
  (tmp_path / atomic.MANIFEST).write_text(text)
  with pytest.raises(PreparationError, match=r'\.cmnist_tfds\.json: expected'):
    _fill(tmp_path, {'a': '1'})
  assert (tmp_path / atomic.MANIFEST).read_text() == text
  assert _tree(tmp_path) == {}


def test_a_manifest_that_is_a_link_is_not_followed(tmp_path):
  _fill(tmp_path / 'first', {'a': '1'})
  (tmp_path / 'second').mkdir()
  (tmp_path / 'second' / atomic.MANIFEST).symlink_to(
    tmp_path / 'first' / atomic.MANIFEST
  )
  with pytest.raises(PreparationError, match='not a regular file'):
    _fill(tmp_path / 'second', {'a': '1'})


def test_what_was_there_stays_when_the_new_fails(tmp_path):
  for place, texts in (('new', {}), ('old', {'a': '1'})):
    if texts:
      _fill(tmp_path / place, texts)
    with (
      pytest.raises(PreparationError) as raised,
      atomic.write_folder(tmp_path / place, 'w', ['a']) as unfinished,
    ):
      (unfinished / 'a').write_text('2')
      raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert str(raised.value) == (
      f'Cannot write to {tmp_path / place}: No space left on device. Free space'
      ' on that disk, or choose another folder.'
    )
  assert [path.name for path in tmp_path.iterdir()] == ['old']
  assert sorted(p.name for p in (tmp_path / 'old').iterdir()) == [
    atomic.MANIFEST,
    'a',
  ]
  assert _tree(tmp_path / 'old') == {'a': '1'}


def test_runs_at_the_same_time_wait_for_each_other(tmp_path):
  files = {f'{n % 7}/{n}': 'x' * n for n in range(40)}
  for place in ('one', 'two'):
    threads = [
      threading.Thread(target=_fill, args=(tmp_path / place, files))
      for _ in range(4)
    ]
    for thread in threads:
      thread.start()
    for thread in threads:
      thread.join()
    assert _tree(tmp_path / place) == files


def test_folders_with_needed_data_are_refused(tmp_path):
  (tmp_path / 'data/cmnist').mkdir(parents=True)
  for place in ('data/cmnist', 'data', 'data/cmnist/new'):
    with pytest.raises(PreparationError, match='data of which are needed'):
      _fill(tmp_path / place, {'a': '1'}, apart_from=[tmp_path / 'data/cmnist'])
  _fill(
    tmp_path / 'data/new', {'a': '1'}, apart_from=[tmp_path / 'data/cmnist']
  )


def test_files_are_synced_before_they_are_renamed(tmp_path, monkeypatch):
  events = []

  def record(name, original):
    def call(first, *args, **kwargs):
      path = first
      if isinstance(first, int):
        path = os.readlink(f'/proc/self/fd/{first}')
      events.append((name, pathlib.Path(path).name))
      return original(first, *args, **kwargs)

    return call

  for name in ('fsync', 'rename', 'replace', 'link'):
    monkeypatch.setattr(os, name, record(name, getattr(os, name)))
  place = tmp_path / 'site'
  _fill(place, {'a': '1', 'b/c': '1'})
  _fill(place, {'a': '2', 'b/c': '2'})
  atomic.write_file(tmp_path / 'x.svg', b'x')
  if not any(name == 'replace' for name, _ in events):
    pytest.skip('this version of Python binds these functions at import')
  synced = set()
  for name, file in events:
    if name == 'fsync':
      synced.add(file)
    elif file != 'b':  # A folder; what it holds is synced.
      assert file in synced
      synced.remove(file)
  assert events[-1] == ('fsync', tmp_path.name)


def test_a_file_is_replaced_or_left(tmp_path, monkeypatch):
  path = tmp_path / 'x.svg'
  for text in (b'first', b'second'):
    atomic.write_file(path, text)
    assert path.read_bytes() == text

  def fail(_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

  monkeypatch.setattr(os, 'fsync', fail)
  with pytest.raises(
    PreparationError, match=r'Cannot write to \S+x\.svg: No sp'
  ):
    atomic.write_file(path, b'third')
  assert path.read_bytes() == b'second'
  assert list(tmp_path.iterdir()) == [path]


def test_many_writers_of_one_file_all_succeed(tmp_path):
  path = tmp_path / 'x.svg'
  texts = [bytes([65 + n]) * 200_000 for n in range(8)]
  atomic.write_file(path, texts[0])
  failed, seen = [], []
  done = threading.Event()

  def write(text):
    try:
      for _ in range(10):
        atomic.write_file(path, text)
    except PreparationError as error:
      failed.append(error)

  def look():
    while not done.is_set():
      seen.append(path.read_bytes() in texts)

  reader = threading.Thread(target=look)
  reader.start()
  threads = [threading.Thread(target=write, args=(text,)) for text in texts]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  done.set()
  reader.join()
  assert not failed
  assert seen and all(seen)
  assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path):
  left = tmp_path / '.cmnist_tfds.0123456789abcdef.unfinished'
  left.write_text('half')
  others = tmp_path / '.cmnist_tfds.notes.unfinished'
  others.write_text(_MINE)
  atomic.write_file(tmp_path / 'x.svg', b'x')
  assert not left.exists()
  assert others.read_text() == _MINE


def test_a_file_has_the_mode_of_the_umask(tmp_path: pathlib.Path):
  old = os.umask(0o027)
  try:
    atomic.write_file(tmp_path / 'x.svg', b'x')
    _fill(tmp_path / 'site', {'a/b': '1'})
  finally:
    os.umask(old)
  for path, mode in (
    ('x.svg', 0o640),
    ('site', 0o750),
    ('site/a', 0o750),
    ('site/a/b', 0o640),
  ):
    assert stat.S_IMODE((tmp_path / path).stat().st_mode) == mode

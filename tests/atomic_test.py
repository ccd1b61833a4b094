# SPDX-License-Identifier: Apache-2.0
"""What is written is there whole or not at all, and others' files stay."""

import concurrent.futures
import json
import os
import pathlib
import stat

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cmnist_tfds.system import atomic
from cmnist_tfds.system.errors import PreparationError

_MINE = 'years of work'


def _put(folder: pathlib.Path, files: dict[str, str]):
  for name, text in files.items():
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def _fill(path: pathlib.Path, files: dict[str, str], writer='w', names=None):
  with atomic.write_folder(path, writer, names or files) as unfinished:
    _put(unfinished, files)


def _assert_in_way(place: pathlib.Path, names, what):
  """Asserts that the writing ends before the work."""
  with (
    pytest.raises(PreparationError, match=f'{what} is in the way'),
    atomic.write_folder(place, 'w', names),
  ):
    pytest.fail('the work began')


def _tree(folder: pathlib.Path) -> dict[str, str]:
  """Returns the files in a folder with their text, without the manifest."""
  return {
    path.relative_to(folder).as_posix(): path.read_text()
    for path in folder.rglob('*')
    if path.is_file() and path != folder / atomic.MANIFEST
  }


# Folders ---------------------------------------------------------------------


_FILES = st.dictionaries(
  st.sampled_from(['a', 'b', 'c/a', 'c/d/e', '.config/x']),
  st.sampled_from(['1', '2', '']),
)


@settings(
  max_examples=60,
  suppress_health_check=[HealthCheck.function_scoped_fixture],
  deadline=None,
)
@given(st.lists(_FILES, max_size=4), st.booleans())
def test_after_any_writes_the_folder_holds_the_last(tmp_path, written, by_name):
  place = tmp_path / str(len(os.listdir(tmp_path)))
  mine = {'README.md': _MINE, '.git/HEAD': _MINE}
  _put(place, mine)
  for files in written:
    names = files if by_name else ['a', 'b', 'c/', '.config/']
    _fill(place, files, names=names)
    # A file of ours that is gone is no obstacle, nor is one beside ours.
    for name in [*files][:1]:
      (place / name).unlink()
      if by_name:
        mine[f'{name}.mine'] = _MINE
        _put(place, mine)
      _fill(place, files, names=names)
  assert _tree(place) == {**mine, **(written[-1] if written else {})}
  # Folders of ours that became empty are gone, and what serves the writing.
  assert all(any(p.iterdir()) for p in place.rglob('*') if p.is_dir())
  hidden = {p.name for p in place.glob('.*')} - {'.git', '.config'}
  assert hidden == ({atomic.MANIFEST} if written else set())


def _link(path):
  (path.parent / 'other').write_text('1')
  path.symlink_to('other')


def _folder(path):
  _put(path, {'mine': _MINE})


# Windows has none: a test of it fails there, and those beside it run.
_fifo = getattr(os, 'mkfifo', None)


@pytest.mark.parametrize(
  'put', [lambda p: p.write_text('9'), _link, _folder, _fifo]
)
@pytest.mark.parametrize('again', [{'a': '2', 'b/c': '2'}, {'b/c': '2'}])
@pytest.mark.parametrize('during', [False, True])
def test_what_took_the_place_of_our_file_stays(tmp_path, put, again, during):
  place = tmp_path / 'site'
  _fill(place, {'a': '1', 'b/c': '1'})

  def change():
    (place / 'a').unlink()
    put(place / 'a')
    return (place / 'a').lstat().st_mtime_ns

  before = None if during else change()
  with (
    pytest.raises(PreparationError, match='a is in the way'),
    atomic.write_folder(place, 'w', again) as unfinished,
  ):
    assert during, 'the work began'
    _put(unfinished, again)
    before = change()
  assert (place / 'a').lstat().st_mtime_ns == before
  assert (place / 'b/c').read_text() == '1'


@pytest.mark.parametrize('names', [('a', 'b/c'), ('a', 'b/'), ('a', 'b')])
def test_a_file_in_the_way_is_named_before_the_work(tmp_path, names):
  place = tmp_path / 'site'
  _fill(place, {'a': '1'})
  _put(place, {'b/c': _MINE})
  _assert_in_way(place, names, 'b(/c)?')
  assert _tree(place) == {'a': '1', 'b/c': _MINE}


def test_links_inside_are_not_followed(tmp_path):
  place, other = tmp_path / 'site', tmp_path / 'other'
  _fill(place, {'a': '1'})
  other.mkdir()
  (place / 'b').symlink_to(other)
  for names in (['b/c'], ['b/']):
    _assert_in_way(place, names, 'b')
  (place / 'b').unlink()
  _fill(place, {'a': '2', 'b/c': '2'})
  other.rmdir()
  (place / 'b').rename(other)
  (place / 'b').symlink_to(other)
  with pytest.raises(PreparationError, match='b/c is in the way'):
    _fill(place, {'a': '3'})
  assert (other / 'c').read_text() == '2'


def test_folders_that_may_not_be_written_are_left_as_they_are(tmp_path):
  (tmp_path / 'file').write_text(_MINE)
  _fill(tmp_path / 'other', {'a': '1'}, 'cmnist catalog')
  before = _tree(tmp_path)
  for place, fault in (
    ('file/out', 'Cannot write to .*out: Not a directory'),
    ('other', 'was written by cmnist catalog, which w does not'),
    ('x' * 300, 'File name too long'),
  ):
    with pytest.raises(PreparationError, match=fault):
      _fill(tmp_path / place, {'a': '1'})
    assert _tree(tmp_path) == before


@pytest.mark.parametrize(
  'text',
  [
    *('', '{', '[]', '\0\0\0', '[' * 100_000, '{}', '{"files": {}}'),
    *('{"writer": "w", "files": 3}', '{"writer": "w", "files": {"a": {}}}'),
    *(
      json.dumps({'writer': 'w', 'files': {path: []}})
      for path in ('../a', '/a', '.git/HEAD', 'b/../../a', 'b//a', '', 'b\\a',
                   'a/.git/x', '.config', 'c:a')
    ),
  ],
)  # fmt: skip
def test_a_manifest_that_is_damaged_or_leads_elsewhere_is_named(tmp_path, text):
  (tmp_path / atomic.MANIFEST).write_text(text)
  with pytest.raises(PreparationError, match=r'\.cmnist_tfds\.json: expected'):
    _fill(tmp_path, {'a': '1'})
  assert (tmp_path / atomic.MANIFEST).read_text() == text
  assert _tree(tmp_path) == {}


def test_a_killed_run_leaves_nothing_in_the_folder(tmp_path):
  place = tmp_path / 'MNIST/raw'
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(atomic.shutil, 'rmtree', lambda *_, **__: None)
    with (
      pytest.raises(KeyboardInterrupt),
      atomic.write_folder(place, 'w', ['a']) as unfinished,
    ):
      (unfinished / 'a').write_text('1')
      place.mkdir(exist_ok=True)
      assert list(place.iterdir()) == []
      raise KeyboardInterrupt
  assert unfinished.parent == place.parent
  place.mkdir(exist_ok=True)
  _fill(place, {'b': '2'})
  assert (_tree(place), os.listdir(place.parent)) == ({'b': '2'}, ['raw'])


def test_what_is_unfinished_is_inside_if_it_cannot_be_beside(tmp_path):
  place = tmp_path / 'mounted'
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(atomic.os, 'access', lambda path, _: path == place)
    with atomic.write_folder(place, 'w', ['a']) as unfinished:
      (unfinished / 'a').write_text('1')
  assert (unfinished.parent, _tree(place)) == (place, {'a': '1'})


def test_runs_at_the_same_time_wait_for_each_other(tmp_path):
  files = {f'{n % 7}/{n}': 'x' * n for n in range(40)}
  with concurrent.futures.ThreadPoolExecutor() as pool:
    for done in [pool.submit(_fill, tmp_path / 'one', files) for _ in range(4)]:
      done.result()
  assert _tree(tmp_path / 'one') == files


# Files -----------------------------------------------------------------------


@pytest.mark.parametrize(
  'put', [_link, lambda p: p.symlink_to('no'), _folder, _fifo]
)
def test_only_a_regular_file_is_replaced(tmp_path, put):
  path = tmp_path / 'x.svg'
  put(path)
  before = path.lstat()
  for write in (atomic.check_file, lambda p: atomic.write_file(p, b'x')):
    with pytest.raises(PreparationError, match='is not a regular file'):
      write(path)
    with pytest.raises(PreparationError, match=r'no/x\.svg: No such file'):
      write(tmp_path / 'no/x.svg')
  assert path.lstat() == before


def test_a_file_has_the_mode_of_the_umask(tmp_path):
  old = os.umask(0o027)
  try:
    atomic.write_file(tmp_path / 'x.svg', b'x')
    _fill(tmp_path / 'site', {'a/b': '1'})
  finally:
    os.umask(old)
  modes = {'x.svg': 0o640, 'site': 0o750, 'site/a': 0o750, 'site/a/b': 0o640}
  for path, mode in modes.items():
    assert stat.S_IMODE((tmp_path / path).stat().st_mode) == mode

# SPDX-License-Identifier: Apache-2.0
"""A folder is filled with the right files, and nothing of the user's is lost."""

from __future__ import annotations

import faulty_server
import pytest
import synthetic

from cmnist_tfds.origin import Locations, audit, load_split


@pytest.fixture
def server():
  with faulty_server.serve({}) as served:
    yield served


def _serving(server, behavior='ok', **kwargs):
  made = synthetic.make((server.home(behavior),), **kwargs)
  server.files.update(made.files)
  return made


def _fill(folder, made, **kwargs):
  """Fills a folder; returns what each file was taken from, and the faults."""
  filled = list(audit.fill(folder, [made.source], Locations(**kwargs)))
  came = {file.path: came for file, came, fault in filled if not fault}
  return came, {file.path: fault for file, _, fault in filled if fault}


def _names(folder):
  return {
    str(path.relative_to(folder))
    for path in folder.rglob('*')
    if path.is_file() and not path.name.startswith('.')
  }


def _assert_usable(folder, made):
  for split in made.arrays:
    where = Locations(manual_dir=folder)
    made.assert_read(load_split.load_split(made.source, split, where), split)


def test_what_is_there_is_kept(server, tmp_path):
  made = _serving(server)
  came, faults = _fill(tmp_path, made)
  assert came == {path: f'{server.home("ok")}{path}' for path in made.files}
  assert not faults
  (tmp_path / 'toy/train-labels.gz').unlink()
  came, _ = _fill(tmp_path, made)
  assert list(map(bool, came.values())) == [False, True, False, False]
  assert len(server.requests) == 5
  assert _names(tmp_path) == set(made.files)
  _assert_usable(tmp_path, made)


@pytest.mark.parametrize('at_hand', [False, True])
@pytest.mark.parametrize('kind', ['text', 'link', 'broken link', 'folder'])
def test_another_file_in_the_place_is_told_and_left(
  server, tmp_path, kind, at_hand
):
  made = _serving(server)
  folder = tmp_path / 'mirror'
  taken = folder / 'toy/test-labels.gz'
  taken.parent.mkdir(parents=True)
  (folder / 'mine').write_text('mine')
  if kind == 'text':
    taken.write_text('mine')
  elif kind == 'folder':
    taken.mkdir()
  else:
    taken.symlink_to('../mine' if kind == 'link' else 'nowhere')
  before = taken.lstat().st_mtime_ns
  where = {'manual_dir': made.write(tmp_path / 'manual')} if at_hand else {}
  came, faults = _fill(folder, made, **where)
  assert len(came) == 3
  assert (
    f'{taken} is not the right file, and is left as it is'
    in (faults['toy/test-labels.gz'])
  )
  assert taken.lstat().st_mtime_ns == before
  assert (folder / 'mine').read_text() == 'mine'


@pytest.mark.parametrize('by_declaration', [False, True])
def test_files_at_hand_are_taken_from_there(server, by_declaration, tmp_path):
  made = _serving(server)
  own, where = made.write(tmp_path / 'own'), {}
  if by_declaration:
    source = made.source
    for path in made.files:
      source = synthetic.replace_file(source, path, beside=own)
    made = synthetic.Made(source, made.files, made.arrays)
  else:
    where = {'manual_dir': own}
  came, _ = _fill(tmp_path / 'mirror', made, **where)
  assert came == {path: f'{own}/{path}' for path in made.files}
  assert not server.requests
  assert _names(tmp_path / 'mirror') == set(made.files)


@pytest.mark.parametrize('behavior', ['ok', 'norange'])
def test_members_come_alone_where_they_can(server, behavior, tmp_path):
  made = _serving(server, behavior, form='zip')
  assert not _fill(tmp_path, made)[1]
  members = set(synthetic.make().files)
  names = members if behavior == 'ok' else {'toy/gzip.zip'}
  assert _names(tmp_path) == names
  _assert_usable(tmp_path, made)
  # The second time nothing is asked for.
  asked = len(server.requests)
  _fill(tmp_path, made)
  assert len(server.requests) == asked

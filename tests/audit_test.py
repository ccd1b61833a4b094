# SPDX-License-Identifier: Apache-2.0
"""Right, wrong and missing files are told apart; a mirror is filled, and no more."""

import dataclasses
import hashlib

import faulty_server
import pytest
import synthetic

from cmnist_tfds.origin import Locations, Proof, audit, fingerprint


@pytest.mark.parametrize('hashes', [False, True])
def test_missing_and_wrong_files_are_reported(hashes, tmp_path):
  made = synthetic.make()
  images, labels = made.arrays['test']
  files = {
    'toy/train-labels.gz': b'<html>',
    'toy/test-images.gz': synthetic.npz(images),
    'toy/test-labels.gz': synthetic.idx(labels ^ 1),
  }
  made = dataclasses.replace(made, files=files)
  where = Locations(manual_dir=made.write(tmp_path))
  findings = list(audit.audit([made.source], where, hashes=hashes))
  missing, html, packed_anew, wrong = findings
  assert missing.copy is None and missing.proof is None
  assert missing.fault == (
    f'toy/train-images.gz: not found in {tmp_path}. Download it from'
    ' http://127.0.0.1:9/toy/train-images.gz and save it as'
    f' {tmp_path}/toy/train-images.gz'
  )
  assert f'{tmp_path}/toy/train-labels.gz: it is an HTML page' in html.fault
  assert html.copy and html.proof is None
  assert packed_anew.proof is Proof.FINGERPRINT and not packed_anew.fault
  assert 'its content is not the published one' in wrong.fault
  if hashes:
    found = [f.fingerprint for f in findings]
    assert found == ['', '', fingerprint(images), fingerprint(labels ^ 1)]
    sums = [hashlib.sha256(data).hexdigest() for data in files.values()]
    assert [f.sha256 for f in findings[1:]] == sums


# Mirrors -------------------------------------------------------------------------


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
  files = (path for path in folder.rglob('[!.]*') if path.is_file())
  return {path.relative_to(folder).as_posix() for path in files}


def _assert_usable(folder, made):
  for split in made.arrays:
    made.assert_read(made.load(split, manual_dir=folder), split)


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
  fault = faults['toy/test-labels.gz']
  assert f'{taken} is not the right file, and is left as it is' in fault
  assert taken.lstat().st_mtime_ns == before
  assert (folder / 'mine').read_text() == 'mine'


@pytest.mark.parametrize('by_declaration', [False, True])
def test_files_at_hand_are_taken_from_there(server, by_declaration, tmp_path):
  made = _serving(server)
  own = made.write(tmp_path / 'own')
  where = {} if by_declaration else {'manual_dir': own}
  for path in made.files if by_declaration else ():
    source = synthetic.replace_file(made.source, path, beside=own)
    made = dataclasses.replace(made, source=source)
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

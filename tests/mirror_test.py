# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import shutil
import threading

import faulty_server
import pytest
import synthetic

from cmnist_tfds import origin
from cmnist_tfds.origin import Locations, http_client, limits, mirror
from cmnist_tfds.system.errors import OriginFileError

_PART = 'toy/.cmnist_tfds.train-images.gz.part'
LIMITS = limits.Limits(silence=1.0, attempts=2, pause=0.01)


def _fill(folder, made, locations=None, **kwargs):
  return {
    filled.file.path: filled
    for filled in mirror.fill(
      folder,
      [made.source],
      locations or Locations(),
      http_client.Client(LIMITS),
      **kwargs,
    )
  }


def _names(folder):
  return {
    str(path.relative_to(folder))
    for path in folder.rglob('*')
    if path.is_file() and not path.name.startswith('.')
  }


def _assert_usable(folder, made):
  for split in made.arrays:
    made.assert_read(
      origin.load_split.load_split(
        made.source, split, Locations(manual_dir=folder)
      ),
      split,
    )


@pytest.fixture
def server():
  with faulty_server.serve({}) as served:
    yield served


def _serving(server, behaviour='ok', **kwargs):
  made = synthetic.make((server.home(behaviour),), **kwargs)
  server.files.update(made.files)
  return made


def test_it_holds_every_file_under_its_path(server, tmp_path):
  made = _serving(server)
  came = []
  filled = _fill(tmp_path, made, advance=came.append)
  assert [f.fault for f in filled.values()] == [''] * 4
  for path, data in made.files.items():
    assert (tmp_path / path).read_bytes() == data
    assert filled[path].origin == f'{server.home("ok")}{path}'
  assert _names(tmp_path) == set(made.files)
  assert sum(came) == sum(map(len, made.files.values()))


def test_what_is_there_is_kept(server, tmp_path):
  made = _serving(server)
  _fill(tmp_path, made)
  asked = len(server.requests)
  (tmp_path / 'toy/train-labels.gz').unlink()
  filled = _fill(tmp_path, made)
  assert [bool(f.origin) for f in filled.values()] == [False, True] + [
    False
  ] * 2
  assert len(server.requests) == asked + 1
  _assert_usable(tmp_path, made)


def _put_text(path):
  path.write_text('mine')


def _put_link(path):
  path.with_name('elsewhere').write_text('mine')
  path.symlink_to('elsewhere')


@pytest.mark.parametrize('at_hand', [False, True])
@pytest.mark.parametrize(
  'put',
  [
    _put_text,
    _put_link,
    lambda path: path.symlink_to('nowhere'),
    lambda path: path.mkdir(),
  ],
  ids=['text', 'link', 'broken link', 'folder'],
)
def test_another_file_in_the_place_is_told_and_left(
  server, tmp_path, put, at_hand
):
  made = _serving(server)
  folder = tmp_path / 'mirror'
  taken = folder / 'toy/test-labels.gz'
  taken.parent.mkdir(parents=True)
  put(taken)
  before = _state(taken)
  locations = Locations()
  if at_hand:
    made.write(tmp_path / 'manual')
    locations = Locations(manual_dir=tmp_path / 'manual')
  filled = _fill(folder, made, locations)
  assert [bool(f.fault) for f in filled.values()] == [False] * 3 + [True]
  fault = filled['toy/test-labels.gz'].fault
  assert fault == (
    f'{taken} is not the right file, and is left as it is; move it away and run'
    ' this again'
  )
  assert _state(taken) == before


def _state(path):
  status = path.lstat()
  return (
    status.st_ino,
    status.st_mtime_ns,
    path.read_bytes() if path.is_file() else None,
  )


def test_a_link_in_the_place_of_an_unfinished_file_is_not_followed(
  server, tmp_path
):
  made = _serving(server)
  (tmp_path / 'toy').mkdir()
  (tmp_path / 'mine').write_text('mine')
  (tmp_path / 'toy/.cmnist_tfds.test-labels.gz.part').symlink_to('../mine')
  _fill(tmp_path, made)
  assert (tmp_path / 'mine').read_text() == 'mine'
  _assert_usable(tmp_path, made)


def test_an_unfinished_file_of_other_programs_stays(server, tmp_path):
  made = _serving(server)
  (tmp_path / 'toy').mkdir()
  (tmp_path / 'toy/test-labels.gz.part').write_text('of a browser')
  _fill(tmp_path, made)
  assert (tmp_path / 'toy/test-labels.gz.part').read_text() == 'of a browser'


def test_what_broke_off_is_continued(server, tmp_path):
  made = _serving(server)
  data = made.files['toy/train-images.gz']
  (tmp_path / 'toy').mkdir()
  (tmp_path / _PART).write_bytes(data[:1000])
  _fill(tmp_path, made)
  assert server.requests[0] == ('/ok/toy/train-images.gz', 'bytes=1000-')
  _assert_usable(tmp_path, made)


def test_what_broke_off_may_be_of_another_file(server, tmp_path):
  made = _serving(server)
  (tmp_path / 'toy').mkdir()
  (tmp_path / _PART).write_bytes(b'other')
  _fill(tmp_path, made)
  _assert_usable(tmp_path, made)
  assert _names(tmp_path) == set(made.files)


def test_files_at_hand_are_taken_from_there(server, tmp_path):
  made = _serving(server)
  made.write(tmp_path / 'manual')
  filled = _fill(
    tmp_path / 'mirror', made, Locations(manual_dir=tmp_path / 'manual')
  )
  assert filled['toy/train-images.gz'].origin == str(
    tmp_path / 'manual/toy/train-images.gz'
  )
  assert not server.requests
  _assert_usable(tmp_path / 'mirror', made)


def test_a_mirror_fills_a_mirror(server, tmp_path):
  made = synthetic.make()
  server.files.update(made.files)
  _fill(tmp_path, made, Locations(mirror=server.home('ok')))
  _assert_usable(tmp_path, made)


def test_few_members_come_without_their_archive(server, tmp_path):
  made = _serving(server, form='zip')
  _fill(tmp_path, made)
  assert _names(tmp_path) == {
    f'toy/{split}-{part}.gz'
    for split in ('train', 'test')
    for part in ('images', 'labels')
  }
  assert all(asked_range for _, asked_range in server.requests)
  _assert_usable(tmp_path, made)


def test_members_come_from_their_own_homes_where_there_is_no_archive(
  server, tmp_path
):
  made = synthetic.with_members_alone(
    _serving(server, '404', form='zip', other_bytes=0), server.home('ok')
  )
  server.files.update(made.files)
  for _ in range(2):
    filled = _fill(tmp_path, made)
    assert [f.fault for f in filled.values()] == [''] * 4
  assert 'toy/gzip.zip' not in _names(tmp_path)
  # The second time they are there, and the archive is not asked for.
  archives = [url for url, _ in server.requests if url.endswith('gzip.zip')]
  assert 0 < len(archives) < len(server.requests)
  asked = len(server.requests)
  _fill(tmp_path, made)
  assert len(server.requests) == asked
  _assert_usable(tmp_path, made)


def test_the_archive_comes_where_parts_of_it_are_not_sent(server, tmp_path):
  made = _serving(server, 'norange', form='zip')
  filled = _fill(tmp_path, made)
  assert [bool(f.origin) for f in filled.values()] == [True] + [False] * 3
  assert _names(tmp_path) == {'toy/gzip.zip'}
  _assert_usable(tmp_path, made)


def test_the_archive_comes_where_most_of_it_is_wanted(server, tmp_path):
  made = _serving(server, form='zip', other_bytes=0)
  _fill(tmp_path, made)
  assert _names(tmp_path) == {'toy/gzip.zip'}
  assert server.requests == [('/ok/toy/gzip.zip', '')]
  _assert_usable(tmp_path, made)


def test_a_file_that_does_not_come_is_told_and_the_rest_comes(server, tmp_path):
  made = _serving(server)
  del server.files['toy/train-images.gz']
  filled = _fill(tmp_path, made)
  faults = [f.fault for f in filled.values()]
  url = f'{server.home("ok")}toy/train-images.gz'
  assert faults[0] == (
    f'{url}: HTTP 404 Not Found. To go on, get it from {url} and put it at'
    f' {tmp_path}/toy/train-images.gz.'
  )
  assert faults[1:] == [''] * 3
  assert _names(tmp_path) == set(server.files)


def test_a_full_disk_is_told_before_the_work(server, tmp_path, monkeypatch):
  made = _serving(server)
  usage = shutil.disk_usage(tmp_path)._replace(free=10)
  monkeypatch.setattr(shutil, 'disk_usage', lambda folder: usage)
  with pytest.raises(OriginFileError, match=r'bytes are needed, and 10 are'):
    _fill(tmp_path, made)
  assert not server.requests


def test_a_folder_that_cannot_be_made_is_told_before_the_work(server, tmp_path):
  made = _serving(server)
  (tmp_path / 'file').touch()
  with pytest.raises(
    OriginFileError, match=r'Cannot write to \S+file/mirror: Not a'
  ):
    _fill(tmp_path / 'file' / 'mirror', made)
  assert not server.requests


def test_two_at_once_end_with_one_good_copy(server, tmp_path):
  made = _serving(server)
  threads = [
    threading.Thread(target=_fill, args=(tmp_path, made)) for _ in range(3)
  ]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  assert len(server.requests) == 4
  assert _names(tmp_path) == set(made.files)
  _assert_usable(tmp_path, made)

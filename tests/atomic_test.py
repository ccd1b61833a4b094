# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import pathlib
import stat

import pytest

from cmnist_tfds import atomic
from cmnist_tfds.errors import PreparationError


def _fill(path: pathlib.Path, text: str) -> None:
  with atomic.write_folder(path, 'told.txt') as unfinished:
    (unfinished / 'told.txt').write_text(f'by cmnist_tfds: {text}')


def test_a_folder_is_made_and_later_replaced(tmp_path: pathlib.Path):
  place = tmp_path / 'a' / 'b'
  _fill(place, 'first')
  (place / 'old.txt').touch()
  _fill(place, 'second')
  assert [path.name for path in place.iterdir()] == ['told.txt']
  assert 'second' in (place / 'told.txt').read_text()
  assert list(place.parent.iterdir()) == [place]


def test_an_empty_folder_is_filled(tmp_path: pathlib.Path):
  (tmp_path / 'empty').mkdir()
  _fill(tmp_path / 'empty', 'first')
  assert (tmp_path / 'empty' / 'told.txt').is_file()


@pytest.mark.parametrize('name', ('thesis.txt', 'told.txt'))
def test_what_is_not_ours_is_refused_and_left(tmp_path: pathlib.Path, name):
  (tmp_path / 'mine').mkdir()
  (tmp_path / 'mine' / name).write_text('years of work')
  with pytest.raises(PreparationError, match='was not written by this command'):
    _fill(tmp_path / 'mine', 'x')
  assert (tmp_path / 'mine' / name).read_text() == 'years of work'


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path: pathlib.Path):
  (tmp_path / 'file').touch()
  with pytest.raises(PreparationError, match='was not written'):
    _fill(tmp_path / 'file', 'x')


def test_what_was_there_stays_when_the_new_fails(tmp_path: pathlib.Path):
  _fill(tmp_path / 'site', 'first')
  with (
    pytest.raises(OSError, match='disk full'),
    atomic.write_folder(tmp_path / 'site', 'told.txt'),
  ):
    raise OSError('disk full')
  assert 'first' in (tmp_path / 'site' / 'told.txt').read_text()
  assert [path.name for path in tmp_path.iterdir()] == ['site']


def test_a_file_is_replaced_or_left(tmp_path: pathlib.Path):
  path = tmp_path / 'x.svg'
  for text in ('first', 'second'):
    with atomic.write_file(path) as unfinished:
      unfinished.write_text(text)
  with pytest.raises(OSError), atomic.write_file(path) as unfinished:
    unfinished.write_text('third')
    raise OSError
  assert path.read_text() == 'second'
  assert list(tmp_path.iterdir()) == [path]


def test_two_writers_of_one_file_both_succeed(tmp_path: pathlib.Path):
  path = tmp_path / 'x.svg'
  with atomic.write_file(path) as first, atomic.write_file(path) as second:
    assert first != second
    first.write_text('first')
    second.write_text('second')
  assert path.read_text() == 'first'
  assert list(tmp_path.iterdir()) == [path]


def test_a_file_has_the_mode_of_the_umask(tmp_path: pathlib.Path):
  old = os.umask(0o027)
  try:
    with atomic.write_file(tmp_path / 'x.svg') as unfinished:
      unfinished.write_text('x')
  finally:
    os.umask(old)
  assert stat.S_IMODE((tmp_path / 'x.svg').stat().st_mode) == 0o640

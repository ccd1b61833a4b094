# SPDX-License-Identifier: Apache-2.0
"""Errors name the true cause: what the system refuses, what is not there."""

from __future__ import annotations

import errno
import os
import pathlib
import re
import shutil

import pytest
import running
from command_line import run as _run

import cmnist_tfds
from cmnist_tfds.system import paths
from cmnist_tfds.system.errors import (
  OriginFileError,
  PreparationError,
  disk_errors,
  read_errors,
)
from cmnist_tfds.system.streams import warn_once

_PACKAGE = pathlib.Path(cmnist_tfds.__file__).parent


# The system -------------------------------------------------------------------


@pytest.mark.parametrize(
  ('number', 'kind', 'said'),
  [
    (
      errno.EMFILE,
      PreparationError,
      r'Too many open files\. Raise .*ulimit -n',
    ),
    (errno.EACCES, OriginFileError, r'Permission denied\. Ask its owner'),
  ],
)
def test_what_the_system_refuses_is_told_of_a_file(number, kind, said):
  refused = pytest.raises(kind, match=f'x.gz: cannot be read: {said}')
  with refused, read_errors('x.gz'):
    raise OSError(number, os.strerror(number))


@pytest.mark.parametrize(
  ('number', 'remedy'),
  [
    (errno.EMFILE, 'Raise the limit of open files'),
    (errno.ENODEV, 'file system that can map files'),
    (errno.ENOMEM, 'raise the limit of memory'),
    (errno.EIO, 'Check its disk'),
    (errno.ESTALE, 'the connection to it'),
    (errno.ENOSPC, 'free space of its disk, or choose another folder.'),
  ],
)
def test_the_remedy_is_that_of_the_fault(number, remedy, tmp_path):
  with pytest.raises(PreparationError) as caught, disk_errors(tmp_path):
    raise OSError(number, os.strerror(number))
  _, folder, rest = str(caught.value).partition(f'{tmp_path}')
  assert folder and rest.startswith(f': {os.strerror(number)}. ')
  assert rest.count('.') == 2 and remedy in rest


def test_a_file_that_is_read_is_no_fault_of_what_is_written(tmp_path):
  for cause, said in (
    (OSError(errno.EIO, 'Not so', '/dev/x'), r'Cannot use /dev/x: Not so. Che'),
    (OSError('a template'), '^a template'),
  ):
    caught = pytest.raises((PreparationError, OSError), match=said)
    with caught, disk_errors(tmp_path / 'pub'):
      raise cause


def test_a_sample_without_its_files_is_to_be_installed_again(
  tmp_path, monkeypatch, empty_cache
):
  monkeypatch.setattr(paths, 'package_folder', lambda name: tmp_path)
  with pytest.raises(OriginFileError, match='not whole: install cmnist_tfds'):
    cmnist_tfds.load_data('X-12', sample=True, data_dir=tmp_path)


@pytest.mark.parametrize(
  ('error', 'said'),
  [
    (RuntimeError("can't start new thread"), "can't .* Raise .*ulimit -u.*"),
    (
      MemoryError('No 3 GiB'),
      'out of memory. No 3 GiB. Close other programs.*',
    ),
    (MemoryError(), 'out of memory. Close other programs.*'),
    (RuntimeError('a defect'), None),
  ],
)
def test_a_limit_is_a_line(error, said, monkeypatch, capsys):
  def refuse(*args, **kwargs):
    raise error

  monkeypatch.setattr('cmnist_tfds.cli.info_command.info', refuse)
  if said:
    status, out, err = _run(capsys, 'info', 'X-12')
    assert (status, out) == (1, '') and re.fullmatch(f'cmnist: {said}\n', err)
  else:
    with pytest.raises(RuntimeError, match='a defect'):
      _run(capsys, 'info', 'X-12')


@pytest.mark.parametrize('home', ['gs://bucket', 's3://bucket/me'])
def test_a_home_that_is_no_folder_is_named(home, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv('HOME', home)
  with pytest.raises(PreparationError, match=f'{home}/.*is not a local path'):
    paths.data_root(None)
  with pytest.raises(PreparationError, match='is not a local path'):
    cmnist_tfds.load_data('cmnist_sample/X-12')
  assert not [*tmp_path.iterdir()]


# The package ------------------------------------------------------------------


@pytest.mark.parametrize(
  'missing',
  ['sources/*.toml', 'sources/extensions/mnist.toml', 'all in a zip file'],
)
@pytest.mark.parametrize(
  'code',
  [
    ['-m', 'cmnist_tfds', 'list'],
    ['-c', 'import cmnist_tfds; cmnist_tfds.subset("2-FKd")'],
  ],
  ids=['command', 'Python'],
)
def test_a_package_without_its_tables_says_so(code, missing, tmp_path):
  place = tmp_path / 'place'
  ignored = shutil.ignore_patterns('__pycache__')
  shutil.copytree(_PACKAGE, place / 'cmnist_tfds', ignore=ignored)
  for path in (place / 'cmnist_tfds').glob(missing):
    path.unlink()
  if 'zip' in missing:
    place = shutil.make_archive(place, 'zip', place)
  done = running.python(*code, cwd=tmp_path, PYTHONPATH=str(place))
  *before, error = done.stderr.splitlines()
  assert done.returncode == 1 and 'tables of sources are missing' in error
  assert str(tmp_path) in error
  assert not before or code[0] == '-c'


# What is asked for ---------------------------------------------------------------


@pytest.mark.parametrize('name', [None, 5, 2.0, b'X-12', ['X-12']])
@pytest.mark.parametrize(
  'use',
  [
    cmnist_tfds.subset,
    cmnist_tfds.load_data,
    lambda name: cmnist_tfds.evaluate(name, 'x.npz'),
    lambda name: cmnist_tfds.training_rows(name, 'fit'),
    lambda name: cmnist_tfds.save_predictions('x', name, [], [], method='x'),
    cmnist_tfds.show,
    cmnist_tfds.info,
  ],
)
def test_what_is_no_text_is_no_name(use, name):
  with pytest.raises(cmnist_tfds.SubsetNameError, match='a name is <number'):
    use(name)


def test_who_forgets_the_sample_is_told(
  sample_dir, capsys, monkeypatch, caplog, empty_cache
):
  for command in ('show X-12 -o x.png', 'audit X-12', 'baseline knn X-12 -k 1'):
    status, _, err = _run(capsys, *command.split(), '--data_dir', sample_dir)
    assert status == 1 and f'sample is in {sample_dir}' in err
    assert '--sample takes it. Run: cmnist build X-12 --data_dir' in err

  def fetch(*args, **kwargs):
    raise PreparationError('no network')

  warn_once.cache_clear()
  monkeypatch.setattr('cmnist_tfds.cache.split_sources.open_split', fetch)
  with pytest.raises(PreparationError, match='no network'):
    cmnist_tfds.load_data('X-12', data_dir=sample_dir)
  assert 'so it is fetched. Its sample is in' in caplog.text


@pytest.mark.parametrize(
  ('argv', 'status', 'said'),
  [
    (('info', 'cmnist_sample/X-12'), 0, 'A synthetic sample'),
    (('info', 'CMNIST_SAMPLE/x-12', '--sample'), 0, 'A synthetic sample'),
    (('show', 'cmnist_sample/X-12', '-o', 'x.png'), 0, 'cmnist_sample/X-12: '),
    (('build', 'cmnist_sample/X-12', 'X-24'), 2, 'or of CMNIST alone'),
    (('verify', 'cmnist_sample/X-12'), 2, 'command with --sample'),
  ],
)
def test_commands_know_the_names_of_the_sample(
  argv, status, said, tmp_path, monkeypatch, capsys
):
  monkeypatch.chdir(tmp_path)
  found, out, err = _run(capsys, *argv)
  assert found == status and said in out + err

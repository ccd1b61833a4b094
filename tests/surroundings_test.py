# SPDX-License-Identifier: Apache-2.0
"""Disks, homes, installations and habits as people have them."""

from __future__ import annotations

import errno
import json
import os
import pathlib
import pickle
import re
import shutil
import subprocess
import sys

import pytest
from command_line import run as _run

import cmnist_tfds
from cmnist_tfds import subsets
from cmnist_tfds.figures import pictures
from cmnist_tfds.sources import SOURCES

_PROGRAMS = pathlib.Path(__file__).with_name('programs')


@pytest.fixture(autouse=True)
def _count(record_property):
  record_property('surroundings', 'survived')


def _lines(err):
  """Returns the lines of errors, without warnings such as that of fonts."""
  lines = err.splitlines()
  return [line for line in lines if not line.startswith('cmnist: warning: ')]


# Commands that write, with their outputs.
_WRITERS = {
  'export': ['export', 'X-12', '--sample', '--format', 'png', '-o', '{out}'],
  'show': ['show', 'X-12', '--sample', '-o', '{out}/a.svg'],
  'catalog': ['catalog', '--sample', '-o', '{out}'],
  'croissant': ['croissant', 'X-12', '--sample', '-o', '{out}'],
  'publish': ['publish', 'X-12', '--sample', '-o', '{out}'],
  'tfds-pr': ['tfds-pr', '{out}'],
}


def _writer(command, out, data_dir):
  argv = [arg.format(out=out) for arg in _WRITERS[command]]
  return [*argv, '--data_dir', data_dir] if '--sample' in argv else argv


# Disks -----------------------------------------------------------------------


def test_full_disks_are_named_with_the_remedy(sample_dir, tmp_path):
  if not shutil.which('unshare'):
    pytest.skip('unshare is not installed')
  mount_point = tmp_path / 'small'
  mount_point.mkdir()
  done = subprocess.run(
    [
      *('unshare', '--mount', sys.executable, _PROGRAMS / 'fill_disks.py'),
      *(sample_dir, mount_point),
    ],
    check=False,
    capture_output=True,
    text=True,
  )
  if done.returncode in (1, 77) and 'Traceback' not in done.stderr:
    pytest.skip('disks may not be mounted here')
  assert done.returncode == 0, done.stderr
  outcomes = list(map(json.loads, done.stdout.splitlines()))
  assert len(outcomes) == 16
  for argv, status, err, kept in outcomes:
    assert status == 1, argv
    (line,) = _lines(err)
    assert str(mount_point) in line
    assert re.search('Free (some )?space', line), line
    assert 'or choose another' in line
    assert 'Errno' not in line and ' 0.0 ' not in line
    if argv[0] not in ('build', 'mirror'):
      assert not kept


@pytest.mark.parametrize('number', [errno.ENOSPC, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize('command', _WRITERS)
def test_faults_of_disks_are_one_line(
  number, command, sample_dir, tmp_path, capsys, monkeypatch
):
  def fail(descriptor):
    raise OSError(number, os.strerror(number))

  out = tmp_path / 'out'
  if command == 'show':
    out.mkdir()
  monkeypatch.setattr(os, 'fsync', fail)
  status, _, err = _run(capsys, *_writer(command, out, sample_dir))
  assert status == 1
  (line,) = _lines(err)
  assert f'Cannot write to {out}' in line
  assert f'{os.strerror(number)}. ' in line
  assert 'disk, or choose another' in line
  assert not [p for p in tmp_path.rglob('*') if p.is_file()]


@pytest.mark.parametrize('command', _WRITERS)
def test_folders_that_are_not_there_are_named(
  command, sample_dir, tmp_path, capsys
):
  missing = tmp_path / 'missing'
  out = missing if command == 'show' else missing / 'out'
  status, _, err = _run(capsys, *_writer(command, out, sample_dir))
  assert status == 1
  (line,) = _lines(err)
  assert f'{missing}, the folder of' in line and 'does not exist' in line


# Memory ----------------------------------------------------------------------


@pytest.mark.parametrize('said', ['', 'Unable to allocate 3.00 GiB'])
def test_too_little_memory_is_one_line(
  said, sample_dir, tmp_path, capsys, monkeypatch
):
  def fail(*_, **__):
    raise MemoryError(*[said] if said else [])

  monkeypatch.setattr(pictures, 'save', fail)
  status, _, err = _run(capsys, *_writer('show', tmp_path, sample_dir))
  assert status == 1
  (line,) = _lines(err)
  assert line.startswith('cmnist: out of memory') and said in line


# Users without a home --------------------------------------------------------


@pytest.fixture
def homeless(tmp_path, monkeypatch):
  """Takes the home directory away; returns an empty working folder."""
  pwd = pytest.importorskip('pwd', reason='homes are found in another way')

  def fail(_):
    raise KeyError('no such user')

  monkeypatch.delenv('HOME', raising=False)
  monkeypatch.delenv('TFDS_DATA_DIR', raising=False)
  monkeypatch.setattr(pwd, 'getpwuid', fail)
  monkeypatch.setattr(pwd, 'getpwnam', fail)
  folder = tmp_path / 'here'
  folder.mkdir()
  monkeypatch.chdir(folder)
  return folder


@pytest.mark.parametrize(
  'argv',
  [
    ['info', 'X-12'],
    ['build', 'X-12'],
    ['build', 'X-12', '--sample'],
    ['show', 'X-12', '-o', 'a.svg'],
    ['export', 'X-12', '--format', 'idx', '-o', 'o'],
    ['catalog', '-o', 'o'],
    ['croissant', 'X-12', '-o', 'o'],
    ['publish', 'X-12', '-o', 'o'],
    ['info', 'X-12', '--data_dir', '~nobody-of-this-name/data'],
    ['verify', '1-Km', '--data_dir', '.', '--manual_dir', '~/files'],
    ['verify', '1-Km', '--data_dir', '.', '--mirror', '~/files'],
  ],
)
def test_without_a_home_the_remedy_is_told(argv, homeless, capsys):
  status, _, err = _run(capsys, *argv)
  assert status == 1
  (line,) = _lines(err)
  assert 'no home directory' in line
  assert 'HOME' in line and '--data_dir' in line
  assert not list(homeless.iterdir())


@pytest.mark.parametrize('argv', [['verify', '1-Km'], ['mirror', 'm', '1-Km']])
def test_without_a_home_there_is_no_folder_of_downloads(argv, tmp_path):
  # TFDS finds its folders when it is imported.
  done = subprocess.run(
    [
      *(sys.executable, '-c'),
      'import os, pwd, sys\n'
      'def fail(_): raise KeyError\n'
      'pwd.getpwuid = fail\n'
      'os.environ.pop("HOME", None)\n'
      'os.environ.pop("TFDS_DATA_DIR", None)\n'
      'from cmnist_tfds import cli\n'
      'sys.exit(cli.main(sys.argv[1:]))',
      *argv,
    ],
    check=False,
    capture_output=True,
    text=True,
    cwd=tmp_path,
    env={**os.environ, 'PYTHONPATH': os.path.dirname(cmnist_tfds.__path__[0])},
  )
  assert done.returncode == 1
  (line,) = _lines(done.stderr)
  assert 'no home directory' in line and '--data_dir' in line
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('command', ['list', 'cache', *_WRITERS])
def test_without_a_home_commands_work(
  command, homeless, sample_dir, tmp_path, capsys
):
  argv = [command]
  if command in _WRITERS:
    out = tmp_path if command == 'show' else tmp_path / 'out'
    argv = _writer(command, out, sample_dir)
  status, _, err = _run(capsys, *argv)
  assert (status, _lines(err)) == (0, [])
  assert not list(homeless.iterdir())


# Habits at the command line --------------------------------------------------


def test_options_may_be_spelled_with_dashes(tmp_path, capsys):
  folders = [
    *('--data-dir', tmp_path / 'data', f'--download-dir={tmp_path / "down"}'),
    *('--manual-dir', tmp_path / 'manual'),
  ]
  status, out, err = _run(
    capsys,
    *('build', '1-Km', '--sample', *folders, '--allow-unverified'),
  )
  assert (status, err) == (0, '')
  assert str(tmp_path / 'data') in out
  status, out, _ = _run(capsys, 'verify', '1-Km', *folders)
  assert status == 1 and str(tmp_path / 'down') not in out
  # Abbreviations too.
  status, out, _ = _run(capsys, 'info', '1-Km', '--data-d', tmp_path / 'data')
  assert status == 0 and f'--data_dir {tmp_path / "data"}' in out
  status, _, err = _run(capsys, 'info', '1-Km', '--da-ta-dir', tmp_path)
  assert status == 2 and '--da-ta-dir' in err


def test_help_shows_one_spelling(capsys):
  _, out, _ = _run(capsys, 'build', '--help')
  assert '--data_dir' in out and '--data-dir' not in out


def test_options_may_stand_between_names(sample_dir, tmp_path, capsys):
  status, out, _ = _run(
    capsys,
    *('build', '1-Km', '--sample', '1-Kd', '--jobs', '1', '1-F'),
    *('--data_dir', tmp_path / 'data', '1-Km-r-1'),
  )
  assert status == 0
  assert [line.split()[0] for line in out.splitlines()[1:]] == [
    *('1-Km', '1-Kd', '1-F', '1-Km-r-1')
  ]
  status, out, _ = _run(
    capsys,
    *('verify', '1-Km', '--data_dir', tmp_path, '1-Kd'),
  )
  assert status == 1 and 'of 8 files' in out
  status, out, _ = _run(
    capsys,
    *('publish', '1-Km', '-o', tmp_path / 'out', '1-Kd', '--sample', '1-F'),
    *('--data_dir', tmp_path / 'data'),
  )
  assert status == 0 and '3 subsets' in out
  status, _, err = _run(
    capsys,
    *('mirror', tmp_path / 'm', '1-Km', '--data_dir', tmp_path, 'nonsense'),
  )
  assert status == 2 and 'nonsense' in err
  status, out, _ = _run(
    capsys,
    *('build', '--sample', '--data_dir', tmp_path / 'data', '--', '1-Km'),
  )
  assert status == 0 and '1-Km' in out


@pytest.mark.parametrize('value', ['two', '0', '-1', '1.5', '', '1e3', '二'])
@pytest.mark.parametrize(
  'argv',
  [
    ['build', 'X-12', '--jobs={}'],
    ['show', 'X-12', '-o', 'a.svg', '--examples={}'],
  ],
)
def test_numbers_that_are_none_get_a_sentence(argv, value, capsys):
  status, _, err = _run(capsys, *[arg.format(value) for arg in argv])
  assert status == 2
  assert (
    f'expected a whole number of at least 1, found {value!r}'
    in err.splitlines()[-1]
  )


@pytest.mark.parametrize('columns', ['40', '20', '1', '0', 'wide'])
@pytest.mark.parametrize('argv', [[], ['build'], ['cache']])
def test_narrow_terminals(columns, argv, capsys, monkeypatch):
  monkeypatch.setenv('COLUMNS', columns)
  status, out, err = _run(capsys, *argv, '--help')
  assert (status, err) == (0, '')
  assert out.startswith('usage: cmnist')


# Python ----------------------------------------------------------------------


def _python(code):
  return subprocess.run(
    [sys.executable, '-c', code], check=False, capture_output=True, text=True
  )


@pytest.mark.parametrize(
  'use',
  [
    'import cmnist_tfds.load.torch_dataset',
    'from cmnist_tfds.load.torch_dataset import CMNIST',
  ],
)
def test_without_torch_the_extra_is_named(use):
  done = _python(f'import sys\nsys.modules["torch"] = None\n{use}')
  assert done.returncode == 1
  *_, last = done.stderr.splitlines()
  assert 'needs torch, which is not installed' in last
  assert "pip install 'cmnist_tfds[torch]'" in last
  # Programs that can do without it expect this.
  done = _python(
    'import sys\nsys.modules["torch"] = None\n'
    f'try:\n  {use.replace("; ", chr(10) + "  ")}\nexcept ImportError:\n  pass'
  )
  assert done.returncode == 0, done.stderr


def test_the_public_names_are_listed():
  names = [name for name in dir(cmnist_tfds) if not name.startswith('_')]
  assert sorted(names) == sorted(cmnist_tfds.__all__)
  assert all(getattr(cmnist_tfds, name) for name in dir(cmnist_tfds))


def test_names_complete_at_the_prompt():
  rlcompleter = pytest.importorskip('rlcompleter')
  completer = rlcompleter.Completer({'cmnist_tfds': cmnist_tfds})
  assert completer.complete('cmnist_tfds.load_d', 0) == 'cmnist_tfds.load_data('


def test_reprs_fit_a_line():
  singles = [subsets.combine([source]) for source in SOURCES]
  longest = [
    subsets.reduce(s, 999_999_999) for s in (*subsets.published(), *singles)
  ]
  for subset in (*subsets.declared(), *longest):
    assert len(repr(subset)) <= 80
    assert f'<Subset {subset.name}: {subset.num_classes} classes, ' in repr(
      subset
    )
    assert pickle.loads(pickle.dumps(subset)) is subsets.subset(subset.name)
    for c in subset.classes:
      assert len(repr(c)) <= 80
      assert f'{c.label}: {c.name!r}, {c.raw_label} in {c.source.key}' in repr(
        c
      )
  for source in SOURCES:
    assert len(repr(source)) <= 80
    assert source.key in repr(source) and source.title in repr(source)

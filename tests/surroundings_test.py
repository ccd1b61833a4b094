# SPDX-License-Identifier: Apache-2.0
"""Memory, homes, habits and installations as people have them."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest
from command_line import run as _run

from cmnist_tfds.figures import pictures

_PROGRAMS = pathlib.Path(__file__).with_name('programs')


def _lines(err):
  """Returns the lines of errors, without warnings such as that of fonts."""
  lines = err.splitlines()
  return [line for line in lines if not line.startswith('cmnist: warning: ')]


# Memory ----------------------------------------------------------------------


@pytest.mark.parametrize('said', ['', 'Unable to allocate 3.00 GiB'])
def test_too_little_memory_is_one_line(
  said, sample_dir, tmp_path, capsys, monkeypatch
):
  def fail(*_, **__):
    raise MemoryError(*[said] if said else [])

  monkeypatch.setattr(pictures, 'save', fail)
  argv = ['show', 'X-12', '--sample', '--data_dir', sample_dir]
  status, _, err = _run(capsys, *argv, '-o', tmp_path / 'a.svg')
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


def test_without_a_home_commands_work(homeless, sample_dir, capsys):
  argv = ['show', 'X-12', '--sample', '--data_dir', sample_dir, '-o', 'a.svg']
  for command in (['list'], argv):
    status, _, err = _run(capsys, *command)
    assert (status, _lines(err)) == (0, [])
  assert [path.name for path in homeless.iterdir()] == ['a.svg']


# Habits at the command line --------------------------------------------------


def test_options_may_have_dashes_and_stand_between_names(tmp_path, capsys):
  status, out, err = _run(
    capsys,
    *('build', '1-Km', '--sample', '1-Kd', '--jobs', '1', '1-Km-r-1'),
    *('--data-dir', tmp_path, '--allow-unverified'),
  )
  assert (status, err) == (0, '')
  built = [line.split()[0] for line in out.splitlines()[1:]]
  assert built == ['1-Km', '1-Kd', '1-Km-r-1']
  # Abbreviations too; and help shows one spelling.
  status, out, _ = _run(capsys, 'info', '1-Km', '--data-d', tmp_path)
  assert status == 0 and f'--data_dir {tmp_path}' in out
  status, _, err = _run(capsys, 'info', '1-Km', '--da-ta-dir', tmp_path)
  assert status == 2 and '--da-ta-dir' in err
  _, out, _ = _run(capsys, 'build', '--help')
  assert '--data_dir' in out and '--data-dir' not in out


@pytest.mark.parametrize('value', ['two', '0', '-1', '1.5', ''])
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

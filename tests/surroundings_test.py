# SPDX-License-Identifier: Apache-2.0
"""Homes, habits and installations as people have them."""

import importlib
import sys

import pytest
from command_line import run as _run


def _lines(err):
  """Returns the lines of errors, without warnings such as that of fonts."""
  lines = err.splitlines()
  return [line for line in lines if not line.startswith('cmnist: warning: ')]


# Users without a home --------------------------------------------------------


@pytest.fixture
def homeless(tmp_path, monkeypatch):
  """Takes the home directory away; returns an empty working folder."""
  pwd = pytest.importorskip('pwd', reason='homes are found in another way')

  def fail(_):
    raise KeyError('no such user')

  monkeypatch.delenv('HOME', raising=False)
  monkeypatch.setattr(pwd, 'getpwuid', fail)
  monkeypatch.setattr(pwd, 'getpwnam', fail)
  monkeypatch.chdir(tmp_path)
  return tmp_path


@pytest.mark.parametrize(
  'argv',
  [
    ['info', 'X-12'],
    ['build', 'X-12', '--sample'],
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
  # Help shows one spelling.
  _, out, _ = _run(capsys, 'build', '--help')
  assert '--data_dir' in out and '--data-dir' not in out


# Python ----------------------------------------------------------------------


def test_without_torch_the_extra_is_named(monkeypatch):
  module = 'cmnist_tfds.load.torch_dataset'
  monkeypatch.setitem(sys.modules, 'torch', None)
  monkeypatch.delitem(sys.modules, module, raising=False)
  # Programs that can do without it expect an ImportError.
  with pytest.raises(ImportError, match='which is not installed') as raised:
    importlib.import_module(module)
  assert str(raised.value).endswith("[torch]'")

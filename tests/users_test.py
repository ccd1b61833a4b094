# SPDX-License-Identifier: Apache-2.0
"""Several users share a folder of prepared datasets."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

pytestmark = pytest.mark.skipif(
  not shutil.which('setpriv') or os.geteuid() != 0,
  reason='only the superuser runs commands as other users, with setpriv',
)

_ANN, _BOB = 12345, 23456


@pytest.fixture
def place(tmp_path_factory):
  """A folder that everyone may reach, unlike those of pytest."""
  parents = tmp_path_factory.getbasetemp().parents
  public = next(p for p in parents if p.stat().st_mode & 0o005 == 0o005)
  with tempfile.TemporaryDirectory(dir=public) as folder:
    os.chmod(folder, 0o755)
    for name, mode in (('data', 0o2777), ('temp', 0o1777)):
      (pathlib.Path(folder) / name).mkdir()
      (pathlib.Path(folder) / name).chmod(mode)
    for user in (_ANN, _BOB):
      (pathlib.Path(folder) / str(user)).mkdir()
      os.chown(f'{folder}/{user}', user, user)
    yield pathlib.Path(folder)


def _run(place, user, *argv, cache_of=None):
  """Runs a command as a user; returns its exit status and its errors."""
  done = subprocess.run(
    [
      *('setpriv', f'--reuid={user}', f'--regid={user}', '--clear-groups'),
      # Python may be installed anywhere.
      *('--inh-caps=+dac_read_search', '--ambient-caps=+dac_read_search'),
      *(sys.executable, '-m', 'cmnist_tfds', *map(str, argv)),
    ],
    umask=0o022,
    cwd=place / str(user),
    env={
      **os.environ,
      'PYTHONPATH': os.pathsep.join(sys.path),
      'CMNIST_CACHE_DIR': str(place / str(cache_of or user) / 'cache'),
      'HOME': str(place / str(user)),
      'TMPDIR': str(place / 'temp'),
    },
    capture_output=True,
    text=True,
    check=False,
  )
  assert 'Traceback' not in done.stderr
  return done.returncode, done.stderr


def test_users_share_what_is_prepared(place):
  where = ('--sample', '--data_dir', place / 'data')
  for user, *argv in (
    (_ANN, 'build', '2-FKd'),
    (_BOB, 'build', '2-FKd', '2-FKd-r-5', '1-F'),
    (_ANN, 'export', '1-F', '--format', 'npz', '-o', 'out'),
  ):
    status, errors = _run(place, user, *argv, *where)
    assert status == 0, errors
  # What only Ann may write is hers to replace.
  status, errors = _run(place, _BOB, 'build', '2-FKd', '--overwrite', *where)
  assert status == 1
  error = errors.splitlines()[-1]
  assert str(place / 'data') in error and 'Permission denied' in error
  assert _run(place, _BOB, 'info', '2-FKd', *where)[0] == 0


def test_a_cache_of_another_user_is_left_alone(place):
  where = ('--sample', '--data_dir', place / 'data')
  assert _run(place, _ANN, 'build', '1-F', *where)[0] == 0
  cache = place / str(_ANN) / 'cache'
  before = sorted(cache.rglob('*'))
  status, errors = _run(
    place, _BOB, 'build', '2-FKd-r-5', *where, cache_of=_ANN
  )
  assert status == 0 or errors.splitlines()[-1].startswith('cmnist: ')
  assert sorted(cache.rglob('*')) == before

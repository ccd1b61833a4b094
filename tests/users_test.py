# SPDX-License-Identifier: Apache-2.0
"""Several users share a cache and a data folder."""

from __future__ import annotations

import os
import pathlib
import shutil
import tempfile

import nursery as nursery_lib
import pytest

pytestmark = pytest.mark.skipif(
  not shutil.which('setpriv') or os.geteuid() != 0,
  reason='only the superuser runs commands as other users, with setpriv',
)

_ANN, _BOB = 12345, 23456


@pytest.fixture(scope='module')
def shared(tmp_path_factory):
  """A folder that everyone may reach, unlike those of pytest."""
  parents = tmp_path_factory.getbasetemp().parents
  public = next(p for p in parents if p.stat().st_mode & 0o005 == 0o005)
  with tempfile.TemporaryDirectory(dir=public) as folder:
    os.chmod(folder, 0o755)
    yield pathlib.Path(folder)


@pytest.fixture(scope='module')
def run(shared):
  """Runs a command as a user; returns its exit status and what it prints.

  Everyone may write to its cache.
  """
  with (
    pytest.MonkeyPatch.context() as patch,
    (shared / 'stderr').open('w+') as stderr,
  ):
    patch.setenv('CMNIST_CACHE_DIR', str(shared / 'cache'))
    patch.setenv('TMPDIR', str(shared / 'temp'))
    patch.setenv('HOME', str(shared / 'no home'))
    nurseries = {
      user: nursery_lib.Nursery(user, stderr) for user in (_ANN, _BOB)
    }

    def run(user, *argv):
      stderr.seek(0, os.SEEK_END)
      before = stderr.tell()
      (status,) = nurseries[user].run(list(argv))
      stderr.seek(before)
      return status, stderr.read()

    yield run
    for nursery in nurseries.values():
      nursery.close()


@pytest.fixture(params=[0o2777, 0o755], ids=['shared cache', 'read-only cache'])
def data_dir(request, shared):
  """A data folder that everyone may write to."""
  folder = shared / f'{request.param:o}'
  folder.mkdir()
  for path in (folder / 'data', shared / 'cache', shared / 'temp'):
    path.mkdir(exist_ok=True)
    path.chmod(request.param if path.name == 'cache' else 0o2777)
  (shared / 'temp').chmod(0o1777)
  return folder / 'data'


def test_users_share_what_they_make(run, data_dir, record_property):
  where = ('--sample', '--data_dir', data_dir)
  for user, *argv in (
    (_ANN, 'build', '2-FKd'),
    (_BOB, 'build', '2-FKd'),
    (_BOB, 'build', 'X-12'),
    (_BOB, 'build', '2-FKd-r-5'),
    (_ANN, 'build', 'X-12-r-5'),
    (_ANN, 'build', '2-FKd', '--overwrite'),
    (_ANN, 'info', '2-FKd-r-5'),
    (_BOB, 'export', '2-FKd', '--format', 'npz', '-o', data_dir / 'out'),
  ):
    status, text = run(user, *argv, *where)
    assert status == 0, text
    assert 'Traceback' not in text
    record_property('surroundings', 'survived')
  # A folder in which only Ann may write is hers to replace.
  status, text = run(_BOB, 'build', '2-FKd', '--overwrite', *where)
  assert status == 1
  (line,) = [line for line in text.splitlines() if line.startswith('cmnist: ')]
  assert str(data_dir) in line and 'Permission denied' in line
  assert run(_BOB, 'info', '2-FKd', *where)[0] == 0
  assert not [p for p in data_dir.rglob('*') if 'incomplete' in p.name]


def test_a_folder_of_another_user_is_named(run, shared, record_property):
  folder = shared / 'of ann'
  folder.mkdir(mode=0o755)
  os.chown(folder, _ANN, _ANN)
  where = ('--sample', '--data_dir', folder)
  assert run(_ANN, 'build', '2-FKd', *where)[0] == 0
  status, text = run(_BOB, 'build', 'X-12', *where)
  assert status == 1
  (line,) = [line for line in text.splitlines() if line.startswith('cmnist: ')]
  assert str(folder) in line and 'Permission denied' in line
  # What is there can be read.
  assert run(_BOB, 'info', '2-FKd', *where)[0] == 0
  assert run(_BOB, 'build', '2-FKd', *where)[0] == 0
  record_property('surroundings', 'survived')

# SPDX-License-Identifier: Apache-2.0
"""A full disk is one line, nothing half is left, and space mends it."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from contract.datasets import tree, whole

_FULL = """
mount -t tmpfs -o size="$1" tmpfs "$2" || exit 77
mkdir "$2/data" "$2/cache"
"$4" -m cmnist_tfds build 2-FKd --sample --data_dir "$5"
echo "status $?"
find "$5" -name dataset_info.json
mount -o remount,size=64m "$2"
"$4" -m cmnist_tfds build 2-FKd --sample --data_dir "$5" >&2 || exit 1
cp -r "$5" "$3"
"""


@pytest.mark.parametrize('size', ['200k', '1m', '3m'])
@pytest.mark.parametrize('full', ['data', 'cache', 'both'])
def test_a_build_on_a_full_disk(data_dir, tmp_path, full, size):
  unshare = ['unshare', '--mount', '--map-root-user']
  if (
    not shutil.which('unshare')
    or subprocess.run(
      [*unshare, 'true'], capture_output=True, check=False
    ).returncode
  ):
    pytest.skip('this system does not let tests mount a small disk')
  if (full, size) == ('data', '3m'):
    pytest.skip('the dataset fits')
  disk = tmp_path / 'disk'
  disk.mkdir()
  data = disk / 'data' if full != 'cache' else tmp_path / 'data'
  cache = disk / 'cache' if full != 'data' else tmp_path / 'cache'
  temporary = tmp_path / 'tmp'
  temporary.mkdir()
  env = {
    'PYTHONPATH': ':'.join(sys.path),
    'PATH': '/usr/bin:/bin:/usr/sbin:/sbin',
    'HOME': str(tmp_path),
    'CMNIST_CACHE_DIR': str(cache),
    'TMPDIR': str(temporary),
  }
  kept = tmp_path / 'kept'
  done = subprocess.run(
    [*unshare, 'sh', '-c', _FULL, 'sh', size, disk, kept, sys.executable, data],
    env=env,
    capture_output=True,
    text=True,
    check=False,
  )
  if done.returncode == 77:
    pytest.skip('this system does not let tests mount a small disk')
  assert done.returncode == 0, done.stderr
  assert 'Traceback' not in done.stderr
  status = [n for n in done.stdout.splitlines() if n.startswith('status')]
  # Without space for its cache a build may still work.
  assert status == ['status 1'] or full != 'data'
  if status == ['status 1']:
    assert 'dataset_info.json' not in done.stdout
    errors = [
      line
      for line in done.stderr.splitlines()
      if line.startswith('cmnist: ') and 'warning' not in line
    ]
    assert len(errors) == 1
    assert str(disk) in errors[0] and 'space' in errors[0]
  assert whole(kept)['2-FKd'] == whole(data_dir)['2-FKd']


@pytest.mark.parametrize(
  'argv',
  [
    ['export', '2-FKd', '--format', 'idx', '-o', 'out'],
    ['export', '2-FKd', '--format', 'npz', '-o', 'out'],
    ['croissant', '2-FKd', '-o', 'out'],
    ['publish', '2-FKd', '-o', 'out'],
    ['catalog', '-o', 'out'],
    ['show', '2-FKd', '-o', 'x.png'],
    ['show', '2-FKd', '-o', 'x.svg'],
    ['build', 'X-12', '--overwrite'],
  ],
  ids=lambda argv: f'{argv[0]} {argv[-1]}',
)
def test_no_command_leaves_half_of_what_it_writes(
  cmnist, data_dir, tmp_path, argv
):
  for library in ('jinja2', 'mlcroissant', 'PIL'):
    pytest.importorskip(library)
  shutil.copytree(data_dir, tmp_path / 'data')
  old = tree(tmp_path)
  done = cmnist.run(
    *(*argv, '--sample', '--data_dir', tmp_path / 'data'),
    cwd=tmp_path,
    largest_file=2_000,
  )
  assert done.status == 1
  # The cache, which cannot be written either, may be what is named.
  *_, error = done.err.splitlines()
  assert error.startswith('cmnist: ')
  assert any(n in error for n in (argv[-1], str(tmp_path), 'cache'))
  assert {p: d for p, d in tree(tmp_path).items() if '.lock' not in p} == {
    p: d for p, d in old.items() if '.lock' not in p
  }

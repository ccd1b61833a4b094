# SPDX-License-Identifier: Apache-2.0
"""Kills commands before each change they make to the folder they write."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import pytest
import synthetic

from cmnist_tfds import cli
from cmnist_tfds.system import atomic

pytest.importorskip('mlcroissant')
pytest.importorskip('jinja2')

_PROGRAM = pathlib.Path(__file__).with_name('programs') / 'kill_at_event.py'
# Set, it has every change tried, not one in so many.
_ALL = 'CMNIST_ALL_KILLS'
_ONE_IN = {'publish': 5, 'catalog': 89, 'build': 11, 'cache': 4}

_MINE = {
  '.git/HEAD': 'ref: refs/heads/main',
  'CNAME': 'example.org',
  'croissant/mine.txt': 'years of work',
  'static/mine.css': 'years of work',
}


@pytest.fixture(scope='module')
def program():
  """Runs a command, killed before its n-th change to a folder."""
  with subprocess.Popen(
    [sys.executable, str(_PROGRAM)],
    env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
    text=True,
  ) as process:

    def run(argv, folder, number=0, *, mirrors=False, cache_dir=''):
      line = json.dumps(
        [list(map(str, argv)), str(folder), number, mirrors, str(cache_dir)]
      )
      process.stdin.write(f'{line}\n')
      process.stdin.flush()
      return int(process.stdout.readline())

    yield run
    process.stdin.close()


@pytest.fixture
def run(program, record_property):
  """Runs a command as `program` does, and counts the kills."""

  def run(*args, **kwargs):
    status = program(*args, **kwargs)
    if status == -signal.SIGKILL:
      record_property('kill', 'survived')
    return status

  return run


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  folder = tmp_path_factory.mktemp('data')
  names = ['2-FKd', '2-FKd-r-5']
  where = ['--sample', '--data_dir', str(folder)]
  assert cli.main(['build', *names, *where]) == 0
  return folder


def _tree(folder: pathlib.Path) -> dict[str, bytes]:
  return {
    path.relative_to(folder).as_posix(): path.read_bytes()
    for path in folder.rglob('*')
    if path.is_file()
  }


def _check_kills(run, argv, earlier, folder):
  """Kills a command at each of its changes; returns how often.

  Args:
    run: Runs a command.
    argv: The command, without the folder it writes.
    earlier: A folder that it is to write anew; None for a clone of a repository.
    folder: An empty folder.
  """
  stride = 1 if os.environ.get(_ALL) else _ONE_IN.get(argv[0], 1)
  start = folder / 'start'
  if earlier:
    shutil.copytree(earlier, start)
  for path, text in _MINE.items():
    (start / path).parent.mkdir(parents=True, exist_ok=True)
    (start / path).write_text(text)
    if not earlier and '/' in path and not path.startswith('.git'):
      shutil.rmtree((start / path).parent)
  mine = {
    path: text.encode()
    for path, text in _MINE.items()
    if (start / path).exists()
  }
  place = folder / 'place'
  shutil.copytree(start, place)
  old = _tree(start)
  assert run([*argv, place], folder) == 0
  new = _tree(place)
  kills = 0
  while True:
    shutil.rmtree(place)
    shutil.copytree(start, place)
    status = run([*argv, place], place, kills * stride + 1)
    if status == 0:
      break
    assert status == -signal.SIGKILL
    kills += 1
    found = _tree(place)
    assert {path: found.get(path) for path in mine} == mine
    for path, data in found.items():
      if not path.startswith('.cmnist_tfds.'):
        assert data in (old.get(path), new.get(path)), path
    if earlier:
      both = old.keys() & new.keys()
      assert both <= found.keys()
    assert run([*argv, place], folder) == 0
    assert _tree(place) == new
    assert sorted(p.name for p in folder.iterdir()) == ['place', 'start']
  assert _tree(place) == new
  assert mine.items() <= new.items()
  return kills


@pytest.mark.parametrize('again', [False, True], ids=['clone', 'again'])
@pytest.mark.parametrize('command', ['publish', 'croissant', 'export'])
def test_a_killed_command_loses_nothing(
  run, data_dir, tmp_path, command, again
):
  before = {'publish': '2-FKd-r-5', 'croissant': '2-FKd-r-5'}
  argv = [command, before.get(command, '2-FKd')]
  where = ['--sample', '--data_dir', data_dir]
  if command == 'export':
    where += ['--format', 'idx']
  earlier = None
  if again:
    earlier = tmp_path / 'earlier'
    assert run([*argv, *where, '-o', earlier], tmp_path) == 0
  folder = tmp_path / 'tried'
  folder.mkdir()
  argv = [command, '2-FKd', *where, '-o']
  assert _check_kills(run, argv, earlier, folder) > 5


def test_a_killed_catalogue_loses_nothing(run, data_dir, tmp_path):
  argv = ['catalog', '--sample', '--data_dir']
  earlier = tmp_path / 'earlier'
  # Without pictures.
  assert run([*argv, tmp_path, '-o', earlier], tmp_path) == 0
  folder = tmp_path / 'tried'
  folder.mkdir()
  assert _check_kills(run, [*argv, data_dir, '-o'], earlier, folder) >= 5


def test_a_killed_mirror_loses_nothing(run, tmp_path):
  made = synthetic.make()
  manual = made.write(tmp_path / 'manual')
  place = tmp_path / 'mirror'
  mine = place / 'toy/test-labels.gz.part'
  argv = ['mirror', place, '--manual_dir', manual, '--data_dir', tmp_path]
  kills = 0
  while True:
    shutil.rmtree(place, ignore_errors=True)
    mine.parent.mkdir(parents=True)
    mine.write_text('mine')
    status = run(argv, place, kills + 1, mirrors=True)
    if status == 0:
      break
    kills += 1
    for path, data in _tree(place).items():
      if not pathlib.Path(path).name.startswith('.'):
        assert data == made.files.get(path, b'mine')
    assert run(argv, place, mirrors=True) == 0
    assert _tree(place) == {
      **made.files,
      'toy/test-labels.gz.part': b'mine',
      '.filling.lock': b'',
    }
  assert kills >= 12


@pytest.mark.parametrize('suffix', ['.svg', '.png'])
def test_a_killed_picture_is_the_old_or_the_new(
  run, data_dir, tmp_path, suffix
):
  where = ['--sample', '--data_dir', data_dir]
  path = tmp_path / f'x{suffix}'
  assert run(['show', '2-FKd-r-5', *where, '-o', path], tmp_path) == 0
  old = path.read_bytes()
  argv = ['show', '2-FKd', '--histogram', *where, '-o', path]
  assert run(argv, tmp_path) == 0
  new = path.read_bytes()
  assert new != old
  kills = 0
  while True:
    path.write_bytes(old)
    status = run(argv, tmp_path, kills + 1)
    if status == 0:
      break
    kills += 1
    assert path.read_bytes() in (old, new)
    assert run(argv, tmp_path) == 0
    assert path.read_bytes() == new
    assert list(tmp_path.iterdir()) == [path]
  assert kills >= 2


def test_a_killed_run_is_recognised_by_the_manifest(run, data_dir, tmp_path):
  where = ['--sample', '--data_dir', data_dir, '-o', tmp_path / 'out']
  assert run(['croissant', '2-FKd-r-5', *where], tmp_path) == 0
  for number in range(1, 100):
    assert run(['croissant', '2-FKd', *where], tmp_path / 'out', number)
    manifest = json.loads((tmp_path / 'out' / atomic.MANIFEST).read_text())
    if 'replaced' in manifest:
      break
  assert len(manifest['replaced']) == len(manifest['files']) == 3


def _leftovers(folder):
  return [
    path
    for path in folder.rglob('*')
    if 'incomplete' in path.name or path.name.startswith('.cmnist_tfds.')
  ]


@pytest.mark.parametrize(
  ('names', 'earlier', 'options'),
  [
    (['2-FKd'], [], []),
    (['2-FKd'], ['2-FKd'], ['--overwrite']),
    (['2-FKd-r-5'], ['2-FKd'], []),
    # The remains of one subset are removed by the build of another.
    (['2-FKd', '1-F'], ['1-Kd'], []),
  ],
  ids=['first', 'overwrite', 'reduced', 'several'],
)
@pytest.mark.parametrize('warm', [False, True], ids=['cold', 'warm'])
def test_a_killed_build_leaves_whole_datasets_alone(
  run, tmp_path, names, earlier, options, warm
):
  stride = 1 if os.environ.get(_ALL) else _ONE_IN['build']
  start, place = tmp_path / 'start', tmp_path / 'place'

  def build(names, options, number=0):
    where = ['--sample', '--data_dir', place / 'data']
    argv = ['build', *names, *where, *options]
    return run(argv, place, number, cache_dir=place / 'cache')

  place.mkdir()
  if earlier:
    assert build(earlier, []) == 0
  if not warm:
    shutil.rmtree(place / 'cache', ignore_errors=True)
  shutil.copytree(place, start)
  old = _datasets(place)
  assert build(names, options) == 0
  new = _datasets(place)
  files = _tree(place / 'data').keys()
  kills = 0
  while True:
    shutil.rmtree(place)
    shutil.copytree(start, place)
    status = build(names, options, kills * stride + 1)
    if status == 0:
      break
    assert status == -signal.SIGKILL
    kills += 1
    found = _datasets(place)
    assert old.keys() <= found.keys()
    for name, dataset in found.items():
      assert dataset in (old.get(name), new[name]), name
    _age(place)
    # Another build removes what this one has left.
    if kills % 2:
      assert build(['1-N'], []) == 0
      assert not _leftovers(place / 'data')
      shutil.rmtree(place / 'data/cmnist_sample/1-N')
      (place / 'data/cmnist_sample/.config/1-N.lock').unlink()
    assert build(names, options) == 0
    assert _datasets(place) == new
    assert not _leftovers(place)
    assert _tree(place / 'data').keys() == files
  assert kills > 2


def _age(folder):
  """Lets all files of a folder be an hour old."""
  for path in folder.rglob('*'):
    if path.is_file():
      status = path.stat()
      os.utime(path, (status.st_atime - 3600, status.st_mtime - 3600))


def _datasets(folder):
  """Returns the files of each dataset that readers find."""
  return {
    path.parent.parent.name: _tree(path.parent)
    for path in folder.rglob('dataset_info.json')
    if 'incomplete' not in str(path)
  }


def test_a_killed_clearing_leaves_whole_entries_alone(run, tmp_path):
  stride = 1 if os.environ.get(_ALL) else _ONE_IN['cache']
  start, place = tmp_path / 'start', tmp_path / 'place'
  argv = ['build', '2-FKd', '--sample', '--data_dir', tmp_path / 'data']
  assert run(argv, start, cache_dir=start) == 0
  entries = {p.parent.name for p in start.rglob('manifest.json')}
  argv[-1] = place / 'data'
  kills = 0
  while True:
    shutil.copytree(start, place)
    status = run(['cache', 'clear'], place, kills * stride + 1, cache_dir=place)
    if status == 0:
      break
    kills += 1
    for path in place.rglob('manifest.json'):
      if 'incomplete' not in str(path):
        assert len(list(path.parent.iterdir())) > 1
    assert run(argv, place, cache_dir=place) == 0
    assert not _leftovers(place)
    assert entries == {p.parent.name for p in place.rglob('manifest.json')}
    shutil.rmtree(place)
  assert not list(place.rglob('manifest.json'))
  assert kills > 3

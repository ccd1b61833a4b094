# SPDX-License-Identifier: Apache-2.0
"""Kills commands at random moments, and runs them again to the end."""

from __future__ import annotations

import http.server
import json
import os
import pathlib
import random
import shutil
import signal
import threading
import time

import faulty_server
import nursery as nursery_lib
import pytest
import synthetic


@pytest.fixture(scope='module')
def cache_dir(tmp_path_factory):
  """The cache of all commands run here, which tests may clear."""
  with pytest.MonkeyPatch.context() as patch:
    folder = tmp_path_factory.mktemp('cache')
    patch.setenv('CMNIST_CACHE_DIR', str(folder))
    yield folder


@pytest.fixture(scope='module')
def nursery(cache_dir):
  nursery = nursery_lib.Nursery()
  yield nursery
  nursery.close()


def _tree(folder: pathlib.Path) -> dict[str, bytes]:
  """Returns the files in a folder, by path."""
  return {
    str(path.relative_to(folder)): path.read_bytes()
    for path in folder.rglob('*')
    if path.is_file() and not path.name.startswith('.')
  }


def _dataset(folder: pathlib.Path) -> dict[str, object]:
  """Returns a dataset's files; of a download only that it took place."""
  files: dict[str, object] = dict(_tree(folder))
  info = json.loads((folder / 'dataset_info.json').read_text())
  info.pop('downloadSize', None)
  return files | {'dataset_info.json': info}


# Set, it has each command killed so often at random.
_KILLS = int(os.environ.get('CMNIST_RANDOM_KILLS', '20'))


def _kill_often(run, check, start_over, duration, record, kills=_KILLS):
  """Kills a command at random moments, again and again, then lets it end.

  Args:
    run: Runs it, is told when to kill it, returns the exit status.
    check: Checks its result each time it was quicker.
    start_over: Removes all it left behind.
    duration: Of an undisturbed run, in seconds.
    record: `record_property` of the test.
    kills: How many times it is killed.
  """
  moments = random.Random(0)
  while kills:
    # What is done need not be done again, so later runs take less time.
    status = run(kill_after=duration * moments.random() ** 2)
    assert status in (0, -signal.SIGKILL)
    if status == 0:
      check()
      start_over()
    else:
      kills -= 1
      record('kill', 'survived')
  assert run() == 0
  check()


def test_a_mirror_killed_at_any_moment_ends_complete(
  nursery, tmp_path, record_property
):
  made = synthetic.make()
  folder = tmp_path / 'mirror'
  argv = ['mirror', folder, '--data_dir', tmp_path]

  def check():
    assert _tree(folder) == made.files

  with faulty_server.serve(made.files, pause=0.01) as server:
    _kill_often(
      lambda **kwargs: nursery.run(argv, home=server.home('slow'), **kwargs)[0],
      check,
      lambda: shutil.rmtree(folder),
      duration=0.6,
      record=record_property,
    )


def _kill_builds(nursery, cache_dir, folder, argv, built, record, **kwargs):
  """Kills builds, and compares what they end with to an undisturbed one."""

  def clear_cache():
    for path in cache_dir.iterdir():
      shutil.rmtree(path)

  def run(data_dir, **kwargs):
    (status,) = nursery.run([*argv, '--data_dir', data_dir], **kwargs)
    return status

  def check():
    assert _dataset(killed / built) == undisturbed

  def start_over():
    shutil.rmtree(killed)
    clear_cache()

  killed = folder / 'killed'
  clear_cache()
  start = time.monotonic()
  assert run(folder / 'undisturbed') == 0
  duration = time.monotonic() - start
  undisturbed = _dataset(folder / 'undisturbed' / built)
  clear_cache()
  _kill_often(
    lambda **kwargs: run(killed, **kwargs),
    check,
    start_over,
    duration,
    record,
    **kwargs,
  )


def test_a_build_killed_at_any_moment_ends_like_an_undisturbed_one(
  nursery, cache_dir, tmp_path, record_property
):
  argv = ['build', '3-EElKm', '--sample']
  built = 'cmnist_sample/3-EElKm/1.0.0'
  _kill_builds(nursery, cache_dir, tmp_path, argv, built, record_property)


def test_a_build_killed_while_it_downloads_ends_like_an_undisturbed_one(
  nursery, cache_dir, origin_files, tmp_path, record_property
):
  class Handler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *args):
      super().__init__(*args, directory=str(origin_files))

    def log_message(self, *args):
      """Keeps quiet."""

  with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    mirror = f'http://127.0.0.1:{server.server_port}'
    argv = ['build', '1-F-r-1', '--mirror', mirror]
    built = 'cmnist/1-F-r-1/1.0.0'
    _kill_builds(
      *(nursery, cache_dir, tmp_path, argv, built, record_property), kills=3
    )
    server.shutdown()


def test_two_builds_of_one_subset_at_once_end_like_one_alone(nursery, tmp_path):
  def argv(folder):
    return ['build', '2-FKd', '--sample', '--data_dir', tmp_path / folder]

  assert nursery.run(argv('shared'), argv('shared')) == [0, 0]
  assert nursery.run(argv('alone')) == [0]
  built = 'cmnist_sample/2-FKd/1.0.0'
  assert _dataset(tmp_path / 'shared' / built) == _dataset(
    tmp_path / 'alone' / built
  )


# Set, it has so many commands run at the same time as others.
_AT_ONCE = int(os.environ.get('CMNIST_SIMULTANEOUS_RUNS', '16'))


def test_commands_at_once_do_not_disturb_each_other(
  nursery, tmp_path, record_property
):
  names = ['2-FKd', '2-FKd-r-5', 'X-12', '1-Km']
  shared, out = tmp_path / 'shared', tmp_path / 'out'
  sample = ['--sample', '--data_dir']
  assert nursery.run(['build', *names, *sample, tmp_path / 'alone']) == [0]
  alone = {
    name: _dataset(tmp_path / 'alone/cmnist_sample' / name / '1.0.0')
    for name in names
  }
  assert nursery.run(['build', *names, *sample, shared]) == [0]
  out.mkdir()
  choose = random.Random(0)
  kinds = [
    lambda: ['build', choose.choice(names), *sample, shared],
    lambda: ['build', choose.choice(names), *sample, shared, '--overwrite'],
    lambda: ['build', *choose.sample(names, 2), *sample, shared, '--overwrite'],
    lambda: ['cache', 'clear'],
    lambda: ['cache', 'list'],
    lambda: ['info', choose.choice(names), *sample, shared],
    lambda: [
      *('show', choose.choice(names), *sample, shared),
      *('-o', out / 'x.png', '--histogram'),
    ],
    lambda: [
      *('export', names[0], *sample, shared, '--format', 'npz'),
      *('-o', out / 'npz'),
    ],
  ]
  count = 0
  while count < _AT_ONCE:
    commands = [choose.choice(kinds)() for _ in range(choose.randint(2, 4))]
    statuses = nursery.run(*commands)
    assert statuses == [0] * len(commands), commands
    count += len(commands)
    for _ in commands:
      record_property('simultaneous run', 'survived')
  for name, files in alone.items():
    assert _dataset(shared / 'cmnist_sample' / name / '1.0.0') == files
  assert not list(tmp_path.rglob('*incomplete*'))
  assert not list(out.rglob('.cmnist_tfds.*unfinished*'))

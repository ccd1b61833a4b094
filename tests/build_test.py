# SPDX-License-Identifier: Apache-2.0
"""`cmnist build` with several subsets at once, and signals that end it."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from cmnist_tfds import build, cli, subsets
from cmnist_tfds.datasets import atomic_replace
from cmnist_tfds.system import interrupts

# Windows has no HUP.
_ENDING = [n for n in ('SIGTERM', 'SIGHUP') if hasattr(signal, n)]
_NAMES = ('2-FKd-r-5', '2-FKd', 'X-12', '1-Km')


@pytest.mark.parametrize('jobs', [1, 2])
def test_subsets_that_fail_do_not_stop_the_others(jobs, tmp_path, capsys):
  blocked = tmp_path / 'cmnist_sample/X-12'
  blocked.parent.mkdir()
  blocked.touch()
  argv = ['build', *_NAMES, '--sample', '--data_dir', str(tmp_path)]
  assert cli.main([*argv, '--jobs', str(jobs)]) == 1
  out, err = capsys.readouterr()
  header, *rows = out.splitlines()
  assert header.split() == ['subset', 'examples', 'bytes', 'seconds', 'where']
  built = [row.split()[0] for row in rows]
  # Full subsets come first, because the others share their test shards.
  assert {*built} == {*_NAMES} - {'X-12'}
  assert built[-1] == '2-FKd-r-5'
  folders = [tmp_path / f'cmnist_sample/{name}/1.0.0' for name in built]
  assert [row.split()[-1] for row in rows] == [*map(str, folders)]
  shards = [next(f.glob('*-test.*')) for f in folders if '2-FKd' in str(f)]
  assert shards[0].samefile(shards[1])
  (line,) = err.splitlines()
  assert line.startswith('cmnist: X-12: ') and str(blocked) in line


def test_outcomes_come_one_by_one(tmp_path):
  selected = [*map(subsets.subset, _NAMES)]
  outcomes = build.build(selected, sample=True, data_dir=tmp_path)
  first = next(outcomes)
  assert (first.name, first.num_examples, first.error) == ('2-FKd', 2880, '')
  assert not (tmp_path / 'cmnist_sample/X-12').exists()


def _workers(parent: int) -> list[str]:
  """Returns the worker processes of a process."""
  children = pathlib.Path(f'/proc/{parent}/task/{parent}/children').read_text()
  return [
    child
    for child in children.split()
    if b'spawn_main' in pathlib.Path(f'/proc/{child}/cmdline').read_bytes()
  ]


@pytest.fixture
def heeded_signals():
  """Undoes what a shell, or nohup, does to a suite that runs in the background."""
  numbers = signal.SIGINT, signal.SIGHUP
  before = [signal.signal(number, signal.SIG_DFL) for number in numbers]
  yield
  for number, handler in zip(numbers, before, strict=True):
    signal.signal(number, handler)


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir('/proc'), reason='there is no /proc')
@pytest.mark.parametrize(
  ('name', 'whom', 'status'),
  [
    *(
      (name, whom, 128 + getattr(signal, name))
      for name in ('SIGINT', *_ENDING)
      for whom in ('group', 'parent')
    ),
    ('SIGKILL', 'worker', 1),
    ('SIGKILL', 'parent', -9),
  ],
)
@pytest.mark.usefixtures('heeded_signals')
def test_no_process_outlives_the_command(name, whom, status, tmp_path):
  number = getattr(signal, name)
  argv = ['--all', '--sample', '--jobs', '2', '--data_dir', str(tmp_path)]
  with subprocess.Popen(
    [sys.executable, '-m', 'cmnist_tfds', 'build', *argv],
    env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
    start_new_session=True,
    stdout=subprocess.DEVNULL,
    stderr=subprocess.PIPE,
    text=True,
  ) as process:
    while not list(tmp_path.glob('*/*/*/dataset_info.json')):
      assert process.poll() is None
      time.sleep(0.05)
    workers = _workers(process.pid)
    assert len(workers) == 2
    if whom == 'group':
      os.killpg(process.pid, number)
    else:
      os.kill(int(workers[0]) if whom == 'worker' else process.pid, number)
    _, err = process.communicate(timeout=60)
  assert process.returncode == status
  if status > 0:
    line, *more = err.splitlines()
    # Python tells of what a killed process has left.
    assert status == 1 or not more, err
    worker = 'A process that builds subsets was'
    assert line.startswith(
      f'cmnist: {worker if status == 1 else "interrupted"}'
    )
    assert status == 1 or not list(tmp_path.rglob('*incomplete*'))
  end = time.monotonic() + 30
  while any(map(os.path.exists, (f'/proc/{w}' for w in workers))):
    assert time.monotonic() < end
    time.sleep(0.05)


def test_a_lock_that_an_interrupt_leaves_does_not_keep_the_command(tmp_path):
  program = pathlib.Path(__file__).parent / 'programs/interrupted_with_lock.py'
  with subprocess.Popen(
    [sys.executable, program, tmp_path],
    env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
    stderr=subprocess.PIPE,
    text=True,
  ) as process:
    try:
      _, err = process.communicate(timeout=60)
    finally:
      process.kill()
  assert process.returncode == 130
  assert err == 'cmnist: interrupted; finished work is kept\n'


def test_a_signal_just_after_tfds_has_made_its_folder_leaves_nothing(tmp_path):
  place = tmp_path / 'cmnist/1-F/1.0.0'
  other = tmp_path / 'cmnist/1-F/incomplete.ABCDEF_2.0.0'
  other.mkdir(parents=True)
  with pytest.raises(SystemExit), atomic_replace.locked(place):
    place.with_name('incomplete.ABCDEF_1.0.0').mkdir()
    sys.exit()
  assert [*place.parent.iterdir()] == [other]


@pytest.mark.parametrize('name', _ENDING)
def test_handlers_are_put_back(name):
  number = getattr(signal, name)
  with (
    pytest.raises(KeyboardInterrupt) as raised,
    interrupts.terminations_interrupt(),
  ):
    try:
      signal.raise_signal(number)
    finally:  # A second one does not disturb the cleaning up.
      signal.raise_signal(number)
  assert interrupts.exit_status(raised.value) == 128 + number
  assert signal.getsignal(number) == signal.SIG_DFL


def test_what_the_user_does_with_a_signal_stays():
  received = []
  for handler in (signal.SIG_IGN, lambda *_: received.append(1)):
    previous = signal.signal(signal.SIGTERM, handler)
    try:
      with interrupts.terminations_interrupt():
        signal.raise_signal(signal.SIGTERM)
    finally:
      signal.signal(signal.SIGTERM, previous)
  assert received == [1]

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from cmnist_tfds.system import interrupts

_BUILD = ['build', '--all', '--sample', '--jobs', '2']


def _children(process: int) -> set[int]:
  """Returns the processes below a process, as Linux tells them."""
  found: set[int] = set()
  parents = {process}
  statuses = {}
  for path in pathlib.Path('/proc').glob('[0-9]*/stat'):
    try:
      fields = path.read_text().rpartition(')')[2].split()
    except OSError:
      continue
    statuses[int(path.parent.name)] = int(fields[1])
  while parents:
    parents = {child for child, of in statuses.items() if of in parents}
    found |= parents
  return found


def _is_running(process: int) -> bool:
  try:
    stat = pathlib.Path(f'/proc/{process}/stat').read_text()
  except OSError:
    return False
  return stat.rpartition(')')[2].split()[0] != 'Z'


def _wait_for(what, *, seconds=60):
  deadline = time.monotonic() + seconds
  while not (found := what()):
    assert time.monotonic() < deadline, 'it did not happen'
    time.sleep(0.05)
  return found


@pytest.fixture
def build(tmp_path):
  """A build in two processes that has finished a subset; and its processes."""
  if not pathlib.Path('/proc/self/stat').exists():
    pytest.skip('only Linux tells the children of a process')
  process = subprocess.Popen(
    [sys.executable, '-m', 'cmnist_tfds', *_BUILD, '--data_dir', str(tmp_path)],
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    start_new_session=True,
  )
  try:
    _wait_for(lambda: list(tmp_path.rglob('dataset_info.json')))
    yield process
  finally:
    process.kill()
    process.communicate()


def _unfinished(folder):
  return list(folder.rglob('*incomplete*'))


@pytest.mark.parametrize(
  ('number', 'status'), [('SIGTERM', 143), ('SIGHUP', 129), ('SIGINT', 130)]
)
@pytest.mark.parametrize('whom', ['parent', 'group'])
def test_a_build_ends_with_its_processes(build, tmp_path, number, status, whom):
  children = _children(build.pid)
  assert len(children) >= 2
  kill = os.kill if whom == 'parent' else os.killpg
  kill(build.pid, getattr(signal, number))
  _, err = build.communicate(timeout=60)
  assert build.returncode == status
  assert err == 'cmnist: interrupted; finished work is kept\n'
  _wait_for(lambda: not any(map(_is_running, children)), seconds=20)
  assert not _unfinished(tmp_path)


def test_processes_end_with_a_killed_parent(build):
  children = _children(build.pid)
  build.kill()
  _wait_for(lambda: not any(map(_is_running, children)), seconds=20)


def test_a_killed_process_costs_its_subset_alone(tmp_path):
  names = ['2-FKd', '3-EElKm', 'X-12', 'X-24', '2-KmN', '1-F']
  process = subprocess.Popen(
    [
      *(sys.executable, '-m', 'cmnist_tfds', 'build', *names, '--sample'),
      *('--jobs', '2', '--data_dir', str(tmp_path)),
    ],
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )
  # The lock of a subset is made when its build begins.
  _wait_for(lambda: list(tmp_path.rglob('*.lock')))
  for child in _children(process.pid):
    command = pathlib.Path(f'/proc/{child}/cmdline').read_bytes()
    if b'spawn_main' in command:
      os.kill(child, signal.SIGKILL)
      break
  out, err = process.communicate(timeout=120)
  assert process.returncode == 1
  (line,) = err.splitlines()
  failed = line.split(': ')[1]
  assert line == (
    f'cmnist: {failed}: the process that built it was killed by SIGKILL. If the'
    ' system ran out of memory, build fewer subsets at the same time, with a'
    ' smaller --jobs'
  )
  built = {line.split()[0] for line in out.splitlines()[1:]}
  assert built == set(names) - {failed}


def test_an_ignored_signal_stays_ignored():
  previous = signal.signal(signal.SIGTERM, signal.SIG_IGN)
  try:
    with interrupts.terminations_interrupt():
      signal.raise_signal(signal.SIGTERM)
  finally:
    signal.signal(signal.SIGTERM, previous)


def test_a_handler_of_the_user_stays():
  received = []
  previous = signal.signal(signal.SIGTERM, lambda *_: received.append(1))
  try:
    with interrupts.terminations_interrupt():
      signal.raise_signal(signal.SIGTERM)
  finally:
    signal.signal(signal.SIGTERM, previous)
  assert received == [1]


def test_handlers_are_put_back():
  before = signal.getsignal(signal.SIGTERM)
  with (
    pytest.raises(KeyboardInterrupt) as raised,
    interrupts.terminations_interrupt(),
  ):
    signal.raise_signal(signal.SIGTERM)
  assert interrupts.exit_status(raised.value) == 143
  assert signal.getsignal(signal.SIGTERM) == before


def test_a_signal_while_an_object_is_finalized_is_not_lost(capfd):
  class Finalized:
    def __del__(self):
      os.kill(os.getpid(), signal.SIGTERM)
      time.sleep(0.01)  # The handler runs here.

  with (
    pytest.raises(KeyboardInterrupt) as raised,
    interrupts.terminations_interrupt(),
  ):
    Finalized()
    time.sleep(10)
  assert interrupts.exit_status(raised.value) == 143
  assert capfd.readouterr().err == ''


def test_interrupts_are_deferred():
  done = False
  with pytest.raises(KeyboardInterrupt), interrupts.deferred():
    signal.raise_signal(signal.SIGINT)
    done = True
  assert done

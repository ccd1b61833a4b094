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


@pytest.mark.slow
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
  assert err.startswith('cmnist: interrupted') and err.count('\n') == 1
  _wait_for(lambda: not any(map(_is_running, children)), seconds=20)
  assert not _unfinished(tmp_path)


@pytest.mark.parametrize('name', ['SIGTERM', 'SIGHUP'])
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

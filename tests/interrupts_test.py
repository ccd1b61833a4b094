# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from cmnist_tfds.system import interrupts


@pytest.mark.slow
@pytest.mark.parametrize(
  ('name', 'status'), [('SIGTERM', 143), ('SIGHUP', 129), ('SIGINT', 130)]
)
@pytest.mark.parametrize('kill', [os.kill, os.killpg])
def test_a_build_ends_with_its_processes(tmp_path, name, status, kill):
  argv = '-m cmnist_tfds build --all --sample --jobs 2 --data_dir'
  pipes = {'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE, 'text': True}
  process = subprocess.Popen(
    [sys.executable, *argv.split(), tmp_path], start_new_session=True, **pipes
  )
  try:
    deadline = time.monotonic() + 120
    while not [*tmp_path.rglob('dataset_info.json')]:
      assert time.monotonic() < deadline, 'nothing was built'
      time.sleep(0.05)
    kill(process.pid, getattr(signal, name))
    # Processes that still ran would hold the pipes open.
    _, err = process.communicate(timeout=60)
  finally:
    process.kill()
  assert process.returncode == status
  assert err.startswith('cmnist: interrupted') and err.count('\n') == 1
  assert not list(tmp_path.rglob('*incomplete*'))


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

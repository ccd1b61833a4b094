# SPDX-License-Identifier: Apache-2.0
"""Runs commands quickly, each in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from typing import IO

_PROGRAM = pathlib.Path(__file__).with_name('programs') / 'nursery.py'


class Nursery:
  """Runs commands quickly, each in a process of its own."""

  def __init__(self, user: int = 0, stderr: IO[str] | None = None) -> None:
    """Starts the process that runs commands.

    Args:
      user: Number of the user that runs them; 0 for the present one. Only the
        superuser may name another one. So that Python may be installed anywhere,
        the user may read every file.
      stderr: What the commands print; that of this process if None.
    """
    as_user = [
      *('setpriv', f'--reuid={user}', f'--regid={user}', '--clear-groups'),
      *('--inh-caps=+dac_read_search', '--ambient-caps=+dac_read_search'),
    ]
    self._process = subprocess.Popen(
      [*(as_user if user else []), sys.executable, str(_PROGRAM)],
      umask=0o022,
      env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
      stdin=subprocess.PIPE,
      stderr=stderr,
      stdout=subprocess.PIPE,
      text=True,
    )
    assert self._process.stdout.readline() == 'ready\n'

  def run(
    self,
    *commands: list[object],
    home: str = '',
    kill_after: float | None = None,
  ) -> list[int]:
    """Returns the exit statuses of commands, -9 for those that were killed.

    Args:
      *commands: Commands to run at the same time.
      home: Home of a synthetic source to put in place of all sources.
      kill_after: When to kill them, in seconds.
    """
    line = json.dumps([([str(arg) for arg in c], home) for c in commands])
    self._process.stdin.write(f'{line}\n')
    self._process.stdin.flush()
    children = json.loads(self._process.stdout.readline())
    if kill_after is not None:
      end = time.monotonic() + kill_after
      # They may be quicker.
      with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < end:
          os.kill(children[0], 0)
          time.sleep(0.001)
        for child in children:
          os.kill(child, signal.SIGKILL)
    return json.loads(self._process.stdout.readline())

  def close(self) -> None:
    self._process.stdin.close()
    self._process.wait()

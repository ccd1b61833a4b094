# SPDX-License-Identifier: Apache-2.0
"""Checks that arrays fit into memory before they are allocated."""

from __future__ import annotations

import pathlib

from cmnist_tfds.errors import MemoryShortageError

_MEMINFO = pathlib.Path('/proc/meminfo')
# The limits of the control group: those of the container, if there is one.
_CGROUP = pathlib.Path('/sys/fs/cgroup')


def check(num_bytes: int, what: str) -> None:
  """Raises an error if an allocation would not fit into memory.

  Without this check, the system would grant the memory and then kill the
  process.

  Args:
    num_bytes: How many bytes will be allocated.
    what: What the memory is for, in the plural, for the message.

  Raises:
    MemoryShortageError: If less memory is known to be free.
  """
  free = available()
  if free is not None and num_bytes > free:
    raise MemoryShortageError(
      f'{what} need {num_bytes / 1e9:,.1f} GB of memory, but only'
      f' {free / 1e9:,.1f} GB are free. Load a part (split="train[:10%]"), or'
      ' stream batches (cmnist_tfds.as_batches with cache=False).'
    )


def available() -> int | None:
  """Returns the number of free bytes of memory; None if it is not known."""
  try:
    lines = _MEMINFO.read_text('ascii').splitlines()
    fields = dict(line.split(':', 1) for line in lines)
    free = int(fields['MemAvailable'].split()[0]) * 1024
  except (OSError, KeyError):
    return None  # This is not Linux.
  try:
    limit = (_CGROUP / 'memory.max').read_text('ascii').strip()
    used = int((_CGROUP / 'memory.current').read_text('ascii'))
    stat = (_CGROUP / 'memory.stat').read_text('ascii').splitlines()
  except OSError:
    return free
  if limit == 'max':
    return free
  # Cached files count as used, but the system drops them if memory is short.
  used -= int(dict(line.split() for line in stat).get('inactive_file', 0))
  return min(free, max(int(limit) - used, 0))

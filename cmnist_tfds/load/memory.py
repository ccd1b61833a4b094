# SPDX-License-Identifier: Apache-2.0
"""How much memory there is for what is to be read."""

from __future__ import annotations

import pathlib

from cmnist_tfds.errors import MemoryShortageError

_MEMINFO = pathlib.Path('/proc/meminfo')
# Of the control group, which is the container's inside of one.
_CGROUP = pathlib.Path('/sys/fs/cgroup')


def check(num_bytes: int, what: str) -> None:
  """Refuses what does not fit into memory, before it is allocated.

  Systems promise memory they do not have, and end the process that uses it.

  Args:
    num_bytes: How many bytes are to be allocated.
    what: What for, in words.

  Raises:
    MemoryShortageError: If that is known to be more than there is.
  """
  free = available()
  if free is not None and num_bytes > free:
    raise MemoryShortageError(
      f'{what} need {num_bytes / 1e9:,.1f} GB of memory, and'
      f' {free / 1e9:,.1f} GB are free. Load a part (split="train[:10%]"), or'
      ' stream batches (cmnist_tfds.as_batches with cache=False).'
    )


def available() -> int | None:
  """Returns the bytes of memory that can be had, None where none tells."""
  try:
    lines = _MEMINFO.read_text().splitlines()
    fields = dict(line.split(':', 1) for line in lines)
    free = int(fields['MemAvailable'].split()[0]) * 1024
  except (OSError, KeyError):
    return None  # No Linux.
  try:
    limit = (_CGROUP / 'memory.max').read_text().strip()
    used = int((_CGROUP / 'memory.current').read_text())
    stat = (_CGROUP / 'memory.stat').read_text().splitlines()
  except OSError:
    return free
  if limit == 'max':
    return free
  # Cached files count as used, and are dropped when memory is short.
  used -= int(dict(line.split() for line in stat).get('inactive_file', 0))
  return min(free, max(int(limit) - used, 0))

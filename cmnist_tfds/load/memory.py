# SPDX-License-Identifier: Apache-2.0
"""Checks that arrays fit into memory before they are allocated."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator

from cmnist_tfds.errors import MemoryShortageError

_MEMINFO = pathlib.Path('/proc/meminfo')
# Its first number is the size of the address space of the process, in pages.
_STATM = pathlib.Path('/proc/self/statm')
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
    raise _shortage(num_bytes, what, f'only {_format(free)} are free')


@contextlib.contextmanager
def allocating(num_bytes: int, what: str) -> Iterator[None]:
  """Turns a `MemoryError` raised in the block into one that says what for.

  The system may refuse memory that `check` took for free.

  Args:
    num_bytes: How many bytes the block allocates.
    what: What the memory is for, in the plural, for the message.

  Raises:
    MemoryShortageError: If the block raises a `MemoryError`.
  """
  try:
    yield
  except MemoryShortageError:
    raise
  except MemoryError as error:
    raise _shortage(num_bytes, what, 'the system grants less') from error


def _shortage(num_bytes: int, what: str, found: str) -> MemoryShortageError:
  return MemoryShortageError(
    f'{what} need {_format(num_bytes)} of memory, but {found}. Load a part'
    ' (split="train[:10%]"), or stream batches (cmnist_tfds.as_batches).'
  )


def _format(num_bytes: int) -> str:
  return f'{num_bytes / 1e6:,.1f} MB'


def available() -> int | None:
  """Returns the number of free bytes of memory; None if it is not known."""
  known = [n for n in (_free_in_system(), _free_in_limit()) if n is not None]
  return min(known, default=None)


def _free_in_limit() -> int | None:
  """Returns what `ulimit -v` leaves; None without such a limit."""
  try:
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(_STATM.read_text().split()[0])
  except (ImportError, OSError):
    return None  # This is not Linux.
  if limit == resource.RLIM_INFINITY:
    return None
  return max(limit - pages * resource.getpagesize(), 0)


def _free_in_system() -> int | None:
  """Returns what the system and the container have; None if not known."""
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

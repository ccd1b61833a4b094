# SPDX-License-Identifier: Apache-2.0
"""Checks that arrays fit into memory before they are allocated."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from cmnist_tfds.system import process_limits
from cmnist_tfds.system.disk_errors import format_size
from cmnist_tfds.system.errors import MemoryShortageError


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
  free = process_limits.free_memory()
  if free is not None and num_bytes > free:
    raise _shortage(num_bytes, what, f'only {format_size(free)} are free')


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
    f'{what} need {format_size(num_bytes)} of memory, but {found}. Load a part'
    ' (split="train[:10%]"), or stream batches (cmnist_tfds.as_batches).'
  )

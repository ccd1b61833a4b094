# SPDX-License-Identifier: Apache-2.0
"""Checks that arrays fit into memory before they are allocated."""

from __future__ import annotations

from cmnist_tfds import process_limits
from cmnist_tfds.errors import MemoryShortageError


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
    raise MemoryShortageError(
      f'{what} need {num_bytes / 1e9:,.1f} GB of memory, but only'
      f' {free / 1e9:,.1f} GB are free. Load a part (split="train[:10%]"), or'
      ' stream batches (cmnist_tfds.as_batches with cache=False).'
    )

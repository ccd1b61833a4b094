# SPDX-License-Identifier: Apache-2.0
"""Locks between processes."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator

import filelock


@contextlib.contextmanager
def lock(path: pathlib.Path) -> Iterator[None]:
  """Keeps other processes out while the block runs."""
  with filelock.FileLock(path):
    yield

# SPDX-License-Identifier: Apache-2.0
"""Keeps finished datasets whole, whatever happens to those who build them.

TFDS builds a dataset in a folder beside its place and renames that. What this
adds: one process at a time builds a dataset, what killed ones have left is
cleared, and a finished dataset is replaced only by a finished one.
"""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

from cmnist_tfds.datasets import tfds_internals
from cmnist_tfds.locks import lock


@contextlib.contextmanager
def alone(data_path: pathlib.Path) -> Iterator[None]:
  """Waits until no other process builds a dataset, then keeps others waiting.

  What processes that were killed have left of it is cleared.

  Args:
    data_path: Where the dataset is or will be, as
      `<data_dir>/cmnist/2-FKd/1.0.0`.

  Yields:
    Nothing.

  Raises:
    PreparationError: If the lock file cannot be made.
  """
  # TFDS keeps its own notes on the dataset in that folder.
  notes = data_path.parent.parent / '.config'
  with lock(notes / f'{data_path.parent.name}.lock'):
    _clear(data_path)
    yield


@contextlib.contextmanager
def replacing(data_path: pathlib.Path) -> Iterator[pathlib.Path]:
  """Replaces a finished dataset once another one is finished.

  Args:
    data_path: Where the finished dataset is. No other process may build it.

  Yields:
    A folder beside, in which the new one is to be built under the same name,
    config and version. At the end it takes the place of the old one; after an
    error the old one stays.
  """
  with tempfile.TemporaryDirectory(
    dir=data_path.parent,
    # As TFDS names its own unfinished folders.
    prefix=tfds_internals.INCOMPLETE_PREFIX,
    suffix=f'_{data_path.name}',
  ) as folder:
    beside = pathlib.Path(folder)
    yield beside
    old = beside / data_path.name
    data_path.rename(old)
    try:
      beside.joinpath(*data_path.parts[-3:]).rename(data_path)
    except OSError:
      old.rename(data_path)
      raise


def _clear(data_path: pathlib.Path) -> None:
  """Removes what killed processes have left, and saves what was finished."""
  unfinished = f'{tfds_internals.INCOMPLETE_PREFIX}*_{data_path.name}'
  for remains in data_path.parent.glob(unfinished):
    old = remains / data_path.name
    # Killed between the two renames that replace a dataset.
    if old.exists() and not data_path.exists():
      old.rename(data_path)
    shutil.rmtree(remains)

# SPDX-License-Identifier: Apache-2.0
"""Protects finished datasets while other processes build or are killed.

TFDS builds a dataset in a temporary folder, which it then renames. This module
adds three guarantees: only one process at a time builds a dataset, the remains
of killed processes are removed, and only a finished dataset replaces a finished
one.
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
  """Waits until no other process builds a dataset, then makes others wait.

  It also removes the remains of killed processes.

  Args:
    data_path: The folder of the dataset, such as
      `<data_dir>/cmnist/2-FKd/1.0.0`. It need not exist.

  Yields:
    Nothing.

  Raises:
    PreparationError: If the lock file cannot be created.
  """
  # TFDS keeps its own files about the dataset in this folder.
  notes = data_path.parent.parent / '.config'
  with lock(notes / f'{data_path.parent.name}.lock'):
    _clear(data_path)
    yield


@contextlib.contextmanager
def replacing(data_path: pathlib.Path) -> Iterator[pathlib.Path]:
  """Replaces a finished dataset with a new one when that is finished.

  Args:
    data_path: The folder of the finished dataset. The caller must prevent other
      processes from building it.

  Yields:
    A temporary data folder. The caller must build the new dataset there, with
    the same name, config and version. The new dataset then replaces the old
    one. After an error, the old one stays.
  """
  with tempfile.TemporaryDirectory(
    dir=data_path.parent,
    # TFDS names its own unfinished folders in this way.
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
  """Removes the remains of killed processes, but rescues finished datasets."""
  unfinished = f'{tfds_internals.INCOMPLETE_PREFIX}*_{data_path.name}'
  for remains in data_path.parent.glob(unfinished):
    old = remains / data_path.name
    # A process was killed between the two renames in `replacing`.
    if old.exists() and not data_path.exists():
      old.rename(data_path)
    shutil.rmtree(remains)

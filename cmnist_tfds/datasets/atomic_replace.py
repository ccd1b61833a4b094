# SPDX-License-Identifier: Apache-2.0
"""Replaces a finished dataset by a new one, through kills and other builds.

TFDS builds a dataset in a temporary folder, which it then renames. To overwrite
a dataset, it would remove the old one first. Here the new one is built, the old
one is renamed, the new one takes its place, and the old one is removed.
"""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

import filelock

from cmnist_tfds.datasets.tfds_internals import INCOMPLETE_PREFIX


@contextlib.contextmanager
def locked(data_path: pathlib.Path) -> Iterator[None]:
  """Waits until no other process builds a dataset, and clears what is left.

  Args:
    data_path: The folder of the dataset, such as
      `<data_dir>/cmnist/2-FKd/1.0.0`. It need not exist.

  Yields:
    Nothing. Other processes wait until the block ends.
  """
  config_dir = data_path.parent
  # TFDS has a folder of that name for its own notes.
  lock = config_dir.parent / '.config' / f'{config_dir.name}.lock'
  for folder in (lock.parent, config_dir):
    folder.mkdir(parents=True, exist_ok=True)
  with filelock.FileLock(lock), contextlib.ExitStack() as stack:
    _restore(data_path)
    _clear(data_path)
    # A signal just after TFDS has made its folder leaves that.
    stack.callback(_clear, data_path)
    yield


@contextlib.contextmanager
def replacing(data_path: pathlib.Path) -> Iterator[pathlib.Path]:
  """Replaces a dataset by a new one, if the block does not raise an error.

  Args:
    data_path: The folder of the dataset, which is locked.

  Yields:
    A temporary data folder, in which the block builds the new dataset.
  """
  name = f'_{data_path.name}', INCOMPLETE_PREFIX, data_path.parent
  with tempfile.TemporaryDirectory(*name) as folder:
    yield pathlib.Path(folder)
    data_path.rename(_old(data_path))
    try:
      pathlib.Path(folder, *data_path.parts[-3:]).rename(data_path)
    finally:
      _restore(data_path)


def _clear(data_path: pathlib.Path) -> None:
  for left in data_path.parent.glob(f'{INCOMPLETE_PREFIX}*_{data_path.name}'):
    shutil.rmtree(left)


def _restore(data_path: pathlib.Path) -> None:
  old = _old(data_path)
  if old.exists() and data_path.exists():
    shutil.rmtree(old)
  elif old.exists():
    old.rename(data_path)


def _old(data_path: pathlib.Path) -> pathlib.Path:
  return data_path.with_name(f'.old_{data_path.name}')

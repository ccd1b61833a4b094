# SPDX-License-Identifier: Apache-2.0
"""Protects finished datasets while other processes build or are killed.

TFDS builds a dataset in a temporary folder, which it then renames. This module
adds three guarantees: only one process at a time builds a dataset, the remains
of killed processes are removed, and only a finished dataset replaces a finished
one.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import logging
import os
import pathlib
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator

from cmnist_tfds.datasets import tfds_internals
from cmnist_tfds.system.disk_errors import disk_errors
from cmnist_tfds.system.locks import lock
from cmnist_tfds.system.shared_folders import make_folder

# TFDS keeps its own files about all configs of a dataset in this folder.
_NOTES = '.config'

# TFDS writes this file last.
_LAST = 'dataset_info.json'

# Of renameat2 in Linux, and of renamex_np in macOS.
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_RENAME_SWAP = 2

# TFDS writes a note of some hundred bytes without a lock. After so many seconds,
# the process that wrote it must have been killed.
_SECONDS_TO_NOTE = 60

_log = logging.getLogger('cmnist_tfds')


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
    PreparationError: If the lock file or the folder of the dataset cannot be
      made.
  """
  config_dir = data_path.parent
  with disk_errors(config_dir, 'make'):
    make_folder(config_dir)
  with lock(_lock_file(config_dir)):
    _clear(data_path)
    _clear_others(config_dir.parent)
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
  beside = pathlib.Path(
    tempfile.mkdtemp(
      dir=data_path.parent,
      # TFDS names its own unfinished folders in this way.
      prefix=tfds_internals.INCOMPLETE_PREFIX,
      suffix=f'_{data_path.name}',
    )
  )
  try:
    yield beside
    _replace(data_path, beside)
  finally:
    # Without its last file the dataset waits for the new one to be copied.
    if (data_path / _LAST).exists():
      _remove(beside)


def _new(beside: pathlib.Path, data_path: pathlib.Path) -> pathlib.Path:
  return beside.joinpath(*data_path.parts[-3:])


def _old(beside: pathlib.Path, data_path: pathlib.Path) -> pathlib.Path:
  return beside / data_path.name


def _replace(data_path: pathlib.Path, beside: pathlib.Path) -> None:
  """Puts a new dataset in the place of the old one, in the best way there is.

  - The two are exchanged at once.
  - Where the system cannot do so, they are renamed one after the other.
  - Where the old folder cannot be renamed, as in the image of a container or on
    a busy network file system, its files are replaced.
  """
  new, old = _new(beside, data_path), _old(beside, data_path)
  try:
    _exchange(new, data_path)
    return
  except OSError as error:
    _log.debug('Cannot exchange %s and %s: %s', new, data_path, error)
  try:
    data_path.rename(old)
  except OSError as error:
    _log.debug('Cannot rename %s: %s', data_path, error)
    _replace_files(data_path, new)
    return
  try:
    new.rename(data_path)
  except OSError:
    old.rename(data_path)
    raise


def _exchange(one: pathlib.Path, other: pathlib.Path) -> None:
  """Exchanges two folders, so that readers always see one of them."""
  paths = os.fsencode(one), os.fsencode(other)
  try:
    # Windows has no library by this name, and old systems lack the functions.
    library = ctypes.CDLL(None, use_errno=True)
    if sys.platform == 'darwin':
      failed = library.renamex_np(*paths, _RENAME_SWAP)
    else:
      failed = library.renameat2(
        *(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE)
      )
  except (AttributeError, TypeError) as error:
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from error
  if failed:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), str(one), None, str(other))


def _replace_files(data_path: pathlib.Path, new: pathlib.Path) -> None:
  """Replaces the files of a dataset by copies of those of another one.

  Without its last file the dataset counts as unfinished. If this process is
  killed, the next one starts over, since the new dataset stays complete.
  """
  with disk_errors(data_path):
    (data_path / _LAST).unlink(missing_ok=True)
    names = sorted(os.listdir(new), key=lambda name: name == _LAST)
    for path in data_path.iterdir():
      if path.name not in names:
        _remove(path)
    for name in names:
      copy = data_path / f'{tfds_internals.INCOMPLETE_PREFIX}{name}'
      copy.unlink(missing_ok=True)
      try:
        os.link(new / name, copy)
      except OSError:
        shutil.copyfile(new / name, copy)
      copy.replace(data_path / name)


def _clear(data_path: pathlib.Path) -> None:
  """Removes the remains of killed processes, but rescues finished datasets."""
  pattern = f'{tfds_internals.INCOMPLETE_PREFIX}*_{data_path.name}'
  for beside in data_path.parent.glob(pattern):
    new, old = _new(beside, data_path), _old(beside, data_path)
    if old.exists() and not data_path.exists():
      # A process was killed between two renames.
      old.rename(data_path)
    elif (new / _LAST).exists() and _is_unfinished(data_path):
      # A process was killed while it replaced files.
      _replace_files(data_path, new)
    _remove(beside)


def _is_unfinished(data_path: pathlib.Path) -> bool:
  return data_path.exists() and not (data_path / _LAST).exists()


@functools.cache
def _clear_others(dataset_dir: pathlib.Path) -> None:
  """Clears all datasets that no process builds, once in the life of this one.

  Their builds may never be run again.
  """
  pattern = f'*/{tfds_internals.INCOMPLETE_PREFIX}*_*'
  for remains in dataset_dir.glob(pattern):
    config_dir = remains.parent
    with lock(_lock_file(config_dir), wait=False) as is_free:
      if is_free:
        _clear(config_dir / remains.name.rpartition('_')[2])
  notes = dataset_dir / _NOTES
  for note in notes.glob(f'{tfds_internals.INCOMPLETE_PREFIX}*'):
    # Another process may rename it now.
    with contextlib.suppress(FileNotFoundError):
      if note.stat().st_mtime < time.time() - _SECONDS_TO_NOTE:
        _remove(note)


def _lock_file(config_dir: pathlib.Path) -> pathlib.Path:
  return config_dir.parent / _NOTES / f'{config_dir.name}.lock'


def _remove(path: pathlib.Path) -> None:
  """Removes a file or folder; the next build tries again what fails."""
  if path.is_dir() and not path.is_symlink():
    shutil.rmtree(path, ignore_errors=True)
  else:
    with contextlib.suppress(OSError):
      path.unlink()
  if os.path.lexists(path):
    _log.warning(
      '%s is not needed any more, and the system refuses to remove it. The next'
      ' build will try again.',
      path,
    )

# SPDX-License-Identifier: Apache-2.0
"""Locks between processes."""

from __future__ import annotations

import contextlib
import errno
import functools
import logging
import os
import pathlib
from collections.abc import Iterator

import filelock

from cmnist_tfds.system.disk_errors import disk_errors
from cmnist_tfds.system.shared_folders import make_folder

# Whoever may write to a shared folder may take its locks.
_MODE = 0o666

# What systems raise on a file system that has no locks.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextlib.contextmanager
def lock(path: pathlib.Path, *, wait: bool = True) -> Iterator[bool]:
  """Holds a lock that one process, and one thread, holds at a time.

  The lock of a killed process is free. On a file system without locks the block
  runs without one, and a warning says so once.

  Args:
    path: The lock file. It and its folder are made if they do not exist. The
      file stays when the lock is released.
    wait: Whether to wait for other holders.

  Yields:
    Whether the block has the lock. Always true if `wait` is, except on a file
    system without locks.

  Raises:
    PreparationError: If the lock file cannot be made or opened.
  """
  held = filelock.FileLock(path, mode=_MODE)
  with disk_errors(path.parent, 'make a lock file in'):
    make_folder(path.parent)
    _make_lock_file(path)
  with disk_errors(path, 'lock'):
    has_locks = _has_locks(path)
    if has_locks:
      with contextlib.suppress(filelock.Timeout):
        held.acquire(blocking=wait)
  if not has_locks:
    _warn_once(path.parent)
  try:
    yield held.is_locked
  finally:
    held.release()  # Does nothing where there is no lock.


@contextlib.contextmanager
def lock_folder(path: pathlib.Path) -> Iterator[bool]:
  """Holds the lock of a folder itself, which leaves no lock file in it.

  Other holders are waited for. The lock of a killed process is free.

  Args:
    path: The folder.

  Yields:
    Whether the lock is held. Windows, some network file systems and folders
    that the user may not list have no such lock.

  Raises:
    OSError: If there is no such folder, or it was removed meanwhile.
  """
  try:
    import fcntl
  except ImportError:  # Windows
    yield False
    return
  try:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
  except PermissionError:
    yield False
    return
  try:
    try:
      fcntl.flock(folder, fcntl.LOCK_EX)
      held = True
    except OSError:
      held = False
    if not os.path.samestat(os.fstat(folder), os.stat(path)):
      raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    yield held
  finally:
    os.close(folder)


def _make_lock_file(path: pathlib.Path) -> None:
  """Makes a lock file that every user can lock, whatever the umask is."""
  try:
    path.touch(_MODE, exist_ok=False)
  except FileExistsError:
    return  # Its owner has given it its mode.
  # Some network and removable file systems have no modes.
  with contextlib.suppress(PermissionError):
    path.chmod(_MODE)


def _has_locks(path: pathlib.Path) -> bool:
  """Returns whether the file system has locks.

  Versions of filelock differ where it has none: 3.20.1 waits for ever, others
  fall back to another kind of lock.
  """
  try:
    import fcntl
  except ImportError:  # Windows, where every file system has locks.
    return True
  with path.open('r+b') as file:
    try:
      fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
      return True  # Both say that another process holds the lock.
    except OSError as error:
      if error.errno in _NO_LOCKS:
        return False
      raise
  return True


@functools.cache
def _warn_once(folder: pathlib.Path) -> None:
  logging.getLogger('cmnist_tfds').warning(
    'The file system of %s has no locks. Do not let two processes write to that'
    ' folder at the same time.',
    folder,
  )

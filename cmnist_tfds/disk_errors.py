# SPDX-License-Identifier: Apache-2.0
"""Turns errors of the file system into errors a user can act on."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

from cmnist_tfds.errors import CmnistError, PreparationError

_DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_ACCESS_IS_DENIED = (errno.EACCES, errno.EPERM)


def file_size(path: str | os.PathLike[str]) -> int:
  """Returns the size of a regular file, and refuses anything else.

  Opening a pipe would wait for its writer.

  Args:
    path: The file. Links are followed.

  Returns:
    Its size in bytes.

  Raises:
    OSError: If there is no such file, or it is not a regular one.
  """
  status = os.stat(path)
  if not stat.S_ISREG(status.st_mode):
    raise OSError(errno.EINVAL, 'it is not a regular file', os.fspath(path))
  return status.st_size


@contextlib.contextmanager
def disk_errors(
  path: str | os.PathLike[str],
  doing: str = 'write to',
  error: type[CmnistError] = PreparationError,
  alternative: str = 'choose another folder',
) -> Iterator[None]:
  """Turns an `OSError` raised in the block into one clear error.

  The message reads `Cannot <doing> <path>: <the system's reason>. <remedy>.`

  Args:
    path: The folder or file the block works on.
    doing: What the block does, as a verb that takes `path` as its object.
    error: The class of the error.
    alternative: How the user chooses another place, as an imperative; it is
      part of the remedy.

  Yields:
    Nothing.

  Raises:
    CmnistError: An `error`, if the block raises an `OSError`.
  """
  try:
    yield
  except OSError as cause:
    remedy = alternative[0].upper() + alternative[1:]
    if cause.errno in _DISK_IS_FULL:
      remedy = f'Free space on that disk, or {alternative}'
    elif cause.errno in _ACCESS_IS_DENIED:
      remedy = f'Change its permissions, or {alternative}'
    raise error(
      f'Cannot {doing} {os.fspath(path)}: {cause.strerror or cause}. {remedy}.'
    ) from cause

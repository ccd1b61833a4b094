# SPDX-License-Identifier: Apache-2.0
"""Turns errors of the file system into errors a user can act on."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

from cmnist_tfds.system.errors import CmnistError, PreparationError

_DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_ACCESS_IS_DENIED = (errno.EACCES, errno.EPERM)
_NAME_IS_REFUSED = (errno.EILSEQ, errno.EINVAL, errno.ENAMETOOLONG)

_UNITS = (('GB', 1e9), ('MB', 1e6), ('kB', 1e3))


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

  So is the `UnicodeEncodeError` of a file name that the encoding of the file
  system lacks.

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
  except (OSError, UnicodeEncodeError) as cause:
    raise error(
      f'Cannot {doing} {explain(cause, path, alternative)}'
    ) from cause


def explain(
  cause: OSError | UnicodeEncodeError,
  path: str | os.PathLike[str],
  alternative: str = 'choose another folder',
) -> str:
  """Returns what a user is told: path, the system's reason and the remedy.

  Args:
    cause: The error.
    path: The folder or file that was used.
    alternative: How the user chooses another place, as an imperative.
  """
  remedy = alternative[0].upper() + alternative[1:]
  if isinstance(cause, UnicodeEncodeError):
    if cause.encoding != 'utf-8':
      remedy = 'Set the environment variable PYTHONUTF8=1'
    missing = ascii(cause.object[cause.start : cause.end])
    return (
      f'{os.fspath(path)}: file names cannot contain {missing}, because their'
      f' encoding is {cause.encoding}. {remedy}.'
    )
  # Libraries put the number of the error and more into their messages.
  reason = cause.strerror or str(cause)
  if cause.errno in _DISK_IS_FULL:
    reason = os.strerror(cause.errno)
    remedy = f'Free space on that disk, or {alternative}'
  elif cause.errno == errno.EIO:
    reason = os.strerror(cause.errno)
    remedy = f'Check that disk, or {alternative}'
  elif cause.errno in _ACCESS_IS_DENIED:
    remedy = f'Change its permissions, or {alternative}'
  elif cause.errno in _NAME_IS_REFUSED and cause.filename:
    reason += f' ({cause.filename})'
  return f'{os.fspath(path)}: {reason}. {remedy}.'


def format_size(num_bytes: int) -> str:
  """Returns a number of bytes for people, such as '63.0 MB'."""
  for unit, size in _UNITS:
    if num_bytes >= size:
      return f'{num_bytes / size:,.1f} {unit}'
  return f'{num_bytes} bytes'

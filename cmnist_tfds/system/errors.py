# SPDX-License-Identifier: Apache-2.0
"""The errors a user can meet: faults of a name, of a file, of the machine.

Each message names the thing, what was expected, what was found and the remedy.
The command line prints them as they are; every other exception is a defect.
`counted` is for the numbers in messages, `printable` for the words of others.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import Any


def counted(number: int, noun: str) -> str:
  """Returns a number of things, as '1 class', '1,200 classes', '2 entries'.

  Args:
    number: The number.
    noun: What there is one of: 'class'. The plural is of its last word.
  """
  if number != 1:
    noun = re.sub('y$', 'ie', re.sub('(ss|sh)$', r'\1e', noun)) + 's'
  return f'{number:,} {noun}'


def few(names: Sequence[Any]) -> str:
  """Returns the first of some names, as 'a, b, c, d, e, ...'."""
  return ', '.join(map(str, names[:5])) + ', ...' * (len(names) > 5)


def printable(text: str) -> str:
  """Returns a line in which a terminal finds nothing to obey."""
  return ''.join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class CmnistError(Exception):
  """Base of all errors this package raises on purpose."""


class SubsetNameError(CmnistError, ValueError):
  """A name that is not a CMNIST subset; says why and what was likely meant."""


class DeclarationError(CmnistError, ValueError):
  """A declaration of a source with an unknown, missing or wrong field."""


class OriginFileError(CmnistError):
  """An origin file that is missing, damaged, or not the one expected."""


class PreparationError(CmnistError):
  """A dataset that cannot be prepared or written as asked."""


class MissingExtraError(PreparationError, ImportError):
  """An optional library that cannot be imported; says which extra brings it."""


class OutputError(CmnistError):
  """Standard output that cannot be written."""


class SplitError(CmnistError, ValueError):
  """A split that there is none of, or that is not written as TFDS does."""


class PredictionsError(CmnistError, ValueError):
  """Predictions that cannot be scored: damaged, or not of these examples."""


# What helps where the system refuses all files, and where it refuses a disk.
_LIMITS = {
  errno.EMFILE: 'Raise the limit of open files (ulimit -n)',
  errno.ENFILE: 'Raise the limit of open files of all users',
  errno.ENODEV: 'Take a folder of a file system that can map files into memory',
  errno.ENOMEM: 'Close other programs, or raise the limit of memory (ulimit -v)',
}
_DISKS = dict.fromkeys(
  (errno.EIO, errno.ENOTCONN, errno.ESTALE),
  'Check its disk, and the connection to it',
)
READABLE = 'Ask its owner to make it readable'


def what_helps(error: BaseException, otherwise: str = '') -> str:
  """Returns what the system refuses, and the remedy, as two sentences.

  Args:
    error: What was raised.
    otherwise: The remedy of all but the faults that are known here.
  """
  said = getattr(error, 'strerror', None) or error
  number = getattr(error, 'errno', None) or 0
  remedy = (_LIMITS | _DISKS).get(number, otherwise)
  return f'{said}. {remedy}.' if remedy else f'{said}.'


@contextlib.contextmanager
def read_errors(name: str = '') -> Iterator[None]:
  """Turns what parsers raise for damaged files into an `OriginFileError`.

  Args:
    name: What is read; empty if the caller adds it to the message.

  Yields:
    Nothing.

  Raises:
    OriginFileError: If the block raises any error that is not one of ours.
    PreparationError: If the system refuses all files.
  """
  try:
    yield
  except (CmnistError, MemoryError):
    raise
  # They raise errors of many kinds. Those of tar archives have several lines.
  except Exception as error:
    if getattr(error, 'errno', None) in _LIMITS:
      at = name or getattr(error, 'filename', None) or 'A file'
      told = f'{at}: cannot be read: {what_helps(error)}'
      raise PreparationError(told) from error
    said = getattr(error, 'strerror', None) or ' '.join(str(error).split())
    if isinstance(error, PermissionError):
      said += f'. {READABLE}'
    fault = f'cannot be read: {said}'
    raise OriginFileError(f'{name}: {fault}' if name else fault) from error


@contextlib.contextmanager
def disk_errors(
  path: str | os.PathLike[str],
  doing: str = 'write to',
  error: type[CmnistError] = PreparationError,
  remedy: str = 'Check its permissions and the free space of its disk, or choose'
  ' another folder',
) -> Iterator[None]:
  """Turns an `OSError` raised in the block into one clear error.

  Args:
    path: The folder or file the block works on.
    doing: What the block does, as a verb that takes `path` as its object.
    error: The class of the error.
    remedy: What helps where nothing better is known.

  Yields:
    Nothing.

  Raises:
    CmnistError: An `error`, if the block raises an `OSError`. It is about the
      path, unless that names a file elsewhere, which the block reads.
  """
  try:
    yield
  except OSError as cause:
    if not cause.errno:  # It is of a library, and not of the system.
      raise
    # The second is what a file is copied to.
    name = pathlib.Path(str(cause.filename2 or cause.filename or ''))
    around = pathlib.Path(path).absolute().parent
    is_near = around in (name, *name.parents) or name in around.parents
    if name.is_absolute() and not is_near:
      raise error(f'Cannot use {name}: {what_helps(cause)}') from cause
    told = f'Cannot {doing} {os.fspath(path)}: {what_helps(cause, remedy)}'
    raise error(told) from cause

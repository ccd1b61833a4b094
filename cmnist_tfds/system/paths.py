# SPDX-License-Identifier: Apache-2.0
"""Turns the paths that a user gives into places on disk.

The Python functions, the builders and the command line all call this module, so
that a path means the same place wherever it is given.
"""

from __future__ import annotations

import os
import pathlib
import re

from cmnist_tfds.system.disk_errors import disk_errors
from cmnist_tfds.system.errors import PreparationError

PathLike = str | os.PathLike[str]

# TFDS defines these.
DATA_DIR_VARIABLE = 'TFDS_DATA_DIR'
_DEFAULT_DATA_DIR = '~/tensorflow_datasets'

# `pathlib` makes gs:/bucket of gs://bucket. Windows has drives of one letter.
_REMOTE = re.compile(r'[A-Za-z][A-Za-z0-9+.-]+:/')

# As long as the path of a file below the data folder, while it is overwritten.
_ROOM = ('x' * 63,) * 4

_CHOICE = (
  'choose another folder with data_dir (--data_dir on the command line) or the'
  f' environment variable {DATA_DIR_VARIABLE}'
)


def is_remote(path: PathLike) -> bool:
  """Returns whether a path is an address, such as gs://bucket/folder."""
  return bool(_REMOTE.match(os.fsdecode(path)))


def expanded(path: PathLike) -> pathlib.Path:
  """Returns the place on disk that a user means by a path.

  Environment variables that exist, then `~` and `~user`, are replaced. A
  relative path begins in the current folder.

  Args:
    path: The path of a local file or folder.

  Returns:
    The absolute path.

  Raises:
    PreparationError: If it is the address of something remote, the system does
      not know the user, or there is no current folder.
  """
  if is_remote(path):
    raise PreparationError(
      f'{os.fsdecode(path)} is not a local path. Give a local file or folder.'
    )
  found = os.path.expanduser(os.path.expandvars(os.fsdecode(path)))
  if found.startswith('~'):
    raise PreparationError(
      f'{os.fsdecode(path)!r} begins with {found.split(os.sep)[0]!r}, but the'
      ' system knows no such user, or no home directory of that user. Set the'
      ' environment variable HOME, or give an absolute path, such as with'
      ' data_dir (--data_dir on the command line).'
    )
  with disk_errors(found, 'find', alternative='give an absolute path'):
    absolute = pathlib.Path(found).absolute()
    # TensorFlow would take a link and the `..` after it away together.
    return absolute.resolve() if '..' in absolute.parts else absolute


def data_root(data_dir: PathLike | None) -> pathlib.Path:
  """Returns the local folder of all prepared datasets.

  Args:
    data_dir: What the user gave: a folder, or None for the folder that the
      environment variable TFDS_DATA_DIR names, else `~/tensorflow_datasets`.

  Returns:
    The absolute path of the folder, which need not exist.

  Raises:
    PreparationError: If it is not a local folder, or the system refuses its
      name.
  """
  given = data_dir or os.environ.get(DATA_DIR_VARIABLE) or _DEFAULT_DATA_DIR
  if is_remote(given):
    raise not_local(given)
  root = expanded(given)
  check_name(root)
  return root


def not_local(data_dir: PathLike) -> PreparationError:
  """Returns the error for an address where a local folder is needed."""
  return PreparationError(
    f'{os.fsdecode(data_dir)} is not a local folder. Datasets are built in local'
    ' folders: build in one, then copy the dataset. tfds.load reads copies at'
    ' remote addresses; load_data, as_batches and the command line do not.'
  )


def check_name(path: pathlib.Path, *, to_build: bool = False) -> None:
  """Checks that the file system accepts the name of a file or folder.

  Args:
    path: The file or folder, which need not exist.
    to_build: Whether there must be room for the names of a dataset's files.

  Raises:
    PreparationError: If the name is too long, has characters that the file
      system cannot store, or its links run in a circle.
  """
  with disk_errors(path, 'use the data folder', alternative=_CHOICE):
    try:
      path.joinpath(*(_ROOM if to_build else ())).stat()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
      return  # Whoever reads or writes it says so.
    except ValueError as error:  # A zero byte, or no such encoding.
      raise PreparationError(
        f'Cannot use the data folder {os.fspath(path)!r}: {error}. Choose'
        f' {_CHOICE.removeprefix("choose ")}.'
      ) from error

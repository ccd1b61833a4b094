# SPDX-License-Identifier: Apache-2.0
"""Turns the paths that a user gives into places on disk.

The Python functions, the builders and the command line all call this module, so
that a path means the same place wherever it is given.
"""

from __future__ import annotations

import os
import pathlib
import re

from cmnist_tfds.system.errors import PreparationError

PathLike = str | os.PathLike[str]

# TFDS defines these.
DATA_DIR_VARIABLE = 'TFDS_DATA_DIR'
_DEFAULT = '~/tensorflow_datasets'

# `pathlib` makes gs:/bucket of gs://bucket. Windows has drives of one letter.
_REMOTE = re.compile(r'[A-Za-z][A-Za-z0-9+.-]+:/')


def is_remote(path: PathLike) -> bool:
  """Returns whether a path is an address, such as gs://bucket/folder."""
  return bool(_REMOTE.match(os.fspath(path)))


def expanded(path: PathLike) -> pathlib.Path:
  """Returns the place on disk that a user means by a path.

  Environment variables that exist, then `~` and `~user`, are replaced. A
  relative path begins in the current folder.

  Args:
    path: The path of a local file or folder.

  Returns:
    The absolute path.

  Raises:
    PreparationError: If it is the address of something remote, or the system
      does not know the user.
  """
  expanded_path = os.path.expanduser(os.path.expandvars(path))
  if is_remote(expanded_path):
    raise PreparationError(
      f'{os.fspath(expanded_path)} is not a local path. Datasets are built in local'
      ' folders; tfds.load reads copies of them at remote addresses.'
    )
  if os.fspath(expanded_path).startswith('~'):
    raise PreparationError(
      f'{os.fspath(path)}: the system knows no home directory of that user. Set'
      ' the variable HOME, or give an absolute path, such as with --data_dir.'
    )
  found = pathlib.Path(expanded_path).absolute()
  # TensorFlow would take a link and the `..` after it away together.
  return found.resolve() if '..' in found.parts else found


def package_folder(name: str) -> pathlib.Path:
  """Returns a folder of data that travels with the package.

  An installed package holds the folder. In a checkout, and with `pip install
  -e`, it is next to the package.

  Args:
    name: 'checksums' or 'dummy_data'.
  """
  package = pathlib.Path(__file__).resolve().parent.parent
  installed = package / name
  return installed if installed.is_dir() else package.parent / name


def data_root(data_dir: PathLike | None) -> pathlib.Path:
  """Returns the local folder of all prepared datasets.

  Args:
    data_dir: What the user gave: a folder, or None for the folder that the
      environment variable TFDS_DATA_DIR names, else `~/tensorflow_datasets`.

  Returns:
    The absolute path of the folder, which need not exist.

  Raises:
    PreparationError: If it is not a local folder.
  """
  return expanded(data_dir or os.environ.get(DATA_DIR_VARIABLE) or _DEFAULT)

# SPDX-License-Identifier: Apache-2.0
"""Writes files and folders completely or not at all.

Each is written under a temporary name beside its final place and then renamed.
Whatever was there before stays until the new one is complete.
"""

from __future__ import annotations

import contextlib
import pathlib
import secrets
import tempfile
from collections.abc import Iterator

from cmnist_tfds.errors import PreparationError

_PACKAGE = 'cmnist_tfds'


@contextlib.contextmanager
def write_file(path: pathlib.Path) -> Iterator[pathlib.Path]:
  """Writes a file, which replaces any file at its place when the block ends.

  Several processes may write one file at the same time: the last one to finish
  replaces the others' file.

  Args:
    path: The place of the file.

  Yields:
    The path of an empty file, to be filled by the block.

  Raises:
    OSError: If no file can be made in the folder.
  """
  unfinished = path.with_name(f'.{path.name}.{secrets.token_hex(8)}.incomplete')
  unfinished.touch(exist_ok=False)
  try:
    yield unfinished
    unfinished.replace(path)
  finally:
    unfinished.unlink(missing_ok=True)


@contextlib.contextmanager
def write_folder(
  path: pathlib.Path, marker_file: str | None = None
) -> Iterator[pathlib.Path]:
  """Writes a folder, which appears at its place when the block ends.

  An empty folder at that place is replaced, and so is one that this package
  wrote. Any other is left alone.

  Args:
    path: The place of the folder.
    marker_file: Name of a file that this package writes into the folder, with
      the package's name in it. Such a file tells that the package wrote the
      folder. With None only an empty folder is replaced.

  Yields:
    The path of an empty folder, to be filled by the block.

  Raises:
    PreparationError: If something else is at that place.
  """
  check_folder(path, marker_file)
  path.parent.mkdir(parents=True, exist_ok=True)
  with tempfile.TemporaryDirectory(
    dir=path.parent, prefix=f'.{path.name}.incomplete.'
  ) as beside:
    unfinished = pathlib.Path(beside) / 'new'
    unfinished.mkdir()
    yield unfinished
    if path.exists():
      path.rename(pathlib.Path(beside) / 'replaced')
    unfinished.rename(path)


def check_folder(path: pathlib.Path, marker_file: str | None = None) -> None:
  """Checks, before any work, that `write_folder` may write a folder.

  Args:
    path: As for `write_folder`.
    marker_file: As for `write_folder`.

  Raises:
    PreparationError: If something else is at that place.
  """
  if not path.exists():
    return
  if path.is_dir():
    if not any(path.iterdir()):
      return
    marker = path / marker_file if marker_file else None
    if marker and marker.is_file() and _PACKAGE in marker.read_text('utf-8'):
      return
  reason = (
    f'was not written by this command ({marker_file} in it would say so)'
    if marker_file
    else 'is not empty'
  )
  raise PreparationError(
    f'{path} already exists and {reason}. Choose another folder, or remove'
    ' this one.'
  )

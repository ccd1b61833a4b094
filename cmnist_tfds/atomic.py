# SPDX-License-Identifier: Apache-2.0
"""Files and folders that are written beside their place, then renamed.

So nothing half-written is in sight, and what was there stays until the new is
finished.
"""

from __future__ import annotations

import contextlib
import pathlib
import tempfile
from collections.abc import Iterator

from cmnist_tfds.errors import PreparationError

_PACKAGE = 'cmnist_tfds'


@contextlib.contextmanager
def file(path: pathlib.Path) -> Iterator[pathlib.Path]:
  """Gives a file to write, which takes its place when the block ends.

  Args:
    path: Its place; what is there is replaced.

  Yields:
    The path to write to.
  """
  unfinished = path.with_name(f'.{path.name}.incomplete')
  try:
    yield unfinished
    unfinished.replace(path)
  finally:
    unfinished.unlink(missing_ok=True)


@contextlib.contextmanager
def folder(
  path: pathlib.Path, marker_file: str | None = None
) -> Iterator[pathlib.Path]:
  """Gives a folder to fill, which takes its place when the block ends.

  Args:
    path: Its place. An empty folder there is replaced, and one this package
      wrote; any other is left alone.
    marker_file: A file in what this package writes that has the package's name in
      it; None where nothing tells, so that only an empty folder is replaced.

  Yields:
    The folder to write to.

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
  """Raises what `folder` would, before the work.

  Args:
    path: As for `folder`.
    marker_file: As for `folder`.

  Raises:
    PreparationError: If something else is at that place.
  """
  if not path.exists():
    return
  if path.is_dir():
    if not any(path.iterdir()):
      return
    token = path / marker_file if marker_file else None
    if token and token.is_file() and _PACKAGE in token.read_text('utf-8'):
      return
  how = (
    f' and was not written by this command ({marker_file} in it would say so)'
  )
  raise PreparationError(
    f'{path} is there and not empty{how if marker_file else ""}. Name another'
    ' folder, or remove it.'
  )

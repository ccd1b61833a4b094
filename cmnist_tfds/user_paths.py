# SPDX-License-Identifier: Apache-2.0
"""Paths as users write them."""

from __future__ import annotations

import os
import pathlib

from cmnist_tfds.errors import PreparationError


def expand_home(path: str | os.PathLike[str]) -> pathlib.Path:
  """Returns a path with the home directory in place of `~`.

  Args:
    path: The path.

  Raises:
    PreparationError: If the path begins with `~`, and there is no such home
      directory: services and containers may run without one.
  """
  try:
    return pathlib.Path(path).expanduser()
  except RuntimeError as error:
    raise PreparationError(
      f'{os.fspath(path)}: there is no home directory for the ~ in this path.'
      ' Set the environment variable HOME, or give a folder without ~, such as'
      ' with data_dir (--data_dir on the command line).'
    ) from error

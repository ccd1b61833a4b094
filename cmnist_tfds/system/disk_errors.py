# SPDX-License-Identifier: Apache-2.0
"""Turns errors of the file system into errors a user can act on."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from cmnist_tfds.system.errors import CmnistError, PreparationError


@contextlib.contextmanager
def disk_errors(
  path: str | os.PathLike[str],
  doing: str = 'write to',
  error: type[CmnistError] = PreparationError,
  alternative: str = 'choose another folder',
) -> Iterator[None]:
  """Turns an `OSError` raised in the block into one clear error.

  Args:
    path: The folder or file the block works on.
    doing: What the block does, as a verb that takes `path` as its object.
    error: The class of the error.
    alternative: How the user chooses another place, as an imperative.

  Yields:
    Nothing.

  Raises:
    CmnistError: An `error`, if the block raises an `OSError`.
  """
  try:
    yield
  except OSError as cause:
    raise error(
      f'Cannot {doing} {os.fspath(path)}: {cause.strerror or cause}. Check its'
      f' permissions and the free space of its disk, or {alternative}.'
    ) from cause

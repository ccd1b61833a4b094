# SPDX-License-Identifier: Apache-2.0
"""The errors a user can meet: faults of a name, of a file, of the machine.

Each message names the thing, what was expected, what was found and the remedy.
The command line prints them as they are; every other exception is a defect.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


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

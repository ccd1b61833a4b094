# SPDX-License-Identifier: Apache-2.0
"""The optional libraries, which the extras of the package install."""

from __future__ import annotations

from cmnist_tfds.errors import MissingExtraError


def missing_extra(
  what: str, error: ImportError, extra: str
) -> MissingExtraError:
  """Returns the error for an optional library that is not installed.

  Args:
    what: What needs the library, as 'The catalogue'.
    error: The error that importing the library raised.
    extra: The extra of this package that installs the library.
  """
  return MissingExtraError(
    f'{what} needs {error.name}, which is not installed. Run: pip install'
    f' "cmnist_tfds[{extra}]"',
    name=error.name,
  )

# SPDX-License-Identifier: Apache-2.0
"""The optional libraries, which the extras of the package install."""

from __future__ import annotations

from cmnist_tfds.system.errors import MissingExtraError


def missing_extra(
  what: str, error: ImportError, extra: str
) -> MissingExtraError:
  """Returns the error for an optional library that cannot be imported.

  Args:
    what: What needs the library, as 'The catalog'.
    error: The error that importing the library raised.
    extra: The extra of this package that installs the library.

  Returns:
    An error of one line. It names the library, the extra and the command that
    installs the extra.
  """
  found = f'cannot be imported ({str(error).strip().partition(chr(10))[0]})'
  if isinstance(error, ModuleNotFoundError):
    found = 'is not installed'
  return MissingExtraError(
    f'{what} needs {error.name or extra}, which {found}. Run: pip install'
    f" 'cmnist_tfds[{extra}]'",
    name=error.name,
  )


def require_tensorflow(what: str) -> None:
  """Imports TensorFlow.

  Args:
    what: What needs TensorFlow, as 'as_batches'.

  Raises:
    MissingExtraError: If TensorFlow cannot be imported.
  """
  try:
    import tensorflow  # noqa: F401
  except ImportError as error:
    raise missing_extra(what, error, 'tensorflow') from error

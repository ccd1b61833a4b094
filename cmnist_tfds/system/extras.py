# SPDX-License-Identifier: Apache-2.0
"""The optional libraries, which the extras of the package install."""

from __future__ import annotations

import importlib.metadata
import json
import pathlib

from cmnist_tfds.system.errors import MissingExtraError


def install_command(extra: str) -> str:
  """Returns the command that installs an extra, from where the package is from."""
  checkout = pathlib.Path(__file__).resolve().parents[2]
  if (checkout / 'pyproject.toml').exists():
    return f"pip install -e '{checkout}[{extra}]'"
  named = f'cmnist_tfds[{extra}]'
  try:
    # pip writes it, unless the package is from an index.
    text = importlib.metadata.distribution('cmnist_tfds').read_text(
      'direct_url.json'
    )
  except importlib.metadata.PackageNotFoundError:
    text = None
  if text:
    origin = json.loads(text)
    version_control = origin.get('vcs_info', {}).get('vcs', '')
    named += f' @ {version_control}{"+" * bool(version_control)}{origin["url"]}'
  return f"pip install '{named}'"


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
  library = 'Pillow' if error.name == 'PIL' else error.name or extra
  return MissingExtraError(
    f'{what} needs {library}, which {found}. Run: {install_command(extra)}',
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

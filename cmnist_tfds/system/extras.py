# SPDX-License-Identifier: Apache-2.0
"""The optional libraries, which the extras of the package install."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import pathlib
from collections.abc import Iterator

from cmnist_tfds.system.errors import MissingExtraError


def install_command(extra: str) -> str:
  """Returns the command that installs an extra, from where the package is from."""
  checkout = pathlib.Path(__file__).resolve().parents[2]
  if (checkout / 'pyproject.toml').exists():
    return f"pip install -e '{checkout}[{extra}]'"
  # pip writes it, unless the package is from an index.
  installed = importlib.metadata.distributions(name='cmnist_tfds')
  texts = (found.read_text('direct_url.json') for found in installed)
  origin = json.loads(next(filter(None, texts), '{"url": ""}'))
  system = f'{origin["vcs_info"]["vcs"]}+' if 'vcs_info' in origin else ''
  at = f' @ {system}{origin["url"]}' if origin['url'] else ''
  return f"pip install 'cmnist_tfds[{extra}]{at}'"


@contextlib.contextmanager
def needs_extra(what: str, extra: str) -> Iterator[None]:
  """Imports an optional library in its block.

  Args:
    what: What needs the library, as 'The catalog'.
    extra: The extra of this package that installs the library.

  Raises:
    MissingExtraError: If the library cannot be imported. Its one line names the
      library, the extra and the command that installs the extra.
  """
  try:
    yield
  # torchvision raises the second where it was built for another PyTorch.
  except (ImportError, RuntimeError) as error:
    found = f'cannot be imported ({str(error).strip().partition(chr(10))[0]})'
    if isinstance(error, ModuleNotFoundError):
      found = 'is not installed'
    name = getattr(error, 'name', None) or extra
    library = 'Pillow' if name == 'PIL' else name
    raise MissingExtraError(
      f'{what} needs {library}, which {found}. Run: {install_command(extra)}',
      name=name,
    ) from error


def require_tensorflow(what: str) -> None:
  """Imports TensorFlow.

  Args:
    what: What needs TensorFlow, as 'as_batches'.

  Raises:
    MissingExtraError: If TensorFlow cannot be imported.
  """
  with needs_extra(what, 'tensorflow'):
    import tensorflow  # noqa: F401

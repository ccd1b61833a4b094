# SPDX-License-Identifier: Apache-2.0
"""Registers the datasets in programs that do not import this package.

`cmnist register` copies this file to where Python finds modules at start-up, so
it imports nothing of the package, and nothing that takes time.
"""

import sys

_AWAITED = 'tensorflow_datasets'


class _Finder:
  """Finds TFDS as other finders do, but imports `cmnist_tfds` before."""

  def find_spec(self, name, path=None, target=None):  # type: ignore[no-untyped-def]
    if name != _AWAITED:
      return None
    sys.meta_path.remove(self)
    # Each program would wait for these imports at its start.
    import importlib.util

    # The package may be removed without the hook.
    if importlib.util.find_spec('cmnist_tfds') is not None:
      import cmnist_tfds  # noqa: F401
    return importlib.util.find_spec(name)


def wait_for_tfds() -> None:
  """Imports `cmnist_tfds` when TFDS is imported, and nothing before."""
  sys.meta_path.insert(0, _Finder())

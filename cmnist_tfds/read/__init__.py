# SPDX-License-Identifier: Apache-2.0
"""Deprecated: the old name of `cmnist_tfds.load`."""

from __future__ import annotations

import importlib
import warnings
from types import ModuleType
from typing import TYPE_CHECKING

from cmnist_tfds.load.numpy_arrays import load_data
from cmnist_tfds.load.tf_data import as_batches

__all__ = ['as_batches', 'load_data']

if not TYPE_CHECKING:

  def __getattr__(name: str) -> ModuleType:
    """Imports `pytorch`, which needs PyTorch, when it is first used."""
    if name == 'pytorch':
      return importlib.import_module(f'{__name__}.{name}')
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


warnings.warn(
  'cmnist_tfds.read is deprecated. Import load_data and as_batches from'
  ' cmnist_tfds, and CMNIST from cmnist_tfds.load.torch_dataset.',
  DeprecationWarning,
  stacklevel=2,
)

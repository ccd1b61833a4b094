# SPDX-License-Identifier: Apache-2.0
"""Deprecated: the old name of `cmnist_tfds.load`."""

from __future__ import annotations

import warnings

from cmnist_tfds.load.numpy_arrays import load_data
from cmnist_tfds.load.tf_data import as_batches

__all__ = ['as_batches', 'load_data']

warnings.warn(
  'cmnist_tfds.read is deprecated. Import load_data and as_batches from'
  ' cmnist_tfds, and CMNIST from cmnist_tfds.load.torch_dataset.',
  DeprecationWarning,
  stacklevel=2,
)

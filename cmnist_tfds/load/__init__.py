# SPDX-License-Identifier: Apache-2.0
"""From subsets to arrays and batches, as fast as memory allows."""

from __future__ import annotations

from cmnist_tfds.load.cached import Stored
from cmnist_tfds.load.numpy_arrays import first_of_each_class, load_data
from cmnist_tfds.load.open_subset import Readable, find_or_prepare
from cmnist_tfds.load.open_subset import find as find_readable
from cmnist_tfds.load.prepared import (
  SAMPLE,
  Prepared,
  dataset_dir,
  find,
  get_builder,
)
from cmnist_tfds.load.tf_data import as_batches

__all__ = [
  'SAMPLE',
  'Prepared',
  'Readable',
  'Stored',
  'as_batches',
  'dataset_dir',
  'find',
  'find_or_prepare',
  'find_readable',
  'first_of_each_class',
  'get_builder',
  'load_data',
]

# Copyright 2026 The cmnist_tfds Authors.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""CMNIST for TensorFlow Datasets.

Importing the package registers the datasets `cmnist` and `cmnist_sample`, and
the collection `cmnist_all`:

    import cmnist_tfds, tensorflow_datasets as tfds
    tfds.load('cmnist/3-EElKm')

Neither TensorFlow nor TensorFlow Datasets is imported before it is needed.
"""

from __future__ import annotations

from types import ModuleType

import wrapt

from cmnist_tfds.errors import (
  CmnistError,
  MemoryShortageError,
  OriginFileError,
  PreparationError,
  SplitError,
  SubsetNameError,
)
from cmnist_tfds.read import as_batches, load_data
from cmnist_tfds.subsets import Subset, SubsetClass, subset

__all__ = [
  'CmnistError',
  'MemoryShortageError',
  'OriginFileError',
  'PreparationError',
  'SplitError',
  'Subset',
  'SubsetClass',
  'SubsetNameError',
  'as_batches',
  'load_data',
  'subset',
]
__version__ = '1.0.0'


@wrapt.when_imported('tensorflow_datasets')
def _register(_: ModuleType) -> None:
  """Defines the builders, which registers them.

  TFDS takes a second to import. It is left to whoever uses it: the builders
  are defined when it is there, at once if it already is.
  """
  # pylint: disable=g-import-not-at-top
  from cmnist_tfds.datasets.cmnist import cmnist_dataset_builder  # noqa: F401
  from cmnist_tfds.datasets.cmnist_all import cmnist_all  # noqa: F401
  from cmnist_tfds.datasets.cmnist_sample import cmnist_sample_dataset_builder  # noqa: F401

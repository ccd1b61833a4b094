# SPDX-License-Identifier: Apache-2.0
"""CMNIST for TensorFlow Datasets.

Importing the package registers the datasets `cmnist` and `cmnist_sample`, and
the collection `cmnist_all`:

    import cmnist_tfds, tensorflow_datasets as tfds
    tfds.load('cmnist/3-EElKm')

Neither TensorFlow nor TensorFlow Datasets is imported before it is needed.
"""

from __future__ import annotations

import logging
from types import ModuleType

import wrapt

from cmnist_tfds.load.numpy_arrays import load_data, training_rows
from cmnist_tfds.load.tf_data import as_batches
from cmnist_tfds.scoring.evaluation import evaluate
from cmnist_tfds.scoring.predictions import save_predictions
from cmnist_tfds.subsets import Subset, SubsetClass, subset
from cmnist_tfds.system import streams
from cmnist_tfds.system.errors import (
  CmnistError,
  MemoryShortageError,
  OriginFileError,
  PredictionsError,
  PreparationError,
  SplitError,
  SubsetNameError,
)

__all__ = [
  'CmnistError',
  'MemoryShortageError',
  'OriginFileError',
  'PredictionsError',
  'PreparationError',
  'SplitError',
  'Subset',
  'SubsetClass',
  'SubsetNameError',
  'as_batches',
  'evaluate',
  'load_data',
  'save_predictions',
  'subset',
  'training_rows',
]
__version__ = '1.0.0'

logging.getLogger(__name__).addFilter(streams.passes_log)


def __dir__() -> list[str]:
  return [*__all__, '__version__']


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

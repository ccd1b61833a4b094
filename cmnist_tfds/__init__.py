# SPDX-License-Identifier: Apache-2.0
"""CMNIST for TensorFlow Datasets.

Importing the package registers the datasets `cmnist` and `cmnist_sample`, and
the collection `cmnist_all`:

    import cmnist_tfds, tensorflow_datasets as tfds
    tfds.load('cmnist/3-EElKm')

No other library is imported before it is needed.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import TYPE_CHECKING, Any

from cmnist_tfds.system.errors import (
  CmnistError,
  OriginFileError,
  PredictionsError,
  PreparationError,
  SplitError,
  SubsetNameError,
)

if TYPE_CHECKING:
  from importlib.machinery import ModuleSpec
  from types import ModuleType

  from cmnist_tfds.load.numpy_arrays import load_data, training_rows
  from cmnist_tfds.load.tf_data import as_batches
  from cmnist_tfds.origin.draft import add_source
  from cmnist_tfds.scoring.evaluation import evaluate
  from cmnist_tfds.scoring.predictions import save_predictions
  from cmnist_tfds.subsets import Subset, SubsetClass, subset

__all__ = [
  'CmnistError',
  'OriginFileError',
  'PredictionsError',
  'PreparationError',
  'SplitError',
  'Subset',
  'SubsetClass',
  'SubsetNameError',
  'add_source',
  'as_batches',
  'evaluate',
  'load_data',
  'save_predictions',
  'subset',
  'training_rows',
]
__version__ = '1.0.0'

# Where the names are that are imported when they are first used.
_LAZY = {
  'Subset': 'subsets',
  'SubsetClass': 'subsets',
  'add_source': 'origin.draft',
  'as_batches': 'load.tf_data',
  'evaluate': 'scoring.evaluation',
  'load_data': 'load.numpy_arrays',
  'save_predictions': 'scoring.predictions',
  'subset': 'subsets',
  'training_rows': 'load.numpy_arrays',
}


def __dir__() -> list[str]:
  return [*__all__, '__version__']


# Type checkers see the imports above, and no name that is not there.
if not TYPE_CHECKING:

  def __getattr__(name: str) -> Any:
    if name not in _LAZY:
      raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    module = importlib.import_module(f'{__name__}.{_LAZY[name]}')
    return globals().setdefault(name, getattr(module, name))


def _register() -> None:
  """Defines the builders, which registers them."""
  from cmnist_tfds.datasets.cmnist import cmnist_dataset_builder  # noqa: F401
  from cmnist_tfds.datasets.cmnist_all import cmnist_all  # noqa: F401
  from cmnist_tfds.datasets.cmnist_sample import cmnist_sample_dataset_builder  # noqa: F401


class _Registration:
  """A finder of modules that has the builders registered by TFDS's import.

  TFDS takes a second to import, which is left to whoever uses it.
  """

  def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
    if name != 'tensorflow_datasets':
      return None
    sys.meta_path.remove(self)
    try:
      spec = importlib.util.find_spec(name)  # By the other finders.
    finally:
      sys.meta_path.insert(0, self)
    if spec is None or spec.loader is None:
      return spec
    load = spec.loader.exec_module

    def load_and_register(module: ModuleType) -> None:
      load(module)
      _register()

    spec.loader.exec_module = load_and_register  # type: ignore[method-assign]
    return spec


if 'tensorflow_datasets' in sys.modules:
  _register()
else:
  sys.meta_path.insert(0, _Registration())

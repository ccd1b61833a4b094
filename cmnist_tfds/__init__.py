# SPDX-License-Identifier: Apache-2.0
"""CMNIST for TensorFlow Datasets.

Importing the package registers the datasets `cmnist` and `cmnist_sample`, and
the collection `cmnist_all`:

    import cmnist_tfds, tensorflow_datasets as tfds
    tfds.load('cmnist/3-EElKm')

No other library is imported before it is needed.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
  from importlib.machinery import ModuleSpec
  from types import ModuleType

  from cmnist_tfds.cache.pixel_sums import normalization as normalization
  from cmnist_tfds.cli.info_command import info as info
  from cmnist_tfds.cli.show_command import show as show
  from cmnist_tfds.load.numpy_arrays import load_data as load_data
  from cmnist_tfds.load.numpy_arrays import training_rows as training_rows
  from cmnist_tfds.load.tf_data import as_batches as as_batches
  from cmnist_tfds.load.torch_dataset import CMNIST as CMNIST
  from cmnist_tfds.origin.draft import add_source as add_source
  from cmnist_tfds.scoring.benchmarking import benchmark as benchmark
  from cmnist_tfds.scoring.comparison import compare as compare
  from cmnist_tfds.scoring.evaluation import evaluate as evaluate
  from cmnist_tfds.scoring.family import compare_family as compare_family
  from cmnist_tfds.scoring.predictions import (
    save_predictions as save_predictions,
  )
  from cmnist_tfds.subsets import Subset as Subset
  from cmnist_tfds.subsets import SubsetClass as SubsetClass
  from cmnist_tfds.subsets import find_subsets as find_subsets
  from cmnist_tfds.subsets import subset as subset
  from cmnist_tfds.system.errors import CmnistError as CmnistError
  from cmnist_tfds.system.errors import OriginFileError as OriginFileError
  from cmnist_tfds.system.errors import PredictionsError as PredictionsError
  from cmnist_tfds.system.errors import PreparationError as PreparationError
  from cmnist_tfds.system.errors import SplitError as SplitError
  from cmnist_tfds.system.errors import SubsetNameError as SubsetNameError

# Where the public names are, which are imported when they are first used.
_MODULES = {
  name: module
  for module, names in {
    'cli.info_command': ['info'],
    'cli.show_command': ['show'],
    'load.numpy_arrays': ['load_data', 'training_rows'],
    'load.tf_data': ['as_batches'],
    'origin.draft': ['add_source'],
    'scoring.benchmarking': ['benchmark'],
    'scoring.comparison': ['compare'],
    'scoring.evaluation': ['evaluate'],
    'scoring.family': ['compare_family'],
    'scoring.predictions': ['save_predictions'],
    'subsets': ['Subset', 'SubsetClass', 'find_subsets', 'subset', 'subsets'],
    'system.errors': [
      *('CmnistError', 'OriginFileError', 'PredictionsError'),
      *('PreparationError', 'SplitError', 'SubsetNameError'),
    ],
  }.items()
  for name in names
}
__all__ = list(_MODULES)
# The first needs PyTorch, which `from cmnist_tfds import *` must do without. By
# the second, subsets ask the cache, which is above them, for pixels.
_MODULES['CMNIST'] = 'load.torch_dataset'
_MODULES['normalization'] = 'cache.pixel_sums'
__version__ = '0.9.0'


def __dir__() -> list[str]:
  # `help` and others get all that is listed.
  is_there = importlib.util.find_spec('torch')
  return [*__all__, *['CMNIST'] * bool(is_there), '__version__']


# Type checkers see the imports above, and no name that is not there.
if not TYPE_CHECKING:

  def __getattr__(name: str) -> Any:
    if name not in _MODULES:
      raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    module = importlib.import_module(f'{__name__}.{_MODULES[name]}')
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
    others = (finder for finder in sys.meta_path if finder is not self)
    specs = (finder.find_spec(name, None) for finder in others)
    spec = next(filter(None, specs), None)
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

# SPDX-License-Identifier: Apache-2.0
"""Registers our names twice, in the way that the first argument names.

    register_twice.py CASE FOLDER

Our datasets must then load from FOLDER.
"""

from __future__ import annotations

import importlib
import importlib.util
import pathlib
import subprocess
import sys

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
_BUILDER = _REPOSITORY / 'cmnist_tfds/datasets/cmnist/cmnist_dataset_builder.py'


def register_other():
  """Registers what another package might."""
  import tensorflow_datasets as tfds

  class Cmnist(tfds.core.GeneratorBasedBuilder):
    """Another dataset of that name."""

    VERSION = tfds.core.Version('9.0.0')

    def _info(self):
      return self.dataset_info_from_configs()

    def _split_generators(self, dl_manager):
      return {}

    def _generate_examples(self):
      yield 0, {}

  Cmnist.__module__ = 'another_package.cmnist'


def register_other_collection():
  """Registers a collection as another package might."""
  from tensorflow_datasets.core import dataset_collection_builder

  class CmnistAll(dataset_collection_builder.DatasetCollection):
    """Another collection of that name."""

    @property
    def info(self):
      return None

    @property
    def datasets(self):
      return {}


def import_ours():
  """Imports the package; returns it."""
  return importlib.import_module('cmnist_tfds')


def delete_ours():
  """Lets our modules be imported anew."""
  for name in list(sys.modules):
    if name.partition('.')[0] == 'cmnist_tfds':
      del sys.modules[name]


def import_and_delete_ours():
  """Lets our modules be imported anew, several times."""
  for _ in range(3):
    import_ours()
    delete_ours()


def import_from_file(name):
  """Imports the module of our builder from its file."""
  spec = importlib.util.spec_from_file_location(name, _BUILDER)
  module = importlib.util.module_from_spec(spec)
  sys.modules[name] = module
  spec.loader.exec_module(module)


def run_pytest(folder, *options):
  """Runs pytest on a module of ours; returns nothing, and must succeed."""
  test = folder / 'some_test.py'
  test.write_text(
    'import cmnist_tfds, tensorflow_datasets as tfds\n'
    'def test(): tfds.builder_cls("cmnist")\n'
  )
  subprocess.run(
    [
      *(sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider'),
      *(*options, '-c', '/dev/null', '--rootdir', folder, test),
    ],
    check=True,
    stdout=subprocess.DEVNULL,
  )


def arrange(case: str, folder: pathlib.Path) -> None:
  """Registers twice."""
  before = {
    'other_before': register_other,
    'other_collection_before': register_other_collection,
    'modules_deleted_before_tfds_is_imported': import_and_delete_ours,
  }
  if case in before:
    before[case]()
    return
  ours = import_ours()
  importlib.import_module('tensorflow_datasets')
  if case == 'other_after':
    try:
      register_other()
    except ValueError:
      return  # TFDS refuses the other one.
    raise AssertionError
  if case == 'other_before_ours_anew':
    delete_ours()
    registered = importlib.import_module('tensorflow_datasets.core.registered')
    registered._DATASET_REGISTRY.pop('cmnist')
    register_other()
  elif case == 'modules_deleted':
    import_and_delete_ours()
  elif case == 'package_reloaded':
    importlib.reload(ours)
  elif case == 'every_module_reloaded':
    for name, module in list(sys.modules.items()):
      if name.partition('.')[0] == 'cmnist_tfds':
        importlib.reload(module)
  elif case in ('cmnist_dataset_builder', 'datasets.cmnist_dataset_builder'):
    import_from_file(case)
  else:
    run_pytest(
      folder,
      *('--import-mode=importlib', '--doctest-modules'),
      _BUILDER.parent.parent,
    )


def main(case: str, folder: pathlib.Path) -> None:
  """Registers twice, then loads."""
  arrange(case, folder)
  # TensorFlow, which takes seconds to import, is not needed.
  import tensorflow_datasets as tfds

  cmnist_tfds = import_ours()
  (x, _), _ = cmnist_tfds.load_data('X-12', data_dir=folder, sample=True)
  built = tfds.builder('cmnist_sample/X-12', data_dir=folder)
  assert built.is_prepared()
  assert built.info.splits['train'].num_examples == len(x)
  assert tfds.builder('cmnist/3-EEIKm', data_dir=folder).subset.num_classes
  assert tfds.dataset_collection('cmnist_all').datasets


if __name__ == '__main__':
  main(sys.argv[1], pathlib.Path(sys.argv[2]))

# SPDX-License-Identifier: Apache-2.0
"""Registration works in any order of imports; the documentation agrees."""

import rlcompleter

import pytest
import running

import cmnist_tfds


def _works(code):
  running.works('-c', code)


@pytest.mark.parametrize('module', ['sources', 'subsets', 'schema'])
def test_what_cmnist_is_needs_one_library(module):
  _works(
    f'import sys, cmnist_tfds.{module}\n'
    'heavy = {"numpy", "filelock", "requests", "tensorflow_datasets", "tqdm"}\n'
    'assert not heavy & set(sys.modules), heavy & set(sys.modules)'
  )


@pytest.mark.parametrize(
  'imports',
  [
    'import cmnist_tfds, tensorflow_datasets as tfds',
    'import tensorflow_datasets as tfds, cmnist_tfds',
    'from cmnist_tfds.datasets.cmnist import cmnist_dataset_builder;'
    'import tensorflow_datasets as tfds',
  ],
)
def test_datasets_are_registered_whatever_comes_first(imports):
  _works(
    f'{imports}\n'
    'for name in ("cmnist", "cmnist_sample"):\n'
    '  assert tfds.builder_cls(name).name == name'
  )


def test_registration_survives_an_import_that_failed(tmp_path):
  """TFDS is imported again, as after Ctrl-C."""
  (tmp_path / 'tensorflow_datasets.py').write_text('raise KeyboardInterrupt')
  _works(
    'import sys, cmnist_tfds\n'
    f'sys.path.insert(0, {str(tmp_path)!r})\n'
    'try:\n  import tensorflow_datasets\n'
    'except KeyboardInterrupt:\n  sys.path.pop(0)\n'
    'import tensorflow_datasets as tfds\n'
    'assert tfds.builder_cls("cmnist").name == "cmnist"'
  )


def test_public_names_are_listed_and_complete():
  names = [name for name in dir(cmnist_tfds) if not name.startswith('_')]
  assert {*names} - {'CMNIST'} == {*cmnist_tfds.__all__}
  assert all(getattr(cmnist_tfds, name) for name in dir(cmnist_tfds))
  with pytest.raises(AttributeError, match='no attribute'):
    _ = cmnist_tfds.evaluated
  completer = rlcompleter.Completer({'cmnist_tfds': cmnist_tfds})
  assert completer.complete('cmnist_tfds.load_d', 0) == 'cmnist_tfds.load_data('

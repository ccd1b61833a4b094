# SPDX-License-Identifier: Apache-2.0
"""Registration works in any order of imports; the documentation agrees."""

from __future__ import annotations

import pathlib
import rlcompleter
import subprocess
import sys

import pytest

import cmnist_tfds
from cmnist_tfds.sources import SOURCES
from cmnist_tfds.system import paths

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent


def _python(code):
  done = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=False
  )
  assert done.returncode == 0, done.stderr


def test_import_is_light():
  """Nothing is imported but the standard library; TFDS takes a second."""
  _python(
    'import sys, cmnist_tfds\n'
    'new = {m.partition(".")[0] for m in sys.modules}\n'
    'foreign = new - sys.stdlib_module_names - {"cmnist_tfds", "__main__"}\n'
    'foreign = {m for m in foreign if not m.startswith("_")}\n'
    'assert not foreign & {"numpy", "msgspec", "tensorflow_datasets"}, foreign'
  )


@pytest.mark.parametrize('module', ['sources', 'subsets', 'schema'])
def test_what_cmnist_is_needs_one_library(module):
  _python(
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
  _python(
    f'{imports}\n'
    'for name in ("cmnist", "cmnist_sample"):\n'
    '  assert tfds.builder_cls(name).name == name'
  )


def test_registration_survives_an_import_that_failed(tmp_path):
  """TFDS is imported again, as after Ctrl-C."""
  (tmp_path / 'tensorflow_datasets.py').write_text('raise KeyboardInterrupt')
  _python(
    'import sys, cmnist_tfds\n'
    f'sys.path.insert(0, {str(tmp_path)!r})\n'
    'try:\n  import tensorflow_datasets\n'
    'except KeyboardInterrupt:\n  sys.path.pop(0)\n'
    'import tensorflow_datasets as tfds\n'
    'assert tfds.builder_cls("cmnist").name == "cmnist"'
  )


def test_public_names_are_listed_and_complete():
  names = [name for name in dir(cmnist_tfds) if not name.startswith('_')]
  assert sorted(names) == sorted(cmnist_tfds.__all__)
  assert all(getattr(cmnist_tfds, name) for name in dir(cmnist_tfds))
  with pytest.raises(AttributeError, match='no attribute'):
    _ = cmnist_tfds.evaluated
  completer = rlcompleter.Completer({'cmnist_tfds': cmnist_tfds})
  assert completer.complete('cmnist_tfds.load_d', 0) == 'cmnist_tfds.load_data('


def test_data_files_are_found():
  assert (paths.package_folder('checksums') / 'checksums.tsv').is_file()
  assert (paths.package_folder('dummy_data') / 'emnist/gzip.zip').is_file()


def test_the_sample_is_small():
  files = [p for p in (_REPOSITORY / 'dummy_data').rglob('*') if p.is_file()]
  assert 0 < sum(p.stat().st_size for p in files) <= 3_000_000


def test_the_documentation_describes_each_source_as_it_is():
  text = (_REPOSITORY / 'docs/sources.md').read_text('utf-8')
  lines = [line.strip('| ') for line in text.splitlines()]
  rows = {cells[0]: cells for line in lines if (cells := line.split(' | '))}
  for source in SOURCES:
    _, title, sizes, classes, *_ = rows[source.key]
    train, test = (s.num_examples for s in source.splits.values())
    assert title == source.title
    assert sizes == f'{train:,} / {test:,}'
    assert classes.partition(',')[0] == str(len(source.class_names))

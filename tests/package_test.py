# SPDX-License-Identifier: Apache-2.0
"""Importing is fast, registration always works, and sources are told."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

from cmnist_tfds.sources import SOURCES
from cmnist_tfds.system import resources

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent


def _python(code):
  done = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=False
  )
  assert done.returncode == 0, done.stderr
  return done.stdout


def test_import_is_light():
  _python(
    'import sys, cmnist_tfds\n'
    'heavy = {"tensorflow", "tensorflow_datasets", "keras", "torch", "jax"}\n'
    'assert not heavy & set(sys.modules), heavy & set(sys.modules)'
  )


@pytest.mark.parametrize('module', ['sources', 'subsets', 'errors', 'schema'])
def test_what_cmnist_is_needs_the_standard_library_alone(module):
  """Each is run without its package, whose import brings NumPy."""
  _python(
    'import sys, types, importlib\n'
    'package = types.ModuleType("cmnist_tfds")\n'
    f'package.__path__ = [{str(_REPOSITORY / "cmnist_tfds")!r}]\n'
    'sys.modules["cmnist_tfds"] = package\n'
    'before = set(sys.modules)\n'
    f'importlib.import_module("cmnist_tfds.{module}")\n'
    'new = {m.partition(".")[0] for m in set(sys.modules) - before}\n'
    # TOML is read by the standard library, on Python 3.10 by tomli.
    'own = {"cmnist_tfds", "tomli"}\n'
    'foreign = new - sys.stdlib_module_names - own\n'
    'assert not foreign, foreign'
  )


@pytest.mark.parametrize(
  'imports',
  [
    'import cmnist_tfds, tensorflow_datasets as tfds',
    'import tensorflow_datasets as tfds, cmnist_tfds',
    'import cmnist_tfds.datasets.dataset_builder;'
    'import tensorflow_datasets as tfds',
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


def test_data_files_are_found():
  assert (resources.folder('checksums') / 'checksums.tsv').is_file()
  assert (resources.folder('dummy_data') / 'emnist/gzip.zip').is_file()


def test_sample_is_small():
  files = [p for p in resources.folder('dummy_data').rglob('*') if p.is_file()]
  assert sum(p.stat().st_size for p in files) <= 3_000_000


def test_the_documentation_tells_each_source_as_it_is():
  text = (_REPOSITORY / 'docs/sources.md').read_text('utf-8')
  rows = {
    cells[1]: cells
    for line in text.splitlines()
    if line.startswith('| ') and len(cells := line.split(' | ')) > 4
    if (cells := [c.strip('| ') for c in ('', *cells)])
  }
  for source in SOURCES:
    _, key, title, sizes, classes, *_ = rows[source.key]
    train, test = (s.num_examples for s in source.splits.values())
    assert key == source.key
    assert title == source.title
    assert sizes == f'{train:,} / {test:,}'
    assert classes.partition(',')[0] == str(len(source.class_names))

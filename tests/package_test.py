# SPDX-License-Identifier: Apache-2.0
"""Registration works in any order of imports; the documentation agrees."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

from cmnist_tfds.sources import SOURCES

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent


def _python(code):
  done = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=False
  )
  assert done.returncode == 0, done.stderr


@pytest.mark.parametrize('module', ['sources', 'subsets', 'schema'])
def test_what_cmnist_is_needs_no_array_library(module):
  """Each is run without its package, whose import brings NumPy."""
  _python(
    'import sys, types, importlib\n'
    'package = types.ModuleType("cmnist_tfds")\n'
    f'package.__path__ = [{str(_REPOSITORY / "cmnist_tfds")!r}]\n'
    'sys.modules["cmnist_tfds"] = package\n'
    'before = set(sys.modules)\n'
    f'importlib.import_module("cmnist_tfds.{module}")\n'
    'new = {m.partition(".")[0] for m in set(sys.modules) - before}\n'
    'own = {"cmnist_tfds", "msgspec", "tomli"}\n'
    'foreign = new - sys.stdlib_module_names - own\n'
    'assert not foreign, foreign'
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


def test_a_sitecustomize_registers_for_programs_that_import_tfds(tmp_path):
  (tmp_path / 'sitecustomize.py').write_text('import cmnist_tfds\n')
  path = f'{tmp_path}:{_REPOSITORY}'
  code = (
    'import tensorflow_datasets as tfds\n'
    f'builder = tfds.builder("cmnist/3-eelkm", data_dir={str(tmp_path)!r})\n'
    'assert builder.builder_config.name == "3-EElKm"'
  )
  done = subprocess.run(
    ['env', f'PYTHONPATH={path}', sys.executable, '-c', code],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr


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

# SPDX-License-Identifier: Apache-2.0
"""The repository is in order: layers, names of modules, files that are derived."""

import collections
import pathlib
import re
import runpy

import pytest
import running

import cmnist_tfds

_SCRIPT = runpy.run_path(
  str(running.REPOSITORY / 'scripts' / 'write_derived_files.py')
)


def test_no_layer_imports_one_above_it():
  said = running.works(running.REPOSITORY / 'scripts/check_layers.py')
  layers = {line.split()[0] for line in said.splitlines()}
  table = (running.REPOSITORY / 'CONTRIBUTING.md').read_text('utf-8')
  described = re.findall(r'`(\w+)(?:/|\.py)`', table.partition('## Add')[0])
  assert layers <= {*described}


def test_no_two_modules_share_a_name():
  names = collections.Counter(
    path.name
    for path in (running.REPOSITORY / 'cmnist_tfds').rglob('*.py')
    if path.name != '__init__.py' and 'templates' not in path.parts
  )
  assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize(
  ('path', 'text'),
  _SCRIPT['derived_files']().items(),
  ids=lambda value: value.name if isinstance(value, pathlib.Path) else '',
)
def test_derived_file_is_up_to_date(path, text):
  assert (running.REPOSITORY / path).read_text(encoding='utf-8') == text


def test_the_machinery_names_what_is_there():
  root = running.REPOSITORY
  files = [*root.glob('.*.yaml'), *root.glob('.github/workflows/*')]
  text = ''.join(path.read_text('utf-8') for path in files)
  paths = re.findall(r'(?<![\w/])(?:\.ci|docs|scripts|tests)/[\w./]*\w', text)
  assert [path for path in paths if not (root / path).exists()] == []
  project = (root / 'pyproject.toml').read_text('utf-8')
  pythons = re.findall(r"python(?:-version)?: '(3.*?)'", text)
  assert {*re.findall(r'Python :: (3\..*?)"', project)} == {*pythons}


def test_the_version_is_told_once():
  changes = (running.REPOSITORY / 'CHANGELOG.md').read_text('utf-8')
  citation = (running.REPOSITORY / 'CITATION.cff').read_text('utf-8')
  newest, day = re.findall(r'^## \[(\d.*)\] - (.*)', changes, re.M)[0]
  assert newest == cmnist_tfds.__version__
  assert f'\nversion: {newest}\ndate-released: {day}\n' in citation


def test_names_in_the_checksums_are_unique():
  rows = [line.split('\t') for line in _SCRIPT['checksums']().splitlines()]
  assert all(len(row) == 4 for row in rows)
  names = [row[3] for row in rows]
  assert len(set(names)) == len(names)


def test_the_sample_is_small():
  files = [
    p for p in (running.REPOSITORY / 'dummy_data').rglob('*') if p.is_file()
  ]
  assert 0 < sum(p.stat().st_size for p in files) <= 3_000_000

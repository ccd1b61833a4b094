# SPDX-License-Identifier: Apache-2.0
"""The structure of the package is what CONTRIBUTING.md says."""

from __future__ import annotations

import ast
import collections
import pathlib
import subprocess
import sys

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_PACKAGE = _REPOSITORY / 'cmnist_tfds'
# TFDS prescribes the name of a builder; a command is called by its module.
_SHARED_NAMES = {'Builder', 'register', 'run'}


def _modules():
  return [
    path
    for path in _PACKAGE.rglob('*.py')
    if path.name != '__init__.py' and 'templates' not in path.parts
  ]


def test_no_import_runs_back_up_the_road():
  done = subprocess.run(
    [sys.executable, str(_REPOSITORY / 'scripts/show_rooms.py')],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  rooms = {line.split()[0] for line in done.stdout.splitlines()}
  assert rooms == {
    path.name.removesuffix('.py')
    for path in _PACKAGE.iterdir()
    if (path.is_dir() and (path / '__init__.py').is_file())
    or (path.suffix == '.py' and not path.name.startswith('__'))
  }


def test_no_two_modules_share_a_name():
  names = collections.Counter(path.name for path in _modules())
  assert [name for name, count in names.items() if count > 1] == []


def test_no_two_classes_and_no_two_functions_find_share_a_name():
  classes = collections.Counter()
  functions = collections.Counter()
  for path in _modules():
    for node in ast.parse(path.read_text('utf-8')).body:
      if isinstance(node, ast.ClassDef):
        classes[node.name] += 1
      elif isinstance(node, ast.FunctionDef):
        functions[node.name] += 1
  shared = {name for name, count in classes.items() if count > 1}
  assert shared <= _SHARED_NAMES
  assert functions['find'] == 0

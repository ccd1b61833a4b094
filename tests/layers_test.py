# SPDX-License-Identifier: Apache-2.0
"""No layer imports one above it, and no two modules share a name."""

from __future__ import annotations

import collections
import pathlib
import re
import subprocess
import sys

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_PACKAGE = _REPOSITORY / 'cmnist_tfds'


def test_no_layer_imports_one_above_it():
  done = subprocess.run(
    [sys.executable, str(_REPOSITORY / 'scripts/check_layers.py')],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  layers = {line.split()[0] for line in done.stdout.splitlines()}
  table = (_REPOSITORY / 'CONTRIBUTING.md').read_text('utf-8')
  described = re.findall(r'`(\w+)(?:/|\.py)`', table.partition('## Add')[0])
  assert layers <= {*described}


def test_no_two_modules_share_a_name():
  names = collections.Counter(
    path.name
    for path in _PACKAGE.rglob('*.py')
    if path.name != '__init__.py' and 'templates' not in path.parts
  )
  assert [name for name, count in names.items() if count > 1] == []

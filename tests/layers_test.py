# SPDX-License-Identifier: Apache-2.0
"""No layer imports one above it, and no two modules share a name."""

from __future__ import annotations

import collections
import re

import running


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

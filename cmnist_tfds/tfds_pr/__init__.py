# SPDX-License-Identifier: Apache-2.0
"""Writes what a pull request to TFDS would add, from this package.

TFDS is to build CMNIST without this package and with its own writer. What CMNIST
is, and what TFDS is told of it, are modules of this package. The builder that
reads the origin files, and its test, are in `templates/`.
"""

from __future__ import annotations

import pathlib
import pprint
import re
import shutil

from cmnist_tfds import atomic, resources
from cmnist_tfds.cache import store
from cmnist_tfds.sources import tables

_PACKAGE = pathlib.Path(__file__).resolve().parent.parent
_DATASET = _PACKAGE / 'datasets/cmnist'

# In a checkout of TFDS.
FOLDER = 'tensorflow_datasets/datasets/cmnist'
# Modules of this package, by the names that TFDS gives them.
_MODULES = {
  '__init__.py': 'datasets/cmnist/__init__.py',
  'cmnist_dataset_builder.py': 'tfds_pr/templates/stock_builder.py',
  'cmnist_dataset_builder_test.py': 'tfds_pr/templates/stock_builder_test.py',
  'config.py': 'datasets/config.py',
  'errors.py': 'errors.py',
  'schema.py': 'schema.py',
  'sources/__init__.py': 'sources/__init__.py',
  'sources/declaration.py': 'sources/declaration.py',
  'subsets.py': 'subsets.py',
}
_DESCRIPTIONS = ('README.md', 'CITATIONS.bib', 'TAGS.txt')

_OUR_HEAD = '# SPDX-License-Identifier: Apache-2.0\n'
_HEAD_OF_TFDS = """\
# coding=utf-8
# Copyright 2026 The TensorFlow Datasets Authors.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""

# TFDS is to have the subsets of the paper alone.
_NO_REGISTRY = f'''{_OUR_HEAD}"""TFDS's copy of CMNIST has no sources beyond those of the paper."""

from __future__ import annotations

from cmnist_tfds.sources.declaration import Source


def extensions() -> tuple[Source, ...]:
  """Returns the sources beyond the eleven of the paper: none."""
  return ()


def faults() -> tuple[str, ...]:
  """Returns messages of declarations that cannot be used: none."""
  return ()
'''

_IMPORT = re.compile(r'^(\s*(?:from|import) )cmnist_tfds\b', re.MULTILINE)


def write(folder: pathlib.Path) -> pathlib.Path:
  """Writes the files a pull request to TFDS would add.

  Args:
    folder: The folder to write. Files of an earlier run there are replaced;
      `atomic.write_folder` says which other files it may hold.

  Returns:
    The folder of the dataset inside of it, laid out as in a checkout of TFDS:
    builder, test, what they import, README.md, CITATIONS.bib, TAGS.txt,
    checksums.tsv, and the sample as dummy data.

  Raises:
    PreparationError: If the folder may not or cannot be written.
  """
  with atomic.write_folder(
    folder, 'cmnist tfds-pr', [f'{FOLDER}/'], apart_from=[store.cache_dir()]
  ) as unfinished:
    dataset = unfinished / FOLDER
    (dataset / 'sources').mkdir(parents=True)
    for name, module in _MODULES.items():
      code = (_PACKAGE / module).read_text('utf-8')
      (dataset / name).write_text(_for_tfds(code), 'utf-8')
    (dataset / 'sources/tables.py').write_text(_for_tfds(_tables()), 'utf-8')
    (dataset / 'sources/registry.py').write_text(
      _for_tfds(_NO_REGISTRY), 'utf-8'
    )
    for name in _DESCRIPTIONS:
      shutil.copyfile(_DATASET / name, dataset / name)
    shutil.copyfile(
      resources.folder('checksums') / 'checksums.tsv', dataset / 'checksums.tsv'
    )
    sample = resources.folder('dummy_data')
    for path in sample.rglob('*.*'):
      copied = dataset / 'dummy_data' / path.relative_to(sample)
      copied.parent.mkdir(parents=True, exist_ok=True)
      # Not the mode: an installed package may be read-only.
      shutil.copyfile(path, copied)
  return folder / FOLDER


def _tables() -> str:
  """Returns the declarations of the sources as a module.

  TFDS packages no TOML files, and has no parser for them on Python 3.10.
  """
  literal = pprint.pformat(tables.TABLES, width=80, sort_dicts=False)
  return (
    f'{_OUR_HEAD}"""The declarations of the sources."""\n\nTABLES = {literal}\n'
  )


def _for_tfds(code: str) -> str:
  """Returns a module as TFDS has it: its own head, imports from its tree."""
  code = code.replace(_OUR_HEAD, _HEAD_OF_TFDS, 1)
  return _IMPORT.sub(rf'\1{FOLDER.replace("/", ".")}', code)

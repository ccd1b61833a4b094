# SPDX-License-Identifier: Apache-2.0
"""Writes what a pull request to TFDS would add, from this package.

TFDS is to build CMNIST without this package, by its stock road: what CMNIST is,
and what TFDS is told of it, are modules of this package; how files are read is a
builder of TFDS's plain kind, in `templates/`.
"""

from __future__ import annotations

import pathlib
import re
import shutil

from cmnist_tfds import atomic, resources

_PACKAGE = pathlib.Path(__file__).resolve().parent.parent
_TEMPLATES = _PACKAGE / 'tfds_pr/templates'
_DATASET = _PACKAGE / 'datasets/cmnist'

# In a checkout of TFDS.
FOLDER = 'tensorflow_datasets/datasets/cmnist'
# What CMNIST is, which examples a subset takes, what TFDS is told of it.
_MODULES = (
  'errors.py',
  'sources.py',
  'subsets.py',
  'selection.py',
  'datasets/config.py',
)
_DESCRIPTIONS = ('README.md', 'CITATIONS.bib', 'TAGS.txt')

_COPYRIGHT = re.compile(r'# Copyright (\d+) The cmnist_tfds Authors\.')
_IMPORT = re.compile(r'^(\s*(?:from|import) )cmnist_tfds\b', re.MULTILINE)


def write(folder: pathlib.Path) -> pathlib.Path:
  """Writes the files a pull request to TFDS would add.

  Args:
    folder: Where to; it must be new or empty. It appears when all is written.

  Returns:
    The folder of the dataset inside of it, laid out as in a checkout of TFDS:
    builder, test, what they import, README.md, CITATIONS.bib, TAGS.txt,
    checksums.tsv, and the sample as dummy data.

  Raises:
    PreparationError: If the folder is not empty.
    OSError: If a file cannot be written.
  """
  with atomic.write_folder(folder) as unfinished:
    dataset = unfinished / FOLDER
    dataset.mkdir(parents=True)
    for path in (
      *(_PACKAGE / module for module in _MODULES),
      *sorted(_TEMPLATES.glob('*.py')),
      _DATASET / '__init__.py',
    ):
      (dataset / path.name).write_text(
        _for_tfds(path.read_text('utf-8')), 'utf-8'
      )
    for name in _DESCRIPTIONS:
      shutil.copyfile(_DATASET / name, dataset / name)
    shutil.copyfile(
      resources.folder('checksums') / 'checksums.tsv', dataset / 'checksums.tsv'
    )
    shutil.copytree(resources.folder('dummy_data'), dataset / 'dummy_data')
  return folder / FOLDER


def _for_tfds(code: str) -> str:
  """Returns a module as TFDS has it: its own head, imports from its tree."""
  code = _COPYRIGHT.sub(
    r'# coding=utf-8\n# Copyright \1 The TensorFlow Datasets Authors.', code
  )
  return _IMPORT.sub(rf'\1{FOLDER.replace("/", ".")}', code)

# SPDX-License-Identifier: Apache-2.0
"""Writes what a pull request to TFDS would add.

TFDS is to build CMNIST without this package and with its own writer. The
builder, its test, checksums and description are in `templates/`, complete and in
TFDS's style. Citations and tags are those of this package.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import tempfile

from cmnist_tfds.system import atomic
from cmnist_tfds.system.errors import PreparationError, disk_errors

_TEMPLATES = pathlib.Path(__file__).resolve().parent / 'templates'
_DATASET = _TEMPLATES.parents[1] / 'datasets/cmnist'

# In a checkout of TFDS.
FOLDER = 'tensorflow_datasets/datasets/cmnist'
# The text of the pull request, next to the folder of TFDS.
TEXT = 'pull_request.md'

_COPIED = (
  *(_TEMPLATES / name for name in ('README.md', 'checksums.tsv')),
  *(_DATASET / name for name in ('CITATIONS.bib', 'TAGS.txt')),
)

# The line by which files of this package, but not of TFDS, begin.
_OUR_HEAD = '# SPDX-License-Identifier: Apache-2.0\n'


def text() -> str:
  """Returns the text of the pull request, in Markdown."""
  return (_TEMPLATES / TEXT).read_text('utf-8')


def write(folder: pathlib.Path) -> pathlib.Path:
  """Writes the files a pull request to TFDS would add, and its text.

  Args:
    folder: The folder to write. Files of an earlier run there are replaced;
      `atomic.write_folder` says which other files it may hold.

  Returns:
    The folder of the dataset inside of it, laid out as in a checkout of TFDS:
    builder, test, README.md, CITATIONS.bib, TAGS.txt and checksums.tsv.

  Raises:
    PreparationError: If the folder may not or cannot be written.
  """
  with atomic.write_folder(
    folder, 'cmnist tfds-pr', [f'{FOLDER}/', TEXT]
  ) as unfinished:
    _write_dataset(unfinished / FOLDER)
    (unfinished / TEXT).write_text(text(), 'utf-8')
  return folder / FOLDER


def write_into(checkout: pathlib.Path) -> pathlib.Path:
  """Adds the folder of the dataset to a checkout of TFDS, and nothing else.

  Args:
    checkout: The checkout.

  Returns:
    The folder of the dataset.

  Raises:
    PreparationError: If it is not a checkout of TFDS, has the dataset already,
      or cannot be written.
  """
  dataset = checkout / FOLDER
  if not dataset.parent.is_dir():
    raise PreparationError(
      f'{checkout} is not a checkout of TFDS: it has no {dataset.parent}. Give'
      ' the folder that `git clone https://github.com/tensorflow/datasets` made.'
    )
  if os.path.lexists(dataset):
    raise PreparationError(f'{dataset} exists already. Move it away first.')
  with (
    disk_errors(dataset),
    tempfile.TemporaryDirectory(
      prefix='.cmnist_tfds.', dir=checkout, ignore_cleanup_errors=True
    ) as folder,
  ):
    unfinished = pathlib.Path(folder, dataset.name)
    _write_dataset(unfinished)
    unfinished.rename(dataset)
  return dataset


def _write_dataset(dataset: pathlib.Path) -> None:
  """Writes the folder of the dataset."""
  dataset.mkdir(parents=True)
  for module in [p for p in _TEMPLATES.iterdir() if p.suffix == '.py']:
    code = module.read_text('utf-8').removeprefix(_OUR_HEAD)
    (dataset / module.name).write_text(code, 'utf-8')
  license_head = code.partition('"""')[0]
  (dataset / '__init__.py').write_text(
    f'{license_head}"""CMNIST dataset."""\n', 'utf-8'
  )
  for path in _COPIED:
    # Not the mode: an installed package may be read-only.
    shutil.copyfile(path, dataset / path.name)

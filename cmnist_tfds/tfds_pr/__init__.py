# SPDX-License-Identifier: Apache-2.0
"""Writes what a pull request to TFDS would add.

TFDS is to build CMNIST without this package and with its own writer. The
builder, its test, checksums and description are in `templates/`, complete and in
TFDS's style. Citations and tags are those of this package.
"""

from __future__ import annotations

import pathlib
import shutil

from cmnist_tfds.system import atomic

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
  names = [f'{FOLDER}/', TEXT]
  with atomic.write_folder(folder, 'cmnist tfds-pr', names) as unfinished:
    dataset = unfinished / FOLDER
    dataset.mkdir(parents=True)
    for module in [p for p in _TEMPLATES.iterdir() if p.suffix == '.py']:
      code = module.read_text('utf-8').removeprefix(_OUR_HEAD)
      (dataset / module.name).write_text(code, 'utf-8')
    head = code.partition('"""')[0] + '"""CMNIST dataset."""\n'
    (dataset / '__init__.py').write_text(head, 'utf-8')
    # Not the modes: an installed package may be read-only.
    for path in _COPIED:
      shutil.copyfile(path, dataset / path.name)
    shutil.copyfile(_TEMPLATES / TEXT, unfinished / TEXT)
  return folder / FOLDER

# SPDX-License-Identifier: Apache-2.0
"""Where the files lie that travel with the package."""

from __future__ import annotations

import pathlib

_PACKAGE = pathlib.Path(__file__).resolve().parent.parent

# Latin letters, kana, and the digits of all scripts that the sources have; made
# by scripts/make_font.py.
CLASS_NAMES_FONT = _PACKAGE / 'figures/class_names.ttf'

# Accuracies of the nearest neighbour, where they were measured; made by
# scripts/write_derived_files.py from the results.
DIFFICULTY = _PACKAGE / 'scoring/difficulty.tsv'


def folder(name: str) -> pathlib.Path:
  """Returns a folder that stands beside the package in its repository.

  An installed package holds the folder inside itself; in a checkout, and with
  `pip install -e`, it stands one level up.

  Args:
    name: 'checksums' or 'dummy_data'.

  Returns:
    The folder's path.
  """
  installed = _PACKAGE / name
  return installed if installed.is_dir() else _PACKAGE.parent / name

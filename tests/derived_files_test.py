# SPDX-License-Identifier: Apache-2.0
"""The files that `scripts/write_derived_files.py` writes are up to date."""

from __future__ import annotations

import pathlib
import runpy

import pytest

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_SCRIPT = runpy.run_path(
  str(_REPOSITORY / 'scripts' / 'write_derived_files.py')
)


@pytest.mark.parametrize(
  ('path', 'text'),
  _SCRIPT['derived_files']().items(),
  ids=lambda value: value.name if isinstance(value, pathlib.Path) else '',
)
def test_derived_file_is_up_to_date(path, text):
  assert (_REPOSITORY / path).read_text(encoding='utf-8') == text


def test_names_in_the_checksums_are_unique():
  rows = [line.split('\t') for line in _SCRIPT['checksums']().splitlines()]
  assert all(len(row) == 4 for row in rows)
  names = [row[3] for row in rows]
  assert len(set(names)) == len(names)

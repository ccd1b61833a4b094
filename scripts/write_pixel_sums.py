# SPDX-License-Identifier: Apache-2.0
"""Writes the sums of training pixels of sources whose files are at hand.

    CMNIST_ORIGIN_FILES=files python scripts/write_pixel_sums.py

Only sources of which all training files are there, and proved, get sums. Others
keep those that they have. A test compares the sums with the files.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib

from cmnist_tfds import origin, subsets
from cmnist_tfds.cache import pixel_sums, split_sources
from cmnist_tfds.sources import SOURCES, Source, registry
from cmnist_tfds.system.errors import OriginFileError


def sums_of(source: Source, files: pathlib.Path) -> list[list[int]]:
  """Returns the sums of each raw label of a source, from 0.

  Args:
    source: The source.
    files: The folder with origin files.

  Raises:
    OriginFileError: If a file is not there.
  """
  (found,) = split_sources.open_split(
    subsets.combine(source), 'train', origin.Locations(manual_dir=files)
  )
  sums: list[list[int]] = pixel_sums.summed(found).tolist()
  return sums


def main() -> None:
  """Writes the table."""
  files = pathlib.Path(os.environ['CMNIST_ORIGIN_FILES'])
  old = json.loads(pixel_sums.TABLE.read_text('utf-8'))
  new = {}
  for source in (*SOURCES, *registry.registry().extensions):
    key = source.digest or source.key
    with contextlib.suppress(OriginFileError):
      if source.train:
        new[key] = sums_of(source, files)
    if key in old:
      new.setdefault(key, old[key])
  lines = (f'"{key}": {json.dumps(rows)}' for key, rows in new.items())
  text = '{\n' + ',\n'.join(lines) + '\n}\n'
  pixel_sums.TABLE.write_text(text, 'utf-8')


if __name__ == '__main__':
  main()

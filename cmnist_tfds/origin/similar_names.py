# SPDX-License-Identifier: Apache-2.0
"""Files whose names are like that of a missing file, and why they do not serve."""

from __future__ import annotations

import difflib
import pathlib
from collections.abc import Iterator

from cmnist_tfds.origin import locations as locations_lib
from cmnist_tfds.origin import verification
from cmnist_tfds.origin.locations import Locations
from cmnist_tfds.sources import SOURCES, OriginFile
from cmnist_tfds.system.disk_errors import disk_errors
from cmnist_tfds.system.errors import OriginFileError

# The least likeness of names, from 0 to 1. One wrong letter leaves more.
_ALIKE = 0.9

# A message lists no more.
_FEW = 5


def describe(file: OriginFile, locations: Locations) -> list[str]:
  """Describes what lies where a file is looked for, under a similar name.

  Args:
    file: The missing file.
    locations: The locations that were looked in.

  Returns:
    For each file found, at most five, its path and why it does not serve.
  """
  published = (file, *file.equivalents, *filter(None, [file.archive]))
  found = [
    f'{path}: {_why(wanted, path, folder / wanted.path)}'
    for folder in locations_lib.folders(file, locations)
    for wanted in published
    for path in _similar(folder, wanted)
  ]
  return list(dict.fromkeys(found))[:_FEW]


def _similar(
  folder: pathlib.Path, wanted: OriginFile
) -> Iterator[pathlib.Path]:
  """Yields files with similar names in a folder, and in that of the file."""
  target = folder / wanted.path
  stem = _stem(wanted.name)
  # Some origin files have names that are as alike.
  others = {
    _stem(form.name)
    for source in SOURCES
    for file in source.origin_files
    for form in (file, *file.equivalents)
  } - {stem}
  for place in dict.fromkeys([target.parent, folder]):
    if not place.is_dir():
      continue
    with disk_errors(place, error=OriginFileError):
      names = sorted(path.name for path in place.iterdir() if path.is_file())
    for name in names:
      found = _stem(name)
      if found in others:
        continue
      ratio = difflib.SequenceMatcher(None, stem, found).ratio()
      # "train" and "test" in a name tell its parts from each other.
      same_part = ('train' in stem) == ('train' in found)
      alike = stem in found or (same_part and ratio >= _ALIKE)
      # The declaration of a source may be called as its files are.
      if alike and place / name != target and not name.endswith('.toml'):
        yield place / name


def _stem(name: str) -> str:
  """Returns a name without its suffixes, in lower case."""
  return name.partition('.')[0].lower()


def _why(wanted: OriginFile, path: pathlib.Path, target: pathlib.Path) -> str:
  """Returns why a file with a similar name does not serve."""
  size = path.stat().st_size
  with disk_errors(path, error=OriginFileError), path.open('rb') as stream:
    wrong = verification.recognize_wrong_file(wanted, stream, size)
    right = not wrong and verification.prove(wanted, stream, size)
  if right:
    return f'it is the right file; move it to {target}'
  return wrong or verification.mismatch(wanted, size)

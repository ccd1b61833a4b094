# SPDX-License-Identifier: Apache-2.0
"""Describes missing files together: their sizes, and how to get them."""

from __future__ import annotations

import itertools
import pathlib
from collections.abc import Iterable, Iterator

from cmnist_tfds.origin import locations as locations_lib
from cmnist_tfds.origin import packings
from cmnist_tfds.origin.locations import Locations
from cmnist_tfds.sources import OriginFile, Source


def group_of(file: OriginFile) -> str:
  """Returns what a file comes with: its archive, else its folder."""
  if file.archive:
    return file.archive.path
  return file.path.rpartition('/')[0] or file.path


def how_to_get(files: Iterable[OriginFile], folder: pathlib.Path | None) -> str:
  """Describes how a user gets the files of a group and where to put them.

  Args:
    files: Files of one group, at least one.
    folder: The manual folder, or None if it is not known.

  Returns:
    The end of a sentence, as `locations.how_to_get` returns it for one file.
  """
  published = list(dict.fromkeys(file.archive or file for file in files))
  homes = {
    file.urls[0].removesuffix(file.name) if file.urls else ''
    for file in published
  }
  folders = {file.path.removesuffix(file.name) for file in published}
  besides = {file.beside for file in published}
  together = len(homes) == len(folders) == len(besides) == 1
  if len(published) == 1 or not together:
    return ' '.join(locations_lib.how_to_get(f, folder) for f in published)
  home = homes.pop()
  each = OriginFile(
    path=f'{folders.pop()}<name>',
    urls=(f'{home}<name>',) if home else (),
    beside=besides.pop(),
  )
  return locations_lib.how_to_get(each, folder).replace(' it ', ' each ', 1)


def describe(sources: Iterable[Source], locations: Locations) -> Iterator[str]:
  """Describes the files of sources that are not on disk.

  Args:
    sources: The sources.
    locations: The locations to look in. Nothing is downloaded or verified.

  Yields:
    Lines: for each group its name, then its files with their sizes, then what
    to do.
  """
  missing = [
    file
    for source in sources
    for file, shape in source.origin_files.items()
    if not _is_there(file, shape, locations)
  ]
  missing.sort(key=group_of)
  for group, grouped in itertools.groupby(missing, group_of):
    files = list(grouped)
    yield f'{group}:'
    for file in files:
      size = f', {file.size:,} bytes' if file.size else ''
      yield f'- {file.name}{size}'
    yield f'  To go on, {how_to_get(files, locations.manual_dir)}'


def _is_there(
  file: OriginFile, shape: tuple[int, ...], locations: Locations
) -> bool:
  """Returns whether a file, or a folder of pictures, is on disk."""
  folders = locations_lib.folders(file, locations)
  return (
    any((folder / file.path).exists() for folder in folders)
    or any(locations_lib.copies_on_disk(file, locations))
    # Arrays of other sources have the same shape.
    or any(
      map(packings.is_namesake, packings.packed_copies(file, shape, locations))
    )
  )

# SPDX-License-Identifier: Apache-2.0
"""Checks that the places a user has named hold something of use."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterable

from cmnist_tfds.origin import locations, mirror_address, packings
from cmnist_tfds.origin.locations import Locations
from cmnist_tfds.sources import SOURCES, Source
from cmnist_tfds.system import paths
from cmnist_tfds.system.errors import NamedPlaceError

# A message lists no more files.
_FEW = 5


def check(
  manual_dir: str | None,
  mirror: str | None,
  sources: Iterable[Source] = (),
) -> None:
  """Checks the places before anything is downloaded.

  An HTTP address is not asked: it is used for each file that it serves.

  Args:
    manual_dir: The manual folder if the user has named one.
    mirror: The user's mirror.
    sources: Sources whose files are wanted. Those of other sources of the paper
      are of use as well.

  Raises:
    NamedPlaceError: If a mirror is no address, or a folder does not exist or
      holds no origin file.
  """
  named = [*sources]
  wanted = dict.fromkeys([*SOURCES, *named])
  folders: dict[str, pathlib.Path] = {}
  if manual_dir:
    folders['manual_dir'] = paths.expanded(manual_dir)
  address = mirror_address.parse(mirror) if mirror else None
  if isinstance(address, pathlib.Path):
    folders['mirror'] = address
  for name, folder in folders.items():
    if not folder.is_dir():
      what = 'is no folder' if folder.exists() else 'does not exist'
      raise NamedPlaceError(
        f'the {name} {folder} {what}. Correct it, or leave it out'
      )
    if not any(_holds(folder, source) for source in wanted):
      found = [path.name for path in packings.files_below(folder)]
      file = next(iter([*named, *SOURCES][0].origin_files))
      likely = folder / (file.archive or file).path
      raise NamedPlaceError(
        f'the {name} {folder} holds no origin file, but'
        f' {", ".join(found[:_FEW]) or "nothing"}. Expected, for example,'
        f' {likely}. Put files there, unpack archives that are there, correct'
        ' the path, or leave it out'
      )


def _holds(folder: pathlib.Path, source: Source) -> bool:
  """Returns whether a folder holds a file, or pictures, of a source."""
  found_in = Locations(manual_dir=folder)
  # What lies beside a declaration is not in the folder.
  files = {
    dataclasses.replace(file, beside=None): shape
    for file, shape in source.origin_files.items()
  }
  return any(
    (folder / file.path).exists()
    or any(locations.copies_on_disk(file, found_in))
    or any(packings.packed_copies(file, shape, found_in))
    for file, shape in files.items()
  )

# SPDX-License-Identifier: Apache-2.0
"""Fills a folder with origin files, for use as a mirror or manual folder."""

from __future__ import annotations

import contextlib
import io
import os
import pathlib
from collections.abc import Iterable, Iterator

import msgspec

from cmnist_tfds.origin import fetch, verification
from cmnist_tfds.origin import locations as locations_lib
from cmnist_tfds.origin.locations import Copy, Locations
from cmnist_tfds.sources import OriginFile, Source
from cmnist_tfds.system import atomic
from cmnist_tfds.system.errors import OriginFileError, disk_errors


def fill(
  folder: pathlib.Path, sources: Iterable[Source], locations: Locations
) -> Iterator[tuple[OriginFile, str, str]]:
  """Fills a folder with the files of some sources, each proved by its hash.

  No file that the folder has is changed: one that is not the right one is
  reported and stays. Several processes may fill one folder at the same time.

  Args:
    folder: The folder. It is made if it does not exist.
    sources: The sources.
    locations: The locations files are taken from.

  Yields:
    Each file; the path or URL it was taken from, empty if the folder had it;
    and why the folder lacks it and what to do, empty if it has it.

  Raises:
    OriginFileError: If the folder cannot be made.
  """
  with disk_errors(folder, error=OriginFileError):
    folder.mkdir(parents=True, exist_ok=True)
  files: dict[tuple[str, str | None], OriginFile] = {}
  for source in sources:
    for file, shape in source.origin_files.items():
      # Pictures, and tables that list them, are many members of an archive.
      wanted = file.archive if file.archive and not shape else file
      # Arrays of one NPZ file are one file.
      files.setdefault((wanted.path, wanted.md5), wanted)
  for file in files.values():
    try:
      yield file, _fill_one(file, folder, locations), ''
    except OriginFileError as error:
      remedy = locations_lib.how_to_get(file, folder)
      yield file, '', f'{error}. {remedy}'


def _fill_one(
  file: OriginFile, folder: pathlib.Path, locations: Locations
) -> str:
  """Returns what a file was taken from, '' if the folder has it."""
  # The folder of a declaration is another one.
  own = msgspec.structs.replace(file, beside=None)
  for copy in locations_lib.copies_on_disk(own, Locations(manual_dir=folder)):
    if _proved(copy):
      return ''
  for copy in locations_lib.copies_on_disk(file, locations):
    target = folder / copy.file.path
    if not os.path.lexists(target) and (data := _proved(copy)):
      with disk_errors(folder, error=OriginFileError):
        target.parent.mkdir(parents=True, exist_ok=True)
      atomic.write_file(target, data)
      return str(copy)
  return fetch.fetch(file, folder, locations)


def _proved(copy: Copy) -> bytes:
  """Returns the bytes of a copy if its hash proves them, else none."""
  # A damaged one is not the right one.
  with contextlib.suppress(OriginFileError), copy.open() as (stream, size):
    data = stream.read()
    if verification.prove(copy.file, io.BytesIO(data), size):
      return data
  return b''

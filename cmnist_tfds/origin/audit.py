# SPDX-License-Identifier: Apache-2.0
"""Goes over origin files: tells which are right, and fills folders with them."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import hashlib
import itertools
import os
import pathlib
from collections.abc import Iterable, Iterator

import msgspec

from cmnist_tfds.origin import load_split, verification
from cmnist_tfds.origin import locations as locations_lib
from cmnist_tfds.origin.locations import Copy, Locations
from cmnist_tfds.origin.reader import Reader, read_copy
from cmnist_tfds.origin.verification import Proof
from cmnist_tfds.sources import OriginFile, Source
from cmnist_tfds.system import atomic
from cmnist_tfds.system.errors import CmnistError, OriginFileError, disk_errors


@dataclasses.dataclass
class Finding:
  """The state of one origin file.

  Attributes:
    file: The file.
    copy: The right copy, else the first wrong one at its place, else None.
    proof: The proof of the copy, None if it is not the right one.
    fault: What is wrong and what to do about it, empty if nothing is wrong.
    sha256: SHA-256 of the copy, if hashes were requested.
    fingerprint: Fingerprint of the array in the copy, if hashes were requested
      and the array can be read.
  """

  file: OriginFile
  copy: Copy | None = None
  proof: Proof | None = None
  fault: str = ''
  sha256: str = ''
  fingerprint: str = ''


def audit(
  sources: Iterable[Source], locations: Locations, *, hashes: bool = False
) -> Iterator[Finding]:
  """Examines all files of some sources. Fetches nothing.

  Args:
    sources: The sources.
    locations: The locations to look in.
    hashes: Whether to compute hashes. They let a user report a file that has
      no recorded fingerprint.

  Yields:
    One finding per file.
  """
  locations = dataclasses.replace(locations, offline=True)
  for source in sources:
    found: dict[OriginFile, Finding] = {}
    for split, declared in source.splits.items():
      reader = Reader(locations)
      for file, shape in declared.files.items():
        fault = ''
        try:
          if shape:
            reader.read(file, shape)
          elif file.path not in reader.copies:
            # Tables and pictures are only told by reading all of them.
            pieces = load_split.load_pieces(source, split, reader)
            collections.deque(pieces, maxlen=0)
        # A table needs a library, which may not be installed.
        except CmnistError as error:
          fault = str(error)
        copy, proof = reader.copies.get(file.path), reader.proofs.get(file.path)
        found[file] = Finding(file, copy, proof, '' if proof else fault)
        if hashes and copy and copy.path.is_file():
          # `Finding.fault` says why a copy cannot be read.
          with contextlib.suppress(CmnistError):
            found[file].sha256 = hashlib.sha256(copy.read()).hexdigest()
            if shape:
              array, _, _ = read_copy(copy, file, shape)
              found[file].fingerprint = verification.fingerprint(array)
    yield from found.values()


def missing(sources: Iterable[Source], locations: Locations) -> list[str]:
  """Returns a line for each file of sources that is not on disk, and remedies.

  Args:
    sources: The sources.
    locations: The locations to look in. Nothing is fetched.
  """
  files = [f.file for f in audit(sources, locations) if not f.copy]
  lines = [f'- {f.path}' + f', {f.size:,} bytes' * bool(f.size) for f in files]
  return [*lines, *remedies(files, locations.manual_dir)]


def remedies(
  files: Iterable[OriginFile], manual_dir: pathlib.Path | None
) -> Iterator[str]:
  """Yields how to get files: a sentence for those of each folder."""
  for _, group in itertools.groupby(files, lambda f: f.path.rpartition('/')[0]):
    ways = dict.fromkeys(locations_lib.how_to_get(f, manual_dir) for f in group)
    more = f'; {len(ways) - 1} more likewise' if len(ways) > 1 else ''
    yield f'{next(iter(ways))}{more}.'


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
      yield file, _take(file, folder, locations), ''
    except OriginFileError as error:
      yield file, '', f'{error}. {locations_lib.how_to_get(file, folder)}'


def _take(file: OriginFile, folder: pathlib.Path, locations: Locations) -> str:
  """Returns what a file was taken from, '' if the folder has it."""
  # The folder of a declaration is another one.
  own = msgspec.structs.replace(file, beside=None)
  here = Locations(manual_dir=folder)
  if any(_proved(locations_lib.copies_on_disk(own, here))):
    return ''
  for copy, data in _proved(locations_lib.copies_on_disk(file, locations)):
    target = folder / copy.file.path
    if not os.path.lexists(target):
      with disk_errors(folder, error=OriginFileError):
        target.parent.mkdir(parents=True, exist_ok=True)
      atomic.write_file(target, data)
      return str(copy)
  # It imports an HTTP library.
  from cmnist_tfds.origin import fetch

  return fetch.fetch(file, folder, locations)


def _proved(copies: Iterable[Copy]) -> Iterator[tuple[Copy, bytes]]:
  """Yields the copies that their hashes prove, and their bytes."""
  for copy in copies:
    with contextlib.suppress(OriginFileError):  # It is damaged.
      data = copy.read()
      if not verification.prove(copy.file, data)[1]:
        yield copy, data

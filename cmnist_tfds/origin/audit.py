# SPDX-License-Identifier: Apache-2.0
"""Reports where each origin file is and whether it is the right one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from cmnist_tfds.origin import load_split, verification
from cmnist_tfds.origin import locations as locations_lib
from cmnist_tfds.origin.locations import Copy, Locations
from cmnist_tfds.origin.verification import Proof
from cmnist_tfds.sources import OriginFile, Source
from cmnist_tfds.system.errors import OriginFileError, PreparationError


@dataclasses.dataclass(frozen=True)
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

  @property
  def is_missing(self) -> bool:
    """Whether there is no copy, right or wrong."""
    return self.copy is None


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
      if () in declared.files.values():
        found |= _examine_split(source, split, locations)
      else:
        for file, shape in declared.files.items():
          found[file] = _examine(file, shape, locations, hashes)
    yield from found.values()


def _examine(
  file: OriginFile, shape: tuple[int, ...], locations: Locations, hashes: bool
) -> Finding:
  """Examines the copies of a file until one is right."""
  reader = load_split.Reader(locations)
  fault = ''
  try:
    array = reader.array(file, shape)
  # A table needs a library, which may not be installed.
  except (OriginFileError, PreparationError) as error:
    fault = str(error)
  copy = reader.copies.get(file.path) or next(
    locations_lib.copies_on_disk(file, locations), None
  )
  finding = Finding(file, copy, reader.proofs.get(file.path), fault)
  if not hashes or copy is None:
    return finding
  sha256 = fingerprint = ''
  try:
    with copy.open() as (stream, _):
      sha256 = verification.sha256(stream)
    if fault:
      array, _ = load_split.read_copy(copy, file, shape, shorter=True)
    fingerprint = verification.fingerprint(array)
  except OriginFileError:
    pass  # The fault says why it cannot be read.
  return dataclasses.replace(finding, sha256=sha256, fingerprint=fingerprint)


def _examine_split(
  source: Source, split: str, locations: Locations
) -> dict[OriginFile, Finding]:
  """Examines tables or pictures of a split, by reading all of them."""
  files = list(source.splits[split].files)
  try:
    *_, chunk = load_split.load_pieces(source, split, locations)
  except (OriginFileError, PreparationError) as error:
    file = files[0]
    for folder in locations_lib.folders(file, locations):
      for form in (file, file.archive):
        if form and (path := folder / form.path).exists():
          return {file: Finding(file, Copy(file, path), fault=str(error))}
    return {file: Finding(file, fault=str(error))}
  return {
    file: Finding(file, chunk.copies[file.path], chunk.proofs[file.path])
    for file in files
    if file.path in chunk.proofs
  }


def missing(sources: Iterable[Source], locations: Locations) -> list[str]:
  """Returns a line for each file of sources that is not on disk.

  Args:
    sources: The sources.
    locations: The locations to look in. Nothing is fetched.
  """
  lines = []
  for file in (f.file for f in audit(sources, locations) if f.is_missing):
    size = f', {file.size:,} bytes' if file.size else ''
    remedy = locations_lib.how_to_get(file, locations.manual_dir)
    lines.append(f'- {file.path}{size}. {remedy}.')
  return lines

# SPDX-License-Identifier: Apache-2.0
"""Reports where each origin file is and whether it is the right one."""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
from collections.abc import Iterable, Iterator

from cmnist_tfds.origin import load_split, packings, recreation, verification
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
    copy: The first right copy, else the first wrong one, else None.
    size: The size of the copy in bytes, None if there is no readable copy.
    proof: The proof of the copy, None if there is none.
    fault: What is wrong and what to do about it, empty if nothing is wrong.
    sha256: SHA-256 of the copy, if hashes were requested.
    fingerprint: Fingerprint of the array in the copy, if hashes were requested
      and the array can be read.
  """

  file: OriginFile
  copy: Copy | None = None
  size: int | None = None
  proof: Proof | None = None
  fault: str = ''
  sha256: str | None = None
  fingerprint: str | None = None


def audit(
  sources: Iterable[Source], locations: Locations, *, hashes: bool = False
) -> Iterator[Finding]:
  """Examines all files of some sources. Downloads nothing.

  Args:
    sources: The sources.
    locations: The locations to look in.
    hashes: Whether to compute hashes. They let a user report a file that has
      no recorded fingerprint.

  Yields:
    One finding per file.
  """
  for source in sources:
    for file, shape in source.origin_files.items():
      if shape:
        yield _audit_file(file, shape, locations, hashes=hashes)
    # Train and test may be chosen from the same files.
    told = set()
    for split, declared in source.splits.items():
      if () in declared.files.values():
        for finding in _audit_split(source, split, locations):
          if (found := (finding.file, finding.fault)) not in told:
            told.add(found)
            yield finding


def _audit_split(
  source: Source, split: str, locations: Locations
) -> Iterator[Finding]:
  """Examines tables or pictures of a split, by reading all of them."""
  files = source.splits[split].files
  found_at = {
    file: path
    for file in files
    for folder in reversed(locations_lib.folders(file, locations))
    for form in (file.archive, file)
    if form and (path := folder / form.path).exists()
  }
  try:
    for piece in load_split.load_pieces(source, split, locations):
      proofs = piece.proofs
  except OriginFileError as error:
    file = next(iter(files))
    copy = Copy(file, found_at[file]) if file in found_at else None
    yield Finding(file, copy, fault=str(error))
    return
  for file, path in found_at.items():
    proof = proofs.get(file.path) or (
      proofs.get(file.archive.path) if file.archive else None
    )
    size = path.stat().st_size if path.is_file() else None
    yield Finding(file, Copy(file, path, file.member), size, proof)


def _audit_file(
  file: OriginFile,
  shape: tuple[int, ...],
  locations: Locations,
  *,
  hashes: bool,
) -> Finding:
  """Examines the copies of a file until one is right."""
  wrong = None
  copies = itertools.chain(
    locations_lib.copies_on_disk(file, locations),
    packings.packed_copies(file, shape, locations),
  )
  for copy in copies:
    finding = _examine(
      file, copy, shape, hashes=hashes, learnt=locations.learnt
    )
    if not finding.fault:
      return finding
    # Arrays of other sources have the same shape.
    if packings.is_namesake(copy):
      wrong = wrong or finding
  missing = 'missing: ' + locations_lib.how_to_get(file, locations.manual_dir)
  learnt = recreation.read_learnt(locations.learnt).get(file.path, {})
  return wrong or Finding(
    file,
    fault=missing,
    fingerprint=str(learnt['fingerprint'])
    if hashes and 'fingerprint' in learnt
    else None,
  )


def _examine(
  file: OriginFile,
  copy: Copy,
  shape: tuple[int, ...],
  *,
  hashes: bool,
  learnt: pathlib.Path | None,
) -> Finding:
  try:
    with copy.open() as (stream, size):
      proof = verification.prove(copy.file, stream, size)
      sha256 = None
      if hashes:
        stream.seek(0)
        sha256 = verification.hashes(stream, size, ('sha256',))['sha256']
  except OriginFileError as error:
    return Finding(file, copy, fault=f'{copy}: {error}')
  fault, fingerprint = '', None
  if proof is None:
    try:
      array, proof = load_split.read_copy(copy, shape, learnt=learnt)
      fingerprint = verification.fingerprint(array) if hashes else None
    # A table needs a library, which may not be installed.
    except (OriginFileError, PreparationError) as error:
      fault = str(error)
  if hashes and fingerprint is None:
    fingerprint = _fingerprint(copy, shape)
  return Finding(file, copy, size, proof, fault, sha256, fingerprint)


def _fingerprint(copy: Copy, shape: tuple[int, ...]) -> str | None:
  try:
    array, _ = load_split.read_copy(copy, shape, allow_unverified=True)
  except (OriginFileError, PreparationError):
    return None  # `Finding.fault` gives the reason.
  return verification.fingerprint(array)

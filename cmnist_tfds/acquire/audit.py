# Copyright 2026 The cmnist_tfds Authors.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Tells of each origin file where it is and whether it is the right one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from cmnist_tfds.acquire import places as places_lib
from cmnist_tfds.acquire import proofs, splits
from cmnist_tfds.acquire.places import Copy, Places
from cmnist_tfds.acquire.proofs import Proof
from cmnist_tfds.errors import OriginFileError
from cmnist_tfds.sources import OriginFile, Source


@dataclasses.dataclass(frozen=True)
class Finding:
  """What was found of one origin file.

  Attributes:
    file: The file.
    copy: The copy that is used, or else is wrong; None if there is none.
    size: Its size in bytes.
    proof: What proves it, None if nothing does.
    fault: What is wrong and what to do, empty if nothing is.
    sha256: SHA-256 of the copy's bytes, if hashes were asked for.
    fingerprint: Hash of the array in it, if hashes were asked for and it can be
      read.
  """

  file: OriginFile
  copy: Copy | None = None
  size: int | None = None
  proof: Proof | None = None
  fault: str = ''
  sha256: str | None = None
  fingerprint: str | None = None


def audit(
  sources: Iterable[Source], places: Places, *, hashes: bool = False
) -> Iterator[Finding]:
  """Examines all files of some sources; downloads nothing.

  Args:
    sources: The sources.
    places: Where to look.
    hashes: Whether to compute hashes, by which somebody can report a file that
      no fingerprint is recorded of.

  Yields:
    One finding per file.
  """
  for source in sources:
    for split in source.splits.values():
      for file, shape in splits.files_of(split):
        yield _audit_file(file, shape, places, hashes=hashes)


def _audit_file(
  file: OriginFile, shape: tuple[int, ...], places: Places, *, hashes: bool
) -> Finding:
  """Returns the finding on the first right copy, else on the first wrong one."""
  wrong = None
  for copy in places_lib.copies_on_disk(file, places):
    finding = _examine(file, copy, shape, hashes=hashes)
    if not finding.fault:
      return finding
    wrong = wrong or finding
  missing = 'missing: ' + places_lib.say_how_to_get(file, places.manual_dir)
  return wrong or Finding(file, fault=missing)


def _examine(
  file: OriginFile, copy: Copy, shape: tuple[int, ...], *, hashes: bool
) -> Finding:
  try:
    with copy.open() as (stream, size):
      proof = proofs.prove(copy.file, stream, size)
      sha256 = None
      if hashes:
        stream.seek(0)
        sha256 = proofs.hashes(stream, size, ('sha256',))['sha256']
  except OriginFileError as error:
    return Finding(file, copy, fault=f'{copy}: {error}')
  fault, fingerprint = '', None
  if proof is None:
    try:
      _, proof = splits.read_copy(copy, shape)
    except OriginFileError as error:
      fault = str(error)
  if hashes:
    fingerprint = _fingerprint(copy, shape)
  return Finding(file, copy, size, proof, fault, sha256, fingerprint)


def _fingerprint(copy: Copy, shape: tuple[int, ...]) -> str | None:
  try:
    array, _ = splits.read_copy(copy, shape, allow_unverified=True)
  except OriginFileError:
    return None  # The finding says why.
  return proofs.fingerprint(array)

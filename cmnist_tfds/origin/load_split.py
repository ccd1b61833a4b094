# SPDX-License-Identifier: Apache-2.0
"""Loads a split of a source: verified arrays from its origin files."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import math
import pathlib
from collections.abc import Iterator

import numpy as np

from cmnist_tfds.errors import OriginFileError
from cmnist_tfds.formats import idx_npz
from cmnist_tfds.origin import locations as locations_lib
from cmnist_tfds.origin import verification
from cmnist_tfds.origin.locations import Copy, Locations
from cmnist_tfds.origin.verification import Proof
from cmnist_tfds.sources import OriginFile, Source

# Images that are transposed at a time, so that no second copy of a large split
# is made in memory.
_TRANSPOSED_AT_ONCE = 8192

# A file may take as many bytes as twice its array and this. An array that was
# saved without compression takes little more than itself.
_OVERHEAD = 1 << 20

# Bytes that are read at a time.
_BLOCK = 1 << 19


@dataclasses.dataclass(frozen=True)
class SplitArrays:
  """The arrays of a split of a source.

  Attributes:
    images: uint8 (n, 28, 28), C-contiguous, upright.
    labels: uint8 (n,), the raw labels.
    proofs: The proof of each origin file, by the path of the file, for example
      'emnist/emnist-mnist-train-images-idx3-ubyte.gz'.
  """

  images: np.ndarray
  labels: np.ndarray
  proofs: dict[str, Proof]


def load_split(
  source: Source,
  split: str,
  locations: Locations,
  *,
  allow_unverified: bool = False,
) -> SplitArrays:
  """Finds the two files of a split, verifies them, and reads them.

  Args:
    source: The source.
    split: 'train' or 'test'.
    locations: The locations to look in.
    allow_unverified: Whether to accept well-formed files that nothing proves,
      even if they have fewer examples than the source has.

  Returns:
    Images, labels and the proofs of their files.

  Raises:
    OriginFileError: If no location holds the right file. The message lists the
      locations and what is wrong at each of them.
  """
  expected = source.splits[split]
  (images, images_proof), (labels, labels_proof) = (
    _read_file(file, shape, locations, allow_unverified=allow_unverified)
    for file, shape in expected.files.items()
  )
  if len(images) != len(labels):
    raise OriginFileError(
      f'{expected.images.path} has {len(images):,} images and'
      f' {expected.labels.path} has {len(labels):,} labels: expected equal'
      ' numbers. Fetch both files from the same origin.'
    )
  _check_labels(source, split, labels, allow_unverified=allow_unverified)
  if source.transposed:
    _transpose_in_place(images)
  return SplitArrays(
    images=images,
    labels=labels,
    proofs={
      expected.images.path: images_proof,
      expected.labels.path: labels_proof,
    },
  )


def find_proved_copy(file: OriginFile, locations: Locations) -> Copy | None:
  """Finds a copy on disk that is proved by its hash.

  Args:
    file: The file that is wanted. Copies of its equivalents count too.
    locations: The locations to look in. Nothing is downloaded.

  Returns:
    The first copy with the published hash, or None if there is none.
  """
  for copy in locations_lib.copies_on_disk(file, locations):
    with contextlib.suppress(OriginFileError), copy.open() as (stream, size):
      if verification.prove(copy.file, stream, size):
        return copy
  return None


def read_copy(
  copy: Copy, shape: tuple[int, ...], *, allow_unverified: bool = False
) -> tuple[np.ndarray, Proof]:
  """Verifies a copy of an origin file and reads the array in it.

  The copy is read once: what is hashed is what is decoded, even if another
  process writes to the file.

  Args:
    copy: The copy.
    shape: The expected shape of the array.
    allow_unverified: Whether to accept an array that nothing proves, even if
      its first axis is shorter.

  Returns:
    The array as it is in the file, and its proof.

  Raises:
    OriginFileError: If the copy is damaged or not the right file.
  """

  def check_shape(found: tuple[int, ...]) -> None:
    shorter_allowed = allow_unverified and len(found) == len(shape)
    if found[1:] != shape[1:] or (
      found[:1] > shape[:1] if shorter_allowed else found != shape
    ):
      raise OriginFileError(
        f'expected an array of shape {shape}, found {found}'
      )

  file, wrong = copy.file, None
  largest = 2 * math.prod(shape) + _OVERHEAD
  try:
    with copy.open() as (stream, size):
      reader = verification.ProvingReader(file, stream, size)
      try:
        if size > largest:
          raise OriginFileError(
            f'expected at most {largest:,} bytes, found {size:,}'
          )
        buffered = io.BufferedReader(reader, _BLOCK)
        array = idx_npz.read_array(buffered, size, check_shape)
        proof = reader.proof()
      except OriginFileError as error:
        # A damaged file is not the published one; `mismatch` describes how.
        stream.seek(0)
        wrong = verification.recognize_wrong_file(file, stream, size)
        mismatch = verification.mismatch(file, size)
        raise OriginFileError(wrong or f'{error}; {mismatch}') from error
      if proof is None:
        stream.seek(0)
        wrong = verification.recognize_wrong_file(file, stream, size)
  except OriginFileError as error:
    raise OriginFileError(f'{copy}: {error}') from error
  if (
    proof is None
    and file.fingerprint is not None
    and verification.fingerprint(array) == file.fingerprint
  ):
    proof = Proof.FINGERPRINT
  if proof is None:
    if not allow_unverified:
      raise OriginFileError(
        f'{copy}: {wrong or _why_unverified(file, size)}. To use it anyway,'
        ' allow unverified files (--allow_unverified)'
      )
    proof = Proof.NONE
  return array, proof


def _why_unverified(file: OriginFile, size: int) -> str:
  return verification.mismatch(file, size) + (
    ', and no fingerprint of its content is known'
    if file.fingerprint is None
    else ', and its content is not the published one'
  )


def _read_file(
  file: OriginFile,
  shape: tuple[int, ...],
  locations: Locations,
  *,
  allow_unverified: bool,
) -> tuple[np.ndarray, Proof]:
  """Reads a file from the first location that holds the right one."""
  # A proved copy is better than an unverified one that comes first.
  if allow_unverified and (proved := find_proved_copy(file, locations)):
    return read_copy(proved, shape)
  faults: list[str] = []
  for copy in _copies(file, locations, faults):
    try:
      return read_copy(copy, shape, allow_unverified=allow_unverified)
    except OriginFileError as error:
      remedy = '. Delete it to fetch it anew' if copy.cached else ''
      faults.append(f'{error}{remedy}')
  raise OriginFileError(_describe_missing(file, locations, faults))


def _copies(
  file: OriginFile, locations: Locations, faults: list[str]
) -> Iterator[Copy]:
  """Yields copies on disk, then downloads; appends failures to `faults`."""
  yield from locations_lib.copies_on_disk(file, locations)
  if locations.download is None:
    return
  for fetched, url in locations_lib.urls(file, locations.mirror):
    try:
      path = pathlib.Path(locations.download(url))
    except OriginFileError as error:
      faults.append(str(error))
      continue
    forms = (file, *file.equivalents)
    if fetched in forms:
      yield Copy(fetched, path, cached=True)
    else:
      form = next(form for form in forms if form.archive == fetched)
      yield Copy(form, path, form.member, cached=True)


def _describe_missing(
  file: OriginFile, locations: Locations, faults: list[str]
) -> str:
  """Describes what is wrong at each location, and what to do."""
  if faults:
    # All URLs of an unreachable host have the same fault.
    found = f'no right copy of {file.path}:\n' + '\n'.join(
      f'- {fault}' for fault in dict.fromkeys(faults)
    )
  else:
    looked = ', '.join(map(str, locations.folders)) or 'no folder'
    found = f'{file.path} was not found (looked in: {looked})'
  remedy = locations_lib.how_to_get(file, locations.manual_dir)
  return f'{found}\nTo go on, {remedy}'


def _check_labels(
  source: Source, split: str, labels: np.ndarray, *, allow_unverified: bool
) -> None:
  """Checks the range of labels and, of verified files, their counts."""
  path = source.splits[split].labels.path
  first, last = source.raw_labels[0], source.raw_labels[-1]
  counts = np.bincount(labels, minlength=last + 1)
  if counts[:first].any() or len(counts) > last + 1:
    raise OriginFileError(
      f'{path}: expected labels from {first} to {last}, found'
      f' {labels.min()} to {labels.max()}. This is not the file of'
      f' {source.title}: fetch it anew.'
    )
  expected = source.splits[split].class_counts
  found = tuple(counts[first:].tolist())
  if expected is not None and found != expected and not allow_unverified:
    raise OriginFileError(
      f'{path}: expected {expected} labels of the classes, found {found}. This'
      f' is not the file of {source.title}: fetch it anew.'
    )


def _transpose_in_place(images: np.ndarray) -> None:
  """Swaps the rows and columns of every image."""
  for start in range(0, len(images), _TRANSPOSED_AT_ONCE):
    batch = images[start : start + _TRANSPOSED_AT_ONCE]
    batch[:] = batch.transpose(0, 2, 1).copy()

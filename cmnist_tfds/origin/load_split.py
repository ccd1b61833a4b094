# SPDX-License-Identifier: Apache-2.0
"""Reads the splits of a source: from its origin files to proved arrays."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator

import numpy as np

from cmnist_tfds.errors import OriginFileError
from cmnist_tfds.formats import idx_npz
from cmnist_tfds.origin import impostors
from cmnist_tfds.origin import locations as locations_lib
from cmnist_tfds.origin import verification as verification_lib
from cmnist_tfds.origin.locations import Copy, Locations
from cmnist_tfds.origin.verification import Proof
from cmnist_tfds.sources import OriginFile, Source

# Images turned upright at a time, so that no second copy of a large split is
# made in memory.
_TURNED_AT_ONCE = 8192


@dataclasses.dataclass(frozen=True)
class SplitArrays:
  """A split of a source, as its origin files hold it.

  Attributes:
    images: uint8 (n, 28, 28), C-contiguous, upright.
    labels: uint8 (n,), the raw labels.
    proofs: For the path of each origin file, as
      'emnist/emnist-mnist-train-images-idx3-ubyte.gz', how it was proved.
  """

  images: np.ndarray
  labels: np.ndarray
  proofs: dict[str, Proof]


def read_split(
  source: Source,
  split: str,
  locations: Locations,
  *,
  allow_unverified: bool = False,
) -> SplitArrays:
  """Finds the two files of a split, proves them, and reads them.

  Args:
    source: The source.
    split: 'train' or 'test'.
    locations: Where to look for its files.
    allow_unverified: Whether to accept well-formed files that nothing proves,
      even ones with fewer examples than the source has.

  Returns:
    Images, labels and how they were proved.

  Raises:
    OriginFileError: If no place holds the right file; the message lists the
      locations and what is wrong at each.
  """
  expected = source.splits[split]
  (images, images_proof), (labels, labels_proof) = (
    _read_file(file, shape, locations, allow_unverified=allow_unverified)
    for file, shape in expected.files.items()
  )
  if len(images) != len(labels):
    raise OriginFileError(
      f'{expected.images.path} has {len(images):,} images and'
      f' {expected.labels.path} has {len(labels):,} labels: expected as many of'
      ' one as of the other. Fetch both from the same origin.'
    )
  _check_labels(source, split, labels, allow_unverified=allow_unverified)
  if source.transposed:
    _turn_upright(images)
  return SplitArrays(
    images=images,
    labels=labels,
    proofs={
      expected.images.path: images_proof,
      expected.labels.path: labels_proof,
    },
  )


def find(file: OriginFile, locations: Locations) -> Copy | None:
  """Returns a copy on disk that is the very file, or the same in another form.

  Args:
    file: The file wanted.
    locations: Where to look; nothing is downloaded.

  Returns:
    The first copy whose hash is right, else None.
  """
  for copy in locations_lib.copies_on_disk(file, locations):
    with contextlib.suppress(OriginFileError), copy.open() as (stream, size):
      if verification_lib.prove(copy.file, stream, size):
        return copy
  return None


def read_copy(
  copy: Copy, shape: tuple[int, ...], *, allow_unverified: bool = False
) -> tuple[np.ndarray, Proof]:
  """Proves a copy of an origin file and reads the array in it.

  Args:
    copy: The copy.
    shape: The shape the array should have.
    allow_unverified: Whether to accept an array that nothing proves, also one
      with a shorter first axis.

  Returns:
    The array, as it stands in the file, and its proof.

  Raises:
    OriginFileError: If it is damaged or not the right file.
  """

  def check_shape(found: tuple[int, ...]) -> None:
    shorter_allowed = allow_unverified and len(found) == len(shape)
    if found[1:] != shape[1:] or (
      found[:1] > shape[:1] if shorter_allowed else found != shape
    ):
      raise OriginFileError(
        f'expected an array of shape {shape}, found {found}'
      )

  file = copy.file
  try:
    with copy.open() as (stream, size):
      proof = verification_lib.prove(file, stream, size)
      stream.seek(0)
      wrong = None
      if proof is None:
        wrong = impostors.recognize(file, stream, size)
      try:
        array = idx_npz.read_array(stream, check_shape)
      except OriginFileError as error:
        # A proved file is not damaged: this one has other bytes or fewer.
        mismatch = verification_lib.mismatch(file, size)
        raise OriginFileError(wrong or f'{error}; {mismatch}') from error
  except OriginFileError as error:
    raise OriginFileError(f'{copy}: {error}') from error
  if (
    proof is None
    and file.fingerprint is not None
    and verification_lib.fingerprint(array) == file.fingerprint
  ):
    proof = Proof.FINGERPRINT
  if proof is None:
    if not allow_unverified:
      raise OriginFileError(
        f'{copy}: {wrong or _unproved(file, size)}. To use it all the same,'
        ' allow unverified files (--allow_unverified)'
      )
    proof = Proof.NONE
  return array, proof


def _unproved(file: OriginFile, size: int) -> str:
  return verification_lib.mismatch(file, size) + (
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
  """Reads a file from the first place that holds the right one."""
  if allow_unverified and (right := find(file, locations)):
    # However near a wrong one is.
    return read_copy(right, shape)
  faults: list[str] = []
  for copy in _copies(file, locations, faults):
    try:
      return read_copy(copy, shape, allow_unverified=allow_unverified)
    except OriginFileError as error:
      remedy = '. Delete it, and it is fetched anew' if copy.cached else ''
      faults.append(f'{error}{remedy}')
  raise OriginFileError(_say_missing(file, locations, faults))


def _copies(
  file: OriginFile, locations: Locations, faults: list[str]
) -> Iterator[Copy]:
  """Yields copies on disk, then downloads; notes downloads that fail."""
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


def _say_missing(
  file: OriginFile, locations: Locations, faults: list[str]
) -> str:
  """Says what is wrong at each place, and what to do."""
  if faults:
    # Of a dead host every file of it says the same.
    found = f'no right copy of {file.path}:\n' + '\n'.join(
      f'- {fault}' for fault in dict.fromkeys(faults)
    )
  else:
    looked = ', '.join(map(str, locations.folders)) or 'no folder'
    found = f'{file.path} was not found (looked in: {looked})'
  how_to_get = locations_lib.say_how_to_get(file, locations.manual_dir)
  return f'{found}\nTo go on, {how_to_get}'


def _check_labels(
  source: Source, split: str, labels: np.ndarray, *, allow_unverified: bool
) -> None:
  """Checks range, and unless unverified ones are allowed, counts."""
  path = source.splits[split].labels.path
  first, last = source.raw_labels[0], source.raw_labels[-1]
  counts = np.bincount(labels, minlength=last + 1)
  if counts[:first].any() or len(counts) > last + 1:
    raise OriginFileError(
      f'{path}: expected labels from {first} to {last}, found'
      f' {labels.min()} to {labels.max()}. It is not the file of'
      f' {source.title}: fetch it anew.'
    )
  expected = source.splits[split].class_counts
  found = tuple(counts[first:].tolist())
  if expected is not None and found != expected and not allow_unverified:
    raise OriginFileError(
      f'{path}: expected {expected} labels of the classes, found {found}. It is'
      f' not the file of {source.title}: fetch it anew.'
    )


def _turn_upright(images: np.ndarray) -> None:
  """Swaps rows and columns of every image, in place."""
  for start in range(0, len(images), _TURNED_AT_ONCE):
    turned = images[start : start + _TURNED_AT_ONCE]
    turned[:] = turned.transpose(0, 2, 1).copy()

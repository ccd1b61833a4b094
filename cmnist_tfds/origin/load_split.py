# SPDX-License-Identifier: Apache-2.0
"""Loads a split of a source: verified arrays from its origin files.

A source may be larger than memory, so its arrays come in chunks. A chunk is a
file with the images of a class, or some rows of a table or some pictures. The
layouts 'idx' and 'npz' have one chunk, because each has one pair of files.
"""

from __future__ import annotations

import dataclasses
import io
import logging
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cmnist_tfds.formats import idx_npz
from cmnist_tfds.origin import (
  conversion,
  layouts,
  packings,
  picture_files,
  pixel_tables,
  verification,
)
from cmnist_tfds.origin import locations as locations_lib
from cmnist_tfds.origin.layouts import Piece
from cmnist_tfds.origin.locations import Copy, Locations
from cmnist_tfds.origin.picture_files import PictureFiles
from cmnist_tfds.origin.verification import Proof
from cmnist_tfds.sources import IMAGE_SIZE, OriginFile, Source
from cmnist_tfds.system.errors import MissingExtraError, OriginFileError

_log = logging.getLogger('cmnist_tfds')

# Counts that a message lists.
_FEW = 100

# Bytes that are read at a time.
_BLOCK = 1 << 19

_ALLOW = 'To use it anyway, allow unverified files (--allow_unverified)'


@dataclasses.dataclass(frozen=True)
class SplitArrays:
  """The arrays of a split of a source, or of a chunk of it.

  Attributes:
    images: uint8 (n, 28, 28), C-contiguous, upright.
    labels: uint8 (n,), the raw labels; uint16 if the source has any over 255.
    proofs: The proof of each origin file, by the path of the file, for example
      'emnist/emnist-mnist-train-images-idx3-ubyte.gz'. All chunks share it,
      and it is complete when the last one was read.
    copies: Where each origin file was read, likewise.
  """

  images: np.ndarray
  labels: np.ndarray
  proofs: dict[str, Proof]
  copies: dict[str, Copy] = dataclasses.field(default_factory=dict)


def load_split(
  source: Source,
  split: str,
  locations: Locations,
  *,
  allow_unverified: bool = False,
) -> SplitArrays:
  """Loads a split as `load_pieces` does, in one chunk.

  Args:
    source: The source.
    split: 'train' or 'test'.
    locations: The locations to look in.
    allow_unverified: See `load_pieces`.

  Returns:
    Images, labels and the proofs of their files.

  Raises:
    OriginFileError: See `load_pieces`.
  """
  chunks = list(
    load_pieces(source, split, locations, allow_unverified=allow_unverified)
  )
  if len(chunks) == 1:
    return chunks[0]
  return SplitArrays(
    images=np.concatenate([chunk.images for chunk in chunks]),
    labels=np.concatenate([chunk.labels for chunk in chunks]),
    proofs=chunks[-1].proofs,
    copies=chunks[-1].copies,
  )


def load_pieces(
  source: Source,
  split: str,
  locations: Locations,
  *,
  allow_unverified: bool = False,
) -> Iterator[SplitArrays]:
  """Finds the files of a split, verifies them, and reads and converts them.

  Args:
    source: The source.
    split: 'train' or 'test'.
    locations: The locations to look in.
    allow_unverified: Whether to accept well-formed files that nothing proves,
      even if they have fewer examples than the source has.

  Yields:
    The arrays of each chunk, at least one. Nothing of a split may be used
    before the last chunk was read: only then are all files known to be right.
    There are no examples if the source does not have the split.

  Raises:
    OriginFileError: If no location holds the right file. The message says what
      is wrong at each of them, and how to get the file.
  """
  reader = Reader(locations, allow_unverified=allow_unverified)
  if split not in source.splits:
    yield SplitArrays(
      np.empty((0, IMAGE_SIZE, IMAGE_SIZE), np.uint8),
      np.empty(0, source.label_dtype),
      reader.proofs,
    )
    return
  counts = np.zeros(max(source.raw_labels) + 1, np.int64)
  for chunk in _chosen(source, split, reader):
    images = chunk.images
    if not chunk.converted:
      images = conversion.convert(images, source.steps)
    labels = _checked_labels(source, chunk)
    counts += np.bincount(labels, minlength=len(counts))
    yield SplitArrays(images, labels, reader.proofs, reader.copies)
  if not allow_unverified:
    _check_counts(source, split, counts[list(source.raw_labels)])


def _chosen(source: Source, split: str, reader: Reader) -> Iterator[Piece]:
  """Yields the examples of a split, chosen from its files."""
  declared = source.splits[split]
  if declared.whole is None:
    yield from layouts.pieces(source, declared, reader)
    return
  listing = declared.listing
  listed = _lines(reader.content(listing), listing) if listing else frozenset()
  unseen = set(listed)
  seen = np.zeros(max(source.raw_labels) + 1, np.int64)
  begin = 0
  for chunk in layouts.pieces(source, declared.whole, reader):
    count = len(chunk.labels)
    for_test = np.zeros(count, bool)
    if listing:
      names = chunk.names or [str(begin + n) for n in range(count)]
      for_test[:] = [name in listed for name in names]
      unseen.difference_update(names)
    else:
      labels = _checked_labels(source, chunk)
      for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        for_test[rows[: max(0, (declared.first or 0) - seen[label])]] = True
        seen[label] += len(rows)
    begin += count
    # A class that is taken in full, or not at all, may fill a whole chunk.
    rows = np.flatnonzero(for_test if split == 'test' else ~for_test)
    yield dataclasses.replace(
      chunk, images=chunk.images[rows], labels=chunk.labels[rows]
    )
  # Of other folders, a list may name what a source leaves out.
  folders = {*source.folders, *source.class_names}
  wrong = sorted(
    n for n in unseen if '/' not in n or n.partition('/')[0] in folders
  )
  if listing and wrong:
    raise OriginFileError(
      f'{listing.path}: expected numbers of examples from 0, or paths of'
      f' pictures, found {", ".join(wrong[:_FEW])}'
    )


def _lines(content: bytes, file: OriginFile) -> frozenset[str]:
  """Returns the lines of a list.

  A line is the number of an example, from 0, or the path of a picture in its
  folder.
  """
  try:
    lines = [line.strip() for line in content.decode('utf-8-sig').splitlines()]
  except UnicodeDecodeError as error:
    raise OriginFileError(f'{file.path}: is not text in UTF-8') from error
  return frozenset(line for line in lines if line)


class Reader:
  """Reads files of a split from the first location that has the right one.

  Attributes:
    proofs: The proof of each file that was read, by its path.
    copies: Where each file was read, by its path.
  """

  def __init__(self, locations: Locations, *, allow_unverified: bool = False):
    """Constructs a reader of files that `locations` has."""
    self._locations = locations
    self._allow_unverified = allow_unverified
    self.proofs: dict[str, Proof] = {}
    self.copies: dict[str, Copy] = {}

  def array(self, file: OriginFile, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the array in a file.

    Raises:
      OriginFileError: If the right file is nowhere.
    """
    found: np.ndarray = self._read(file, shape)
    return found

  def content(self, file: OriginFile) -> bytes:
    """Returns the bytes of a file.

    Raises:
      OriginFileError: If the right file is nowhere.
    """
    found: bytes = self._read(file, ())
    return found

  def picture_files(
    self,
    file: OriginFile,
    use: Callable[[PictureFiles], Iterator[Piece]],
    *,
    table: bool = False,
  ) -> Iterator[Piece]:
    """Yields what a function reads from a folder of pictures, or a table in it.

    A folder on disk is tried before the archive.
    """
    folders = [
      path.parent if table else path
      for folder in locations_lib.folders(file, self._locations)
      if (path := folder / file.path).exists()
    ]
    if not folders and file.archive:
      data = self.content(file.archive)
      member = '.' if table else file.member
      yield from use(
        picture_files.open_archive(data, member, file.archive.path)
      )
      # The metadata of a dataset has the proofs of the files of its sources.
      self.proofs[file.path] = self.proofs.pop(file.archive.path)
      self.copies[file.path] = self.copies.pop(file.archive.path)
      return
    if not folders:
      raise self._missing(file, [])
    found = picture_files.open_folder(folders[0])
    self.copies[file.path] = Copy(file, folders[0])
    yield from use(found)
    proof = Proof.FINGERPRINT
    if found.fingerprint() != file.fingerprint:
      proof = Proof.NONE
      if not self._allow_unverified:
        known = (
          'its files are not the declared ones'
          if file.fingerprint
          else 'no fingerprint of it is declared'
        )
        raise OriginFileError(
          f'{folders[0]}: {known}; its fingerprint is {found.fingerprint()}.'
          f' {_ALLOW}'
        )
    self.proofs[file.path] = proof

  def _read(self, file: OriginFile, shape: tuple[int, ...]) -> Any:
    """Returns the array in a file, or its bytes if it has no shape."""
    faults: list[str] = []
    unproved: list[tuple[Copy, Any]] = []
    packed = packings.packed_copies(file, shape, self._locations)
    for copies in (
      locations_lib.copies_on_disk(file, self._locations),
      packed,
      self._fetched(file, unproved, faults),
    ):
      for copy in copies:
        try:
          found, proof = read_copy(
            copy,
            file,
            shape,
            shorter=self._allow_unverified and copies is not packed,
          )
        except MissingExtraError as error:
          faults.append(str(error))
          continue
        except OriginFileError as error:
          # Arrays of other sources have the same shape.
          if copies is not packed or copy.path.name == file.name:
            faults.append(str(error))
          continue
        if proof:
          if copies is packed:
            _log.warning('Read %s from %s (%s).', file.path, copy, proof.value)
          self.proofs[file.path], self.copies[file.path] = proof, copy
          return found
        if copies is not packed:
          faults.append(_describe_unproved(copy, file))
          unproved.append((copy, found))
    if not unproved or not self._allow_unverified:
      raise self._missing(file, faults)
    self.copies[file.path], found = unproved[0]
    self.proofs[file.path] = Proof.NONE
    return found

  def _fetched(
    self, file: OriginFile, unproved: list[Any], faults: list[str]
  ) -> Iterator[Copy]:
    """Fetches a file, unless an unproved one will do."""
    folder = self._locations.download_dir
    if folder is None or self._locations.offline:
      return
    if unproved and self._allow_unverified:
      return
    # It imports an HTTP library.
    from cmnist_tfds.origin import fetch

    try:
      copy, _ = fetch.fetch(
        file, folder / locations_lib.FETCHED, self._locations
      )
    except OriginFileError as error:
      faults.append(str(error))
    else:
      yield copy

  def _missing(self, file: OriginFile, faults: list[str]) -> OriginFileError:
    """Returns the error that says what is wrong, and what to do."""
    folders = locations_lib.folders(file, self._locations)
    looked = ', '.join(map(str, folders)) or 'no folder'
    faults = list(dict.fromkeys(faults)) or [f'not found in {looked}']
    remedy = locations_lib.how_to_get(file, self._locations.manual_dir)
    return OriginFileError(f'{file.path}: {"; ".join(faults)}. {remedy}')


def read_copy(
  copy: Copy,
  file: OriginFile,
  shape: tuple[int, ...],
  *,
  shorter: bool = False,
) -> tuple[Any, Proof | None]:
  """Reads a copy of an origin file, and proves it if it is the right one.

  The copy is read once: what is hashed is what is decoded, even if another
  process writes to the file.

  Args:
    copy: The copy.
    file: The file that is wanted.
    shape: The shape of the array in it; () for the bytes of the file.
    shorter: Whether the first axis may be shorter.

  Returns:
    The array as it is in the file, or the bytes; and its proof, None if nothing
    proves it.

  Raises:
    OriginFileError: If the copy is damaged or has another array.
  """

  def check_shape(found: tuple[int, ...]) -> None:
    fits = found[:1] <= shape[:1] if shorter else found[:1] == shape[:1]
    if len(found) != len(shape) or found[1:] != shape[1:] or not fits:
      raise OriginFileError(
        f'expected an array of shape {shape}, found {found}'
      )

  try:
    if shape and pixel_tables.is_table(copy.path):
      for found in pixel_tables.arrays(copy.path, shape):
        if proof := _prove_array(file, found):
          return found, proof
      raise OriginFileError(f'its content is not that of {file.path}')
    with copy.open() as (stream, size):
      reader = verification.ProvingReader(copy.file, stream, size)
      buffered = io.BufferedReader(reader, _BLOCK)
      found = (
        idx_npz.read_array(
          buffered,
          size,
          check_shape,
          name=copy.file.array,
          integers=len(shape) <= 2,
        )
        if shape
        else buffered.read()
      )
      return found, reader.proof() or (
        _prove_array(file, found) if shape else None
      )
  except OriginFileError as error:
    wrong = verification.recognize(copy.file, copy.path)
    raise OriginFileError(f'{copy}: {wrong or error}') from error
  except MissingExtraError as error:
    raise MissingExtraError(f'{copy}: {error}') from error


def _prove_array(file: OriginFile, array: np.ndarray) -> Proof | None:
  """Proves that an array is the one in a published file."""
  # Others save labels as integers of eight bytes.
  narrow = array.astype(np.uint8) if array.ndim == 1 else array
  known = {form.fingerprint for form in (file, *file.equivalents)}
  for form in (array, narrow) if (narrow == array).all() else (array,):
    if verification.fingerprint(form) in known:
      return Proof.FINGERPRINT
  return None


def _describe_unproved(copy: Copy, file: OriginFile) -> str:
  if wrong := verification.recognize(copy.file, copy.path):
    return f'{copy}: {wrong}'
  size = copy.path.stat().st_size
  content = (
    'no fingerprint of its content is known'
    if file.fingerprint is None
    else 'its content is not the published one'
  )
  return (
    f'{copy}: {verification.mismatch(copy.file, size)}, and {content}. {_ALLOW}'
  )


def _checked_labels(source: Source, chunk: Piece) -> np.ndarray:
  """Returns the labels of a chunk in the type of the source's labels."""
  labels, known = chunk.labels, source.raw_labels
  wrong = labels[~np.isin(labels, list(known))]
  if wrong.size:
    raise OriginFileError(
      f'{chunk.path}: expected labels from {known[0]} to {known[-1]}, found'
      f' {labels.min()} to {labels.max()}, {wrong[0]} among them. This is not'
      f' the file of {source.title}: fetch it again'
    )
  return labels.astype(source.label_dtype, copy=False)


def _check_counts(source: Source, split: str, counts: np.ndarray) -> None:
  """Checks how many examples of each class verified files have."""
  declared = source.splits[split]
  path = (declared.labels or next(iter(declared.files))).path
  expected = declared.class_counts
  found = tuple(counts.tolist())
  if sum(found) != declared.num_examples:
    fault = f'{declared.num_examples:,} examples, found {sum(found):,}'
  elif expected is not None and found != expected:
    fault = f'{_few(expected)} labels of the classes, found {_few(found)}'
  else:
    return
  raise OriginFileError(
    f'{path}: expected {fault}. This is not the file of {source.title}: fetch'
    ' it again'
  )


def _few(counts: tuple[int, ...]) -> str:
  shown = ', '.join(map(str, counts[:_FEW]))
  return f'({shown}{", ..." if len(counts) > _FEW else ""})'

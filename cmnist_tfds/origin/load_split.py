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
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from cmnist_tfds.formats import idx_npz
from cmnist_tfds.origin import (
  conversion,
  layouts,
  packings,
  tables,
  verification,
)
from cmnist_tfds.origin import locations as locations_lib
from cmnist_tfds.origin import picture_files as pictures
from cmnist_tfds.origin.layouts import Chunk
from cmnist_tfds.origin.locations import Copy, Locations
from cmnist_tfds.origin.verification import Proof
from cmnist_tfds.sources import IMAGE_SIZE, OriginFile, Source
from cmnist_tfds.system.errors import MissingExtraError, OriginFileError

_log = logging.getLogger('cmnist_tfds')

# Bytes that are read at a time.
_BLOCK = 1 << 19

# Characters of a message that list what was found.
_LONGEST_LIST = 800

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
  """Loads a split as `load_pieces` does, in one chunk."""
  reader = Reader(locations, allow_unverified=allow_unverified)
  chunks = list(read_split(source, split, reader))
  return SplitArrays(
    images=np.concatenate([chunk.images for chunk in chunks]),
    labels=np.concatenate([chunk.labels for chunk in chunks]),
    proofs=reader.proofs,
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

  Returns:
    The arrays of each chunk, at least one. Nothing of a split may be used
    before the last chunk was read: only then are all files known to be right.
    There are no examples if the source does not have the split.

  Raises:
    OriginFileError: If no location holds the right file. The message says what
      is wrong at each of them, and how to get the file.
  """
  reader = Reader(locations, allow_unverified=allow_unverified)
  return read_split(source, split, reader)


def read_split(
  source: Source, split: str, reader: Reader
) -> Iterator[SplitArrays]:
  """Yields what `load_pieces` returns, with files that a reader finds."""
  if split not in source.splits:
    images = np.empty((0, IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    labels = np.empty(0, source.label_dtype)
    yield SplitArrays(images, labels, reader.proofs)
    return
  counts = np.zeros(max(source.raw_labels) + 1, np.int64)
  for chunk in _chosen(source, split, reader):
    images, labels = chunk.images, _checked_labels(source, chunk)
    if not chunk.converted:
      images = conversion.convert(images, source.steps)
    counts += np.bincount(labels, minlength=len(counts))
    yield SplitArrays(images, labels, reader.proofs)
  # Unverified files may have fewer examples.
  if Proof.NONE not in reader.proofs.values():
    _check_counts(source, split, counts[list(source.raw_labels)])


def _chosen(source: Source, split: str, reader: Reader) -> Iterator[Chunk]:
  """Yields the examples of a split, chosen from its files."""
  declared = source.splits[split]
  if declared.whole is None:
    yield from layouts.chunks(source, declared, reader)
    return
  listing, listed = declared.listing, set[str]()
  if listing:
    # A line is the number of an example, from 0, or the path of a picture.
    text = reader.content(listing).decode('utf-8-sig', 'replace')
    listed = {line.strip() for line in text.splitlines()} - {''}
  unseen, begin = set(listed), 0
  seen = np.zeros(max(source.raw_labels) + 1, np.int64)
  for chunk in layouts.chunks(source, declared.whole, reader):
    labels = _checked_labels(source, chunk)
    for_test = np.zeros(len(labels), bool)
    if listing:
      names = chunk.names or [str(begin + n) for n in range(len(labels))]
      for_test[:] = [name in listed for name in names]
      unseen.difference_update(names)
    else:
      for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        for_test[rows[: max(0, (declared.first or 0) - seen[label])]] = True
        seen[label] += len(rows)
    begin += len(labels)
    # A class that is taken in full, or not at all, may fill a whole chunk.
    rows = np.flatnonzero(for_test if split == 'test' else ~for_test)
    yield dataclasses.replace(
      chunk, images=chunk.images[rows], labels=chunk.labels[rows]
    )
  # Of other folders, a list may name what a source leaves out.
  folders = {'', *source.folders, *source.class_names}
  wrong = [n for n in unseen if n.rpartition('/')[0].split('/')[0] in folders]
  if listing and wrong:
    raise OriginFileError(
      f'{listing.path}: expected numbers of examples from 0, or paths of'
      f' pictures, found {", ".join(sorted(wrong))[:_LONGEST_LIST]}'
    )


class Reader:
  """Reads files of a split from the first location that has the right one.

  Attributes:
    proofs: The proof of each file that was read, by its path.
    copies: Where each file was read, or is wrong, by its path.
  """

  def __init__(self, locations: Locations, *, allow_unverified: bool = False):
    """Constructs a reader of the files at some locations."""
    self._locations = locations
    self._allow_unverified = allow_unverified
    self.proofs: dict[str, Proof] = {}
    self.copies: dict[str, Copy] = {}

  def array(self, file: OriginFile, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the array in a file."""
    found: np.ndarray = self._read(file, shape)
    return found

  def content(self, file: OriginFile) -> bytes:
    """Returns the bytes of a file."""
    found: bytes = self._read(file, ())
    return found

  def picture_files(
    self,
    file: OriginFile,
    use: Callable[[pictures.PictureFiles], Iterator[Chunk]],
    *,
    table: bool = False,
  ) -> Iterator[Chunk]:
    """Yields what a function reads from a folder of pictures, or a table in it.

    A folder on disk is tried before the archive.
    """
    folders = self._locations.folders(file)
    paths = (folder / file.path for folder in folders)
    path = next(filter(os.path.exists, paths), None)
    if path is None and file.archive:
      data = self.content(file.archive)
      member = '.' if table else file.member
      yield from use(pictures.open_archive(data, member, file.archive.path))
      # The metadata of a dataset has the proofs of the files of its sources.
      self.proofs[file.path] = self.proofs.pop(file.archive.path)
      self.copies[file.path] = self.copies.pop(file.archive.path)
      return
    if path is None:
      raise self._missing(file, [])
    self.copies[file.path] = Copy(file, path)
    files = pictures.open_folder(path.parent if table else path)
    yield from use(files)
    proof, found = Proof.FINGERPRINT, files.fingerprint()
    if found != file.fingerprint:
      proof = Proof.NONE
      if not self._allow_unverified:
        expected = file.fingerprint or 'of a declaration, which has none'
        raise OriginFileError(
          f'{path}: expected the fingerprint {expected}, found {found}. {_ALLOW}'
        )
    self.proofs[file.path] = proof

  def _read(
    self, file: OriginFile, shape: tuple[int, ...], *, fetched: bool = False
  ) -> Any:
    """Returns the array in a file, or its bytes if it has no shape."""
    where, faults = self._locations, dict[str, None]()
    unproved: list[tuple[Copy, Any]] = []
    packed = packings.packed_copies(file, shape, where) if shape else ()
    for copies in (locations_lib.copies_on_disk(file, where), packed):
      allow = self._allow_unverified and copies is not packed
      for copy in copies:
        try:
          found, proof = read_copy(copy, file, shape, allow_unverified=allow)
        except (OriginFileError, MissingExtraError) as error:
          # Arrays of other sources have the same shape.
          if copies is not packed or isinstance(error, MissingExtraError):
            faults[f'{copy}: {error}'] = None
            self.copies.setdefault(file.path, copy)
          continue
        if proof is Proof.NONE:
          unproved.append((copy, found))
          continue
        if copies is packed:
          _log.warning('Read %s from %s (%s).', file.path, copy, proof.value)
        self.proofs[file.path], self.copies[file.path] = proof, copy
        return found
    if unproved:
      self.copies[file.path], found = unproved[0]
      self.proofs[file.path] = Proof.NONE
      return found
    if where.download_dir and not where.offline and not fetched:
      # It imports an HTTP library.
      from cmnist_tfds.origin import fetch

      try:
        fetch.fetch(file, where.download_dir / locations_lib.FETCHED, where)
      except OriginFileError as error:
        faults[str(error)] = None
      else:
        return self._read(file, shape, fetched=True)
    raise self._missing(file, faults)

  def _missing(
    self, file: OriginFile, faults: Iterable[str]
  ) -> OriginFileError:
    """Returns the error that says what is wrong, and what to do."""
    folders = ', '.join(map(str, self._locations.folders(file))) or 'no folder'
    fault = '; '.join(faults) or f'not found in {folders}'
    remedy = locations_lib.how_to_get(file, self._locations.manual_dir)
    return OriginFileError(f'{file.path}: {fault}. {remedy}')


def read_copy(
  copy: Copy,
  file: OriginFile,
  shape: tuple[int, ...],
  *,
  allow_unverified: bool = False,
) -> tuple[Any, Proof]:
  """Reads a copy of an origin file and proves it.

  The copy is read once: what is hashed is what is decoded, even if another
  process writes to the file.

  Args:
    copy: The copy.
    file: The file that is wanted.
    shape: The shape of the array in it; () for the bytes of the file.
    allow_unverified: Whether nothing need prove it, and the first axis may be
      shorter.

  Returns:
    The array as it is in the file, or the bytes; and the proof.

  Raises:
    OriginFileError: If the copy is damaged or not the right file. The message
      does not name the copy.
  """

  def check_shape(found: tuple[int, ...]) -> None:
    shorter = allow_unverified and found[:1] < shape[:1]
    if found != shape and not (shorter and found[1:] == shape[1:]):
      raise OriginFileError(
        f'expected an array of shape {shape}, found {found}'
      )

  try:
    if shape and tables.is_table(copy.path):
      for array in tables.arrays(copy.path, shape):
        if _is_published(file, array):
          return array, Proof.FINGERPRINT
      raise OriginFileError(f'its content is not that of {file.path}')
    found: Any
    with copy.open() as (stream, size):
      reader = verification.ProvingReader(copy.file, stream, size)
      buffered = io.BufferedReader(reader, _BLOCK)
      if shape:
        form, labels = copy.file.array, len(shape) <= 2
        found = idx_npz.read_array(
          buffered, check_shape, name=form, integers=labels
        )
      else:
        found = buffered.read()
      proof = reader.proof()
    if proof is None and shape and _is_published(file, found):
      proof = Proof.FINGERPRINT
    if proof is None and not allow_unverified:
      fault = verification.mismatch(copy.file, size)
      content = ', and its content is not the published one' if shape else ''
      raise OriginFileError(f'{fault}{content}. {_ALLOW}')
    return found, proof or Proof.NONE
  except OriginFileError as error:
    wrong = verification.recognize(copy.file, copy.path)
    raise OriginFileError(wrong or str(error)) from error


def _is_published(file: OriginFile, array: np.ndarray) -> bool:
  """Returns whether an array is the one in a published file."""
  known = {form.fingerprint for form in (file, *file.equivalents)}
  # Others save labels as integers of eight bytes.
  narrow = array.astype(np.uint8) if array.ndim == 1 else array
  forms = (array, narrow) if (narrow == array).all() else (array,)
  return any(verification.fingerprint(form) in known for form in forms)


def _checked_labels(source: Source, chunk: Chunk) -> np.ndarray:
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
  expected, found = declared.class_counts, tuple(counts.tolist())
  if expected is None:
    expected, found = (declared.num_examples,), (sum(found),)
  if found != expected:
    path = (declared.labels or next(iter(declared.files))).path
    raise OriginFileError(
      f'{path}: expected {str(expected)[:_LONGEST_LIST]} examples of the'
      f' classes, found {str(found)[:_LONGEST_LIST]}. This is not the file of'
      f' {source.title}: fetch it again'
    )

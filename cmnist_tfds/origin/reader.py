# SPDX-License-Identifier: Apache-2.0
"""Reads origin files from the first location that has the right one."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from cmnist_tfds.formats import idx_npz
from cmnist_tfds.origin import locations as locations_lib
from cmnist_tfds.origin import picture_files, tables, verification
from cmnist_tfds.origin.locations import Copy, Locations
from cmnist_tfds.origin.picture_files import PictureFiles
from cmnist_tfds.origin.verification import Proof
from cmnist_tfds.sources import OriginFile
from cmnist_tfds.system.errors import MissingExtraError, OriginFileError
from cmnist_tfds.system.streams import LOG

_ALLOW = 'To use it anyway, allow unverified files (--allow_unverified)'


class Reader:
  """Reads files of a split from the first location that has the right one.

  Attributes:
    proofs: The proof of each file that was read, by its path.
    copies: Where each file was read, or is wrong, by its path.
  """

  def __init__(self, locations: Locations):
    """Constructs a reader of the files at some locations."""
    self._locations = locations
    self.proofs: dict[str, Proof] = {}
    self.copies: dict[str, Copy] = {}

  def read(self, file: OriginFile, shape: tuple[int, ...] = ()) -> Any:
    """Returns the array in a file, or its bytes if it has no shape."""
    faults: dict[str, None] = {}
    for copy, allow in self._candidates(file, shape, faults):
      try:
        found, proof, fault = read_copy(copy, file, shape)
        if fault and not allow:
          raise OriginFileError(f'{fault}. {_ALLOW}')
      except (OriginFileError, MissingExtraError) as error:
        # Arrays of other sources have the same shape.
        if not copy.packed or isinstance(error, MissingExtraError):
          wrong = verification.recognize(copy.path) or error
          faults[f'{copy}: {wrong}'] = None
          self.copies.setdefault(file.path, copy)
        continue
      log = LOG.warning if copy.packed else LOG.info
      log('Read %s from %s (%s).', file.path, copy, proof.value)
      self.proofs[file.path], self.copies[file.path] = proof, copy
      return found
    raise self._error(file, faults)

  @contextlib.contextmanager
  def pictures(
    self, file: OriginFile, *, table: bool = False
  ) -> Iterator[PictureFiles]:
    """Opens a folder of pictures, or the one that a table is in.

    A folder on disk is tried before the archive. What was read is proved when
    the block ends.
    """
    paths = (folder / file.path for folder in self._locations.folders(file))
    if path := next(filter(os.path.exists, paths), None):
      self.copies[file.path] = Copy(file, path)
      files = picture_files.open_folder(path.parent if table else path)
      yield files
      found = files.fingerprint()
      proof = Proof.FINGERPRINT if found == file.fingerprint else Proof.NONE
      if proof is Proof.NONE and not self._locations.allow_unverified:
        expected = file.fingerprint or 'of a declaration, which has none'
        fault = f'expected the fingerprint {expected}, found {found}'
        raise OriginFileError(f'{path}: {fault}. {_ALLOW}')
      self.proofs[file.path] = proof
    elif archive := file.archive:
      data, member = self.read(archive), '.' if table else file.member
      yield picture_files.open_archive(data, member, archive.path)
      # The metadata of a dataset has the proofs of the files of its sources.
      self.proofs[file.path] = self.proofs.pop(archive.path)
      self.copies[file.path] = self.copies.pop(archive.path)
    else:
      raise self._error(file, ())

  def _candidates(
    self, file: OriginFile, shape: tuple[int, ...], faults: dict[str, None]
  ) -> Iterator[tuple[Copy, bool]]:
    """Yields copies to try, and whether to take one that nothing proves.

    What is wrong with hosts is added to the faults.
    """
    where = self._locations
    on_disk = list(locations_lib.copies_on_disk(file, where))
    packed: Iterable[Copy] = ()
    if shape and where.any_packing:
      packed = locations_lib.packed_copies(file, shape, where)
    yield from ((copy, False) for copy in itertools.chain(on_disk, packed))
    yield from ((copy, True) for copy in on_disk if where.allow_unverified)
    if where.download_dir and not where.offline:
      # It imports an HTTP library.
      from cmnist_tfds.origin import fetch

      try:
        fetch.fetch(file, where.download_dir / locations_lib.FETCHED, where)
      except OriginFileError as error:
        faults[str(error)] = None
      for copy in locations_lib.copies_on_disk(file, where):
        yield copy, False

  def _error(self, file: OriginFile, faults: Iterable[str]) -> OriginFileError:
    """Returns the error that says what is wrong, and what to do."""
    folders = ', '.join(map(str, self._locations.folders(file))) or 'no folder'
    fault = '; '.join(faults) or f'not found in {folders}'
    remedy = locations_lib.how_to_get(file, self._locations.manual_dir)
    return OriginFileError(f'{file.path}: {fault}. {remedy}')


def read_copy(
  copy: Copy, file: OriginFile, shape: tuple[int, ...] = ()
) -> tuple[Any, Proof, str]:
  """Reads a copy of an origin file.

  The copy is read once: what is hashed is what is decoded, even if another
  process writes to the file.

  Args:
    copy: The copy.
    file: The file that is wanted.
    shape: The shape of the array in it; () for the bytes of the file.

  Returns:
    The array as it is in the file, or the bytes; its proof; and if nothing
    proves it, the reason, else ''. Only then the first axis may be shorter.

  Raises:
    OriginFileError: If the copy is damaged or holds something else. The message
      does not name the copy.
  """
  if shape and tables.is_table(copy.path):
    for array in tables.arrays(copy.path, shape):
      if _is_published(file, array):
        return array, Proof.FINGERPRINT, ''
    raise OriginFileError(f'its content is not that of {file.path}')
  data = copy.read()
  proof, fault = verification.prove(copy.file, data)
  if not shape:
    return data, proof, fault
  name, labels = copy.file.array, len(shape) <= 2
  array = idx_npz.read_array(data, shape, name=name, integers=labels)
  if array.shape != shape:
    fault = f'expected an array of shape {shape}, found {array.shape}'
    return array, Proof.NONE, fault
  if fault and _is_published(file, array):
    return array, Proof.FINGERPRINT, ''
  more = ', and its content is not the published one' if fault else ''
  return array, proof, fault + more


def _is_published(file: OriginFile, array: np.ndarray) -> bool:
  """Returns whether an array is the one in a published file."""
  known = {form.fingerprint for form in (file, *file.equivalents)}
  # Others save labels as integers of eight bytes.
  forms = (array, tables.whole_numbers(array, np.uint8))
  return any(verification.fingerprint(form) in known for form in forms)

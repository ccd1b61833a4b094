# SPDX-License-Identifier: Apache-2.0
"""Loads a split of a source: verified arrays from its origin files.

A source may be larger than memory, so its arrays come in pieces. A piece is a
file with the images of a class, or some rows of a table or some pictures. The
layouts 'idx' and 'npz' have one piece, because each has one pair of files.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import logging
import math
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import numpy as np

from cmnist_tfds.formats import idx_npz
from cmnist_tfds.origin import (
  conversion,
  layouts,
  mirror_address,
  packings,
  picture_files,
  pixel_tables,
  recreation,
  similar_names,
  verification,
)
from cmnist_tfds.origin import locations as locations_lib
from cmnist_tfds.origin.layouts import Piece
from cmnist_tfds.origin.locations import Copy, Locations
from cmnist_tfds.origin.picture_files import PictureFiles
from cmnist_tfds.origin.verification import Proof
from cmnist_tfds.sources import (
  IMAGE_SIZE,
  SOURCES,
  OriginFile,
  Source,
  registry,
)
from cmnist_tfds.system.errors import OriginFileError, PreparationError

_log = logging.getLogger('cmnist_tfds')

# A file may take as many bytes as twice its array and this. An array that was
# saved without compression takes little more than itself. Labels may take eight
# bytes each.
_OVERHEAD = 1 << 20
_LABEL_SIZE = 8

# A file that is not one array, and whose size is not declared, may take this.
_LARGEST_FILE = 1 << 36

# Classes are read together until their files have so many bytes.
GROUP_BYTES = 1 << 27

# Counts that a message lists.
_FEW = 100

# Bytes that are read at a time.
_BLOCK = 1 << 19


@dataclasses.dataclass(frozen=True)
class SplitArrays:
  """The arrays of a split of a source, or of a piece of it.

  Attributes:
    images: uint8 (n, 28, 28), C-contiguous, upright.
    labels: uint8 (n,), the raw labels; uint16 if the source has any over 255.
    proofs: The proof of each origin file, by the path of the file, for example
      'emnist/emnist-mnist-train-images-idx3-ubyte.gz'. All pieces share it,
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
  """Finds the files of a split, verifies them, and reads and converts them.

  Args:
    source: The source.
    split: 'train' or 'test'.
    locations: The locations to look in.
    allow_unverified: Whether to accept well-formed files that nothing proves,
      even if they have fewer examples than the source has.

  Returns:
    Images, labels and the proofs of their files. There are no examples if the
    source does not have the split.

  Raises:
    OriginFileError: If no location holds the right file. The message lists the
      locations and what is wrong at each of them.
  """
  pieces = list(
    load_pieces(source, split, locations, allow_unverified=allow_unverified)
  )
  if len(pieces) == 1:
    return pieces[0]
  return SplitArrays(
    images=np.concatenate([piece.images for piece in pieces]),
    labels=np.concatenate([piece.labels for piece in pieces]),
    proofs=pieces[-1].proofs,
  )


def load_pieces(
  source: Source,
  split: str,
  locations: Locations,
  *,
  allow_unverified: bool = False,
  classes: slice = layouts.ALL_CLASSES,
) -> Iterator[SplitArrays]:
  """Loads a split as `load_split` does, piece by piece.

  Args:
    source: The source.
    split: 'train' or 'test'.
    locations: The locations to look in.
    allow_unverified: See `load_split`.
    classes: One of `class_groups`, or all classes.

  Yields:
    The arrays of each piece, at least one. Nothing of a split may be used
    before the last piece was read: only then are all files known to be right.

  Raises:
    OriginFileError: See `load_split`.
  """
  reader = _Reader(locations, allow_unverified=allow_unverified)
  if split not in source.splits:
    yield SplitArrays(
      np.empty((0, IMAGE_SIZE, IMAGE_SIZE), np.uint8),
      np.empty(0, source.label_dtype),
      reader.proofs,
    )
    return
  counts = np.zeros(max(source.raw_labels) + 1, np.int64)
  for piece in _pieces(source, split, reader, classes):
    images = piece.images
    if not piece.converted:
      images = conversion.convert(images, source.steps)
    labels = _checked_labels(source, piece)
    counts += np.bincount(labels, minlength=len(counts))
    yield SplitArrays(images, labels, reader.proofs)
  if not allow_unverified:
    _check_counts(source, split, counts, classes)


def class_groups(source: Source, split: str) -> list[slice]:
  """Divides the classes of a split into groups that are read one by one.

  Args:
    source: The source.
    split: 'train' or 'test'.

  Returns:
    The groups, as numbers of classes in the source. Each but the last has
    files of 128 MiB or more. There is one of all classes if files have examples
    of several classes, or if a list chooses examples by their numbers in all
    files.
  """
  declared = source.splits.get(split)
  files = declared and (declared.whole or declared)
  if (
    not (declared and files and files.per_class)
    or declared.listing
    or declared.class_counts is None
  ):
    return [layouts.ALL_CLASSES]
  groups, begin, num_bytes = [], 0, 0
  for number, shape in enumerate(files.files.values(), 1):
    num_bytes += math.prod(shape)
    if num_bytes >= GROUP_BYTES or number == len(files.files):
      groups.append(slice(begin, number))
      begin, num_bytes = number, 0
  return groups if len(groups) > 1 else [layouts.ALL_CLASSES]


def _pieces(
  source: Source, split: str, reader: _Reader, classes: slice
) -> Iterator[Piece]:
  """Yields the examples of a split, chosen from its files."""
  declared = source.splits[split]
  if declared.whole is None:
    yield from layouts.pieces(source, declared, reader, classes)
    return
  unseen: set[str] = set()
  if declared.listing:
    unseen = _lines(reader.content(declared.listing), declared.listing)
    choose = _listed(frozenset(unseen), unseen)
  else:
    choose = _first(source, declared.first or 0)
  for piece in layouts.pieces(source, declared.whole, reader, classes):
    for_test = choose(piece)
    rows = np.flatnonzero(for_test if split == 'test' else ~for_test)
    # A class that is taken in full, or not at all, may fill a whole piece.
    yield dataclasses.replace(
      piece,
      images=piece.images[rows],
      labels=piece.labels[rows],
      names=[piece.names[row] for row in rows.tolist()] if piece.names else (),
    )
  # Of other folders, a list may name what a source leaves out.
  folders = {*source.folders, *source.class_names}
  if declared.listing and (
    wrong := sorted(
      n for n in unseen if '/' not in n or n.partition('/')[0] in folders
    )
  ):
    raise OriginFileError(
      f'{declared.listing.path}: expected numbers of examples from 0, or paths'
      f' of pictures, found {", ".join(wrong[:_FEW])}'
    )


# Returns for each example of a piece, in order, whether it is for test.
_Choose = Callable[[Piece], np.ndarray]


def _first(source: Source, count: int) -> _Choose:
  """Returns a function that chooses the first examples of each class."""
  seen = np.zeros(max(source.raw_labels) + 1, np.int64)

  def choose(piece: Piece) -> np.ndarray:
    labels = _checked_labels(source, piece)
    # The rank of an example among those of its class, in the piece.
    order = np.argsort(labels, kind='stable')
    counts = np.bincount(labels, minlength=len(seen))
    begins = np.cumsum(counts) - counts
    rank = np.empty(len(labels), np.int64)
    rank[order] = np.arange(len(labels)) - begins[labels[order]]
    chosen: np.ndarray = rank + seen[labels] < count
    seen[:] += counts
    return chosen

  return choose


def _lines(content: bytes, file: OriginFile) -> set[str]:
  """Returns the lines of a list.

  A line is the number of an example, from 0, or the path of a picture in its
  folder.
  """
  try:
    lines = [line.strip() for line in content.decode('utf-8-sig').splitlines()]
  except UnicodeDecodeError as error:
    raise OriginFileError(f'{file.path}: is no text in UTF-8') from error
  return {line for line in lines if line}


def _listed(wanted: frozenset[str], unseen: set[str]) -> _Choose:
  """Returns a function that chooses listed examples, and notes them as seen."""
  begin = 0

  def choose(piece: Piece) -> np.ndarray:
    nonlocal begin
    numbers = range(begin, begin + len(piece.labels))
    begin = numbers.stop
    names = piece.names or list(map(str, numbers))
    unseen.difference_update(names)
    return np.fromiter((n in wanted for n in names), bool, len(numbers))

  return choose


class _Reader:
  """Reads files of a split from the first location that has the right one.

  Attributes:
    proofs: The proof of each file that was read, by its path.
  """

  def __init__(self, locations: Locations, *, allow_unverified: bool):
    self._locations = locations
    self._allow_unverified = allow_unverified
    self.proofs: dict[str, Proof] = {}

  def array(self, file: OriginFile, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the array in a file."""
    learnt = self._locations.learnt
    read = functools.partial(read_copy, shape=shape, learnt=learnt)
    return self._read(file, read, shape)

  def content(self, file: OriginFile) -> bytes:
    """Returns the bytes of a file."""
    return self._read(file, _read_content)

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
      return
    if not folders:
      raise OriginFileError(_describe_missing(file, self._locations, []))
    found = picture_files.open_folder(folders[0])
    yield from use(found)
    proof = Proof.NONE
    if found.fingerprint() == file.fingerprint:
      proof = Proof.FINGERPRINT
    if proof is Proof.NONE and not self._allow_unverified:
      known = (
        'its files are not the declared ones'
        if file.fingerprint
        else 'no fingerprint of it is declared'
      )
      raise OriginFileError(
        f'{folders[0]}: {known}; its fingerprint is {found.fingerprint()}. To'
        ' use it anyway, allow unverified files (--allow_unverified)'
      )
    self.proofs[file.path] = proof

  def _read(
    self,
    file: OriginFile,
    read: Callable[..., tuple[_T, Proof]],
    shape: tuple[int, ...] = (),
  ) -> _T:
    found, proof = _read_file(
      file,
      read,
      self._locations,
      shape,
      allow_unverified=self._allow_unverified,
    )
    self.proofs[file.path] = proof
    return found


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
  copy: Copy,
  shape: tuple[int, ...],
  *,
  allow_unverified: bool = False,
  learnt: pathlib.Path | None = None,
) -> tuple[np.ndarray, Proof]:
  """Verifies a copy of an origin file and reads the array in it.

  The copy is read once: what is hashed is what is decoded, even if another
  process writes to the file.

  Args:
    copy: The copy.
    shape: The expected shape of the array.
    allow_unverified: Whether to accept an array that nothing proves, even if
      its first axis is shorter. Nothing but the right array is accepted from a
      table of pixels.
    learnt: JSON file for what `recreation` learns.

  Returns:
    The array as it is in the file, and its proof.

  Raises:
    OriginFileError: If the copy is damaged or not the right file.
  """
  if pixel_tables.is_table(copy.path):
    return _read_table(copy, shape, learnt)

  def check_shape(found: tuple[int, ...]) -> None:
    shorter_allowed = allow_unverified and len(found) == len(shape)
    if found[1:] != shape[1:] or (
      found[:1] > shape[:1] if shorter_allowed else found != shape
    ):
      raise OriginFileError(
        f'expected an array of shape {shape}, found {found}'
      )

  values = math.prod(shape) * (1 if len(shape) > 2 else _LABEL_SIZE)
  # Another array may be in the same file, whose size is then declared.
  largest = max(2 * values + _OVERHEAD, copy.file.size or 0)

  def decode(stream: io.BufferedReader[Any], size: int) -> np.ndarray:
    return idx_npz.read_array(
      stream,
      size,
      check_shape,
      name=copy.file.array,
      integers=len(shape) <= 2,
    )

  return _decode(
    copy,
    decode,
    largest,
    allow_unverified=allow_unverified,
    shape=shape,
    learnt=learnt,
  )


def _read_table(
  copy: Copy, shape: tuple[int, ...], learnt: pathlib.Path | None
) -> tuple[np.ndarray, Proof]:
  """Reads the array of an origin file from a table of its pixels."""
  try:
    for array in pixel_tables.arrays(copy.path, shape):
      if proof := _prove_array(copy.file, array, learnt):
        return array, proof
  except OriginFileError as error:
    raise OriginFileError(f'{copy}: {error}') from error
  raise OriginFileError(f'{copy}: its content is not that of {copy.file.path}')


def _prove_array(
  file: OriginFile, array: np.ndarray, learnt: pathlib.Path | None
) -> Proof | None:
  """Proves that an array is the one in a published file."""
  # Others save labels as integers of eight bytes.
  narrow = array.astype(np.uint8) if array.ndim == 1 else array
  for form in (array, narrow) if (narrow == array).all() else (array,):
    found = verification.fingerprint(form)
    if file.fingerprint is not None:
      if found == file.fingerprint:
        return Proof.FINGERPRINT
    elif found not in _fingerprints() and (
      proof := recreation.recreate(file, form, learnt)
    ):
      return proof
  return None


@functools.cache
def _fingerprints() -> frozenset[str]:
  """Returns the fingerprints of known files, which are no others."""
  return frozenset(
    file.fingerprint
    for source in (*SOURCES, *registry.extensions())
    for file in source.origin_files
    if file.fingerprint
  )


def _read_content(
  copy: Copy, *, allow_unverified: bool = False
) -> tuple[bytes, Proof]:
  """Verifies a copy of an origin file and reads its bytes."""
  largest = None if allow_unverified else copy.file.size
  return _decode(
    copy,
    lambda stream, size: stream.read(),
    largest or _LARGEST_FILE,
    allow_unverified=allow_unverified,
  )


_T = TypeVar('_T')


def _decode(
  copy: Copy,
  decode: Callable[[io.BufferedReader[Any], int], _T],
  largest: int,
  *,
  allow_unverified: bool,
  shape: tuple[int, ...] = (),
  learnt: pathlib.Path | None = None,
) -> tuple[_T, Proof]:
  """Verifies a copy of an origin file while a function decodes it."""
  file, wrong = copy.file, None
  try:
    with copy.open() as (stream, size):
      reader = verification.ProvingReader(file, stream, size)
      try:
        if size > largest:
          raise OriginFileError(
            f'expected at most {largest:,} bytes, found {size:,}'
          )
        found = decode(io.BufferedReader(reader, _BLOCK), size)
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
  # A shorter array, if allowed, is none that is published.
  if proof is None and isinstance(found, np.ndarray) and found.shape == shape:
    proof = _prove_array(file, found, learnt)
  if proof is None:
    if not allow_unverified:
      raise OriginFileError(
        f'{copy}: {wrong or _why_unverified(file, size)}. To use it anyway,'
        ' allow unverified files (--allow_unverified)'
      )
    proof = Proof.NONE
  return found, proof


def _why_unverified(file: OriginFile, size: int) -> str:
  return verification.mismatch(file, size) + (
    ', and no fingerprint of its content is known'
    if file.fingerprint is None
    else ', and its content is not the published one'
  )


def _read_file(
  file: OriginFile,
  read: Callable[..., tuple[_T, Proof]],
  locations: Locations,
  shape: tuple[int, ...],
  *,
  allow_unverified: bool,
) -> tuple[_T, Proof]:
  """Reads a file from the first location that holds the right one."""
  # A proved copy is better than an unverified one that comes first.
  if allow_unverified and (proved := find_proved_copy(file, locations)):
    return read(proved)
  faults: list[str] = []
  on_disk = locations_lib.copies_on_disk(file, locations)
  if (found := _read_first(on_disk, read, allow_unverified, faults)) is None:
    found = _read_packed(file, read, locations, shape, faults)
  if found is None:
    downloads = _downloads(file, locations, faults)
    found = _read_first(downloads, read, allow_unverified, faults)
  if found is not None:
    return found
  raise OriginFileError(_describe_missing(file, locations, faults))


def _read_first(
  copies: Iterable[Copy],
  read: Callable[..., tuple[_T, Proof]],
  allow_unverified: bool,
  faults: list[str],
) -> tuple[_T, Proof] | None:
  for copy in copies:
    try:
      return read(copy, allow_unverified=allow_unverified)
    except OriginFileError as error:
      remedy = '. Delete it to fetch it anew' if copy.cached else ''
      faults.append(f'{error}{remedy}')
  return None


def _read_packed(
  file: OriginFile,
  read: Callable[..., tuple[_T, Proof]],
  locations: Locations,
  shape: tuple[int, ...],
  faults: list[str],
) -> tuple[_T, Proof] | None:
  """Reads the array of a file from another packing, only if it is proved."""
  for copy in packings.packed_copies(file, shape, locations) if shape else ():
    try:
      found, proof = read(copy)
    except OriginFileError as error:
      # Arrays of other sources have the same shape.
      if packings.is_namesake(copy):
        faults.append(str(error))
      continue
    except PreparationError as error:
      faults.append(f'{copy}: {error}')
      continue
    _log.warning('Read %s from %s (proof: %s).', file.path, copy, proof.value)
    return found, proof
  return None


def _downloads(
  file: OriginFile, locations: Locations, faults: list[str]
) -> Iterator[Copy]:
  """Yields downloads; appends failures to `faults`."""
  if locations.download is None:
    return
  mirror = mirror_address.parse(locations.mirror) if locations.mirror else None
  on_disk = len(faults)
  for fetched, url in locations_lib.urls(file, locations.mirror):
    try:
      path = pathlib.Path(locations.download(url))
    except OriginFileError as error:
      faults.append(str(error))
      continue
    if isinstance(mirror, str) and not url.startswith(f'{mirror}/'):
      _log.warning(
        'the mirror does not serve %s: %s',
        file.path,
        '; '.join(faults[on_disk:]),
      )
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
    folders = locations_lib.folders(file, locations)
    looked = ', '.join(map(str, folders)) or 'no folder'
    found = f'{file.path} was not found (looked in: {looked})'
  if similar := similar_names.describe(file, locations):
    found += '\nFound under similar names:\n' + '\n'.join(
      f'- {line}' for line in similar
    )
  remedy = locations_lib.how_to_get(file, locations.manual_dir)
  return f'{found}\nTo go on, {remedy}'


def _checked_labels(source: Source, piece: Piece) -> np.ndarray:
  """Returns the labels of a piece in the type of the source's labels."""
  labels = piece.labels
  known = np.zeros(max(source.raw_labels) + 2, bool)
  known[list(source.raw_labels)] = True
  if labels.size:
    inside = np.clip(labels, -1, len(known) - 1)
    if not known[inside].all():
      first, last = source.raw_labels[0], source.raw_labels[-1]
      wrong = labels[~known[inside]][0]
      raise OriginFileError(
        f'{piece.path}: expected labels from {first} to {last}, found'
        f' {labels.min()} to {labels.max()}, {wrong} among them. This is not the'
        f' file of {source.title}: fetch it anew.'
      )
  return labels.astype(source.label_dtype, copy=False)


def _check_counts(
  source: Source, split: str, counts: np.ndarray, classes: slice
) -> None:
  """Checks how many examples of each class verified files have."""
  declared = source.splits[split]
  path = (declared.labels or next(iter(declared.files))).path
  found = tuple(counts[list(source.raw_labels[classes])].tolist())
  expected = declared.class_counts and declared.class_counts[classes]
  num_examples = sum(expected) if expected else declared.num_examples
  if sum(found) != num_examples:
    raise OriginFileError(
      f'{path}: expected {num_examples:,} examples, found'
      f' {sum(found):,}. This is not the file of {source.title}: fetch it anew.'
    )
  if expected is not None and found != expected:
    raise OriginFileError(
      f'{path}: expected {_few(expected)} labels of the classes, found'
      f' {_few(found)}. This is not the file of {source.title}: fetch it anew.'
    )


def _few(counts: tuple[int, ...]) -> str:
  shown = ', '.join(map(str, counts[:_FEW]))
  return f'({shown}{", ..." if len(counts) > _FEW else ""})'

# SPDX-License-Identifier: Apache-2.0
"""Loads a split of a source: verified arrays from its origin files.

A source may be larger than memory, so its arrays come in chunks. A chunk is a
file with the images of a class, or some rows of a table or some pictures. The
layouts 'idx' and 'npz' have one chunk, because each has one pair of files.
"""

from __future__ import annotations

import collections
import io
import itertools
import posixpath
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from cmnist_tfds.origin import conversion, picture_files, tables
from cmnist_tfds.origin.locations import Locations
from cmnist_tfds.origin.picture_files import PictureFiles
from cmnist_tfds.origin.reader import Reader
from cmnist_tfds.origin.verification import Proof
from cmnist_tfds.sources import IMAGE_SIZE, OriginFile, Source, Split
from cmnist_tfds.system.errors import OriginFileError

# Pictures that are read together.
_CHUNK = 4096

# Characters of a message that list what was found.
_LONGEST = 800


class SplitArrays(NamedTuple):
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


# Some examples: the file that has the labels, for messages; the raw labels, integers
# (n,); the images, uint8 (n, *shape) as in the files, or (n, 28, 28), converted, of
# pictures of any size; and the paths of pictures in their folder.
_Chunk = tuple[str, np.ndarray, np.ndarray, Sequence[str]]


def load_split(source: Source, split: str, locations: Locations) -> SplitArrays:
  """Loads a split as `load_pieces` does, in one chunk."""
  pieces = load_pieces(source, split, locations)
  images, labels, proofs = zip(*pieces, strict=True)
  return SplitArrays(np.concatenate(images), np.concatenate(labels), proofs[-1])


def load_pieces(
  source: Source, split: str, locations: Locations | Reader
) -> Iterator[SplitArrays]:
  """Finds the files of a split, verifies them, and reads and converts them.

  Args:
    source: The source.
    split: 'train' or 'test'.
    locations: The locations to look in, or a reader of the files there.

  Yields:
    The arrays of each chunk, at least one. Nothing of a split may be used
    before the last chunk was read: only then are all files known to be right.
    There are no examples if the source does not have the split.

  Raises:
    OriginFileError: If no location holds the right file. The message says what
      is wrong at each of them, and how to get the file.
  """
  reader = locations if isinstance(locations, Reader) else Reader(locations)
  if split not in source.splits:
    images = np.empty((0, IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    yield SplitArrays(images, np.empty(0, source.label_dtype), reader.proofs)
    return
  declared, counts = source.splits[split], collections.Counter[int]()
  for images, labels in _chosen(source, split, reader):
    counts.update(labels.tolist())
    yield SplitArrays(images, labels, reader.proofs)
  found = tuple(counts[raw] for raw in source.raw_labels)
  expected = declared.class_counts
  if expected is None:
    expected, found = (declared.num_examples,), (sum(found),)
  # Unverified files may have fewer examples.
  if found != expected and Proof.NONE not in reader.proofs.values():
    path = (declared.labels or next(iter(declared.files))).path
    counted = f'{expected} examples of the classes'
    raise _wrong_content(source, path, counted, found)


def _chosen(
  source: Source, split: str, reader: Reader
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """Yields the converted images and the labels of a split of those in files."""
  declared, known = source.splits[split], source.raw_labels
  listing, listed = declared.listing, set[str]()
  rows: Any
  if listing:
    # A line is the number of an example, from 0, or the path of a picture.
    text = reader.read(listing).decode('utf-8-sig', 'replace')
    listed = {line.strip() for line in text.splitlines()} - {''}
  unseen, numbers = set(listed), map(str, itertools.count())
  seen = collections.defaultdict[int, Iterator[int]](itertools.count)
  in_files = declared.whole or declared
  for path, raw, pixels, paths in _read(source, in_files, reader):
    if (wrong := raw[~np.isin(raw, list(known))]).size:
      expected = f'labels from {known[0]} to {known[-1]}'
      found = f'{raw.min()} to {raw.max()}, {wrong[0]} among them'
      raise _wrong_content(source, path, expected, found)
    labels = raw.astype(source.label_dtype, copy=False)
    images, rows = pixels, slice(None)
    if in_files.shape:
      images = conversion.convert(pixels, source.steps)
    if declared.whole:
      names = paths or [*itertools.islice(numbers, len(labels))]
      unseen.difference_update(names)
      for_test = [
        name in listed if listing else next(seen[label]) < (declared.first or 0)
        for name, label in zip(names, labels.tolist(), strict=True)
      ]
      # A class that is taken in full, or not at all, may fill a whole chunk.
      rows = np.flatnonzero(np.array(for_test, bool) == (split == 'test'))
    yield images[rows], labels[rows]
  # Of other folders, a list may name what a source leaves out.
  folders = {'', *source.folders, *source.class_names}
  other = [n for n in unseen if n.rpartition('/')[0].split('/')[0] in folders]
  if listing and other:
    expected = 'expected numbers of examples from 0, or paths of pictures'
    found = ', '.join(sorted(other))[:_LONGEST]
    raise OriginFileError(f'{listing.path}: {expected}, found {found}')


def _wrong_content(
  source: Source, path: str, expected: str, found: object
) -> OriginFileError:
  told = f'expected {expected[:_LONGEST]}, found {found!s:.{_LONGEST}}'
  remedy = f'This is not the file of {source.title}: fetch it again'
  return OriginFileError(f'{path}: {told}. {remedy}')


# Layouts ----------------------------------------------------------------------


def _read(source: Source, split: Split, reader: Reader) -> Iterator[_Chunk]:
  """Yields the examples in files, whatever the layout.

  Of the layouts 'npy' and 'folder' they come class by class, and pictures by
  their names.
  """
  if split.images and split.labels:
    images, labels = (reader.read(f, s) for f, s in split.files.items())
    if len(images) != len(labels):
      raise OriginFileError(
        f'{split.labels.path}: expected a label for each of {len(images):,}'
        f' images, found {len(labels):,}. Fetch both files from the same origin'
      )
    labels = labels[:, 0] if labels.ndim == 2 else labels
    yield split.labels.path, labels, images, ()
  elif split.per_class:
    classes = zip(split.files.items(), source.raw_labels, strict=True)
    for (file, shape), raw in classes:
      images = reader.read(file, shape)
      yield file.path, np.full(len(images), raw), images, ()
  elif source.layout == 'folder':
    with reader.pictures(split.parts[0]) as files:
      yield from _read_folders(source, split, files)
  else:
    for file in split.parts:
      if source.layout == 'csv' and source.image_column:
        with reader.pictures(file, table=True) as files:
          yield from _read_table(source, split, file, files)
      else:
        yield from _read_table(source, split, file, reader.read(file))


def _read_folders(
  source: Source, split: Split, files: PictureFiles
) -> Iterator[_Chunk]:
  """Yields the pictures in the folder of each class."""
  by_folder = collections.defaultdict[str, list[str]](list)
  for name in files.names:
    by_folder[_nfc(posixpath.dirname(name))].append(name)
  folders = source.folders or source.class_names
  counts = split.class_counts or [1] * len(folders)
  classes = zip(folders, source.raw_labels, counts, strict=True)
  for folder, raw, count in classes:
    names = by_folder[_nfc(folder)]
    if count and not names:
      fault = f'expected pictures in a folder {folder}, found none'
      raise OriginFileError(f'{files.where}: {fault}')
    for begin in range(0, len(names), _CHUNK):
      chosen = names[begin : begin + _CHUNK]
      encoded = ((f'{files.where}/{n}', files.read(n)) for n in chosen)
      images = _decode(source, split, encoded)
      yield files.where, np.full(len(images), raw), images, chosen


def _read_table(
  source: Source, split: Split, file: OriginFile, content: bytes | PictureFiles
) -> Iterator[_Chunk]:
  """Yields the rows of a table of pixels, of pictures, or of their paths."""
  texts = map(_nfc, (*source.class_names, *source.folders))
  raw_of = dict(zip(texts, itertools.cycle(source.raw_labels), strict=False))
  path = file.member if file.archive else file.name
  data = content if isinstance(content, bytes) else content.read(path)
  columns = source.label_column, source.image_column
  found = tables.rows(io.BytesIO(data), file.path, *columns, split.shape)
  for where, labels, cells in found:
    # A whole number is a raw label, even if a class has it for a name.
    raw = [raw_of.get(_nfc(n), n) if isinstance(n, str) else n for n in labels]
    for row, label in zip(where, raw, strict=True):
      if isinstance(label, str):
        expected = 'expected a raw label or the name of a class'
        raise OriginFileError(f'{row}: {expected}, found {label!r}')
    names: list[str] = []
    images: Any = cells
    if not isinstance(content, bytes):
      # Paths are relative to the table.
      paths = (posixpath.join(path, '..', str(cell)) for cell in cells)
      names = list(map(posixpath.normpath, paths))
      images = [content.read(name) for name in names]
    if not isinstance(cells, np.ndarray):
      encoded = zip(names or where, images, strict=True)
      images = _decode(source, split, encoded)
    yield file.path, np.array(raw, np.int64), images, names


def _decode(
  source: Source, split: Split, encoded: Iterable[tuple[str, bytes]]
) -> np.ndarray:
  """Decodes pictures; converts each by itself if they may have any size."""
  wanted: Any = {'shape': split.shape, 'gray': 'grey' in source.steps}
  decoded = [picture_files.decode(data, n, **wanted) for n, data in encoded]
  if split.shape is None:
    decoded = [conversion.convert(i[None], source.steps)[0] for i in decoded]
  return np.stack(decoded)


def _nfc(name: str) -> str:
  """Returns a name in the form in which names are compared."""
  return unicodedata.normalize('NFC', name)

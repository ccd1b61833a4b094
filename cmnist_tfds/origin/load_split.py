# SPDX-License-Identifier: Apache-2.0
"""Loads a split of a source: verified arrays from its origin files.

A source may be larger than memory, so its arrays come in chunks. A chunk is a
file with the images of a class, or some rows of a table or some pictures. The
layouts 'idx' and 'npz' have one chunk, because each has one pair of files.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np

from cmnist_tfds.origin import (
  conversion,
  layouts,
)
from cmnist_tfds.origin.layouts import Chunk
from cmnist_tfds.origin.locations import Locations
from cmnist_tfds.origin.reader import Reader
from cmnist_tfds.origin.verification import Proof
from cmnist_tfds.sources import IMAGE_SIZE, Source, Split
from cmnist_tfds.system.errors import OriginFileError

# Characters of a message that list what was found.
_LONGEST_LIST = 800


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
) -> SplitArrays:
  """Loads a split as `load_pieces` does, in one chunk."""
  reader = Reader(locations)
  chunks = list(read_split(source, split, reader))
  images = np.concatenate([chunk.images for chunk in chunks])
  labels = np.concatenate([chunk.labels for chunk in chunks])
  return SplitArrays(images, labels, reader.proofs)


def load_pieces(
  source: Source,
  split: str,
  locations: Locations,
) -> Iterator[SplitArrays]:
  """Finds the files of a split, verifies them, and reads and converts them.

  Args:
    source: The source.
    split: 'train' or 'test'.
    locations: The locations to look in.

  Returns:
    The arrays of each chunk, at least one. Nothing of a split may be used
    before the last chunk was read: only then are all files known to be right.
    There are no examples if the source does not have the split.

  Raises:
    OriginFileError: If no location holds the right file. The message says what
      is wrong at each of them, and how to get the file.
  """
  reader = Reader(locations)
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
  declared, counts = source.splits[split], collections.Counter[int]()
  for chunk in _chosen(source, split, reader):
    images = chunk.images
    if not chunk.converted:
      images = conversion.convert(images, source.steps)
    counts.update(chunk.labels.tolist())
    yield SplitArrays(images, chunk.labels, reader.proofs)
  found = tuple(counts[raw] for raw in source.raw_labels)
  expected = declared.class_counts
  if expected is None:
    expected, found = (declared.num_examples,), (sum(found),)
  # Unverified files may have fewer examples.
  if found != expected and Proof.NONE not in reader.proofs.values():
    path = (declared.labels or next(iter(declared.files))).path
    counted = f'{expected} examples of the classes'
    raise _wrong_content(source, path, counted, found)


def _chosen(source: Source, split: str, reader: Reader) -> Iterator[Chunk]:
  """Yields the examples of a split, chosen from its files."""
  declared = source.splits[split]
  if declared.whole is None:
    yield from _labeled(source, declared, reader)
    return
  listing, listed = declared.listing, set[str]()
  if listing:
    # A line is the number of an example, from 0, or the path of a picture.
    text = reader.content(listing).decode('utf-8-sig', 'replace')
    listed = {line.strip() for line in text.splitlines()} - {''}
  unseen, begin = set(listed), 0
  seen = collections.defaultdict[int, Iterator[int]](itertools.count)
  for chunk in _labeled(source, declared.whole, reader):
    end = begin + len(chunk.labels)
    names, begin = chunk.names or [*map(str, range(begin, end))], end
    unseen.difference_update(names)
    for_test = [
      name in listed if listing else next(seen[label]) < (declared.first or 0)
      for name, label in zip(names, chunk.labels.tolist(), strict=True)
    ]
    # A class that is taken in full, or not at all, may fill a whole chunk.
    rows = np.flatnonzero(np.array(for_test, bool) == (split == 'test'))
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


def _labeled(source: Source, split: Split, reader: Reader) -> Iterator[Chunk]:
  """Yields the examples in the files of a split, with checked labels."""
  known = source.raw_labels
  for chunk in layouts.chunks(source, split, reader):
    labels = chunk.labels
    if (wrong := labels[~np.isin(labels, list(known))]).size:
      expected = f'labels from {known[0]} to {known[-1]}'
      found = f'{labels.min()} to {labels.max()}, {wrong[0]} among them'
      raise _wrong_content(source, chunk.path, expected, found)
    labels = labels.astype(source.label_dtype, copy=False)
    yield dataclasses.replace(chunk, labels=labels)


def _wrong_content(
  source: Source, path: str, expected: str, found: object
) -> OriginFileError:
  return OriginFileError(
    f'{path}: expected {expected[:_LONGEST_LIST]}, found'
    f' {str(found)[:_LONGEST_LIST]}. This is not the file of {source.title}:'
    ' fetch it again'
  )

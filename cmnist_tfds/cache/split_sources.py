# SPDX-License-Identifier: Apache-2.0
"""What the sources give to a split, from their stores."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Sequence

import numpy as np

from cmnist_tfds import origin, selection
from cmnist_tfds.cache import store
from cmnist_tfds.sources import Source
from cmnist_tfds.subsets import Subset


@dataclasses.dataclass(frozen=True, eq=False)
class Piece:
  """What one source gives to a split.

  Attributes:
    store: The encoded examples of the source.
    rows: Integers (n,): which of them, in the order of the source.
    labels: Integers (256,): the label of each raw label, negative for those
      that do not occur in the rows.
    source: Number of the source in the subset.
  """

  store: store.Store
  rows: np.ndarray
  labels: np.ndarray
  source: int

  def row_labels(self) -> np.ndarray:
    """Returns the label of each of the rows: int64 (n,)."""
    return self.labels[self.store.labels[self.rows]]


def open_or_encode(
  subset: Subset,
  split: str,
  locations: origin.Locations,
  *,
  allow_unverified: bool,
) -> list[Piece]:
  """Returns what each source gives to a split; encodes what never was.

  Args:
    subset: The subset.
    split: 'train' or 'test'.
    locations: Where origin files are looked for.
    allow_unverified: Whether to take files that nothing proves.

  Returns:
    One piece per source, in the order of the subset.

  Raises:
    OriginFileError: If an origin file is missing or not the right one.
    PreparationError: If the cache folder cannot be written.
  """
  opened = [
    _open_or_encode(source, split, locations, allow_unverified=allow_unverified)
    for source in subset.sources
  ]
  return _pieces(subset, split, opened)


def find(subset: Subset, split: str) -> list[Piece] | None:
  """Returns what each source gives to a split, if all of them are encoded.

  Args:
    subset: The subset.
    split: 'train' or 'test'.

  Returns:
    One piece per source, in the order of the subset; None if one is not there
    that was encoded from files that had been proved.
  """
  found = []
  for source in subset.sources:
    encoded = store.find(origin_of(source, split))
    if encoded is None:
      return None
    found.append(encoded)
  return _pieces(subset, split, found)


def origin_of(source: Source, split: str) -> str:
  """Names a source's examples in the cache, by the hashes of its files.

  Args:
    source: The source.
    split: 'train' or 'test'.

  Returns:
    What `store.open_or_encode` takes, where the files were proved.
  """
  files = source.splits[split]
  return f'{source.key} {split}: ' + ' '.join(
    file.sha256 or file.md5 for file in (files.images, files.labels)
  )


def digest(pieces: Sequence[Piece]) -> str:
  """Returns a hash of all that decides the bytes of a split's examples.

  Args:
    pieces: What each source gives.

  Returns:
    SHA-256 as 64 hexadecimal digits.
  """
  hashed = hashlib.sha256()
  for piece in pieces:
    encoded = piece.store
    for array in (encoded.crcs, encoded.lengths, encoded.labels):
      hashed.update(np.ascontiguousarray(array[piece.rows]).data)
    hashed.update(piece.labels.tobytes())
  return hashed.hexdigest()


def _pieces(
  subset: Subset, split: str, stores: Sequence[store.Store]
) -> list[Piece]:
  return [
    Piece(
      store=encoded,
      rows=selection.rows(
        encoded.labels, raw_labels, selection.train_limit(subset, split)
      ),
      labels=selection.label_map(subset, index),
      source=index,
    )
    for index, ((_, raw_labels), encoded) in enumerate(
      zip(subset.members, stores, strict=True)
    )
  ]


def _open_or_encode(
  source: Source,
  split: str,
  locations: origin.Locations,
  *,
  allow_unverified: bool,
) -> store.Store:
  """Returns the store of a split of a source."""
  read = functools.partial(
    origin.load_split.load_split, source, split, locations
  )
  proved = origin_of(source, split)
  if not allow_unverified:
    # Whoever made this store had proved the files; they need not be there now.
    return store.open_or_encode(proved, lambda: _loaded(read()))
  arrays = read(allow_unverified=True)
  if origin.Proof.NONE not in arrays.proofs.values():
    return store.open_or_encode(proved, lambda: _loaded(arrays))
  content = f'unverified {source.key} {split}: ' + ' '.join(
    map(origin.fingerprint, (arrays.images, arrays.labels))
  )
  return store.open_or_encode(content, lambda: _loaded(arrays))


def _loaded(arrays: origin.SplitArrays) -> store.Loaded:
  proofs = {path: proof.value for path, proof in arrays.proofs.items()}
  return store.Loaded(arrays.images, arrays.labels, note=proofs)

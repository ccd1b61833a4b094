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

"""What the sources give to a split, from their stores."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence

import numpy as np

from cmnist_tfds import acquire, selection
from cmnist_tfds.prepare import records, store
from cmnist_tfds.sources import Source
from cmnist_tfds.subsets import Subset


def open_or_encode(
  subset: Subset,
  split: str,
  places: acquire.Places,
  *,
  allow_unverified: bool,
) -> list[records.Piece]:
  """Returns what each source gives to a split; encodes what never was.

  Args:
    subset: The subset.
    split: 'train' or 'test'.
    places: Where origin files are looked for.
    allow_unverified: Whether to take files that nothing proves.

  Returns:
    One piece per source, in the order of the subset.

  Raises:
    OriginFileError: If an origin file is missing or not the right one.
    PreparationError: If the cache folder cannot be written.
  """
  opened = [
    _open_or_encode(source, split, places, allow_unverified=allow_unverified)
    for source in subset.sources
  ]
  return _pieces(subset, split, opened)


def find(subset: Subset, split: str) -> list[records.Piece] | None:
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


def digest(pieces: Sequence[records.Piece]) -> str:
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
) -> list[records.Piece]:
  return [
    records.Piece(
      store=encoded,
      rows=selection.rows(
        encoded.labels, raw_labels, selection.kept(subset, split)
      ),
      labels=selection.label_map(subset, index),
      source=index,
    )
    for index, ((_, raw_labels), encoded) in enumerate(
      zip(subset.members, stores, strict=True)
    )
  ]


def _open_or_encode(
  source: Source, split: str, places: acquire.Places, *, allow_unverified: bool
) -> store.Store:
  """Returns the store of a split of a source."""
  read = functools.partial(acquire.read_split, source, split, places)
  proved = origin_of(source, split)
  if not allow_unverified:
    # Whoever made this store had proved the files; they need not be there now.
    return store.open_or_encode(proved, lambda: _loaded(read()))
  arrays = read(allow_unverified=True)
  if acquire.Proof.NONE not in arrays.proofs.values():
    return store.open_or_encode(proved, lambda: _loaded(arrays))
  content = f'unverified {source.key} {split}: ' + ' '.join(
    map(acquire.fingerprint, (arrays.images, arrays.labels))
  )
  return store.open_or_encode(content, lambda: _loaded(arrays))


def _loaded(arrays: acquire.SplitArrays) -> store.Loaded:
  proofs = {path: proof.value for path, proof in arrays.proofs.items()}
  return store.Loaded(arrays.images, arrays.labels, note=proofs)

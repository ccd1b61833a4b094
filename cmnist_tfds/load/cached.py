# SPDX-License-Identifier: Apache-2.0
"""Subsets whose sources are encoded: read without shards.

What a build would write is known then: which examples, and their order.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from cmnist_tfds import subsets
from cmnist_tfds.cache import shuffle_order, split_sources
from cmnist_tfds.load import prepared
from cmnist_tfds.load.examples import Examples
from cmnist_tfds.load.split_view import SplitView
from cmnist_tfds.sources import SPLITS
from cmnist_tfds.subsets import Subset


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
  """The examples of a split, in the order a build would write them in.

  Attributes:
    pieces: What each source gives.
    order: Integers (n,), the numbers of the examples along the concatenation of
      the pieces.
  """

  pieces: tuple[split_sources.Piece, ...]
  order: np.ndarray

  def __len__(self) -> int:
    return len(self.order)

  def labels(self) -> np.ndarray:
    """Returns all labels, along the concatenation: int64 (n,)."""
    return np.concatenate([piece.row_labels() for piece in self.pieces])

  def read(self, numbers: np.ndarray, out: Examples, at: np.ndarray) -> None:
    """Reads examples.

    Args:
      numbers: Integers (n,), which ones.
      out: Where to put them.
      at: Integers (n,), to which places of `out`.

    Raises:
      PreparationError: If an image cannot be decoded.
    """
    keys = self.order[numbers]
    ends = np.cumsum([len(piece.rows) for piece in self.pieces])
    piece_of = np.searchsorted(ends, keys, side='right')
    for index in np.unique(piece_of).tolist():
      piece = self.pieces[index]
      mine = np.flatnonzero(piece_of == index)
      rows = piece.rows[keys[mine] - (ends[index] - len(piece.rows))]
      raw_labels = piece.store.labels[rows]
      places = at[mine]
      out.images[places] = piece.store.images(rows)
      out.labels[places] = piece.labels[raw_labels]
      out.sources[places] = piece.source
      out.source_labels[places] = raw_labels


@dataclasses.dataclass(frozen=True, eq=False)
class Stored:
  """A subset whose sources are encoded, though its shards may not be written.

  Attributes:
    subset: Which subset.
    splits: The splits, by name.
    dataset: 'cmnist': the sample is not read from stores.
  """

  subset: Subset
  splits: Mapping[str, Split]
  dataset: str = prepared.DATASET

  @property
  def class_names(self) -> tuple[str, ...]:
    """The name of each label."""
    return tuple(c.name for c in self.subset.classes)

  @property
  def class_counts(self) -> list[tuple[int, int]]:
    """For each label, how many examples train and test have."""
    train, test = (
      np.bincount(self.splits[split].labels(), minlength=len(self.class_names))
      for split in SPLITS
    )
    return list(zip(train.tolist(), test.tolist(), strict=True))

  @property
  def shard_lengths(self) -> dict[str, list[int]]:
    """For each split its number of examples, as if it were one shard."""
    return {name: [len(split)] for name, split in self.splits.items()}

  def split(self, spec: str) -> SplitView:
    """Returns a split, written as TFDS writes it."""
    return SplitView(self, spec)


def find(name: str) -> Stored | None:
  """Returns a subset as the stores of its sources have it.

  Args:
    name: Name of a subset.

  Returns:
    The subset, or None unless all its sources were encoded from files that had
    been proved.

  Raises:
    SubsetNameError: If there is no such subset.
  """
  subset = subsets.subset(name)
  found = {}
  for split in SPLITS:
    given = split_sources.find(subset, split)
    if given is None:
      return None
    count = sum(len(piece.rows) for piece in given)
    found[split] = Split(tuple(given), shuffle_order.order(split, count))
  return Stored(subset, found)

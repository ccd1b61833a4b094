# SPDX-License-Identifier: Apache-2.0
"""The examples that a split specification stands for, in any order."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from cmnist_tfds import schema
from cmnist_tfds.load import memory
from cmnist_tfds.load.mapped_split import MappedSplit
from cmnist_tfds.load.shard_split import ShardSplit
from cmnist_tfds.subsets import Subset

FEATURE_NAMES = tuple(feature.name for feature in schema.FEATURES)


@dataclasses.dataclass(frozen=True, eq=False)
class Stretch:
  """Consecutive examples of a split.

  Attributes:
    split: The split.
    start: Number of the first example.
    stop: Number of the first example after them.
  """

  split: MappedSplit | ShardSplit
  start: int
  stop: int

  def __len__(self) -> int:
    return self.stop - self.start

  def take(
    self, numbers: np.ndarray, *, images: bool = True
  ) -> tuple[np.ndarray | None, np.ndarray]:
    """Returns images, if they are wanted, and labels of some examples."""
    numbers = numbers + self.start
    if isinstance(self.split, ShardSplit):
      return self.split.read(numbers)
    return (
      self.split.take(numbers) if images else None,
      self.split.labels[numbers],
    )

  def read(
    self, *, images: bool = True
  ) -> tuple[np.ndarray | None, np.ndarray]:
    """Returns images, if they are wanted, and labels of all examples."""
    if isinstance(self.split, MappedSplit) and len(self) == len(self.split):
      return self.split.read() if images else None, self.split.labels
    return self.take(np.arange(len(self)), images=images)


class SplitView:
  """Examples of a subset; several threads may take some at a time."""

  def __init__(self, subset: Subset, stretches: Sequence[Stretch]):
    """Keeps what the examples are.

    Args:
      subset: The subset.
      stretches: The examples, one stretch after the other.
    """
    self._subset = subset
    self._stretches = stretches
    self._ends = np.cumsum([len(s) for s in stretches], dtype=np.int64)
    self._values = {
      feature.name: np.array([feature.of_class(c) for c in subset.classes])
      for feature in schema.INTEGERS
    }

  def __len__(self) -> int:
    return int(self._ends[-1]) if len(self._ends) else 0

  def take(
    self, numbers: np.ndarray, features: Sequence[str] = FEATURE_NAMES
  ) -> dict[str, np.ndarray]:
    """Returns some of the examples.

    Args:
      numbers: Integers (m,), which examples, from 0.
      features: Names of the features wanted.

    Returns:
      By name of the feature: 'image', uint8 (m, 28, 28); the others int64 (m,).

    Raises:
      PreparationError: If a record is damaged; the message says which.
    """
    wanted = schema.IMAGE.name in features
    if len(self._stretches) == 1:
      return self._features(
        *self._stretches[0].take(numbers, images=wanted), features
      )
    labels = np.empty(len(numbers), np.int64)
    images = np.empty(
      (len(numbers) * wanted, *schema.IMAGE.shape[:2]), np.uint8
    )
    stretch_of = np.searchsorted(self._ends, numbers, side='right')
    for index in np.unique(stretch_of).tolist():
      stretch = self._stretches[index]
      at = np.flatnonzero(stretch_of == index)
      within = numbers[at] - (self._ends[index] - len(stretch))
      taken, labels[at] = stretch.take(within, images=wanted)
      if wanted:
        images[at] = taken
    return self._features(images, labels, features)

  def read(
    self, features: Sequence[str] = FEATURE_NAMES
  ) -> dict[str, np.ndarray]:
    """Returns all examples.

    Args:
      features: Names of the features wanted.

    Returns:
      By name of the feature: 'image', uint8 (n, 28, 28); the others int64 (n,).

    Raises:
      MemoryShortageError: If they do not fit into memory.
      PreparationError: If a record is damaged; the message says which.
    """
    wanted = schema.IMAGE.name in features
    memory.check(
      len(self)
      * (wanted * int(np.prod(schema.IMAGE.shape)) + 8 * len(features)),
      f'{len(self):,} examples of {self._subset.title}',
    )
    if len(self._stretches) == 1:
      return self._features(*self._stretches[0].read(images=wanted), features)
    parts = [stretch.read(images=wanted) for stretch in self._stretches]
    empty = np.empty((0, *schema.IMAGE.shape[:2]), np.uint8)
    return self._features(
      np.concatenate([empty, *(p for p, _ in parts if p is not None)]),
      np.concatenate([np.empty(0, np.int64), *(labels for _, labels in parts)]),
      features,
    )

  def _features(
    self,
    images: np.ndarray | None,
    labels: np.ndarray,
    features: Sequence[str],
  ) -> dict[str, np.ndarray]:
    found = {
      name: self._values[name][labels]
      for name in features
      if name != schema.IMAGE.name
    }
    if images is not None and schema.IMAGE.name in features:
      found[schema.IMAGE.name] = images
    return found


def check_features(names: Sequence[str], known: Sequence[str]) -> None:
  """Raises a `ValueError` if there is a name that is not known."""
  unknown = [name for name in names if name not in known]
  if unknown:
    raise ValueError(
      f'There are no features {unknown}, but {", ".join(known)}.'
    )

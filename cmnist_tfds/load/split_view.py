# SPDX-License-Identifier: Apache-2.0
"""Gives access to the examples that a split expression stands for."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from cmnist_tfds import schema
from cmnist_tfds.load import memory
from cmnist_tfds.load.mapped_split import MappedSplit
from cmnist_tfds.load.shard_split import ShardSplit
from cmnist_tfds.subsets import Subset

FEATURE_NAMES = tuple(feature.name for feature in schema.FEATURES)

# Consecutive examples of a split: the number of the first example, and the
# number of the first example after them.
Stretch = tuple[MappedSplit | ShardSplit, int, int]


class SplitView:
  """Examples of a subset, which several threads may take at the same time."""

  def __init__(self, subset: Subset, runs: Sequence[Stretch]):
    """Constructs the view.

    Args:
      subset: The subset.
      runs: The examples, one run after the other.
    """
    self._subset = subset
    self._runs = runs
    counts = [stop - start for _, start, stop in runs]
    self._ends = np.cumsum(counts, dtype=np.int64)
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
      numbers: Integers (m,), the numbers of the examples, from 0.
      features: Names of the features to return.

    Returns:
      The values of each feature, by its name: 'image', uint8 (m, 28, 28); other
      features int64 (m,).

    Raises:
      PreparationError: If a record is damaged. The message names it.
    """
    wanted = schema.IMAGE.name in features
    if len(self._runs) == 1:
      split, first, _ = self._runs[0]
      return self._features(
        *split.take(numbers + first, images=wanted), features
      )
    images = np.empty(
      (len(numbers) * wanted, *schema.IMAGE.shape[:2]), np.uint8
    )
    labels = np.empty(len(numbers), np.int64)
    run_of = np.searchsorted(self._ends, numbers, side='right')
    for index, (split, _, stop) in enumerate(self._runs):
      at = np.flatnonzero(run_of == index)
      within = numbers[at] + (stop - self._ends[index])
      taken, labels[at] = split.take(within, images=wanted)
      if wanted:
        images[at] = taken
    return self._features(images, labels, features)

  def read(
    self, features: Sequence[str] = FEATURE_NAMES
  ) -> dict[str, np.ndarray]:
    """Returns all examples.

    Args:
      features: Names of the features to return.

    Returns:
      The values of each feature, by its name: 'image', uint8 (n, 28, 28); other
      features int64 (n,).

    Raises:
      MemoryShortageError: If the arrays do not fit into memory.
      PreparationError: If a record is damaged. The message names it.
    """
    sizes = {f.name: np.dtype(f.dtype).itemsize for f in schema.FEATURES}
    sizes[schema.IMAGE.name] *= math.prod(schema.IMAGE.shape)
    needed = (
      len(self) * sum(sizes[name] for name in features),
      f'{len(self):,} examples of {self._subset.title}',
    )
    memory.check(*needed)
    with memory.allocating(*needed):
      return self._read(features)

  def _read(self, features: Sequence[str]) -> dict[str, np.ndarray]:
    if len(self._runs) == 1 and schema.IMAGE.name in features:
      split, _, _ = self._runs[0]
      if isinstance(split, MappedSplit) and len(split) == len(self):
        return self._features(split.read_images(), split.labels, features)
    return self.take(np.arange(len(self)), features)

  def _features(
    self, images: np.ndarray, labels: np.ndarray, features: Sequence[str]
  ) -> dict[str, np.ndarray]:
    return {
      name: images if name == schema.IMAGE.name else self._values[name][labels]
      for name in features
    }


def check_features(names: Sequence[str], known: Sequence[str]) -> None:
  """Raises a `ValueError` if a name is not among the known names."""
  unknown = [name for name in names if name not in known]
  if unknown:
    raise ValueError(
      f'There are no features {unknown}. The features are {", ".join(known)}.'
    )

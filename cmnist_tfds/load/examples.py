# SPDX-License-Identifier: Apache-2.0
"""Examples as arrays."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from cmnist_tfds.sources import IMAGE_SIZE

# As TFDS names them, see `Examples.feature`.
FEATURES = ('image', 'label', 'source', 'source_label')


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
  """Examples as arrays.

  Attributes:
    images: uint8 (n, 28, 28).
    labels: int64 (n,).
    sources: int64 (n,), which of the subset's sources.
    source_labels: int64 (n,), the sources' own raw labels.
  """

  images: np.ndarray
  labels: np.ndarray
  sources: np.ndarray
  source_labels: np.ndarray

  @classmethod
  def empty(cls, count: int) -> Examples:
    """Returns arrays for so many examples, not filled."""
    return cls(
      np.empty((count, IMAGE_SIZE, IMAGE_SIZE), np.uint8),
      *(np.empty(count, np.int64) for _ in range(3)),
    )

  def __len__(self) -> int:
    return len(self.labels)

  def feature(self, name: str) -> np.ndarray:
    """Returns one of `FEATURES`, by its name in TFDS."""
    return {
      'image': self.images,
      'label': self.labels,
      'source': self.sources,
      'source_label': self.source_labels,
    }[name]

  def __getitem__(self, which: slice | np.ndarray) -> Examples:
    return Examples(
      self.images[which],
      self.labels[which],
      self.sources[which],
      self.source_labels[which],
    )


def check_features(names: Sequence[str], known: Sequence[str]) -> None:
  """Raises a `ValueError` if there is a name that is not known."""
  unknown = [name for name in names if name not in known]
  if unknown:
    raise ValueError(
      f'There are no features {unknown}, but {", ".join(known)}.'
    )

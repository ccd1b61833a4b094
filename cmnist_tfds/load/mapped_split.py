# SPDX-License-Identifier: Apache-2.0
"""Takes the examples of a split from arrays that the cache maps."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np

# How many images are copied together: few enough to stay in the processor's
# cache.
_AT_ONCE = 4096


class MappedSplit:
  """The examples of a split, copied from mapped arrays on demand.

  Several threads may take examples at the same time.

  Attributes:
    labels: int64 (n,), the labels, in the order of the prepared dataset.
  """

  def __init__(
    self,
    images: Sequence[np.ndarray],
    rows: Sequence[np.ndarray | None],
    labels: np.ndarray,
    order: np.ndarray,
  ):
    """Constructs the split.

    Args:
      images: The images of each source, uint8 (k, 28, 28), mapped.
      rows: For each source, integers (m,), the images that are in the split;
        None for all images in their order.
      labels: int64 (n,), the labels along the concatenation of the rows.
      order: Integers (n,), numbers along the concatenation, in the order of the
        prepared dataset.
    """
    self._images = images
    self._rows = rows
    self._ends = np.cumsum(
      [len(i if r is None else r) for i, r in zip(images, rows, strict=True)]
    )
    self._order = order
    self.labels = labels[order]

  def __len__(self) -> int:
    return len(self.labels)

  def select(self, numbers: np.ndarray) -> MappedSplit:
    """Returns the split that consists of some of the examples.

    Args:
      numbers: Integers (m,), the numbers of the examples.
    """
    selected = copy.copy(self)
    selected._order = self._order[numbers]
    selected.labels = self.labels[numbers]
    return selected

  def take(
    self, numbers: np.ndarray, *, images: bool = True
  ) -> tuple[np.ndarray, np.ndarray]:
    """Returns some of the examples.

    Args:
      numbers: Integers (m,), the numbers of the examples.
      images: Whether to return images.

    Returns:
      The images, uint8 (m, 28, 28), or (0, 28, 28) if `images` is false; and
      the labels, int64 (m,).
    """
    keys = self._order[numbers] if images else self._order[:0]
    taken = np.empty((len(keys), *self._images[0].shape[1:]), np.uint8)
    for start in range(0, len(keys), _AT_ONCE):
      batch = slice(start, start + _AT_ONCE)
      self._take(keys[batch], taken[batch])
    return taken, self.labels[numbers]

  def _take(self, keys: np.ndarray, taken: np.ndarray) -> None:
    sources = np.searchsorted(self._ends, keys, side='right')
    for source, (images, rows) in enumerate(
      zip(self._images, self._rows, strict=True)
    ):
      at = np.flatnonzero(sources == source)
      within = keys[at] - (self._ends[source - 1] if source else 0)
      taken[at] = images[within if rows is None else rows[within]]

  def read_images(self) -> np.ndarray:
    """Returns all images, in half the time that `take` needs.

    It reads the images in the order of their sources and copies each to its
    place in the split.

    Returns:
      uint8 (n, 28, 28).
    """
    if len(self) < self._ends[-1]:  # A selection.
      return self.take(np.arange(len(self)))[0]
    places = np.empty(len(self), np.intp)
    places[self._order] = np.arange(len(self))
    read = np.empty((len(self), *self._images[0].shape[1:]), np.uint8)
    begin = 0
    for images, rows in zip(self._images, self._rows, strict=True):
      count = len(images if rows is None else rows)
      for start in range(0, count, _AT_ONCE):
        batch = slice(start, min(start + _AT_ONCE, count))
        into = places[begin + batch.start : begin + batch.stop]
        read[into] = images[batch if rows is None else rows[batch]]
      begin += count
    return read

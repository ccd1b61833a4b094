# SPDX-License-Identifier: Apache-2.0
"""Reads the examples of a source in the order of its files."""

from __future__ import annotations

import numpy as np

from cmnist_tfds import schema
from cmnist_tfds.cache.shuffle_order import shuffle_order
from cmnist_tfds.load.open_subset import Opened


class FileOrderSplit:
  """A split of a source, in the order of the source's files.

  Attributes:
    raw_labels: int64 (n,), the labels in the files.
    digest: A hash of everything that determines the examples; None if the
      prepared dataset does not tell.
  """

  def __init__(self, opened: Opened, split: str):
    """Constructs the split.

    Args:
      opened: The subset that consists of the source alone.
      split: 'train' or 'test'.
    """
    self._view = opened.split(split)
    count = len(self._view)
    # The keys in the prepared order number the examples along the files.
    self._places = np.empty(count, np.int64)
    self._places[shuffle_order(split, count)] = np.arange(count)
    self.digest = opened.digests.get(split)
    taken = self._view.take(self._places, ['source_label'])
    self.raw_labels = taken['source_label']

  def images(self, rows: np.ndarray) -> np.ndarray:
    """Returns the images of some rows of the files, uint8 (m, 784)."""
    taken = self._view.take(self._places[rows], [schema.IMAGE.name])
    return taken[schema.IMAGE.name].reshape(len(rows), -1)

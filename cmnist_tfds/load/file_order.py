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
    view = opened.split(split)
    # The keys in the prepared order number the examples along the files.
    self._view = view.select(np.argsort(shuffle_order(split, len(view))))
    self.digest = opened.digests.get(split)
    self.raw_labels = self._view.read(['source_label'])['source_label']

  def images(self, rows: np.ndarray) -> np.ndarray:
    """Returns the images of some rows of the files, uint8 (m, 784)."""
    images = self._view.take(rows, [schema.IMAGE.name])[schema.IMAGE.name]
    return images.reshape(len(rows), -1)

# SPDX-License-Identifier: Apache-2.0
"""Examples of a split as arrays by feature name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cmnist_tfds.load.examples import FEATURES

if TYPE_CHECKING:
  from cmnist_tfds.load.open_subset import Opened


class SplitView:
  """The examples of a split."""

  def __init__(self, opened: Opened, spec: str):
    from cmnist_tfds.load.reader import Reader

    self._reader = Reader(opened, spec)

  def __len__(self) -> int:
    return len(self._reader)

  def take(self, numbers: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the examples of these numbers, an array for each feature."""
    examples = self._reader.read(numbers)
    return {name: examples.feature(name) for name in FEATURES}

  def read(self) -> dict[str, np.ndarray]:
    """Returns all examples, an array for each feature."""
    return self.take(np.arange(len(self)))

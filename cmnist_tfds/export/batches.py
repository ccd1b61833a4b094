# SPDX-License-Identifier: Apache-2.0
"""Reads splits in batches, so that an export needs little memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cmnist_tfds.load.split_view import SplitView
from cmnist_tfds.system import streams

_BATCH_SIZE = 4096


def in_batches(view: SplitView) -> Iterator[dict[str, np.ndarray]]:
  """Yields the examples of a split in order, some thousands at a time.

  A progress bar shows on terminals how many of them are done.

  Args:
    view: The split.

  Yields:
    An array of values for each feature of the schema, by its name.

  Raises:
    PreparationError: If the data of the subset is damaged.
  """
  for start in streams.progress_bar(
    range(0, len(view), _BATCH_SIZE),
    desc='Writing',
    unit=' examples',
    unit_scale=_BATCH_SIZE,
    leave=False,
  ):
    yield view.take(np.arange(start, min(start + _BATCH_SIZE, len(view))))

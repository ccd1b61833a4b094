# SPDX-License-Identifier: Apache-2.0
"""Which test images are by one writer, and so no independent examples."""

from __future__ import annotations

import numpy as np

from cmnist_tfds.cache.shuffle_order import shuffle_order
from cmnist_tfds.load.draws import class_ranks
from cmnist_tfds.scoring.predictions import Predictions
from cmnist_tfds.subsets import DATASET, Subset


def source_numbers(subset: Subset, labels: np.ndarray) -> np.ndarray:
  """Returns the number of the source of each example, int64 (n,)."""
  return np.array([c.source_number for c in subset.classes])[labels]


def clusters(scored: Predictions) -> np.ndarray:
  """Returns which examples were drawn together, as those of one writer.

  Writers are known of a whole test split, and of sources that declare them.

  Args:
    scored: Predictions for the whole split, in the order of the examples.

  Returns:
    int64 (n,), one number for all examples of a writer, ascending in the order
    of the files, and one from 0 to n - 1 for each example of unknown writer.
  """
  found = np.arange(count := len(scored.labels))
  if (scored.dataset, scored.split) == (DATASET, 'test'):
    order = shuffle_order('test', count)
    in_files = np.empty_like(scored.labels)
    in_files[order] = scored.labels
    ranks = class_ranks(in_files)[order]
    numbers = source_numbers(scored.subset, scored.labels)
    for number, source in enumerate(scored.subset.sources):
      if block := source.test_writer_block:
        own = numbers == number
        found[own] = (number + 1) * count + ranks[own] // block
  return found


def doubts(scored: Predictions) -> list[str]:
  """Returns what a reader must know of runs of the published draw and others.

  Args:
    scored: The predictions of all runs.
  """
  size, draws = scored.subset.per_class, {draw or 0 for draw in scored.draws}
  return [
    f'Draw 0 is one writer of {source.title}, and the other draws mix its'
    ' writers. Their mean and spread are of neither: score draw 0 alone.'
    for source in scored.subset.sources
    if size and 1 < source.writer_block >= size and {0} < draws
  ]

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


def units(scored: Predictions) -> np.ndarray:
  """Returns what was drawn together with each example, as by one writer.

  Writers are known of a whole test split, and of sources that declare them.

  Args:
    scored: Predictions for the whole split, in the order of the examples.

  Returns:
    int64 (n,), the number of the writer of each example, or else of the example,
    below 2 ** 49. If it is the whole test split, an example has the same number
    in every subset with its source, and one of another source may have it too.
  """
  count, subset = len(scored.labels), scored.subset
  if scored.split != 'test':
    return np.arange(count)
  order = shuffle_order('test', count)
  in_files = np.empty_like(scored.labels)
  in_files[order] = scored.labels
  ranks = class_ranks(in_files)[order]
  found = np.array([c.raw_label for c in subset.classes])[scored.labels]
  found = (found + 1) * 2**32 + ranks
  numbers = source_numbers(subset, scored.labels)
  for number, source in enumerate(subset.sources):
    if (block := source.test_writer_block) and scored.dataset == DATASET:
      own = numbers == number
      found[own] = ranks[own] // block
  return found


def clusters(scored: Predictions) -> np.ndarray:
  """Returns `units`, and different ones for different sources; int64 (n,)."""
  numbers = source_numbers(scored.subset, scored.labels)
  return units(scored) + numbers * 2**49


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

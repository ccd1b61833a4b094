# SPDX-License-Identifier: Apache-2.0
"""Which examples of a source a subset takes: rows of its files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cmnist_tfds.subsets import Subset


def rows(
  labels: np.ndarray, raw_labels: Sequence[int], per_class: int | None
) -> np.ndarray:
  """Returns the rows of one split of a source that a subset takes.

  Args:
    labels: (n,) raw labels, in the order of the file.
    raw_labels: The classes taken.
    per_class: How many of each class, the first ones in the file; all if None.

  Returns:
    (m,) int64, the rows taken, ascending: the order of the file is kept.
  """
  if per_class is None:
    return np.flatnonzero(np.isin(labels, raw_labels))
  return np.sort(
    np.concatenate(
      [np.flatnonzero(labels == raw)[:per_class] for raw in raw_labels]
    )
  )


def train_limit(subset: Subset, split: str) -> int | None:
  """Returns how many examples of a class a split keeps, None for all.

  Reduced subsets are reduced in training alone: the test set stays whole.
  """
  return subset.per_class if split == 'train' else None


def label_map(subset: Subset, source_index: int) -> np.ndarray:
  """Returns the table from a source's raw labels to the subset's labels.

  Args:
    subset: The subset.
    source_index: Which of its sources.

  Returns:
    (256,) int64; -1 for raw labels that the subset does not take.
  """
  source = subset.sources[source_index]
  table = np.full(256, -1, np.int64)
  for c in subset.classes:
    if c.source is source:
      table[c.raw_label] = c.label
  return table

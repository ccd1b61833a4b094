# SPDX-License-Identifier: Apache-2.0
"""Draws of a reduced training set: other examples than the published ones.

A reduced subset keeps the first N training examples of each class in the files
of the source. That is draw 0. Draw j, from 1, has the j-th N examples of each
class in the order of the prepared training set, which is a random one. Draws
from 1 on have no example in common.
"""

from __future__ import annotations

import numpy as np

from cmnist_tfds.errors import SplitError
from cmnist_tfds.subsets import Subset


def class_ranks(labels: np.ndarray) -> np.ndarray:
  """Returns how many earlier examples of its class each example has.

  Args:
    labels: Integers (n,).

  Returns:
    int64 (n,).
  """
  order = np.argsort(labels, kind='stable')
  ordered = labels[order]
  first = np.searchsorted(ordered, ordered)
  ranks = np.empty(len(labels), np.int64)
  ranks[order] = np.arange(len(labels)) - first
  return ranks


def draw_rows(
  subset: Subset, labels: np.ndarray, per_class: int, draw: int
) -> np.ndarray:
  """Returns the examples of a draw.

  Args:
    subset: The subset with all training examples.
    labels: (n,), the labels of its training set in the prepared order.
    per_class: How many examples of each class are drawn.
    draw: The number of the draw, from 1.

  Returns:
    int64 (per_class * classes,), numbers of examples in ascending order.

  Raises:
    SplitError: If a class has too few examples.
  """
  counts = np.bincount(labels, minlength=subset.num_classes)
  fewest = int(counts.argmin())
  if counts[fewest] < draw * per_class:
    raise SplitError(
      f'Draw {draw} of {per_class} examples of each class needs'
      f' {draw * per_class:,} of each, and {subset.classes[fewest].name!r} of'
      f' {subset.title} has {counts[fewest]:,}. It has'
      f' {counts[fewest] // per_class} such draws.'
    )
  ranks = class_ranks(labels)
  return np.flatnonzero(ranks // per_class == draw - 1)

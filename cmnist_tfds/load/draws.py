# SPDX-License-Identifier: Apache-2.0
"""Draws of a reduced training set: other examples than the published ones.

A reduced subset keeps the first N training examples of each class in the files
of the source. That is draw 0. Draw j, from 1, has the j-th N examples of each
class in the order of the prepared training set, which is a random one. Draws
from 1 on have no example in common.
"""

from __future__ import annotations

import numbers

import numpy as np

from cmnist_tfds.subsets import Subset
from cmnist_tfds.system.errors import SplitError, counted


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


def check_draw(subset: Subset, draw: int) -> None:
  """Checks that a subset can have a draw; only its labels tell how many it has.

  Args:
    subset: The subset.
    draw: The number of the draw.

  Raises:
    SplitError: If the number is no whole number from 0, or if the subset is not
      reduced and the draw is not draw 0.
  """
  is_number = isinstance(draw, numbers.Integral) and not isinstance(draw, bool)
  if not is_number or draw < 0:
    raise SplitError(
      f'draw must be a whole number, 0 for the published training set of'
      f' {subset.title} or from 1 for others, not {draw!r}.'
    )
  if draw and subset.per_class is None:
    raise SplitError(
      f'{subset.title} has all training examples, so it has no draws. Name a'
      ' reduced form.'
    )


def count_draws(reduced: Subset, labels: np.ndarray) -> int:
  """Returns how many draws a reduced subset has, besides draw 0.

  Args:
    reduced: The reduced subset.
    labels: (n,), the labels of the training set of the full subset.
  """
  assert reduced.per_class is not None, 'only reduced subsets have draws'
  counts = np.bincount(labels, minlength=reduced.num_classes)
  return int(counts.min()) // reduced.per_class


def draw_rows(reduced: Subset, labels: np.ndarray, draw: int) -> np.ndarray:
  """Returns the examples of a draw.

  Args:
    reduced: A reduced subset.
    labels: (n,), the labels of the training set of the full subset, in the
      order of the prepared dataset.
    draw: The number of the draw, from 1.

  Returns:
    int64 (m,), numbers of examples in ascending order.

  Raises:
    SplitError: If a class has too few examples, or the subset is not reduced.
  """
  check_draw(reduced, draw)
  possible, per_class = count_draws(reduced, labels), reduced.per_class or 0
  if draw > possible:
    counts = np.bincount(labels, minlength=reduced.num_classes)
    fewest = int(counts.argmin())
    raise SplitError(
      f'{reduced.title} has {counted(possible, "draw")}, not {draw}:'
      f' {reduced.classes[fewest].name!r} has'
      f' {counted(counts[fewest], "training example")}, and {draw} draws take'
      f' {draw * per_class:,}. Ask for fewer.'
    )
  return np.flatnonzero(class_ranks(labels) // per_class == draw - 1)

# SPDX-License-Identifier: Apache-2.0
"""Divides the training set: `validation` is held out, `fit` is the rest.

A tenth of the examples of each class is held out. Where it is known that a
source lists its writers one after the other, a tenth of the blocks of writers
is, because images by the same writers on both sides flatter a method.

For a class whose `count` training examples stand in the source's file in blocks
of `block` by one writer (`block` is 1 where writers are not known):

    blocks = -(-count // block)
    chosen = np.random.RandomState(0).permutation(blocks)
    held = chosen[: max(1, round(blocks / 10))]

Its n-th example in the file, from 0, is in `validation` if n // block is in
`held`. So a union with all training examples holds out what its sources hold
out. A reduced form has fewer examples of a class, to which the rule is applied.
NumPy guarantees that the numbers of `RandomState` never change.

Both parts keep the order of the prepared training set.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cmnist_tfds.cache.shuffle_order import shuffle_order
from cmnist_tfds.load.draws import class_ranks
from cmnist_tfds.load.split_spec import FIT, VALIDATION
from cmnist_tfds.subsets import SAMPLE, Subset
from cmnist_tfds.system.errors import SplitError

_SEED = 0
_ONE_IN = 10


def part_rows(
  subset: Subset, labels: np.ndarray, *, dataset: str, draw: int = 0
) -> dict[str, np.ndarray]:
  """Returns which training examples are held out and which are not.

  Args:
    subset: The subset.
    labels: int64 (n,), the labels of its training set, in the order of the
      prepared dataset.
    dataset: 'cmnist' or 'cmnist_sample'. Nobody wrote the sample, so it has no
      blocks.
    draw: The number of the draw that the training set is. The examples of draws
      from 1 on are counted in the order of the prepared dataset, in place of
      that of the files.

  Returns:
    For 'validation' and 'fit', int64 (m,), numbers of examples in ascending
    order.

  Raises:
    SplitError: If a class has too few examples or writers to hold out any.
  """
  blocks = [
    1 if dataset == SAMPLE else c.source.writer_block for c in subset.classes
  ]
  if draw and max(blocks) > 1:
    mixed = subset.classes[int(np.argmax(blocks))].source
    raise SplitError(
      f'Draw {draw} of {subset.title} has no {VALIDATION} or {FIT} split: it'
      f' mixes the writers of {mixed.title}, whose images must not stand on both'
      f' sides. Take them from {subset.full.title}.'
    )
  order: np.ndarray = (
    np.arange(len(labels)) if draw else shuffle_order('train', len(labels))
  )
  in_files = np.empty_like(labels)
  in_files[order] = labels
  held = _held_out(subset, in_files, blocks)[order]
  return {VALIDATION: np.flatnonzero(held), FIT: np.flatnonzero(~held)}


def _held_out(
  subset: Subset, labels: np.ndarray, block_sizes: Sequence[int]
) -> np.ndarray:
  """Returns which examples are held out, bool (n,), in the order of labels."""
  ranks = class_ranks(labels)
  held = np.zeros(len(labels), bool)
  counts = np.bincount(labels, minlength=subset.num_classes).tolist()
  for c, count, size in zip(subset.classes, counts, block_sizes, strict=True):
    blocks = -(-count // size)
    if blocks == 1:
      larger = f' Take a larger form, such as {subset.full.title}.'
      raise SplitError(
        f'{subset.title} has no {VALIDATION} or {FIT} split, because nothing of'
        f' {c.name!r} can be held out: it has {count:,} training'
        f' example{"s by one writer" if count > 1 else ""}.'
        f'{larger if subset.per_class else ""}'
      )
    chosen = np.zeros(blocks, bool)
    shuffled = np.random.RandomState(_SEED).permutation(blocks)
    chosen[shuffled[: max(1, round(blocks / _ONE_IN))]] = True
    at = np.flatnonzero(labels == c.label)
    held[at] = chosen[ranks[at] // size]
  return held

# SPDX-License-Identifier: Apache-2.0
"""Finds images that occur twice, exactly or nearly.

Two images a and b are as near as their ratio |a - b|^2 / (|a| |b|), the squared
distance of their pixels relative to their norms. It is 0 for equal images and
does not change with brightness.

Only few pairs of images are compared pixel by pixel. The ratio is at least
(|a| - |b|)^2 / (|a| |b|), so images of very different norms are not compared.
The distance is at least that of the images averaged over squares of 4 x 4 pixels,
so these are compared first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from cmnist_tfds import subsets
from cmnist_tfds.cache.shuffle_order import shuffle_order
from cmnist_tfds.load.file_order import FileOrderSplit
from cmnist_tfds.load.open_subset import Opened
from cmnist_tfds.sources import IMAGE_SIZE, Source
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system import streams

# Pairs with at most this ratio count as near-copies; those with at most twice as
# much are listed.
THRESHOLD = 0.005

# Side of the squares that are averaged.
_SQUARE = 4
# How many images are averaged, and how many pairs compared, at once.
_BATCH = 2**13
_ROWS = 1024
_COLUMNS = 4096
# Bounds are computed in float32, with errors below this part of |a| |b|.
_ROUNDING = 2e-5


class AuditedImages(NamedTuple):
  """The images of one split of a source that are compared.

  Attributes:
    source: The source.
    split: 'train' or 'test'.
    rows: int64 (n,), their rows in the files of the source.
    raw_labels: int64 (n,), their labels in the files.
    images: uint8 (n, 784).
  """

  source: Source
  split: str
  rows: np.ndarray
  raw_labels: np.ndarray
  images: np.ndarray

  @property
  def title(self) -> str:
    """The key of the source and the name of the split."""
    return f'{self.source.key} {self.split}'

  def class_name(self, number: int) -> str:
    """Returns the name of the class of an image."""
    raw_label = int(self.raw_labels[number])
    return self.source.class_names[self.source.class_numbers[raw_label]]


class Duplicates(NamedTuple):
  """Pairs of images that are equal or near.

  Images are numbered along the parts. Of equal images the first one stands for
  all others: each other one forms an exact pair with it, and only the first one
  occurs in pairs of images that are not equal.

  Attributes:
    parts: The images.
    firsts: int64 (n,), for each image the first one that is equal to it.
    pairs: int64 (m, 2), the pairs, nearest first; the smaller number first.
    ratios: float64 (m,), their ratios.
    limit: All pairs up to this ratio are there. If there is none, the nearest
      pair is there.
  """

  parts: Sequence[AuditedImages]
  firsts: np.ndarray
  pairs: np.ndarray
  ratios: np.ndarray
  limit: float

  @property
  def in_test(self) -> np.ndarray:
    """Which images are test images, bool (n,)."""
    is_test = [np.full(len(p.rows), p.split == 'test') for p in self.parts]
    return np.concatenate(is_test)

  def find(self, number: int) -> tuple[AuditedImages, int]:
    """Returns the part that an image is in, and its number there."""
    for part in self.parts:
      if number < len(part.rows):
        return part, number
      number -= len(part.rows)
    raise IndexError(number)

  def with_copy(self, threshold: float) -> np.ndarray:
    """Returns which test images have a copy or a near-copy in train.

    Args:
      threshold: The largest ratio of a near-copy, at most `limit`.

    Returns:
      bool (n,), for all images; false for those in train.
    """
    # Whether an image, or one that is equal to it, is in train.
    group = np.zeros(len(self.firsts), bool)
    group[self.firsts[~self.in_test]] = True
    near = group.copy()
    pairs = self.pairs[(self.ratios > 0) & (self.ratios <= threshold)]
    for one, other in (pairs.T, pairs.T[::-1]):
      near[one[group[other]]] = True
    return near[self.firsts] & self.in_test


def audited_images(
  subset: Subset, open_: Callable[[Subset], Opened]
) -> list[AuditedImages]:
  """Reads the images of a subset.

  Args:
    subset: The subset.
    open_: Opens the subsets that consist of a source alone.

  Returns:
    The train and the test split of each source.
  """
  parts = []
  for source, taken in subset.members:
    opened = open_(subsets.combine(source))
    for split in source.splits:
      in_files = FileOrderSplit(opened, split)
      rows = subsets.rows(in_files.raw_labels, taken, subset.train_limit(split))
      labels, images = in_files.raw_labels[rows], in_files.images(rows)
      parts.append(AuditedImages(source, split, rows, labels, images))
  return parts


def find_duplicates(
  parts: Sequence[AuditedImages], limit: float = 2 * THRESHOLD
) -> Duplicates:
  """Finds all pairs of images up to a ratio.

  A progress bar shows on terminals how far the comparison is.

  Args:
    parts: The images.
    limit: The largest ratio of the pairs. If no pair has it, the nearest pair is
      found.

  Returns:
    The pairs.
  """
  images = np.concatenate([part.images for part in parts])
  rows = np.ascontiguousarray(images).view(f'V{images.shape[1]}')[:, 0]
  _, first, group = np.unique(rows, return_index=True, return_inverse=True)
  firsts = first[group]
  copies = np.flatnonzero(firsts != np.arange(len(firsts)))
  exact = np.stack([firsts[copies], copies], axis=1)
  unique = np.sort(first)
  kept = None
  while True:
    near, ratios = _near_pairs(images, unique, limit)
    if len(exact) or len(near) or limit >= 4:
      break
    # Only the nearest of these will be kept: the others are far.
    limit, kept = limit * 4, 1
  order = np.lexsort((near[:, 1], near[:, 0], ratios))[:kept]
  pairs = np.concatenate([exact, near[order]])
  ratios = np.concatenate([np.zeros(len(exact)), ratios[order]])
  return Duplicates(parts, firsts, pairs, ratios, limit)


def copies_in_train(
  subset: Subset, open_: Callable[[Subset], Opened]
) -> np.ndarray:
  """Returns which test images have a copy or near-copy in the training set.

  Args:
    subset: The subset. Reduced forms are treated as the full one, so that all
      of them are scored on the same images.
    open_: Opens the subsets that consist of a source alone.

  Returns:
    bool (n,), in the order of the prepared test set.
  """
  found = find_duplicates(audited_images(subset.full, open_), THRESHOLD)
  copied = found.with_copy(THRESHOLD)[found.in_test]
  return copied[shuffle_order('test', len(copied))]


def _near_pairs(
  images: np.ndarray, numbers: np.ndarray, limit: float
) -> tuple[np.ndarray, np.ndarray]:
  """Returns the pairs of different images up to a ratio, and their ratios.

  Args:
    images: uint8 (n, 784).
    numbers: The images that are compared, no two of which are equal.
    limit: The largest ratio.
  """
  norms, averages = _describe(images, numbers)
  order = np.argsort(-norms, kind='stable')
  # A black image is near to no other.
  order = order[norms[order] > 0]
  numbers, norms, averages = numbers[order], norms[order], averages[order]
  # Half of limit * |a| |b| less the squared distance of the averages is the
  # product of a row of each. It is negative for pairs that are not near.
  squares = np.einsum('ij,ij->i', averages, averages, dtype=np.float64)
  ones, bounds = np.ones(len(norms)), norms * (limit + _ROUNDING) / 2
  left, right = (
    np.column_stack([averages, *columns]).astype(np.float32)
    for columns in ((squares, ones, norms), (-ones / 2, -squares / 2, bounds))
  )
  # Norms differ by at most this factor, which solves f + 1 / f - 2 = limit.
  factor = 1 + limit / 2 + math.sqrt(limit + limit**2 / 4)
  pairs, ratios = [np.empty((0, 2), np.int64)], [np.empty(0)]
  starts = range(0, len(numbers), _ROWS)
  for start in streams.progress_bar(starts, desc='Comparing'):
    stop = min(start + _ROWS, len(numbers))
    end = int(np.searchsorted(-norms, -norms[stop - 1] / factor, 'right'))
    for begin in range(start, end, _COLUMNS):
      products = left[start:stop] @ right[begin : min(begin + _COLUMNS, end)].T
      one, other = np.divmod(np.flatnonzero(products >= 0), products.shape[1])
      one, other = one + start, other + begin
      later = other > one
      one, other = one[later], other[later]
      pair = np.stack([numbers[one], numbers[other]], axis=1)
      exact = _ratios(images, pair, norms[one] * norms[other])
      pairs.append(np.sort(pair[exact <= limit], axis=1))
      ratios.append(exact[exact <= limit])
  return np.concatenate(pairs), np.concatenate(ratios)


def _describe(
  images: np.ndarray, numbers: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Returns norms and averages.

  Returns:
    float64 (m,), the norms; float32 (m, 49), the sums of pixels in squares,
    scaled so that their distances are lower bounds of those of the images.
  """
  norms, averages = [np.empty(0)], []
  squares = IMAGE_SIZE // _SQUARE
  for start in range(0, len(numbers), _BATCH):
    batch = images[numbers[start : start + _BATCH]].astype(np.float32)
    # Sums of squares exceed the integers that float32 has.
    norms.append(np.sqrt(np.einsum('ij,ij->i', batch, batch, dtype=np.float64)))
    sums = batch.reshape(-1, squares, _SQUARE, squares, _SQUARE).sum((2, 4))
    averages.append(sums.reshape(len(batch), -1) / _SQUARE)
  return np.concatenate(norms), np.concatenate(averages)


def _ratios(
  images: np.ndarray, pairs: np.ndarray, norms: np.ndarray
) -> np.ndarray:
  """Returns the exact ratios of pairs, float64 (m,)."""
  squares = np.empty(len(pairs))
  for start in range(0, len(pairs), _BATCH):
    one, other = images[pairs[start : start + _BATCH].T].astype(np.int32)
    apart = one - other
    squares[start : start + _BATCH] = np.einsum('ij,ij->i', apart, apart)
  return squares / norms

# SPDX-License-Identifier: Apache-2.0
"""The baseline of k nearest neighbors, exact.

The distance is the squared Euclidean one of raw pixels. The nearest k training
images vote. Of classes with equally many votes, that of the nearest image wins.
Of images at the same distance, the one of the earlier source, and then of the
earlier row in the source's file, counts as nearer.

Distances are exact, because pixels are centered at 128. A product of two images
is then a sum of integers of at most 784 * 128 ** 2 < 2 ** 24, all of which
float32 represents.

The neighbors in a union of sources are merged from those in each source, so the
subsets together cost what the pairs of their sources cost.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from cmnist_tfds import subsets
from cmnist_tfds.cache import store
from cmnist_tfds.cache.shuffle_order import shuffle_order
from cmnist_tfds.load.draws import class_ranks, draw_rows
from cmnist_tfds.load.file_order import FileOrderSplit
from cmnist_tfds.load.open_subset import Opened
from cmnist_tfds.sources import Source
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system import streams

# Change it when neighbors or their form in the cache change.
_VERSION = 2

# A neighbor is one number: its distance, then its row in these lowest bits.
_ROW_BITS = 32
_ROW_MASK = (1 << _ROW_BITS) - 1
# Stands in for a neighbor where there are too few images; it is farther than
# any image, also with a number of rows added.
_NONE = 1 << 62

# How many test images and training images are multiplied at once.
_TESTED = 1024
_TRAINED = 4096
# Of so many training images at a time, only the nearest one is looked at first.
_GROUP = 16

# A source, and the raw labels that a subset takes from it.
_Member = tuple[Source, tuple[int, ...]]


class Neighbors:
  """Finds nearest neighbors, and searches each pair of sources once."""

  def __init__(self, open_: Callable[[Subset], Opened], count: int):
    """Constructs the search.

    Args:
      open_: Opens the subsets that consist of a source alone.
      count: How many neighbors are found for each test image.
    """
    self._count = count
    opened = functools.cache(lambda source: open_(subsets.combine(source)))
    self._split = functools.cache(
      lambda source, split: FileOrderSplit(opened(source), split)
    )
    self._published = functools.cache(self._find_published)

  def labels(self, subset: Subset, split: str) -> np.ndarray:
    """Returns the labels of a split in the order of the prepared dataset.

    Args:
      subset: The subset; its reduced forms are treated as the full one.
      split: 'train' or 'test'.

    Returns:
      int64 (n,).
    """
    labels = np.concatenate(self._labels_of_rows(subset, split))
    labels = labels[labels >= 0]
    return labels[shuffle_order(split, len(labels))]

  def predict(
    self, subset: Subset, ks: Sequence[int], draw: int = 0
  ) -> dict[int, np.ndarray]:
    """Returns what the neighbors in a training set predict.

    Args:
      subset: The subset.
      ks: How many neighbors vote, each at most the number that is found.
      draw: The draw of a reduced training set; 0 is the published one.

    Returns:
      For each k, int64 (n,), the labels of the test set in the order of the
      prepared dataset.

    Raises:
      SplitError: If there is no such draw.
    """
    labels_of_rows = self._labels_of_rows(subset, 'train')
    # The label of no neighbor is the last one.
    label_of = np.concatenate([*labels_of_rows, [-1]])
    begins = np.cumsum([0, *map(len, labels_of_rows[:-1])])
    drawn = np.empty(0, np.int64)
    if draw:
      # The rows that the draw takes, numbered along the files.
      taken = np.flatnonzero(label_of >= 0)
      order = taken[shuffle_order('train', len(taken))]
      drawn = np.sort(order[draw_rows(subset, label_of[order], draw)])
    parts = np.split(drawn, np.searchsorted(drawn, begins[1:]))
    votes: dict[int, list[np.ndarray]] = {k: [] for k in ks}
    for test in subset.members:
      found = []
      for train, begin, part in zip(subset.members, begins, parts, strict=True):
        if draw:
          found.append(begin + self._search(test, train, part - begin))
        else:
          found.append(begin + self._published(test, train, subset.per_class))
      merged = _smallest(found, self._count)
      labels = label_of[np.where(merged < _NONE, merged & _ROW_MASK, -1)]
      for k in ks:
        votes[k].append(vote(labels[:, :k]))
    order = shuffle_order('test', sum(map(len, votes[ks[0]])))
    return {k: np.concatenate(parts)[order] for k, parts in votes.items()}

  def _labels_of_rows(self, subset: Subset, split: str) -> list[np.ndarray]:
    """Returns for each source the labels of all rows of its files.

    Rows of classes that the subset does not take have the label -1.
    """
    found = []
    for number, (source, raw_labels) in enumerate(subset.members):
      label_of = np.full(max(source.raw_labels) + 1, -1, np.int64)
      label_of[list(raw_labels)] = [
        c.label for c in subset.classes if c.source_number == number
      ]
      found.append(label_of[self._split(source, split).raw_labels])
    return found

  def _find_published(
    self, test: _Member, train: _Member, per_class: int | None
  ) -> np.ndarray:
    """Returns the neighbors in a training set, from the cache if it has them.

    Returns:
      int64 (n, count), ascending along the last axis.
    """
    tested, trained = (
      self._split(source, split)
      for source, split in ((test[0], 'test'), (train[0], 'train'))
    )

    def search() -> dict[str, np.ndarray]:
      rows = subsets.rows(trained.raw_labels, train[1], per_class)
      return {'neighbors': self._search(test, train, rows)}

    digests = (tested.digest, trained.digest)
    if None in digests:
      return search()['neighbors']
    key = repr((_VERSION, digests, test[1], train[1], per_class, self._count))
    name = hashlib.sha256(key.encode()).hexdigest()[:16]
    what = f'{self._count} nearest of {train[0].key} to the test images of'
    return store.get_or_create(
      'neighbors',
      f'{test[0].key}-{train[0].key}-{name}',
      search,
      {'what': f'{what} {test[0].key}'},
    ).arrays['neighbors']

  def _search(
    self, test: _Member, train: _Member, rows: np.ndarray
  ) -> np.ndarray:
    """Returns the neighbors among some training rows, as `_find_published`."""
    split = self._split(test[0], 'test')
    tested = split.images(subsets.rows(split.raw_labels, test[1], None))
    trained = self._split(train[0], 'train')
    found = np.full((len(tested), self._count), _NONE)
    for start in streams.progress_bar(
      range(0, len(rows), _TRAINED),
      desc=f'{test[0].key} among {train[0].key}',
      leave=False,
    ):
      part = rows[start : start + _TRAINED]
      images = centered(trained.images(part))
      for first in range(0, len(tested), _TESTED):
        block = slice(first, first + _TESTED)
        new = _nearest(centered(tested[block]), images, part, self._count)
        found[block] = _smallest([found[block], new], self._count)
    return found


def centered(images: np.ndarray) -> np.ndarray:
  """Returns images, uint8 (n, 784), as float32 less 128.

  Products of such images are exact.
  """
  return images.astype(np.float32) - 128


def _smallest(found: Sequence[np.ndarray], count: int) -> np.ndarray:
  """Returns the nearest of neighbors, int64 (n, count), the nearest first."""
  return np.sort(np.concatenate(found, axis=1), axis=1)[:, :count]


def vote(labels: np.ndarray) -> np.ndarray:
  """Returns the class that most neighbors have.

  Args:
    labels: int64 (n, k), the labels of the neighbors, the nearest first; -1
      stands for none.

  Returns:
    int64 (n,). Of classes with equally many votes, that of the nearest
    neighbor.
  """
  votes = np.zeros(labels.shape, np.int64)
  for place in range(labels.shape[1]):
    votes += labels == labels[:, [place]]
  votes[labels < 0] = 0
  # argmax returns the first of equal numbers, which is the nearest.
  winners = votes.argmax(axis=1)
  return np.take_along_axis(labels, winners[:, None], axis=1)[:, 0]


def _nearest(
  tested: np.ndarray, trained: np.ndarray, rows: np.ndarray, count: int
) -> np.ndarray:
  """Returns the neighbors of a block of test images.

  Args:
    tested: float32 (b, 784), centered test images.
    trained: float32 (m, 784), centered training images.
    rows: int64 (m,), the rows of the training images.
    count: How many neighbors each test image has.

  Returns:
    int64 (b, count), in no order.
  """
  products = tested @ trained.T
  norms = _norms(trained)
  # The squared distance is the sum of the norms less twice this. It is rounded,
  # but keeps its order, so that those of the nearest are still the largest.
  nearness = products - norms / 2
  bound = np.full(len(tested), -np.inf, np.float32)
  if (groups := len(trained) // _GROUP) >= count:
    # So many images are at least as near as the last of the nearest ones of as
    # many groups.
    grouped = nearness[:, : groups * _GROUP].reshape(-1, _GROUP, groups)
    bound = np.partition(grouped.max(axis=1), -count, axis=1)[:, -count]
  near = np.flatnonzero(nearness >= bound[:, None])
  image, column = np.divmod(near, len(trained))
  distances = _norms(tested)[image].astype(np.int64)
  distances += norms[column].astype(np.int64)
  distances -= 2 * products.ravel()[near].astype(np.int64)
  keys = (distances << _ROW_BITS) | rows[column]
  order = np.argsort(keys)
  image = image[order]
  place = class_ranks(image)
  kept = place < count
  found = np.full((len(tested), count), _NONE)
  found[image[kept], place[kept]] = keys[order][kept]
  return found


def _norms(images: np.ndarray) -> np.ndarray:
  """Returns squared norms, float32 (n,), which are exact as products are."""
  return np.einsum('ij,ij->i', images, images)

# SPDX-License-Identifier: Apache-2.0
"""The baseline of k nearest neighbors, exact.

The distance is the squared Euclidean one of raw pixels. The nearest k training
images vote. Of classes with equally many votes, that of the nearest image wins.
Of images at the same distance, the one of the earlier source, and then of the
earlier row in the source's file, counts as nearer.

Distances are exact, because pixels are centered at 128. A product of two images
is then a sum of integers of at most 784 * 128 ** 2 < 2 ** 24, all of which
float32 represents. A float64 represents such a distance and a row.

The neighbors in a union of sources are merged from those in each source, so the
subsets together cost what the pairs of their sources cost.
"""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from cmnist_tfds import subsets
from cmnist_tfds.cache import store
from cmnist_tfds.cache.shuffle_order import shuffle_order
from cmnist_tfds.load.draws import draw_rows
from cmnist_tfds.load.file_order import FileOrderSplit
from cmnist_tfds.load.open_subset import Opened
from cmnist_tfds.sources import Source
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system import streams

# Change it when neighbors or their form in the cache change.
_VERSION = 4

# A neighbor is one number: this often its squared distance, less the norm of the
# test image, plus its row.
_ROWS = 2.0**26
# Stands in for a neighbor where there are too few images; it is farther than
# any image, also with a number of rows added.
_NONE = 2.0**60

# How many test images and training images are multiplied at once.
_TESTED = 512
_TRAINED = 4096
# Of so many training images at a time, only the nearest one is looked at first.
_GROUP = 16

# A source, and the raw labels that a subset takes from it.
_Member = tuple[Source, tuple[int, ...]]
# 'neighbors', float64 (n, count), ascending along the last axis, and 'seconds',
# float64 (1,): what the search took, also where the cache has it.
_Found = Mapping[str, np.ndarray]


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

  def nearest_labels(
    self, subset: Subset, draw: int = 0
  ) -> tuple[np.ndarray, float]:
    """Returns the labels of the neighbors of each test image.

    Args:
      subset: The subset.
      draw: The draw of a reduced training set; 0 is the published one.

    Returns:
      int64 (n, count), the nearest first, -1 for none, in the order of the
      prepared test set; and the seconds that the search took, whenever it ran.

    Raises:
      SplitError: If there is no such draw.
    """
    in_files = [self._split(s, 'train').raw_labels for s in subset.sources]
    begins = np.cumsum([0, *map(len, in_files)])[:-1]
    # The label of each row of the files; -1 if the subset lacks its class.
    largest = max(max(s.raw_labels) for s in subset.sources)
    label_of = np.full((len(in_files), largest + 1), -1)
    for c in subset.classes:
      label_of[c.source_number, c.raw_label] = c.label
    labels = np.concatenate([*map(np.take, label_of, in_files)])
    drawn = np.empty(0, np.int64)
    if draw:
      taken = np.flatnonzero(labels >= 0)
      order = taken[shuffle_order('train', len(taken))]
      drawn = np.sort(order[draw_rows(subset, labels[order], draw)])
    parts = np.split(drawn, np.searchsorted(drawn, begins[1:]))
    trained = [*zip(subset.members, begins, parts, strict=True)]
    nearest, seconds = [], 0.0
    for test in subset.members:
      found = []
      for train, begin, rows in trained:
        if draw:
          pair = self._search(test, train, rows - begin)
        else:
          pair = self._published(test, train, subset.per_class)
        found.append(pair['neighbors'] + begin)
        seconds += float(pair['seconds'][0])
      keys = _smallest(found, self._count)
      row = (keys % _ROWS).astype(np.int64)
      nearest.append(np.where(keys < _NONE, labels[row], -1))
    in_order = np.concatenate(nearest)
    return in_order[shuffle_order('test', len(in_order))], seconds

  def _find_published(
    self, test: _Member, train: _Member, per_class: int | None
  ) -> _Found:
    """Returns the neighbors in a training set, from the cache if it has them."""
    trained = self._split(train[0], 'train')

    def search() -> _Found:
      rows = subsets.rows(trained.raw_labels, train[1], per_class)
      return self._search(test, train, rows)

    digests = self._split(test[0], 'test').digest, trained.digest
    if None in digests:
      return search()
    key = repr((_VERSION, digests, test[1], train[1], per_class, self._count))
    name = hashlib.sha256(key.encode()).hexdigest()[:16]
    tested, among = test[0].key, train[0].key
    what = f'{self._count} nearest of {among} to the test images of {tested}'
    place = 'neighbors', f'{tested}-{among}-{name}'
    return store.get_or_create(*place, search, {'what': what}).arrays

  def _search(self, test: _Member, train: _Member, rows: np.ndarray) -> _Found:
    """Returns the neighbors among some training rows."""
    began = time.perf_counter()
    split = self._split(test[0], 'test')
    tested = split.images(subsets.rows(split.raw_labels, test[1], None))
    trained = self._split(train[0], 'train')
    found = np.full((len(tested), self._count), _NONE)
    title = f'{test[0].key} among {train[0].key}'
    starts = range(0, len(rows), _TRAINED)
    for start in streams.progress_bar(starts, desc=title):
      part = rows[start : start + _TRAINED]
      images = _centered(trained.images(part))
      own = np.einsum('ij,ij->i', images, images) * _ROWS + part
      # In groups that are whole.
      keys = np.full((_TESTED, -(-len(part) // _GROUP) * _GROUP), _NONE)
      for first in range(0, len(tested), _TESTED):
        block = slice(first, first + _TESTED)
        products = _centered(tested[block]) @ images.T
        near = keys[: len(products)]
        np.multiply(products, -2 * _ROWS, out=near[:, : len(part)])
        near[:, : len(part)] += own
        candidates = _candidates(near, self._count)
        found[block] = _smallest([found[block], candidates], self._count)
    seconds = np.array([time.perf_counter() - began])
    return {'neighbors': found, 'seconds': seconds}


def _centered(images: np.ndarray) -> np.ndarray:
  """Returns images, uint8 (n, 784), as float32 less 128."""
  return images.astype(np.float32) - 128


def _smallest(found: Sequence[np.ndarray], count: int) -> np.ndarray:
  """Returns the nearest of neighbors, float64 (n, count), the nearest first."""
  return np.sort(np.concatenate(found, axis=1), axis=1)[:, :count]


def _candidates(keys: np.ndarray, count: int) -> np.ndarray:
  """Returns few of some neighbors, among which the nearest ones are.

  The nearest ones are in the groups whose nearest ones are the nearest.

  Args:
    keys: float64 (n, m), m a multiple of `_GROUP`.
    count: How many nearest ones are wanted.
  """
  groups = keys.reshape(len(keys), _GROUP, -1)
  nearest = groups.min(axis=1)
  count = min(count, nearest.shape[1])
  chosen = np.argpartition(nearest, count - 1)[:, None, :count]
  return np.take_along_axis(groups, chosen, axis=2).reshape(len(keys), -1)


def vote(labels: np.ndarray) -> np.ndarray:
  """Returns the class that most neighbors have.

  Args:
    labels: int64 (n, k), the labels of the neighbors, the nearest first; -1
      stands for none.

  Returns:
    int64 (n,). Of classes with equally many votes, that of the nearest
    neighbor.
  """
  votes = (labels[:, :, None] == labels[:, None]).sum(axis=2)
  # argmax returns the first of equal numbers, which is the nearest.
  winners = np.argmax(votes * (labels >= 0), axis=1)
  return labels[np.arange(len(labels)), winners]

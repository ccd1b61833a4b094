# SPDX-License-Identifier: Apache-2.0
"""The baseline of k nearest neighbours, exact.

The distance is the squared Euclidean one of raw pixels. The nearest k training
images vote. Of classes with equally many votes, that of the nearest image wins.
Of images at the same distance, the one of the earlier source, and then of the
earlier row in the source's file, counts as nearer.

Distances are exact, because pixels are centred at 128. A product of two images
is then a sum of integers of at most 784 * 128 ** 2 < 2 ** 24, all of which
float32 represents.

The neighbours in a union of sources are merged from those in each source, so
the subsets together cost what the pairs of their sources cost. All reduced forms
come from one pass as well: rows are visited by their rank in their class, so
that each reduced form is a prefix.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from cmnist_tfds import subsets
from cmnist_tfds.cache import store
from cmnist_tfds.cache.shuffle_order import shuffle_order
from cmnist_tfds.load.draws import class_ranks, draw_rows
from cmnist_tfds.load.file_order import FileOrderSplit
from cmnist_tfds.load.open_subset import Opened
from cmnist_tfds.sources import Source
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system.prefetch import prefetch

# Change it when neighbours change.
_VERSION = 1

# A neighbour is one number: its distance, then its row in these lowest bits.
_ROW_BITS = 32
_ROW_MASK = (1 << _ROW_BITS) - 1
# Stands in for a neighbour where there are too few images; it is farther than
# any image, also with a number of rows added.
_NONE = 1 << 62

# How many test images are searched for in one pass over the training images.
_QUERIES = 2**14
# How many test images and training images are multiplied at once. The first
# training images are few: all of them are near compared with none.
_BLOCK = 1024
_COLUMNS = 2048
_FIRST_COLUMNS = 64

# How many training examples of each class there are; None for all.
Size = int | None

# A source, and the raw labels that a subset takes from it.
_Member = tuple[Source, tuple[int, ...]]


class Neighbors:
  """Finds nearest neighbours, and searches each pair of sources once."""

  def __init__(
    self,
    open_source: Callable[[Source], Opened],
    count: int,
    progress: Callable[[int], object] = lambda _: None,
  ):
    """Constructs the search.

    Args:
      open_source: Opens the subset that consists of a source alone.
      count: How many neighbours are found for each test image.
      progress: Called with the number of pairs of images that were compared, or
        did not need to be.
    """
    self._count = count
    self._progress = progress
    opened = functools.cache(open_source)
    self._split = functools.cache(
      lambda source, split: FileOrderSplit(opened(source), split)
    )
    self._rows = functools.cache(self._find_rows)
    self._nearest = functools.cache(self._find_nearest)

  def labels(self, subset: Subset, split: str) -> np.ndarray:
    """Returns the labels of a split, along the files of the sources.

    Args:
      subset: The subset with all training examples.
      split: 'train' or 'test'.

    Returns:
      int64 (n,).
    """
    return np.concatenate(
      [
        label_of[self._rows(member, split)]
        for member, label_of in zip(
          subset.members, self._labels_of_rows(subset, split), strict=True
        )
      ]
    )

  def prepared_labels(self, subset: Subset, split: str) -> np.ndarray:
    """Returns the labels of a split in the order of the prepared dataset."""
    labels = self.labels(subset, split)
    return labels[shuffle_order(split, len(labels))]

  def cost(self, subset: Subset, sizes: Sequence[Size]) -> dict[object, int]:
    """Returns how many pairs of images `predict` compares.

    Args:
      subset: The subset with all training examples.
      sizes: The sizes of the training sets.

    Returns:
      The number for each pair of sources. A pair that several subsets have is
      compared once.
    """
    ordered = _ordered(sizes)
    return {
      (test, train, ordered): len(self._rows(test, 'test'))
      * sum(map(len, self._groups(train, ordered)))
      for test, train in itertools.product(subset.members, repeat=2)
    }

  def cost_of_draws(self, full: Subset, reduced: Subset, draws: int) -> int:
    """Returns how many pairs of images `predict_draw` compares for draws.

    Args:
      full: The subset with all training examples.
      reduced: Its reduced form.
      draws: How many draws.
    """
    return (
      draws
      * len(self.labels(full, 'test'))
      * full.num_classes
      * (reduced.per_class or 0)
    )

  def predict(
    self, subset: Subset, sizes: Sequence[Size], ks: Sequence[int]
  ) -> dict[tuple[Size, int], np.ndarray]:
    """Returns what neighbours in reduced training sets predict.

    Args:
      subset: The subset with all training examples.
      sizes: The sizes of the training sets.
      ks: How many neighbours vote, each at most the number that is found.

    Returns:
      For each size and k, int64 (n,), the labels of the test set in the order
      of the prepared dataset.
    """
    ordered = _ordered(sizes)
    nearest = [
      [self._nearest(test, train, ordered) for train in subset.members]
      for test in subset.members
    ]
    return {
      (size, k): labels
      for number, size in enumerate(ordered)
      for k, labels in self._predict(
        subset, [[found[number] for found in row] for row in nearest], ks
      ).items()
    }

  def predict_draw(
    self, full: Subset, reduced: Subset, draw: int, ks: Sequence[int]
  ) -> dict[int, np.ndarray]:
    """Returns what neighbours in another draw of a reduced form predict.

    Args:
      full: The subset with all training examples.
      reduced: Its reduced form.
      draw: The number of the draw, from 1.
      ks: How many neighbours vote.

    Returns:
      For each k, int64 (n,), as `predict`.

    Raises:
      SplitError: If a class has too few examples.
    """
    labels = self.prepared_labels(full, 'train')
    drawn = np.zeros(len(labels), bool)
    order = shuffle_order('train', len(labels))
    drawn[order[draw_rows(reduced, labels, draw)]] = True
    members = [(member, self._rows(member, 'train')) for member in full.members]
    ends = np.cumsum([len(rows) for _, rows in members])
    nearest = [
      [
        self._search(test, train, [rows[of_member]])[0]
        for (train, rows), of_member in zip(
          members, np.split(drawn, ends[:-1]), strict=True
        )
      ]
      for test in full.members
    ]
    return self._predict(full, nearest, ks)

  def _find_rows(self, member: _Member, split: str) -> np.ndarray:
    source, raw_labels = member
    return subsets.rows(self._split(source, split).raw_labels, raw_labels, None)

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

  def _groups(
    self, member: _Member, ordered: Sequence[Size]
  ) -> list[np.ndarray]:
    """Returns the rows that each size adds to those of the size before it."""
    rows = self._rows(member, 'train')
    ranks = class_ranks(self._split(member[0], 'train').raw_labels[rows])
    bounds = [0, *(len(rows) if n is None else n for n in ordered)]
    return [
      rows[(first <= ranks) & (ranks < end)]
      for first, end in itertools.pairwise(bounds)
    ]

  def _find_nearest(
    self, test: _Member, train: _Member, ordered: tuple[Size, ...]
  ) -> np.ndarray:
    """Returns the neighbours in each size, from the cache if it has them.

    Returns:
      int64 (sizes, n, count), ascending along the last axis.
    """
    groups = self._groups(train, ordered)
    num_test = len(self._rows(test, 'test'))
    digests = [
      self._split(test[0], 'test').digest,
      self._split(train[0], 'train').digest,
    ]
    if None in digests:
      return self._search(test, train, groups)
    key = repr((_VERSION, digests, test[1], train[1], ordered, self._count))

    # The cache may ask twice, if it cannot be written.
    @functools.cache
    def search() -> np.ndarray:
      return self._search(test, train, groups)

    kept = store.get_or_create(
      'neighbors',
      f'{test[0].key}-{train[0].key}-{_hash(key)}',
      lambda: {'neighbors': search()},
      {
        'what': f'{self._count} nearest of {train[0].key} to the test images of'
        f' {test[0].key}'
      },
    )
    if not search.cache_info().misses:
      self._progress(num_test * sum(map(len, groups)))
    return kept.arrays['neighbors']

  def _search(
    self, test: _Member, train: _Member, groups: Sequence[np.ndarray]
  ) -> np.ndarray:
    """Returns the neighbours in each group of rows and the groups before it."""
    of_test, of_train = (
      self._split(test[0], 'test'),
      self._split(train[0], 'train'),
    )
    queries = self._rows(test, 'test')
    found = np.empty((len(groups), len(queries), self._count), np.int64)
    for start in range(0, len(queries), _QUERIES):
      part = slice(start, start + _QUERIES)
      images = centred(of_test.images(queries[part]))
      nearest = np.full((len(images), self._count), _NONE)
      seen = 0
      for number, rows in enumerate(groups):
        for compared in _visit(images, nearest, of_train, rows, seen):
          self._progress(compared)
        seen += len(rows)
        found[number, part] = nearest
    return found

  def _predict(
    self,
    subset: Subset,
    nearest: Sequence[Sequence[np.ndarray]],
    ks: Sequence[int],
  ) -> dict[int, np.ndarray]:
    """Merges the neighbours in each source, and lets them vote.

    Args:
      subset: The subset.
      nearest: For each source of the test images and each source of the
        training images, int64 (n, count).
      ks: How many neighbours vote.
    """
    labels_of_rows = self._labels_of_rows(subset, 'train')
    begins = np.cumsum([0, *map(len, labels_of_rows)])
    # The label of no neighbour is the last one.
    label_of = np.concatenate([*labels_of_rows, [-1]])
    votes: dict[int, list[np.ndarray]] = {k: [] for k in ks}
    for of_source in nearest:
      merged = np.concatenate(
        [
          found + begin
          for found, begin in zip(of_source, begins[:-1], strict=True)
        ],
        axis=1,
      )
      merged.sort(axis=1)
      merged = merged[:, : self._count]
      labels = label_of[
        np.where(merged < _NONE, merged & _ROW_MASK, len(label_of) - 1)
      ]
      for k in ks:
        votes[k].append(vote(labels[:, :k]))
    order = shuffle_order('test', sum(map(len, votes[ks[0]])))
    return {k: np.concatenate(parts)[order] for k, parts in votes.items()}


def centred(images: np.ndarray) -> np.ndarray:
  """Returns images, uint8 (n, 784), as float32 less 128.

  Products of such images are exact.
  """
  return images.astype(np.float32) - 128


def vote(labels: np.ndarray) -> np.ndarray:
  """Returns the class that most neighbours have.

  Args:
    labels: int64 (n, k), the labels of the neighbours, the nearest first; -1
      stands for none.

  Returns:
    int64 (n,). Of classes with equally many votes, that of the nearest
    neighbour.
  """
  votes = np.zeros(labels.shape, np.int64)
  for place in range(labels.shape[1]):
    votes += labels == labels[:, [place]]
  votes[labels < 0] = 0
  # argmax returns the first of equal numbers, which is the nearest.
  winners = votes.argmax(axis=1)
  return np.take_along_axis(labels, winners[:, None], axis=1)[:, 0]


def _visit(
  queries: np.ndarray,
  nearest: np.ndarray,
  train: FileOrderSplit,
  rows: np.ndarray,
  seen: int,
) -> Iterator[int]:
  """Updates neighbours with some rows of a source.

  Args:
    queries: float32 (n, 784), centred test images.
    nearest: int64 (n, count), their neighbours up to now, which are updated.
    train: The training images.
    rows: The rows to visit.
    seen: How many rows have been visited before.

  Yields:
    The number of pairs that have been compared since the last time.
  """
  norms = _norms(queries)
  buffers = np.empty((2, _BLOCK * _COLUMNS), np.float32)
  scratch = np.empty(_BLOCK * _COLUMNS, np.float32)
  turns = itertools.cycle(buffers)

  def blocks() -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    start = 0
    while start < len(rows):
      size = min(_COLUMNS, max(_FIRST_COLUMNS, seen + start))
      columns = rows[start : start + size]
      images = centred(train.images(columns))
      for first in range(0, len(queries), _BLOCK):
        yield slice(first, first + _BLOCK), columns, images
      start += size

  def multiply(
    item: tuple[slice, np.ndarray, np.ndarray],
  ) -> tuple[slice, np.ndarray, np.ndarray, np.ndarray]:
    block, columns, images = item
    # The other buffer may still be read.
    out = _shaped(next(turns), len(queries[block]), len(images))
    np.matmul(queries[block], images.T, out=out)
    return block, columns, _norms(images), out

  for block, columns, column_norms, products in prefetch(multiply, blocks()):
    _update(
      nearest[block],
      norms[block],
      columns,
      column_norms,
      products,
      _shaped(scratch, *products.shape),
    )
    yield products.size


def _update(
  nearest: np.ndarray,
  norms: np.ndarray,
  columns: np.ndarray,
  column_norms: np.ndarray,
  products: np.ndarray,
  scratch: np.ndarray,
) -> None:
  """Updates the neighbours of a block of test images.

  Args:
    nearest: int64 (b, count), the neighbours, which are updated.
    norms: float32 (b,), squared norms of the test images.
    columns: int64 (c,), the rows of the training images.
    column_norms: float32 (c,), squared norms of the training images.
    products: float32 (b, c), products of the images.
    scratch: float32 (b, c), which is overwritten.
  """
  # The squared distance is the sum of the norms less twice the product. It is
  # at most `limit` where product - column_norm / 2 >= (norm - limit) / 2.
  # Rounding both sides keeps that true, so no neighbour is lost here.
  limits = (nearest[:, -1] >> _ROW_BITS).astype(np.float64)
  bounds = ((norms - limits) / 2).astype(np.float32)
  np.subtract(products, column_norms / 2, out=scratch)
  found = np.flatnonzero(scratch >= bounds[:, None])
  query, column = np.divmod(found, len(columns))
  distances = norms[query].astype(np.int64) + column_norms[column].astype(
    np.int64
  )
  distances -= 2 * products.ravel()[found].astype(np.int64)
  new = (distances << _ROW_BITS) | columns[column]
  nearer = new < nearest[query, -1]
  if not nearer.any():
    return
  query, new = query[nearer], new[nearer]
  counts = np.bincount(query, minlength=len(nearest))
  changed = np.flatnonzero(counts)
  # The new neighbours of each changed image stand beside its old ones.
  known = nearest.shape[1]
  beside = np.full((len(changed), known + counts.max()), _NONE)
  beside[:, :known] = nearest[changed]
  firsts = np.cumsum(counts) - counts
  beside[
    np.searchsorted(changed, query),
    known + np.arange(len(query)) - firsts[query],
  ] = new
  beside.sort(axis=1)
  nearest[changed] = beside[:, :known]


def _norms(images: np.ndarray) -> np.ndarray:
  """Returns squared norms, float32 (n,), which are exact as products are."""
  return np.einsum('ij,ij->i', images, images)


def _shaped(buffer: np.ndarray, rows: int, columns: int) -> np.ndarray:
  return buffer[: rows * columns].reshape(rows, columns)


def _ordered(sizes: Sequence[Size]) -> tuple[Size, ...]:
  """Returns sizes in ascending order, each once; None is the largest."""
  whole = (None,) if None in sizes else ()
  return (*sorted({n for n in sizes if n is not None}), *whole)


def _hash(text: str) -> str:
  return hashlib.sha256(text.encode()).hexdigest()[:16]

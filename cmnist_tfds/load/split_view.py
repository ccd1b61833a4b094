# SPDX-License-Identifier: Apache-2.0
"""Gives access to the examples of a split, which are in mapped arrays."""

from __future__ import annotations

import bisect
import functools
import itertools
import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent import futures
from typing import Any

import numpy as np

from cmnist_tfds import schema
from cmnist_tfds.cache.split_sources import SplitSource
from cmnist_tfds.load.draws import class_ranks
from cmnist_tfds.subsets import Subset

FEATURE_NAMES = tuple(feature.name for feature in schema.FEATURES)
COLUMN_NAMES = tuple(feature.name for feature in schema.COLUMNS)

_PIXELS = math.prod(schema.IMAGE.shape)

# TensorFlow takes over memory at multiples of this address.
_ALIGNMENT = 64

# How many images are copied together: few enough to stay in the processor's
# cache.
_CHUNK = 4096

# Copying waits for memory, of which two threads fetch more than one.
_THREADS = 2


class SplitView:
  """Examples of a subset, which several threads may take at the same time."""

  def __init__(
    self, subset: Subset, sources: Sequence[SplitSource], keys: np.ndarray
  ):
    """Constructs the view.

    Args:
      subset: The subset.
      sources: Sources of examples, as raw pixels.
      keys: uint32 (n,), each once: the numbers of the examples along the
        concatenation of the sources, in the order of the view.
    """
    self._subset = subset
    self.sources = sources
    self._keys = keys
    self._begins = [0, *itertools.accumulate(map(len, sources))]

  def __len__(self) -> int:
    return len(self._keys)

  def select(self, numbers: np.ndarray | slice) -> SplitView:
    """Returns the view of some of the examples.

    Args:
      numbers: The numbers of the examples, from 0, each once.
    """
    return SplitView(self._subset, self.sources, self._keys[numbers])

  @staticmethod
  def concatenate(subset: Subset, views: Sequence[SplitView]) -> SplitView:
    """Returns the view of the examples of several views of a subset."""
    begins = itertools.accumulate((v._begins[-1] for v in views), initial=0)
    keys = [np.empty(0, np.uint32)]
    for view, begin in zip(views, begins, strict=False):
      keys.append(view._keys + np.uint32(begin))
    sources = [source for view in views for source in view.sources]
    return SplitView(subset, sources, np.concatenate(keys))

  @property
  def labels(self) -> np.ndarray:
    """The labels of all examples, int64 (n,)."""
    return self._labels(self._keys)

  def take(
    self, numbers: np.ndarray | slice, features: Sequence[str] = FEATURE_NAMES
  ) -> dict[str, np.ndarray]:
    """Returns some of the examples.

    Args:
      numbers: Integers (m,), the numbers of the examples, from 0; or a slice.
      features: Names of the features to return.

    Returns:
      The values of each feature, by its name: 'image', uint8 (m, 28, 28);
      'class_name', str (m,); other features int64 (m,).
    """
    keys = self._keys[numbers]
    by_key = {
      schema.IMAGE.name: self._images,
      schema.ROW.name: self._rows,
      schema.WRITER.name: self._writers,
    }
    labels = self._labels(keys if {*features} - by_key.keys() else keys[:0])
    return {
      name: by_key[name](keys) if name in by_key else self._values[name][labels]
      for name in features
    }

  def read(
    self, features: Sequence[str] = FEATURE_NAMES
  ) -> dict[str, np.ndarray]:
    """Returns all examples, as `take` does."""
    return self.take(slice(None), features)

  @functools.cached_property
  def _values(self) -> dict[str, np.ndarray]:
    values = {
      f.name: np.array([f.value(c) for c in self._subset.classes], np.int64)
      for f in schema.INTEGERS
    }
    names = np.array(self._subset.class_names)
    return {**values, schema.CLASS_NAME.name: names}

  def image(self, number: int) -> np.ndarray:
    """Returns one image as it is mapped, uint8 (28, 28), read-only."""
    key = int(self._keys[number])
    at = bisect.bisect_right(self._begins, key) - 1
    source = self.sources[at]
    row = key - self._begins[at]
    if source.rows is not None:
      row = source.rows[row]
    return source.arrays['images'][row]

  def located(
    self, keys: np.ndarray | None = None
  ) -> Iterator[tuple[SplitSource, np.ndarray, np.ndarray]]:
    """Yields where examples are.

    Args:
      keys: Integers (n,), the keys of the examples; all of the view if None.

    Yields:
      Each source; the places among the keys of those it has, int64 (m,); and
      their rows in its arrays, integers (m,).
    """
    keys = self._keys if keys is None else keys
    for source, begin, end in zip(
      self.sources, self._begins, self._begins[1:], strict=False
    ):
      places = np.flatnonzero((keys >= begin) & (keys < end))
      rows = keys[places] - np.uint32(begin)
      yield source, places, rows if source.rows is None else source.rows[rows]

  def _labels(self, keys: np.ndarray) -> np.ndarray:
    labels = np.empty(len(keys), np.int64)
    for source, places, rows in self.located(keys):
      labels[places] = source.label_of[source.arrays['labels'][rows]]
    return labels

  def _rows(self, keys: np.ndarray) -> np.ndarray:
    numbers = np.full(len(keys), -1, np.int64)
    for source, places, rows in self.located(keys):
      if source.writer_block:
        numbers[places] = rows
    return numbers

  def _writers(self, keys: np.ndarray) -> np.ndarray:
    writers = np.full(len(keys), -1, np.int64)
    for source, places, rows in self.located(keys):
      if source.writer_block > 1:
        ranks = class_ranks(source.arrays['labels'])
        writers[places] = ranks[rows] // source.writer_block
    return writers

  def _images(self, keys: np.ndarray) -> np.ndarray:
    """Returns images, in any order and number."""
    size = len(keys) * _PIXELS
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    images = memory[start : start + size].reshape(-1, *schema.IMAGE.shape[:2])
    into = _records(images)

    def copy(at: np.ndarray) -> None:
      for source, places, rows in self.located(keys[at]):
        found = _records(source.arrays['images'])
        # A slice is not copied before it is copied to its places.
        is_slice = len(rows) > 1 and np.all(np.diff(rows) == 1)
        taken = slice(rows[0], rows[-1] + 1) if is_slice else rows
        into[at[places]] = found[taken]

    if len(keys) <= _CHUNK:
      copy(np.arange(len(keys)))
      return images
    # Each image is copied to its place as the files are read, in their order.
    places = np.full(self._begins[-1], -1)
    places[keys] = np.arange(len(keys))
    at = places[places >= 0]
    if len(at) < len(keys):  # Some are taken twice.
      at = np.argsort(keys)
    with futures.ThreadPoolExecutor(_THREADS) as pool:
      chunks = np.split(at, range(_CHUNK, len(at), _CHUNK))
      list(pool.map(copy, chunks))  # It raises the errors of the threads.
    return images


def _records(images: np.ndarray) -> np.ndarray:
  """Returns a view of images, (n, 28, 28), as n values, which copy faster."""
  return images.reshape(-1, _PIXELS).view(f'V{_PIXELS}')[:, 0]


def check_known(
  what: str, given: Sequence[Any], known: Collection[Any]
) -> None:
  """Raises a `ValueError` if something is not among what is known.

  Args:
    what: What is given: 'features'.
    given: The list of them.
    known: All that there are.
  """
  if isinstance(given, str) or not isinstance(given, Iterable):
    raise ValueError(f'{what} takes a list, such as [{given!r}].')
  if unknown := [each for each in given if each not in known]:
    listed = ', '.join(map(repr, known))
    raise ValueError(f'There are no {what} {unknown}. The {what} are {listed}.')

# SPDX-License-Identifier: Apache-2.0
"""Gives access to the examples of a split, which are in mapped arrays."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures

import numpy as np

from cmnist_tfds import schema
from cmnist_tfds.cache.split_sources import SplitSource
from cmnist_tfds.subsets import Subset

FEATURE_NAMES = tuple(feature.name for feature in schema.FEATURES)

_PIXELS = math.prod(schema.IMAGE.shape)

# How many images are copied together: few enough to stay in the processor's
# cache.
_CHUNK = 4096

# Copying waits for memory, of which two threads fetch more than one.
_THREADS = 2

# A view of fewer than one of so many examples is not read in file order.
_SPARSE = 8


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
    self._sources = sources
    self._keys = keys
    self._begins = [0, *itertools.accumulate(map(len, sources))]

  def __len__(self) -> int:
    return len(self._keys)

  def select(self, numbers: np.ndarray | slice) -> SplitView:
    """Returns the view of some of the examples.

    Args:
      numbers: The numbers of the examples, from 0, each once.
    """
    return SplitView(self._subset, self._sources, self._keys[numbers])

  @staticmethod
  def concatenate(subset: Subset, views: Sequence[SplitView]) -> SplitView:
    """Returns the view of the examples of several views of a subset."""
    begins = itertools.accumulate((v._begins[-1] for v in views), initial=0)
    keys = [np.empty(0, np.uint32)]
    for view, begin in zip(views, begins, strict=False):
      keys.append(view._keys + np.uint32(begin))
    sources = [source for view in views for source in view._sources]
    return SplitView(subset, sources, np.concatenate(keys))

  @property
  def labels(self) -> np.ndarray:
    """The labels of all examples, int64 (n,)."""
    return self._labels(self._keys)

  def take(
    self, numbers: np.ndarray, features: Sequence[str] = FEATURE_NAMES
  ) -> dict[str, np.ndarray]:
    """Returns some of the examples.

    Args:
      numbers: Integers (m,), the numbers of the examples, from 0.
      features: Names of the features to return.

    Returns:
      The values of each feature, by its name: 'image', uint8 (m, 28, 28); other
      features int64 (m,).
    """
    return self._features(self._keys[numbers], features, self._images)

  def read(
    self, features: Sequence[str] = FEATURE_NAMES
  ) -> dict[str, np.ndarray]:
    """Returns all examples.

    Args:
      features: Names of the features to return.

    Returns:
      The values of each feature, by its name: 'image', uint8 (n, 28, 28); other
      features int64 (n,).
    """
    sparse = len(self) * _SPARSE < self._begins[-1]
    images = self._images if sparse else self._images_in_file_order
    return self._features(self._keys, features, images)

  def _features(
    self,
    keys: np.ndarray,
    features: Sequence[str],
    read_images: Callable[[np.ndarray], np.ndarray],
  ) -> dict[str, np.ndarray]:
    integers = [name for name in features if name != schema.IMAGE.name]
    labels = self._labels(keys if integers else keys[:0])
    return {
      name: self._values[name][labels]
      if name in integers
      else read_images(keys)
      for name in features
    }

  @functools.cached_property
  def _values(self) -> dict[str, np.ndarray]:
    return {
      f.name: np.array([f.value(c) for c in self._subset.classes], np.int64)
      for f in schema.INTEGERS
    }

  def _located(
    self, keys: np.ndarray
  ) -> Iterator[tuple[SplitSource, np.ndarray, np.ndarray]]:
    """Yields each source, the places of its keys, and its rows of them."""
    numbers = np.searchsorted(self._begins[1:], keys, side='right')
    for number, source in enumerate(self._sources):
      places = np.flatnonzero(numbers == number)
      rows = keys[places] - np.uint32(self._begins[number])
      yield source, places, rows if source.rows is None else source.rows[rows]

  def _labels(self, keys: np.ndarray) -> np.ndarray:
    labels = np.empty(len(keys), np.int64)
    for source, places, rows in self._located(keys):
      labels[places] = source.label_of[source.arrays['labels'][rows]]
    return labels

  def _images(self, keys: np.ndarray) -> np.ndarray:
    """Returns images, in any order and number."""
    images = _new_images(len(keys))
    for start in range(0, len(keys), _CHUNK):
      into = _records(images[start : start + _CHUNK])
      for source, places, rows in self._located(keys[start : start + _CHUNK]):
        into[places] = _records(source.arrays['images'])[rows]
    return images

  def _images_in_file_order(self, keys: np.ndarray) -> np.ndarray:
    """Returns images, each of which is copied to its place as it is read.

    For many images this is much faster.
    """
    images = _new_images(len(keys))
    into = _records(images)
    places = np.full(self._begins[-1], -1)
    places[keys] = np.arange(len(keys))

    def copy(part: tuple[SplitSource, int, int]) -> None:
      source, begin, start = part
      rows = slice(start, min(start + _CHUNK, len(source)))
      found = _records(source.arrays['images'])
      found = found[rows if source.rows is None else source.rows[rows]]
      at = places[begin + rows.start : begin + rows.stop]
      if at.min() < 0:
        found, at = found[at >= 0], at[at >= 0]
      into[at] = found

    parts = [
      (source, begin, start)
      for source, begin in zip(self._sources, self._begins, strict=False)
      for start in range(0, len(source), _CHUNK)
    ]
    with futures.ThreadPoolExecutor(_THREADS) as pool:
      list(pool.map(copy, parts))  # It raises the errors of the threads.
    return images


def _new_images(count: int) -> np.ndarray:
  return np.empty((count, *schema.IMAGE.shape[:2]), np.uint8)


def _records(images: np.ndarray) -> np.ndarray:
  """Returns a view of images, (n, 28, 28), as n values, which copy faster."""
  return images.reshape(-1, _PIXELS).view(f'V{_PIXELS}')[:, 0]


def check_features(names: Sequence[str], known: Sequence[str]) -> None:
  """Raises a `ValueError` if a name is not among the known names."""
  unknown = [name for name in names if name not in known]
  if unknown:
    raise ValueError(
      f'There are no features {unknown}. The features are {", ".join(known)}.'
    )

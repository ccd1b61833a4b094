# SPDX-License-Identifier: Apache-2.0
"""Which classes of different sources look alike: 0, O and ೦, for example.

A subset never has one class name twice, but two names can look the same. This
module compares the training images of two classes. It first stretches the ink
of each image to the full square, because handwriting varies in width. It then
finds, for each image of one class, the highest correlation with any image of
the other class. The similarity of the two classes is the average of these
correlations over the images of both.
"""

from __future__ import annotations

import dataclasses
import functools
import heapq
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from cmnist_tfds import subsets
from cmnist_tfds.sources import IMAGE_SIZE
from cmnist_tfds.subsets import Subset, SubsetClass

# Number of images of each class that are compared by default.
EXAMPLES = 60

# Pixels brighter than this, of 255, count as ink.
_INK_THRESHOLD = 64
# Ink is stretched at most this much, so that a thin stroke such as a 1 does not
# become a block.
_MAX_STRETCH = 3


@dataclasses.dataclass(frozen=True, eq=False)
class Pair:
  """Two classes of different sources, compared.

  Attributes:
    classes: The two classes.
    similarity: 1 if both classes have the same images; 0 if their images do not
      correlate.
    images: For each class, the image that is most similar to one of the other
      class; uint8 (28, 28).
  """

  classes: tuple[SubsetClass, SubsetClass]
  similarity: float
  images: tuple[np.ndarray, np.ndarray]


def find_pairs(
  subset: Subset, images: Sequence[Sequence[np.ndarray]], count: int
) -> list[Pair]:
  """Returns the most similar pairs of classes of different sources.

  Args:
    subset: The subset.
    images: For each label, some of its images, uint8 (28, 28). A class without
      images is in no pair.
    count: The maximum number of pairs.

  Returns:
    The pairs, most similar first; an empty list if the subset has one source.
  """
  vectors = {
    c: _to_vectors(np.array(images[c.label]))
    for c in subset.classes
    if images[c.label]
  }
  found = heapq.nsmallest(
    count, _compare_classes(vectors), key=lambda found: -found[2]
  )
  return [
    Pair((a, b), similarity, _closest(vectors, images, a, b))
    for a, b, similarity in found
  ]


def find_pairs_of_many(
  chosen: Iterable[Subset],
  images_of: Callable[[Subset], Sequence[Sequence[np.ndarray]]],
  count: int,
) -> dict[Subset, list[Pair]]:
  """Returns the most similar pairs of classes of each of many subsets.

  A pair of classes belongs to two sources, and many subsets contain these two.
  Each two sources are therefore compared once, and the pairs of a subset of
  whole sources are merged from those of its sources, two at a time.

  Args:
    chosen: The subsets.
    images_of: Returns for each label of a subset some of its images, uint8
      (28, 28). The images of a class must be the same for every subset.
    count: The maximum number of pairs of a subset.

  Returns:
    For each subset, the pairs that `find_pairs` would return.
  """

  @functools.cache
  def pairs_of(subset: Subset) -> list[Pair]:
    is_whole = subset == subsets.combine(subset.sources)
    if not is_whole or len(subset.sources) <= 2:
      return find_pairs(subset, images_of(subset), count)
    twos = itertools.combinations(subset.sources, 2)
    merged = heapq.merge(
      *(pairs_of(subsets.combine(two)) for two in twos),
      key=lambda pair: -pair.similarity,
    )
    class_of = {(c.source, c.raw_label): c for c in subset.classes}

    def relabel(pair: Pair) -> Pair:
      a, b = (class_of[c.source, c.raw_label] for c in pair.classes)
      return dataclasses.replace(pair, classes=(a, b))

    return [relabel(pair) for pair in itertools.islice(merged, count)]

  return {subset: pairs_of(subset) for subset in chosen}


def _compare_classes(
  vectors: Mapping[SubsetClass, np.ndarray],
) -> Iterator[tuple[SubsetClass, SubsetClass, float]]:
  """Yields each pair of classes of different sources and its similarity."""
  if not vectors:
    return
  classes = list(vectors)
  stacked = np.concatenate(list(vectors.values()))
  starts = np.cumsum([0, *map(len, vectors.values())])
  for number, a in enumerate(classes):
    # Labels are ordered by source, so the classes of later sources come last.
    later = [b for b in classes[number:] if b.source is not a.source]
    if not later:
      return
    first = len(classes) - len(later)
    correlations = vectors[a] @ stacked[starts[first] :].T
    # Where the images of each later class begin among the columns.
    columns = starts[first:-1] - starts[first]
    sums = np.maximum.reduceat(correlations, columns, axis=1).sum(axis=0)
    sums += np.add.reduceat(correlations.max(axis=0), columns)
    averages = sums / (len(correlations) + np.diff(starts[first:]))
    for b, average in zip(later, averages, strict=True):
      yield a, b, float(average)


def _closest(
  vectors: Mapping[SubsetClass, np.ndarray],
  images: Sequence[Sequence[np.ndarray]],
  a: SubsetClass,
  b: SubsetClass,
) -> tuple[np.ndarray, np.ndarray]:
  """Returns the two most similar images of two classes, one of each."""
  correlations = vectors[a] @ vectors[b].T
  i, j = np.unravel_index(correlations.argmax(), correlations.shape)
  return images[a.label][i], images[b.label][j]


def _to_vectors(images: np.ndarray) -> np.ndarray:
  """Returns images (n, 28, 28) as float32 vectors (n, 784).

  The product of two vectors is the correlation of the two images.
  """
  # The blur makes strokes correlate that lie next to each other.
  padded = np.pad(
    _stretch(images).astype(np.float32), ((0, 0), (1, 1), (1, 1)), mode='edge'
  )
  tall = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
  blurred = tall[..., :-2] + tall[..., 1:-1] + tall[..., 2:]
  flat = blurred.reshape(len(images), -1)
  flat = flat - flat.mean(axis=1, keepdims=True)
  lengths = np.linalg.norm(flat, axis=1, keepdims=True)
  # An image of a single colour correlates with nothing.
  return np.divide(flat, lengths, out=np.zeros_like(flat), where=lengths > 0)


def _stretch(images: np.ndarray) -> np.ndarray:
  """Returns images (n, 28, 28) with their ink stretched to the full square."""
  has_ink = images > _INK_THRESHOLD
  y = _rows_to_sample(np.asarray(has_ink.any(axis=2)))
  x = _rows_to_sample(np.asarray(has_ink.any(axis=1)))
  padded = np.pad(images, ((0, 0), (IMAGE_SIZE,) * 2, (IMAGE_SIZE,) * 2))
  number = np.arange(len(images))[:, None, None]
  return padded[number, y[:, :, None], x[:, None, :]]


def _rows_to_sample(has_ink: np.ndarray) -> np.ndarray:
  """Returns which rows (or columns) of padded images make a stretched image.

  Args:
    has_ink: Which rows of each image have ink, bool (n, 28).

  Returns:
    Numbers of rows, int (n, 28). An image without ink keeps its rows.
  """
  first = has_ink.argmax(axis=1)[:, None]
  last = IMAGE_SIZE - 1 - has_ink[:, ::-1].argmax(axis=1)[:, None]
  span = np.maximum(last - first + 1, IMAGE_SIZE / _MAX_STRETCH)
  steps = (np.arange(IMAGE_SIZE) + 0.5) / IMAGE_SIZE - 0.5
  return IMAGE_SIZE + np.rint((first + last) / 2 + steps * span).astype(int)

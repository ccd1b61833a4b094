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

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cmnist_tfds.subsets import SubsetClass

# Number of images of each class that are compared by default.
EXAMPLES = 60

_SIZE = 28

# Pixels brighter than this, of 255, count as ink.
_INK_THRESHOLD = 64
# Ink is stretched at most this much, so that a thin stroke such as a 1 does not
# become a block.
_MAX_STRETCH = 3


class Pair(NamedTuple):
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
  classes: Sequence[SubsetClass], images: Sequence[Sequence[np.ndarray]]
) -> list[Pair]:
  """Compares each two classes of different sources.

  Args:
    classes: The classes of a subset.
    images: For each label, some of its images, uint8 (28, 28). A class without
      images is in no pair.

  Returns:
    The pairs, most similar first; an empty list if there is only one source.
  """
  vectors = [_to_vectors(class_images) for class_images in images]
  pairs = []
  for a, b in itertools.combinations(classes, 2):
    one, other = images[a.label], images[b.label]
    if a.source != b.source and one and other:
      correlations = vectors[a.label] @ vectors[b.label].T
      total = correlations.max(axis=0).sum() + correlations.max(axis=1).sum()
      similarity = float(total / sum(correlations.shape))
      i, j = np.unravel_index(correlations.argmax(), correlations.shape)
      pairs.append(Pair((a, b), similarity, (one[i], other[j])))
  return sorted(pairs, key=lambda pair: -pair.similarity)


def _to_vectors(class_images: Sequence[np.ndarray]) -> np.ndarray:
  """Returns n images, uint8 (28, 28), as float32 vectors (n, 784).

  The product of two vectors is the correlation of the two images.
  """
  images = np.array(class_images).reshape(-1, _SIZE, _SIZE)
  # The blur makes strokes correlate that lie next to each other.
  padded = np.pad(
    _stretch(images).astype(np.float32), ((0, 0), (1, 1), (1, 1)), mode='edge'
  )
  tall = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
  blurred = tall[..., :-2] + tall[..., 1:-1] + tall[..., 2:]
  flat = blurred.reshape(-1, _SIZE * _SIZE)
  flat = flat - flat.mean(axis=1, keepdims=True)
  lengths = np.linalg.norm(flat, axis=1, keepdims=True)
  # An image of a single color correlates with nothing.
  return np.divide(flat, lengths, out=np.zeros_like(flat), where=lengths > 0)


def _stretch(images: np.ndarray) -> np.ndarray:
  """Returns images (n, 28, 28) with their ink stretched to the full square."""
  has_ink = images > _INK_THRESHOLD
  y = _rows_to_sample(np.asarray(has_ink.any(axis=2)))
  x = _rows_to_sample(np.asarray(has_ink.any(axis=1)))
  padded = np.pad(images, ((0, 0), (_SIZE,) * 2, (_SIZE,) * 2))
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
  last = _SIZE - 1 - has_ink[:, ::-1].argmax(axis=1)[:, None]
  span = np.maximum(last - first + 1, _SIZE / _MAX_STRETCH)
  steps = (np.arange(_SIZE) + 0.5) / _SIZE - 0.5
  return _SIZE + np.rint((first + last) / 2 + steps * span).astype(int)

# Copyright 2026 The cmnist_tfds Authors.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Which classes of different sources look alike: 0, O and ೦.

The rule that no class name occurs twice in a subset does not see what classes
look like. Here the ink of each example is stretched to the full square, since
handwriting is now narrow, now wide. Each example then looks for the example of
the other class most correlated with it; the likeness of two classes is the
average of these correlations over the examples of both.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from cmnist_tfds.figures.drawing import Drawing, Mark, Text, Tile
from cmnist_tfds.sources import IMAGE_SIZE
from cmnist_tfds.subsets import Subset, SubsetClass

# So many examples of each class are compared.
EXAMPLES = 60
# So many pairs are drawn.
PAIRS = 24

# Pixels lighter than this are ink, of 255.
_INK = 64
# A stroke such as that of 1 is not made a block.
_MOST_STRETCH = 3

_TILE = IMAGE_SIZE * 2
_CELL_WIDTH = 92
_PAIR_WIDTH = 2 * _CELL_WIDTH + 20
_PAIR_HEIGHT = 132
_COLUMNS = 4
_MARGIN = 16
_TITLE_SIZE = 22
_TITLE_HEIGHT = 74
_NAME_SIZE = 16
_KEY_SIZE = 12


@dataclasses.dataclass(frozen=True, eq=False)
class Pair:
  """Two classes of different sources.

  Attributes:
    classes: The classes.
    likeness: 1 if each has all examples of the other, 0 if examples have
      nothing in common.
    images: Of each, the example most like one of the other; uint8 (28, 28).
  """

  classes: tuple[SubsetClass, SubsetClass]
  likeness: float
  images: tuple[np.ndarray, np.ndarray]


def pairs(
  subset: Subset, images: Sequence[Sequence[np.ndarray]], count: int
) -> list[Pair]:
  """Returns the pairs of classes across sources that look most alike.

  Args:
    subset: The subset.
    images: For each label, some of its images, uint8 (28, 28).
    count: How many pairs at most.

  Returns:
    The pairs, the most alike first; none if there is but one source.
  """
  vectors = [_vectors(np.array(examples)) for examples in images]
  found = []
  for a, b in itertools.combinations(subset.classes, 2):
    if a.source is b.source:
      continue
    likeness = vectors[a.label] @ vectors[b.label].T
    average = np.concatenate(
      (likeness.max(axis=0), likeness.max(axis=1))
    ).mean()
    i, j = np.unravel_index(likeness.argmax(), likeness.shape)
    found.append(
      Pair((a, b), float(average), (images[a.label][i], images[b.label][j]))
    )
  return sorted(found, key=lambda pair: -pair.likeness)[:count]


def _vectors(images: np.ndarray) -> np.ndarray:
  """Returns images (n, 28, 28) as vectors (n, 784), whose products correlate."""
  stretched = np.array([_stretched(image) for image in images], np.float32)
  # Strokes that lie side by side are alike too.
  padded = np.pad(stretched, ((0, 0), (1, 1), (1, 1)), mode='edge')
  blurred = np.lib.stride_tricks.sliding_window_view(
    padded, (3, 3), axis=(1, 2)
  ).mean(axis=(-2, -1))
  flat = blurred.reshape(len(images), -1)
  flat = flat - flat.mean(axis=1, keepdims=True)
  lengths = np.linalg.norm(flat, axis=1, keepdims=True)
  # An image of one colour is like no other.
  return np.divide(flat, lengths, out=np.zeros_like(flat), where=lengths > 0)


def _stretched(image: np.ndarray) -> np.ndarray:
  """Returns an image with its ink stretched to the full square."""
  inked = image > _INK
  if not inked.any():
    return image
  y = _sampled(np.flatnonzero(inked.any(axis=1)))
  x = _sampled(np.flatnonzero(inked.any(axis=0)))
  return np.pad(image, IMAGE_SIZE)[np.ix_(y, x)]


def _sampled(inked: np.ndarray) -> np.ndarray:
  """Returns which rows (or columns) of a padded image to take."""
  first, last = inked[0], inked[-1]
  span = max(last - first + 1, IMAGE_SIZE / _MOST_STRETCH)
  steps = (np.arange(IMAGE_SIZE) + 0.5) / IMAGE_SIZE - 0.5
  return IMAGE_SIZE + np.rint((first + last) / 2 + steps * span).astype(int)


def confusable(subset: Subset, alike: Sequence[Pair], title: str) -> Drawing:
  """Draws pairs of classes that look alike.

  Args:
    subset: The subset.
    alike: The pairs, in the order they are drawn.
    title: Headline.

  Returns:
    The drawing.
  """
  columns = min(_COLUMNS, max(len(alike), 2))
  rows = -(-len(alike) // columns)
  said = (
    'Classes of different sources, the most alike first'
    if alike
    else f'{subset.title} has only one source'
  )
  marks: list[Mark] = [
    Text(_MARGIN, _MARGIN + 15, title, _TITLE_SIZE),
    Text(_MARGIN, _MARGIN + 44, said, _NAME_SIZE, color='faint'),
  ]
  for i, pair in enumerate(alike):
    row, column = divmod(i, columns)
    marks += _pair(
      _MARGIN + column * _PAIR_WIDTH,
      _MARGIN + _TITLE_HEIGHT + row * _PAIR_HEIGHT,
      pair,
    )
  return Drawing(
    2 * _MARGIN + columns * _PAIR_WIDTH,
    2 * _MARGIN + _TITLE_HEIGHT + rows * _PAIR_HEIGHT,
    title,
    marks,
  )


def _pair(left: int, top: int, pair: Pair) -> Iterator[Mark]:
  for i, (described, image) in enumerate(
    zip(pair.classes, pair.images, strict=True)
  ):
    middle = left + _CELL_WIDTH // 2 + i * _CELL_WIDTH
    yield Tile(middle - _TILE // 2, top, _TILE, image)
    yield Text(middle, top + _TILE + 14, described.name, _NAME_SIZE, 'middle')
    yield Text(
      middle,
      top + _TILE + 32,
      described.source.key,
      _KEY_SIZE,
      'middle',
      'faint',
    )
  yield Text(
    left + _CELL_WIDTH,
    top + _TILE // 2,
    f'{pair.likeness:.2f}',
    _KEY_SIZE,
    'middle',
    'faint',
  )

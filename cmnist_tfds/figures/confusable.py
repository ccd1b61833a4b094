# SPDX-License-Identifier: Apache-2.0
"""Which classes of different sources look alike: 0, O and ೦.

The rule that no class name occurs twice in a subset does not see what classes
look like. Here the ink of each example is stretched to the full square, since
handwriting is now narrow, now wide. Each example then looks for the example of
the other class most correlated with it; the likeness of two classes is the
average of these correlations over the examples of both.
"""

from __future__ import annotations

import dataclasses
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
  found = sorted(_likenesses(subset, vectors), key=lambda pair: -pair[2])
  return [
    Pair((a, b), likeness, _closest(vectors, images, a.label, b.label))
    for a, b, likeness in found[:count]
  ]


def _likenesses(
  subset: Subset, vectors: Sequence[np.ndarray]
) -> Iterator[tuple[SubsetClass, SubsetClass, float]]:
  """Yields each pair of classes of different sources, and how alike it is."""
  stacked = np.concatenate(vectors)
  starts = np.cumsum([0, *map(len, vectors)])
  for a in subset.classes:
    # Labels follow the sources: those of later sources come last.
    later = [b for b in subset.classes[a.label :] if b.source is not a.source]
    if not later:
      return
    first = later[0].label
    likeness = vectors[a.label] @ stacked[starts[first] :].T
    # Columns of one class after those of the other.
    columns = starts[first:-1] - starts[first]
    sums = np.maximum.reduceat(likeness, columns, axis=1).sum(axis=0)
    sums += np.add.reduceat(likeness.max(axis=0), columns)
    averages = sums / (len(likeness) + np.diff(starts[first:]))
    for b, average in zip(later, averages, strict=True):
      yield a, b, float(average)


def _closest(
  vectors: Sequence[np.ndarray],
  images: Sequence[Sequence[np.ndarray]],
  a: int,
  b: int,
) -> tuple[np.ndarray, np.ndarray]:
  """Returns the images of two labels that are most alike."""
  likeness = vectors[a] @ vectors[b].T
  i, j = np.unravel_index(likeness.argmax(), likeness.shape)
  return images[a][i], images[b][j]


def _vectors(images: np.ndarray) -> np.ndarray:
  """Returns images (n, 28, 28) as vectors (n, 784), whose products correlate."""
  # Strokes that lie side by side are alike too.
  padded = np.pad(
    _stretched(images).astype(np.float32), ((0, 0), (1, 1), (1, 1)), mode='edge'
  )
  tall = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
  blurred = tall[..., :-2] + tall[..., 1:-1] + tall[..., 2:]
  flat = blurred.reshape(len(images), -1)
  flat = flat - flat.mean(axis=1, keepdims=True)
  lengths = np.linalg.norm(flat, axis=1, keepdims=True)
  # An image of one colour is like no other.
  return np.divide(flat, lengths, out=np.zeros_like(flat), where=lengths > 0)


def _stretched(images: np.ndarray) -> np.ndarray:
  """Returns images (n, 28, 28) with their ink stretched to the full square."""
  inked = images > _INK
  y = _sampled(np.asarray(inked.any(axis=2)))
  x = _sampled(np.asarray(inked.any(axis=1)))
  padded = np.pad(images, ((0, 0), (IMAGE_SIZE,) * 2, (IMAGE_SIZE,) * 2))
  number = np.arange(len(images))[:, None, None]
  return padded[number, y[:, :, None], x[:, None, :]]


def _sampled(inked: np.ndarray) -> np.ndarray:
  """Returns which rows (or columns) of padded images to take.

  Args:
    inked: Which of them have ink, bool (n, 28).

  Returns:
    Their numbers, int (n, 28); all in their order where none has ink.
  """
  first = inked.argmax(axis=1)[:, None]
  last = IMAGE_SIZE - 1 - inked[:, ::-1].argmax(axis=1)[:, None]
  span = np.maximum(last - first + 1, IMAGE_SIZE / _MOST_STRETCH)
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

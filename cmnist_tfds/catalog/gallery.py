# SPDX-License-Identifier: Apache-2.0
"""Images and counts of the classes of sources, taken from prepared subsets.

Subsets concatenate whole classes, so the images and counts that one subset has
of a class hold for every other subset too, prepared or not.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from cmnist_tfds import subsets
from cmnist_tfds.figures import similarity
from cmnist_tfds.figures.similarity import Pair
from cmnist_tfds.load.numpy_arrays import first_of_each_class
from cmnist_tfds.load.open_subset import open_subset
from cmnist_tfds.sources import SOURCES, Source
from cmnist_tfds.subsets import Subset, SubsetClass

# A class of a source: the key of the source and the raw label.
_ClassKey = tuple[str, int]
# Numbers of training and test examples; None where they are not known.
_Counts = tuple[int | None, int | None]


@dataclasses.dataclass(frozen=True)
class Gallery:
  """Images and counts of classes.

  Attributes:
    images: For each class, some of its training images, uint8 (28, 28).
    counts: For each class, its numbers of examples in its source.
  """

  images: dict[_ClassKey, list[np.ndarray]]
  counts: dict[_ClassKey, _Counts]
  # Of each two sources, the pairs of their classes.
  _pairs: dict[tuple[Source, ...], list[Pair]] = dataclasses.field(
    default_factory=dict
  )

  def counts_of(self, subset_class: SubsetClass) -> _Counts:
    """Returns the numbers of examples of a class of a subset.

    Args:
      subset_class: The class, of a subset with all training examples.
    """
    recorded = subset_class.train, subset_class.test
    if None not in recorded:
      return recorded
    return self.counts.get(_key(subset_class), recorded)

  def has_counts_of(self, classes: Sequence[SubsetClass]) -> bool:
    """Returns whether the numbers of examples of all classes are known."""
    return all(None not in self.counts_of(c) for c in classes)

  def has_pictures_of(self, source: Source) -> bool:
    """Returns whether every class of a source has images."""
    return all(self.images.get((source.key, raw)) for raw in source.raw_labels)

  def look_alikes(self, subset: Subset) -> list[Pair]:
    """Returns the pairs of classes of a subset that look alike, the most first.

    Args:
      subset: The subset. There are no pairs if a source of it has no pictures.
    """
    if not all(map(self.has_pictures_of, subset.sources)):
      return []
    keys = {_key(c) for c in subset.classes}
    pairs = [
      pair
      for both in itertools.combinations(subset.sources, 2)
      for pair in self._between(both)
      if {*map(_key, pair.classes)} <= keys
    ]
    return sorted(pairs, key=lambda pair: -pair.similarity)

  def _between(self, both: tuple[Source, ...]) -> list[Pair]:
    if both not in self._pairs:
      classes = subsets.combine(*both).classes
      images = [self.images[_key(c)] for c in classes]
      self._pairs[both] = similarity.find_pairs(classes, images)
    return self._pairs[both]


def _key(subset_class: SubsetClass) -> _ClassKey:
  return subset_class.source.key, subset_class.raw_label


def collect(
  data_dir: str | None, *, sample: bool, further: Sequence[Subset] = ()
) -> Gallery:
  """Collects images and counts from prepared subsets.

  Args:
    data_dir: The folder of prepared datasets; TFDS's default if None.
    sample: Whether to take the images from `cmnist_sample`. Its counts are not
      those of CMNIST, so they are left out.
    further: Subsets to look at besides combinations of the paper's sources.

  Returns:
    The images and counts of every source that some prepared subset has whole.

  Raises:
    PreparationError: If the data of a prepared subset is damaged.
  """
  gallery = Gallery({}, {})
  for subset in _candidates(further):
    missing = [s for s in subset.sources if not gallery.has_pictures_of(s)]
    if not missing:
      continue
    opened = open_subset(subset, data_dir=data_dir, sample=sample)
    if opened is None:
      continue
    images = first_of_each_class(opened, similarity.EXAMPLES)
    for subset_class, examples, count in zip(
      subset.classes, images, opened.class_counts, strict=True
    ):
      if subset_class.source in missing:
        gallery.images[_key(subset_class)] = examples
        if not sample:
          gallery.counts[_key(subset_class)] = count
  return gallery


def _candidates(further: Sequence[Subset]) -> Iterator[Subset]:
  """Yields the subsets of whole sources, single sources first."""
  for source in SOURCES:
    yield subsets.combine(source)
  yield from subsets.combinations()
  for subset in further:
    for source in subset.sources:
      yield subsets.combine(source)
    yield subset.full

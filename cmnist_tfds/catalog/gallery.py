# SPDX-License-Identifier: Apache-2.0
"""Images and counts of the classes of sources, taken from prepared subsets.

Subsets concatenate whole classes, so the images and counts that one subset has
of a class hold for every other subset too, prepared or not.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from cmnist_tfds import subsets
from cmnist_tfds.figures import similarity
from cmnist_tfds.figures.similarity import Pair
from cmnist_tfds.load.numpy_arrays import first_of_each_class
from cmnist_tfds.load.open_subset import open_subset
from cmnist_tfds.sources import Source
from cmnist_tfds.subsets import Subset, SubsetClass

# Numbers of training and test examples; None where they are not known.
_Counts = tuple[int | None, int | None]


@dataclasses.dataclass(frozen=True)
class Gallery:
  """Images and counts of the classes of sources.

  Attributes:
    images: For each source that has pictures, some training images of each of
      its classes, uint8 (28, 28).
    counts: For each source, the numbers of examples of each of its classes.
  """

  images: dict[Source, list[list[np.ndarray]]]
  counts: dict[Source, list[tuple[int, int]]]
  # Of each two sources, the pairs of their classes.
  _pairs: dict[tuple[Source, ...], list[Pair]] = dataclasses.field(
    default_factory=dict
  )

  def counts_of(self, subset_class: SubsetClass) -> _Counts:
    """Returns the numbers of examples of a class of a subset.

    Args:
      subset_class: The class, of a subset with all training examples.
    """
    source = subset_class.source
    recorded = subset_class.train, subset_class.test
    if None not in recorded or source not in self.counts:
      return recorded
    return self.counts[source][source.class_numbers[subset_class.raw_label]]

  def has_counts_of(self, classes: Sequence[SubsetClass]) -> bool:
    """Returns whether the numbers of examples of all classes are known."""
    return all(None not in self.counts_of(c) for c in classes)

  def look_alikes(self, subset: Subset) -> list[Pair]:
    """Returns the pairs of classes of a subset that look alike, the most first.

    Args:
      subset: The subset. There are no pairs if a source of it has no pictures.
    """
    if not self.images.keys() >= set(subset.sources):
      return []
    keys = {(c.source, c.raw_label) for c in subset.classes}
    pairs = [
      pair
      for both in itertools.combinations(subset.sources, 2)
      for pair in self._between(both)
      if {(c.source, c.raw_label) for c in pair.classes} <= keys
    ]
    return sorted(pairs, key=lambda pair: -pair.similarity)

  def _between(self, both: tuple[Source, ...]) -> list[Pair]:
    if both not in self._pairs:
      images = [each for source in both for each in self.images[source]]
      self._pairs[both] = similarity.find_pairs(
        subsets.combine(*both).classes, images
      )
    return self._pairs[both]


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
  combined = [*(s.sources for s in (*subsets.combinations(), *further))]
  single = dict.fromkeys((source,) for each in combined for source in each)
  for subset in itertools.starmap(subsets.combine, (*single, *combined)):
    if gallery.images.keys() >= set(subset.sources):
      continue
    opened = open_subset(subset, data_dir=data_dir, sample=sample)
    if opened is None:
      continue
    images = iter(first_of_each_class(opened, similarity.EXAMPLES))
    counts = iter(opened.class_counts)
    for source in subset.sources:
      number = len(source.raw_labels)
      of_source = list(itertools.islice(images, number))
      # Sources that are a further test set have no training images.
      if all(of_source):
        gallery.images.setdefault(source, of_source)
      if not sample:
        gallery.counts[source] = list(itertools.islice(counts, number))
  return gallery

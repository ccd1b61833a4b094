# SPDX-License-Identifier: Apache-2.0
"""Images and counts of the classes of sources, taken from prepared subsets.

Subsets concatenate whole classes, so the images and counts that one subset has
of a class hold for every other subset too, prepared or not.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Sequence

import numpy as np

from cmnist_tfds import subsets
from cmnist_tfds.figures import similarity
from cmnist_tfds.load.numpy_arrays import first_of_each_class
from cmnist_tfds.load.open_subset import open_subset
from cmnist_tfds.sources import Source
from cmnist_tfds.subsets import Subset, SubsetClass

# A class of a source.
_Key = tuple[Source, int]


def _key(subset_class: SubsetClass) -> _Key:
  return subset_class.source, subset_class.raw_label


@dataclasses.dataclass(frozen=True, eq=False)
class Gallery:
  """Images and counts of the classes of sources.

  Attributes:
    images: For each class that has pictures, by source and raw label, some of
      its training images, uint8 (28, 28).
    counts: For each class of a prepared subset, its numbers of examples.
  """

  images: dict[_Key, list[np.ndarray]]
  counts: dict[_Key, tuple[int, int]]

  def images_of(self, subset_class: SubsetClass) -> list[np.ndarray]:
    """Returns the images of a class of a subset; none if it has no pictures."""
    return self.images.get(_key(subset_class), [])

  def shown(self, subset: Subset) -> list[SubsetClass]:
    """Returns the classes of a subset that have pictures."""
    return [*filter(self.images_of, subset.classes)]

  def counts_of(self, subset_class: SubsetClass) -> tuple[int | None, ...]:
    """Returns the numbers of training and test examples of a class.

    They are None where they are not known.

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

  def look_alikes(self, subset: Subset) -> list[similarity.Pair]:
    """Returns the pairs of classes of a subset that look alike, the most first.

    Args:
      subset: The subset. There are no pairs if a class of it has no pictures.
    """
    if not all(map(self.images_of, subset.classes)):
      return []
    keys = {*map(_key, subset.classes)}
    sources = itertools.combinations(subset.sources, 2)
    pairs = itertools.chain(*itertools.starmap(self._between, sources))
    own = (pair for pair in pairs if {*map(_key, pair.classes)} <= keys)
    return sorted(own, key=lambda pair: -pair.similarity)

  @functools.cache  # noqa: B019  # A process makes one or two galleries.
  def _between(self, *both: Source) -> list[similarity.Pair]:
    classes = subsets.combine(*both).classes
    return similarity.find_pairs(classes, [*map(self.images_of, classes)])


def collect(
  data_dir: str | None, *, sample: bool, further: Sequence[Subset] = ()
) -> Gallery:
  """Collects images and counts from prepared subsets.

  Args:
    data_dir: The folder of prepared datasets; TFDS's default if None.
    sample: Whether to take the images from `cmnist_sample`. Its counts are not
      those of CMNIST, so they are left out.
    further: Subsets to look at besides those of the paper.

  Returns:
    The images and counts of every class that some prepared subset has.

  Raises:
    PreparationError: If the data of a prepared subset is damaged.
  """
  gallery = Gallery({}, {})
  whole = [s.full for s in (*subsets.published(), *further)]
  single = [subsets.combine(source) for s in whole for source in s.sources]
  for subset in dict.fromkeys((*single, *whole)):
    # The sample has no extensions.
    is_beyond = sample and subset.declarations
    if is_beyond or all(map(gallery.images_of, subset.classes)):
      continue
    opened = open_subset(subset, data_dir=data_dir, sample=sample)
    if opened is None:
      continue
    images = first_of_each_class(opened, similarity.EXAMPLES)
    for c, few in zip(subset.classes, images, strict=True):
      # Sources that are a further test set have no training images.
      if few:
        gallery.images.setdefault(_key(c), few)
    if not sample:
      keys = map(_key, subset.classes)
      gallery.counts.update(zip(keys, opened.class_counts, strict=True))
  return gallery

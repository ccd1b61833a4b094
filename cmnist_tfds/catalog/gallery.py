# SPDX-License-Identifier: Apache-2.0
"""What prepared subsets show of the sources: images and counts of classes.

Subsets concatenate whole classes, so what one subset shows of a source holds
for every other subset too, prepared or not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from cmnist_tfds import load, subsets
from cmnist_tfds.figures import confusable, histogram
from cmnist_tfds.figures.histogram import Counts
from cmnist_tfds.sources import SOURCES, Source
from cmnist_tfds.subsets import Subset, SubsetClass

# A class of a source: the source's key and the raw label.
_Class = tuple[str, int]


@dataclasses.dataclass
class Seen:
  """What is known of classes from prepared data.

  Attributes:
    images: Of each class, some training images, uint8 (28, 28).
    counts: Of each class, its examples in its source.
  """

  images: dict[_Class, list[np.ndarray]]
  counts: dict[_Class, Counts]

  def counts_of(self, described: SubsetClass) -> Counts:
    """Returns the examples of a class of a full subset."""
    known = Counts(described.train, described.test)
    if None not in (known.train, known.test):
      return known
    return self.counts.get(_class(described), known)

  def has_pictures_of(self, source: Source) -> bool:
    """Returns whether every class of a source has images."""
    return all((source.key, raw) in self.images for raw in source.raw_labels)

  def images_of(self, subset: Subset) -> list[list[np.ndarray]]:
    """Returns for each label of a subset the images of its class."""
    return [self.images[_class(c)] for c in subset.classes]


def _class(described: SubsetClass) -> _Class:
  return described.source.key, described.raw_label


def look(data_dir: str | None, *, sample: bool) -> Seen:
  """Looks through prepared subsets until all sources have been seen.

  Args:
    data_dir: Where prepared datasets are; TFDS's default if None.
    sample: Whether to look at `cmnist_sample`. Its counts are no counts of
      CMNIST and are left out.

  Returns:
    What was seen; nothing of a source that no prepared subset has whole.
  """
  seen = Seen({}, {})
  for subset in _candidates():
    missing = [s for s in subset.sources if not seen.has_pictures_of(s)]
    if not missing:
      continue
    found = load.find_readable(subset.name, data_dir=data_dir, sample=sample)
    if found is None:
      continue
    images = load.first_of_each_class(found, confusable.EXAMPLES)
    counted = histogram.counts(found)
    for described, few, count in zip(
      subset.classes, images, counted, strict=True
    ):
      if described.source in missing:
        seen.images[_class(described)] = few
        if not sample:
          seen.counts[_class(described)] = count
  return seen


def _candidates() -> Iterator[Subset]:
  """Yields the single sources, then the combinations: all with whole sources."""
  for source in SOURCES:
    yield subsets.combine([source])
  yield from subsets.combinations()

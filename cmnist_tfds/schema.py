# SPDX-License-Identifier: Apache-2.0
"""The schema of an example: its features, declared once.

TFDS features, serialized examples, arrays, batches, Croissant and the dataset
card all follow from `FEATURES`. An example is one image and integers that
follow from its class. To add an integer feature, add one entry to `INTEGERS`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from cmnist_tfds.sources import IMAGE_SIZE
from cmnist_tfds.subsets import Subset, SubsetClass


@dataclasses.dataclass(frozen=True)
class Feature:
  """One feature of an example.

  Attributes:
    name: Its name in TFDS, in arrays and in files.
    description: A phrase that says what it holds.
    dtype: NumPy's name for the type of its values.
    shape: Shape of one value; () for a number.
  """

  name: str
  description: str
  dtype: str
  shape: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassFeature(Feature):
  """An integer that all examples of a class share.

  Attributes:
    value: Returns the integer of a class.
    names: Returns the names of the values 0, 1, ... in a subset; None if the
      values have no names.
  """

  dtype: str = 'int64'
  value: Callable[[SubsetClass], int]
  names: Callable[[Subset], Sequence[str]] | None = None


IMAGE = Feature(
  name='image',
  description=f'{IMAGE_SIZE} x {IMAGE_SIZE} gray pixels, upright',
  dtype='uint8',
  shape=(IMAGE_SIZE, IMAGE_SIZE, 1),
)
LABEL = ClassFeature(
  name='label',
  description='number of the class in the subset',
  value=lambda c: c.label,
  names=lambda subset: subset.class_names,
)
SOURCE = ClassFeature(
  name='source',
  description='number of the source in the subset',
  value=lambda c: c.source_number,
  names=lambda subset: [s.key for s in subset.sources],
)
# An example holds these in addition to the image.
INTEGERS = (
  LABEL,
  SOURCE,
  ClassFeature(
    name='source_label',
    description='raw label in the files of the source',
    value=lambda c: c.raw_label,
  ),
)
FEATURES = (IMAGE, *INTEGERS)

# Arrays and tables may hold these too. Shards do not.
CLASS_NAME = Feature('class_name', 'name of the class', 'str')
ROW = Feature('row', "row in the source's files; -1 where unknown", 'int64')
WRITER = Feature('writer', 'number of the writer; -1 where unknown', 'int64')
COLUMNS = (*FEATURES, CLASS_NAME, ROW, WRITER)


def integers_of(described: SubsetClass) -> dict[str, int]:
  """Returns the integer features of the examples of a class, by name."""
  return {f.name: f.value(described) for f in INTEGERS}

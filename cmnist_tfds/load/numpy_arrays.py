# SPDX-License-Identifier: Apache-2.0
"""Subsets as NumPy arrays, without TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from cmnist_tfds import schema, subsets
from cmnist_tfds.load.open_subset import Opened, open_or_prepare
from cmnist_tfds.load.split_view import FEATURE_NAMES, check_features
from cmnist_tfds.sources import SPLITS

# It is no feature of an example, since it follows from the label.
_CLASS_NAME = 'class_name'

# Examples read in one go.
_AT_ONCE = 1024


def load_data(
  name: str,
  *,
  split: str | None = None,
  features: Sequence[str] = ('image', 'label'),
  data_dir: str | os.PathLike[str] | None = None,
  sample: bool = False,
) -> Any:
  """Returns a subset as arrays, as `keras.datasets` does.

      (x_train, y_train), (x_test, y_test) = load_data('2-FKd')
      x, y = load_data('2-FKd', split='train[:10%]')

  The subset is read from the cache that all subsets share, else from its
  shards; where neither is there, it is prepared first. Only then TFDS is
  imported.

  Args:
    name: Name of a subset.
    split: A split as TFDS writes it, as 'train', 'train[5000:]+test' or 'all';
      train and test if None.
    features: What to return of the examples, any of
      'image', uint8 (n, 28, 28);
      'label', int64 (n,);
      'class_name', str (n,), the names of the labels;
      'source', int64 (n,), which of the subset's sources;
      'source_label', int64 (n,), the sources' own raw labels.
    data_dir: Where prepared datasets are; TFDS's default if None.
    sample: Whether to take the synthetic sample in place of CMNIST.

  Returns:
    For one split, a tuple of the features, in the order asked for, of the
    examples in the order of the prepared dataset; without `split`, one such
    tuple for train and one for test.

  Raises:
    SubsetNameError: If there is no such subset.
    SplitError: If there is no such split.
    OriginFileError: If the subset is not prepared and a file it needs is
      missing or not the right one.
    PreparationError: If it is not prepared and cannot be written, or a shard is
      damaged; the message says which record.
    MemoryShortageError: If the arrays do not fit into memory; nothing was
      allocated.
    ValueError: If there is no such feature.
  """
  check_features(features, (*FEATURE_NAMES, _CLASS_NAME))
  opened = open_or_prepare(
    subsets.subset(name), data_dir=data_dir, sample=sample
  )
  specs = SPLITS if split is None else (split,)
  views = [opened.split(spec) for spec in specs]
  stored = [schema.LABEL.name if f == _CLASS_NAME else f for f in features]
  arrays = []
  for view in views:
    examples = view.read(stored)
    arrays.append(
      tuple(
        np.array(opened.class_names)[examples[stored_as]]
        if feature == _CLASS_NAME
        else examples[stored_as]
        for feature, stored_as in zip(features, stored, strict=True)
      )
    )
  return tuple(arrays) if split is None else arrays[0]


def first_of_each_class(opened: Opened, count: int) -> list[list[np.ndarray]]:
  """Returns the first training images of each class.

  Args:
    opened: The subset.
    count: How many of each class; fewer where a class has fewer.

  Returns:
    For each label, its images, uint8 (28, 28).

  Raises:
    PreparationError: If a shard is damaged; the message says which record.
  """
  view = opened.split('train')
  first: list[list[np.ndarray]] = [[] for _ in opened.class_names]
  for start in range(0, len(view), _AT_ONCE):
    batch = view.take(np.arange(start, min(start + _AT_ONCE, len(view))))
    for image, label in zip(
      batch[schema.IMAGE.name], batch[schema.LABEL.name], strict=True
    ):
      if len(first[label]) < count:
        first[label].append(image)
    if all(len(images) == count for images in first):
      break
  return first

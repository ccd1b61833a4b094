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

"""Prepared subsets as NumPy arrays."""

from __future__ import annotations

import collections
import os
from typing import TYPE_CHECKING

import numpy as np

from cmnist_tfds import subsets
from cmnist_tfds.sources import IMAGE_SIZE, SPLITS

if TYPE_CHECKING:
  from cmnist_tfds.datasets.dataset_builder import CmnistBuilder

# Images, uint8 (n, 28, 28), and labels, int64 (n,).
Arrays = tuple[np.ndarray, np.ndarray]


def load_data(
  name: str,
  *,
  data_dir: str | os.PathLike[str] | None = None,
  sample: bool = False,
) -> tuple[Arrays, Arrays]:
  """Returns a subset as arrays, as `keras.datasets` does.

  The subset is prepared first where it is not.

  Args:
    name: Name of a subset.
    data_dir: Where prepared datasets are; TFDS's default if None.
    sample: Whether to take the synthetic sample in place of CMNIST.

  Returns:
    `(x_train, y_train), (x_test, y_test)`: images uint8 (n, 28, 28) and labels
    int64 (n,), in the order of the prepared dataset.

  Raises:
    SubsetNameError: If there is no such subset.
    OriginFileError: If the subset is not prepared and a file it needs is
      missing or not the right one.
    PreparationError: If it is not prepared and cannot be written.
  """
  builder = builder_of(name, data_dir=data_dir, sample=sample)
  builder.download_and_prepare()
  train, test = (_split_arrays(builder, split) for split in SPLITS)
  return train, test


def builder_of(
  name: str,
  *,
  data_dir: str | os.PathLike[str] | None = None,
  sample: bool = False,
  **kwargs: object,
) -> CmnistBuilder:
  """Returns the TFDS builder of a subset.

  Args:
    name: Name of a subset.
    data_dir: Where prepared datasets are; TFDS's default if None.
    sample: Whether to take `cmnist_sample` in place of `cmnist`.
    **kwargs: Further arguments of the builder.

  Returns:
    The builder.

  Raises:
    SubsetNameError: If there is no such subset.
  """
  from cmnist_tfds.datasets.cmnist import cmnist_dataset_builder
  from cmnist_tfds.datasets.cmnist_sample import cmnist_sample_dataset_builder

  module = cmnist_sample_dataset_builder if sample else cmnist_dataset_builder
  return module.Builder(
    data_dir=data_dir, config=subsets.subset(name).name, **kwargs
  )


def _split_arrays(builder: CmnistBuilder, split: str) -> Arrays:
  count = builder.info.splits[split].num_examples
  images = np.empty((count, IMAGE_SIZE, IMAGE_SIZE), np.uint8)
  labels = np.empty(count, np.int64)
  start = 0
  batches = builder.as_dataset(split=split, batch_size=1024, as_supervised=True)
  for x, y in batches.as_numpy_iterator():
    images[start : start + len(x)] = x[..., 0]
    labels[start : start + len(y)] = y
    start += len(y)
  return images, labels


def first_of_each_class(
  builder: CmnistBuilder, count: int
) -> list[list[np.ndarray]]:
  """Returns the first training images of each class.

  Args:
    builder: A prepared builder.
    count: How many of each class; fewer where a class has fewer.

  Returns:
    For each label, its images, uint8 (28, 28).
  """
  wanted = {
    row['label']: min(count, row['train'])
    for row in builder.info.metadata['classes']
  }
  missing = sum(wanted.values())
  found: dict[int, list[np.ndarray]] = collections.defaultdict(list)
  batches = builder.as_dataset(
    split='train', batch_size=1024, as_supervised=True
  )
  for images, labels in batches.as_numpy_iterator():
    for image, label in zip(images, labels, strict=True):
      if len(found[label]) < wanted[label]:
        found[label].append(image[..., 0])
        missing -= 1
    if not missing:
      break
  return [found[label] for label in sorted(wanted)]

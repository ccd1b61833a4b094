# SPDX-License-Identifier: Apache-2.0
"""Subsets as NumPy arrays, without TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent import futures
from typing import Any

import numpy as np

from cmnist_tfds.load import memory, open_subset
from cmnist_tfds.load.examples import FEATURES, Examples, check_features
from cmnist_tfds.load.open_subset import Readable
from cmnist_tfds.load.reader import AT_ONCE, Reader
from cmnist_tfds.sources import IMAGE_SIZE, SPLITS

# Not in the dataset: it follows from the label.
_CLASS_NAME = 'class_name'

_BYTES_PER_EXAMPLE = IMAGE_SIZE**2 + 3 * 8


def read(found: Readable, *wanted: str) -> list[Examples]:
  """Reads splits whole, on all cores.

  Args:
    found: The subset.
    *wanted: The splits, as TFDS writes them: 'train', 'train[:10%]'.

  Returns:
    The examples of each, in the order of the prepared dataset.

  Raises:
    SplitError: If there is no such split.
    MemoryShortageError: If they do not fit into memory.
    PreparationError: If a shard is damaged; the message says which record.
  """
  readers = [Reader(found, split) for split in wanted]
  count = sum(map(len, readers))
  memory.check(
    count * _BYTES_PER_EXAMPLE, f'{count:,} examples of {found.subset.title}'
  )
  return [_read(reader) for reader in readers]


def _read(reader: Reader) -> Examples:
  examples = Examples.empty(len(reader))

  def fill(start: int) -> None:
    numbers = np.arange(start, min(start + AT_ONCE, len(reader)))
    reader.read(numbers, out=examples[start : start + AT_ONCE])

  with futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    filling = [
      pool.submit(fill, start) for start in range(0, len(reader), AT_ONCE)
    ]
    try:
      for filled in filling:
        filled.result()
    finally:
      pool.shutdown(cancel_futures=True)
  return examples


def first_of_each_class(found: Readable, count: int) -> list[list[np.ndarray]]:
  """Returns the first training images of each class.

  Args:
    found: The subset.
    count: How many of each class; fewer where a class has fewer.

  Returns:
    For each label, its images, uint8 (28, 28).

  Raises:
    PreparationError: If a shard is damaged; the message says which record.
  """
  reader = Reader(found, 'train')
  first: list[list[np.ndarray]] = [[] for _ in found.class_names]
  for start in range(0, len(reader), AT_ONCE):
    numbers = np.arange(start, min(start + AT_ONCE, len(reader)))
    batch = reader.read(numbers)
    for image, label in zip(batch.images, batch.labels, strict=True):
      if len(first[label]) < count:
        first[label].append(image)
    if all(len(images) == count for images in first):
      break
  return first


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

  The subset is read from its shards, else from the encoded sources that builds
  share; where neither are there, it is prepared first. Only then TensorFlow and
  TFDS are imported.

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
  check_features(features, (*FEATURES, _CLASS_NAME))
  found = open_subset.find_or_prepare(name, data_dir=data_dir, sample=sample)
  wanted = SPLITS if split is None else (split,)
  arrays = tuple(
    tuple(_feature(f, examples, found) for f in features)
    for examples in read(found, *wanted)
  )
  return arrays if split is None else arrays[0]


def _feature(name: str, examples: Examples, found: Readable) -> np.ndarray:
  if name == _CLASS_NAME:
    return np.array(found.class_names)[examples.labels]
  return examples.feature(name)

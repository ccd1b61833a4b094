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

"""Prepared subsets as NumPy arrays, without TensorFlow."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Iterator, Sequence
from concurrent import futures
from typing import Any

import numpy as np

from cmnist_tfds.errors import PreparationError
from cmnist_tfds.prepare import example, png
from cmnist_tfds.read import memory, prepared, shards, splits
from cmnist_tfds.read.prepared import Prepared
from cmnist_tfds.read.splits import Run
from cmnist_tfds.sources import IMAGE_SIZE, SPLITS

FEATURES = ('image', 'label', 'class_name', 'source', 'source_label')

# Records that one thread takes in one go.
_AT_ONCE = 1024
_BYTES_PER_EXAMPLE = IMAGE_SIZE**2 + 3 * 8


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
  """Examples as arrays, in the order of the prepared dataset.

  Attributes:
    images: uint8 (n, 28, 28).
    labels: int64 (n,).
    sources: int64 (n,), which of the subset's sources.
    source_labels: int64 (n,), the raw labels.
  """

  images: np.ndarray
  labels: np.ndarray
  sources: np.ndarray
  source_labels: np.ndarray

  def __len__(self) -> int:
    return len(self.labels)


def read(found: Prepared, *expressions: str) -> list[Examples]:
  """Reads splits.

  Args:
    found: The subset.
    *expressions: The splits, as TFDS writes them: 'train', 'train[:10%]'.

  Returns:
    The examples of each.

  Raises:
    SplitError: If there is no such split.
    MemoryShortageError: If they do not fit into memory.
    PreparationError: If a shard is damaged; the message says which record.
  """
  runs = [splits.runs(e, found.shard_lengths) for e in expressions]
  count = sum(len(run) for of_split in runs for run in of_split)
  memory.check(
    count * _BYTES_PER_EXAMPLE,
    f'{count:,} examples of {found.subset.title}',
  )
  return [_read(found, of_split) for of_split in runs]


def _read(found: Prepared, runs: Sequence[Run]) -> Examples:
  count = sum(map(len, runs))
  examples = Examples(
    np.empty((count, IMAGE_SIZE, IMAGE_SIZE), np.uint8),
    *(np.empty(count, np.int64) for _ in range(3)),
  )

  def fill(batch: _Batch, at: int) -> None:
    into = slice(at, at + batch.stop - batch.start)
    pngs, *integers = batch.decode()
    examples.images[into] = batch.pixels(pngs)
    examples.labels[into] = integers[0]
    examples.sources[into] = integers[1]
    examples.source_labels[into] = integers[2]

  pool = futures.ThreadPoolExecutor(os.cpu_count())
  try:
    filling = []
    at = 0
    for batch in _batches(found, runs):
      filling.append(pool.submit(fill, batch, at))
      at += batch.stop - batch.start
    for filled in filling:
      filled.result()
  finally:
    pool.shutdown(cancel_futures=True)
  return examples


@dataclasses.dataclass(frozen=True)
class _Batch:
  """Consecutive records of a shard."""

  path: pathlib.Path
  file: shards.Records
  start: int
  stop: int

  def decode(self) -> Iterator[Sequence[Any]]:
    """Returns PNGs, labels, numbers of sources and raw labels."""
    decoded: list[tuple[bytes, int, int, int]] = []
    try:
      decoded.extend(
        map(example.decode, self.file.records(self.start, self.stop))
      )
    except ValueError as err:
      raise PreparationError(
        f'{self.path}, record {self.start + len(decoded)}: {err}.'
        f' {shards.REMEDY}'
      ) from err
    return zip(*decoded, strict=True)

  def pixels(self, pngs: Sequence[bytes]) -> np.ndarray:
    """Returns the images of the batch, or of some of it."""
    try:
      return png.decode(pngs)
    except PreparationError as err:
      raise PreparationError(
        f'{self.path}, records {self.start} to {self.stop - 1}: {err}'
      ) from err


def _batches(found: Prepared, runs: Sequence[Run]) -> Iterator[_Batch]:
  """Cuts runs into batches, none across the border of a shard."""
  for run in runs:
    begin = 0
    for shard in found.shards[run.split]:
      start = max(run.start - begin, 0)
      stop = min(run.stop - begin, shard.num_examples)
      begin += shard.num_examples
      if start >= stop:
        continue
      file = shards.open_shard(
        shard.path, found.file_format, shard.num_examples
      )
      for first in range(start, stop, _AT_ONCE):
        yield _Batch(shard.path, file, first, min(first + _AT_ONCE, stop))


def first_of_each_class(found: Prepared, count: int) -> list[list[np.ndarray]]:
  """Returns the first training images of each class.

  Args:
    found: A prepared subset.
    count: How many of each class; fewer where a class has fewer.

  Returns:
    For each label, its images, uint8 (28, 28).

  Raises:
    PreparationError: If a shard is damaged; the message says which record.
  """
  first: list[list[np.ndarray]] = [[] for _ in found.class_names]
  for batch in _batches(found, splits.runs('train', found.shard_lengths)):
    pngs, labels, *_ = batch.decode()
    for data, label in zip(pngs, labels, strict=True):
      if len(first[label]) < count:
        first[label] += list(batch.pixels([data]))
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

  The subset is prepared first where it is not. Neither TensorFlow nor TFDS is
  imported if it is.

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
  unknown = [f for f in features if f not in FEATURES]
  if unknown:
    raise ValueError(
      f'There are no features {unknown}, but {", ".join(FEATURES)}.'
    )
  found = prepared.find_or_prepare(name, data_dir=data_dir, sample=sample)
  wanted = SPLITS if split is None else (split,)
  arrays = tuple(
    tuple(_feature(f, examples, found) for f in features)
    for examples in read(found, *wanted)
  )
  return arrays if split is None else arrays[0]


def _feature(name: str, examples: Examples, found: Prepared) -> np.ndarray:
  if name == 'class_name':
    return np.array(found.class_names)[examples.labels]
  return {
    'image': examples.images,
    'label': examples.labels,
    'source': examples.sources,
    'source_label': examples.source_labels,
  }[name]

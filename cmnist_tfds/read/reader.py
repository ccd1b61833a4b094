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


"""Examples of a split on demand: any of them, in any order."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np

from cmnist_tfds.errors import PreparationError
from cmnist_tfds.prepare import example, png
from cmnist_tfds.read import shards, splits
from cmnist_tfds.read.prepared import Prepared
from cmnist_tfds.sources import IMAGE_SIZE

# Examples to read in one go: enough for their number not to matter.
AT_ONCE = 1024


# As TFDS names them, see `Examples.feature`.
FEATURES = ('image', 'label', 'source', 'source_label')


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
  """Examples as arrays.

  Attributes:
    images: uint8 (n, 28, 28).
    labels: int64 (n,).
    sources: int64 (n,), which of the subset's sources.
    source_labels: int64 (n,), the sources' own raw labels.
  """

  images: np.ndarray
  labels: np.ndarray
  sources: np.ndarray
  source_labels: np.ndarray

  @classmethod
  def empty(cls, count: int) -> Examples:
    """Returns arrays for so many examples, not filled."""
    return cls(
      np.empty((count, IMAGE_SIZE, IMAGE_SIZE), np.uint8),
      *(np.empty(count, np.int64) for _ in range(3)),
    )

  def __len__(self) -> int:
    return len(self.labels)

  def feature(self, name: str) -> np.ndarray:
    """Returns one of `FEATURES`, by its name in TFDS."""
    return {
      'image': self.images,
      'label': self.labels,
      'source': self.sources,
      'source_label': self.source_labels,
    }[name]

  def __getitem__(self, which: slice | np.ndarray) -> Examples:
    return Examples(
      self.images[which],
      self.labels[which],
      self.sources[which],
      self.source_labels[which],
    )


class Reader:
  """The examples of a split, read and checked when they are asked for.

  Several threads may read at a time.
  """

  def __init__(self, found: Prepared, split: str):
    """Opens the shards.

    Args:
      found: The subset.
      split: The split, as TFDS writes it: 'train', 'train[:10%]'.

    Raises:
      SplitError: If there is no such split.
      PreparationError: If a shard is missing or cut off.
    """
    self._parts = list(_parts(found, split))
    counts = [part.stop - part.start for part in self._parts]
    self._ends = np.cumsum(counts, dtype=np.int64)
    self._begins = self._ends - counts

  def __len__(self) -> int:
    return int(self._ends[-1]) if self._parts else 0

  def read(self, numbers: np.ndarray, out: Examples | None = None) -> Examples:
    """Reads examples.

    Args:
      numbers: Integers (n,), which ones.
      out: Where to put them, n examples; new arrays if None.

    Returns:
      The examples, in that order.

    Raises:
      PreparationError: If a record is damaged; the message says which.
    """
    out = Examples.empty(len(numbers)) if out is None else out
    for part, at, within in self._by_part(numbers):
      pngs, *integers = zip(*part.decode(within), strict=True)
      out.images[at] = part.pixels(pngs, within)
      out.labels[at], out.sources[at], out.source_labels[at] = integers
    return out

  def _by_part(
    self, numbers: np.ndarray
  ) -> Iterator[tuple[_Part, np.ndarray, np.ndarray]]:
    """Yields each part asked of, which of the numbers, and their records."""
    part_of = np.searchsorted(self._ends, numbers, side='right')
    for part in np.unique(part_of).tolist():
      at = np.flatnonzero(part_of == part)
      within = numbers[at] - self._begins[part] + self._parts[part].start
      yield self._parts[part], at, within


@dataclasses.dataclass(frozen=True)
class _Part:
  """Consecutive records of one shard."""

  path: pathlib.Path
  file: shards.Records
  start: int
  stop: int

  def decode(self, numbers: np.ndarray) -> list[tuple[bytes, int, int, int]]:
    """Returns PNG, label, number of the source and raw label of records."""
    decoded: list[tuple[bytes, int, int, int]] = []
    records = self.file.records(numbers)
    try:
      decoded.extend(map(example.decode, records))
    except ValueError as err:
      raise self._undecodable(int(numbers[len(decoded)]), err) from err
    return decoded

  def pixels(self, pngs: Sequence[bytes], numbers: np.ndarray) -> np.ndarray:
    """Returns the images of records."""
    try:
      return png.decode(pngs)
    except PreparationError:
      # Which one it is shows when they are decoded one by one.
      for data, number in zip(pngs, numbers.tolist(), strict=True):
        try:
          png.decode([data])
        except PreparationError as err:
          raise self._undecodable(number, err) from err
      raise

  def _undecodable(self, number: int, why: Exception) -> PreparationError:
    return PreparationError(
      f'{self.path} is no shard of CMNIST: record {number}: {why}.'
      f' {shards.REMEDY}'
    )


def _parts(found: Prepared, split: str) -> Iterator[_Part]:
  """Cuts a split at the borders of shards."""
  for run in splits.runs(split, found.shard_lengths):
    begin = 0
    for shard in found.shards[run.split]:
      start = max(run.start - begin, 0)
      stop = min(run.stop - begin, shard.num_examples)
      begin += shard.num_examples
      if start < stop:
        file = shards.open_shard(
          shard.path, found.file_format, shard.num_examples
        )
        yield _Part(shard.path, file, start, stop)


def check_features(names: Sequence[str], known: Sequence[str]) -> None:
  """Raises a `ValueError` if there is a name that is not known."""
  unknown = [name for name in names if name not in known]
  if unknown:
    raise ValueError(
      f'There are no features {unknown}, but {", ".join(known)}.'
    )

# SPDX-License-Identifier: Apache-2.0
"""Reads the examples of a split from shards."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence

import numpy as np

from cmnist_tfds import schema
from cmnist_tfds.dataset_files import Shard
from cmnist_tfds.formats import example, png, shard_reader
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system.errors import PreparationError

# How many records are read together.
_AT_ONCE = 1024


class ShardSplit:
  """The examples of a split, which are read and checked on demand.

  Several threads may read examples at the same time.
  """

  def __init__(
    self,
    subset: Subset,
    file_format: str,
    shards: Sequence[Shard],
    remedy: str,
  ):
    """Constructs the split.

    Args:
      subset: The subset.
      file_format: Format of the shards, one of `shard_reader.FORMATS`.
      shards: The shards of the split, in order.
      remedy: The sentence that says what to do about a damaged shard.

    Raises:
      PreparationError: If the format is another one.
    """
    if file_format not in shard_reader.FORMATS:
      raise PreparationError(
        f'{shards[0].path.parent if shards else subset.title}: the shards have'
        f' the format {file_format!r}. Expected'
        f' {" or ".join(shard_reader.FORMATS)}. tfds.load may read other'
        f' formats. {remedy}'
      )
    self._subset = subset
    self._file_format = file_format
    self._shards = shards
    self._remedy = remedy
    self._ends = np.cumsum([shard.num_examples for shard in shards])
    self._open = functools.cache(self._open_shard)

  def __len__(self) -> int:
    return int(self._ends[-1]) if len(self._ends) else 0

  def open_shards(self) -> None:
    """Opens all shards now, not when they are first read.

    Raises:
      PreparationError: If a shard is missing or damaged.
    """
    with self._adding_remedy():
      for shard in range(len(self._shards)):
        self._open(shard)

  def take(
    self, numbers: np.ndarray, *, images: bool = True
  ) -> tuple[np.ndarray, np.ndarray]:
    """Reads some of the examples.

    Args:
      numbers: Integers (m,), the numbers of the examples.
      images: Has no effect, because a record holds the image and the label.

    Returns:
      The images, uint8 (m, 28, 28), and the labels, int64 (m,).

    Raises:
      PreparationError: If a shard is missing or damaged. The message names the
        record.
    """
    del images
    pixels = np.empty((len(numbers), *schema.IMAGE.shape[:2]), np.uint8)
    labels = np.empty(len(numbers), np.int64)
    shard_of = np.searchsorted(self._ends, numbers, side='right')
    for shard in np.unique(shard_of).tolist():
      at = np.flatnonzero(shard_of == shard)
      begin = self._ends[shard] - self._shards[shard].num_examples
      for start in range(0, len(at), _AT_ONCE):
        batch = at[start : start + _AT_ONCE]
        pixels[batch], labels[batch] = self._read(shard, numbers[batch] - begin)
    return pixels, labels

  def read_all(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the images and labels of all examples, in batches.

    Raises:
      PreparationError: If a shard is missing or damaged. The message names the
        record.
    """
    for start in range(0, len(self), _AT_ONCE):
      yield self.take(np.arange(start, min(start + _AT_ONCE, len(self))))

  def _open_shard(self, shard: int) -> shard_reader.ShardRecords:
    of_shard = self._shards[shard]
    return shard_reader.open_shard(
      of_shard.path, self._file_format, of_shard.num_examples
    )

  def _read(
    self, shard: int, numbers: np.ndarray
  ) -> tuple[np.ndarray, np.ndarray]:
    with self._adding_remedy():
      records = self._open(shard).records(numbers)
      return self._decode_or_name(shard, numbers, records)

  @contextlib.contextmanager
  def _adding_remedy(self) -> Iterator[None]:
    try:
      yield
    except PreparationError as err:
      raise PreparationError(f'{err} {self._remedy}') from err

  def _decode_or_name(
    self, shard: int, numbers: np.ndarray, records: Sequence[bytes]
  ) -> tuple[np.ndarray, np.ndarray]:
    """Decodes records; an error names the record."""
    try:
      return self._decode(records)
    except PreparationError:
      for record, number in zip(records, numbers.tolist(), strict=True):
        try:
          self._decode([record])
        except PreparationError as err:
          raise PreparationError(
            f'{self._shards[shard].path}: record {number} is not an example of'
            f' {self._subset.title}: {err}'
          ) from err
      raise

  def _decode(self, records: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
    pngs, integers = example.decode_all(records)
    labels = integers[schema.LABEL.name]
    classes = self._subset.classes
    if not ((labels >= 0) & (labels < len(classes))).all():
      raise PreparationError(
        f'its label is not between 0 and {len(classes) - 1}.'
      )
    for feature in schema.INTEGERS:
      expected = np.array([feature.of_class(c) for c in classes])[labels]
      if (integers[feature.name] != expected).any():
        raise PreparationError(
          f'its {feature.name} does not belong to the class of its label.'
        )
    return png.decode(pngs, 28, 28), labels

# SPDX-License-Identifier: Apache-2.0
"""Examples of a split on demand: any of them, in any order."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Protocol

import numpy as np

from cmnist_tfds.errors import PreparationError
from cmnist_tfds.formats import example, png, shard_reader
from cmnist_tfds.load import split_spec
from cmnist_tfds.load.cached import Stored
from cmnist_tfds.load.examples import Examples
from cmnist_tfds.load.open_subset import Readable

# Examples to read in one go: enough for their number not to matter.
AT_ONCE = 1024


class Reader:
  """The examples of a split, read and checked when they are asked for.

  Several threads may read at a time.
  """

  def __init__(self, found: Readable, split: str):
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
    part_of = np.searchsorted(self._ends, numbers, side='right')
    for index in np.unique(part_of).tolist():
      part = self._parts[index]
      at = np.flatnonzero(part_of == index)
      within = numbers[at] - self._begins[index] + part.start
      part.source.read(within, out, at)
    return out


class _Source(Protocol):
  """What examples are read from; several threads may read at a time."""

  def read(self, numbers: np.ndarray, out: Examples, at: np.ndarray) -> None:
    """Puts the examples of these numbers into these places of `out`."""


@dataclasses.dataclass(frozen=True)
class _Part:
  """Consecutive examples of one shard, or of what stands for one."""

  source: _Source
  start: int
  stop: int


def _parts(found: Readable, split: str) -> Iterator[_Part]:
  """Cuts a split at the borders of shards."""
  for run in split_spec.runs(split, found.shard_lengths):
    begin = 0
    for number, length in enumerate(found.shard_lengths[run.split]):
      start = max(run.start - begin, 0)
      stop = min(run.stop - begin, length)
      begin += length
      if start < stop:
        yield _Part(_open(found, run.split, number), start, stop)


def _open(found: Readable, split: str, number: int) -> _Source:
  if isinstance(found, Stored):
    return found.splits[split]
  shard = found.shards[split][number]
  return _Shard(
    shard.path,
    shard_reader.open_shard(shard.path, found.file_format, shard.num_examples),
  )


@dataclasses.dataclass(frozen=True)
class _Shard:
  """The examples of one shard."""

  path: pathlib.Path
  file: shard_reader.Records

  def read(self, numbers: np.ndarray, out: Examples, at: np.ndarray) -> None:
    """Puts the examples of these numbers into these places of `out`."""
    records = self.file.records(numbers)
    try:
      images, integers = _decode(records)
    except (ValueError, PreparationError):
      self._blame(records, numbers)
      raise
    out.images[at] = images
    out.labels[at], out.sources[at], out.source_labels[at] = integers.T

  def _blame(self, records: list[bytes], numbers: np.ndarray) -> None:
    """Raises an error that says which of the records cannot be decoded."""
    for record, number in zip(records, numbers.tolist(), strict=True):
      try:
        _decode([record])
      except (ValueError, PreparationError) as err:
        raise PreparationError(
          f'{self.path} is no shard of CMNIST: record {number}: {err}.'
          f' {shard_reader.REMEDY}'
        ) from err


def _decode(records: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
  """Returns images, uint8 (n, 28, 28), and integers, int64 (n, 3)."""
  decoded = example.decode_all(records)
  images = png.decode(decoded.data, decoded.begins, decoded.ends)
  return images, decoded.integers

# SPDX-License-Identifier: Apache-2.0
"""Reads the records of shard files, which are TFRecord or ArrayRecord."""

from __future__ import annotations

import os
import pathlib
from typing import Protocol

import numpy as np

from cmnist_tfds.formats import tfrecord
from cmnist_tfds.system.disk_errors import file_size
from cmnist_tfds.system.errors import PreparationError


class ShardRecords(Protocol):
  """The records of one file. Several threads may read them at the same time."""

  def __init__(self, path: pathlib.Path): ...

  def __len__(self) -> int:
    """Returns the number of records."""

  def records(self, numbers: np.ndarray) -> list[bytes]:
    """Returns the records with these numbers, after checking each."""


def open_shard(
  path: pathlib.Path, file_format: str, num_examples: int
) -> ShardRecords:
  """Opens a shard.

  Args:
    path: The file.
    file_format: One of `FORMATS`.
    num_examples: How many records the file must have.

  Returns:
    Its records.

  Raises:
    PreparationError: If the file is missing or damaged, or has another number
      of records. The message does not name the remedy.
  """
  try:
    file_size(path)  # It refuses what is not a file.
    opened = FORMATS[file_format](path)
  except FileNotFoundError as err:
    raise PreparationError(f'{path} is missing.') from err
  except OSError as err:
    raise PreparationError(
      f'{path} cannot be read: {err.strerror or err}.'
    ) from err
  if len(opened) != num_examples:
    raise PreparationError(
      f'{path} has {len(opened):,} records instead of {num_examples:,}.'
    )
  return opened


class _ArrayRecords:
  """An ArrayRecord file."""

  def __init__(self, path: pathlib.Path):
    # Only readers of ArrayRecord need this library.
    from array_record.python import array_record_module  # type: ignore[import-untyped]

    self._path = path
    self._reader = array_record_module.ArrayRecordReader(os.fspath(path))

  def __len__(self) -> int:
    return self._reader.num_records()

  def records(self, numbers: np.ndarray) -> list[bytes]:
    try:
      return self._reader.read(numbers.tolist())
    except RuntimeError:
      # Read the records one by one to find the damaged one.
      return [self._record(number) for number in numbers.tolist()]

  def _record(self, number: int) -> bytes:
    try:
      (record,) = self._reader.read([number])
    except RuntimeError as err:
      raise PreparationError(
        f'{self._path} is damaged: record {number}: {err}.'
      ) from err
    return record


FORMATS: dict[str, type[ShardRecords]] = {
  'tfrecord': tfrecord.File,
  'array_record': _ArrayRecords,
}

# SPDX-License-Identifier: Apache-2.0
"""The records of shard files, be they TFRecord or ArrayRecord."""

from __future__ import annotations

import os
import pathlib
from typing import Protocol

import numpy as np

from cmnist_tfds.errors import PreparationError
from cmnist_tfds.formats import tfrecord

REMEDY = 'Build the dataset again, with overwriting.'


class ShardRecords(Protocol):
  """The records of one file; several threads may read them at a time."""

  def __init__(self, path: pathlib.Path): ...

  def __len__(self) -> int:
    """Returns how many there are."""

  def records(self, numbers: np.ndarray) -> list[bytes]:
    """Returns the records of these numbers, each checked."""


def open_shard(
  path: pathlib.Path, file_format: str, num_examples: int
) -> ShardRecords:
  """Opens a shard.

  Args:
    path: The file.
    file_format: 'tfrecord' or 'array_record'.
    num_examples: How many records it must have.

  Returns:
    Its records.

  Raises:
    PreparationError: If the file is missing, damaged, or of another length or
      format.
  """
  openers: dict[str, type[ShardRecords]] = {
    'tfrecord': tfrecord.File,
    'array_record': _ArrayRecords,
  }
  if file_format not in openers:
    raise PreparationError(
      f'{path} has the format {file_format}. What is read here is'
      f' {" or ".join(openers)}; tfds.load may read others.'
    )
  try:
    opened = openers[file_format](path)
  except FileNotFoundError as err:
    raise PreparationError(f'{path} is missing. {REMEDY}') from err
  if len(opened) != num_examples:
    raise PreparationError(
      f'{path} has {len(opened):,} records in place of {num_examples:,}.'
      f' {REMEDY}'
    )
  return opened


class _ArrayRecords:
  """An ArrayRecord file."""

  def __init__(self, path: pathlib.Path):
    # Not everybody who reads shards needs it.
    from array_record.python import array_record_module  # type: ignore[import-untyped]

    # The reader takes a file that is not there for an empty one.
    os.stat(path)
    self._path = path
    self._reader = array_record_module.ArrayRecordReader(os.fspath(path))

  def __len__(self) -> int:
    return self._reader.num_records()

  def records(self, numbers: np.ndarray) -> list[bytes]:
    try:
      return self._reader.read(numbers.tolist())
    except RuntimeError:
      # Which one is damaged shows when they are read one by one.
      return [self._record(number) for number in numbers.tolist()]

  def _record(self, number: int) -> bytes:
    try:
      (record,) = self._reader.read([number])
    except RuntimeError as err:
      raise PreparationError(
        f'{self._path} is damaged: record {number}: {err}. {REMEDY}'
      ) from err
    return record

# SPDX-License-Identifier: Apache-2.0
"""Writes the records of a split to its shard files, and checks such files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import numpy as np

from cmnist_tfds.datasets.fast_path import records as records_lib
from cmnist_tfds.system.disk_errors import disk_errors
from cmnist_tfds.system.prefetch import prefetch

# How many records are joined and written together: few enough for their bytes
# to stay in the processor's cache.
_AT_ONCE = 8192

_PathLike = str | os.PathLike[str]


def write_tfrecords(
  records: records_lib.SplitRecords,
  paths: Sequence[_PathLike],
  ends: Sequence[int],
  start: int = 0,
) -> None:
  """Writes TFRecord files.

  Args:
    records: The records of a split.
    paths: The files, in order. Existing files are replaced.
    ends: For each file, the number of records in it and all files before it, as
      returned by `shard_utils.get_shard_boundaries` of TFDS.
    start: Number of the first record in the first file.

  Raises:
    PreparationError: If a file cannot be written.
  """
  for path, first, stop in _shards(paths, ends, start):
    with disk_errors(path, 'write'), open(path, 'wb') as file:
      for joined, _ in prefetch(
        lambda run: records.join(*run), _runs(first, stop)
      ):
        file.write(joined.data)


def write_array_records(
  records: records_lib.SplitRecords,
  paths: Sequence[_PathLike],
  ends: Sequence[int],
  start: int = 0,
) -> None:
  """Writes ArrayRecord files.

  They are not compressed, because the images are.

  Args:
    records: The records of a split.
    paths: The files, in order. Existing files are replaced.
    ends: See `write_tfrecords`.
    start: See `write_tfrecords`.

  Raises:
    PreparationError: If a file cannot be written.
  """
  # Only writers of ArrayRecord need this library.
  from array_record.python import array_record_module  # type: ignore[import-untyped]

  for path, first, stop in _shards(paths, ends, start):
    with disk_errors(path, 'write'):
      try:
        writer = array_record_module.ArrayRecordWriter(
          os.fspath(path), 'group_size:1,uncompressed'
        )
        for run in _runs(first, stop):
          for example in records.examples(*run):
            writer.write(example)
        writer.close()
      except RuntimeError as error:  # ArrayRecord does not raise OSError.
        raise OSError(str(error)) from error


def hold_tfrecords(
  records: records_lib.SplitRecords,
  paths: Sequence[_PathLike],
  ends: Sequence[int],
) -> bool:
  """Returns whether TFRecord files hold the records, and nothing else.

  Args:
    records: The records of a split.
    paths: The files, in order.
    ends: See `write_tfrecords`.

  Raises:
    OSError: If a file is missing or cannot be read.
  """
  for path, start, stop in _shards(paths, ends):
    with open(path, 'rb') as file:
      for joined, _ in prefetch(
        lambda run: records.join(*run), _runs(start, stop)
      ):
        found = np.frombuffer(file.read(len(joined)), np.uint8)
        if not np.array_equal(found, joined):
          return False
      if file.read(1):
        return False
  return True


def hold_array_records(
  records: records_lib.SplitRecords,
  paths: Sequence[_PathLike],
  ends: Sequence[int],
) -> bool:
  """Returns whether ArrayRecord files hold the records, and nothing else.

  Args:
    records: The records of a split.
    paths: The files, in order.
    ends: See `write_tfrecords`.

  Raises:
    OSError: If a file is missing or cannot be read.
  """
  from array_record.python import array_record_module

  for path, start, stop in _shards(paths, ends):
    os.stat(path)
    try:
      shard = array_record_module.ArrayRecordReader(os.fspath(path))
      if shard.num_records() != stop - start:
        return False
      for first, last in _runs(start, stop):
        found = shard.read(list(range(first - start, last - start)))
        if found != list(records.examples(first, last)):
          return False
    except RuntimeError:
      return False
  return True


def _shards(
  paths: Sequence[_PathLike], ends: Sequence[int], start: int = 0
) -> Iterator[tuple[_PathLike, int, int]]:
  """Yields each file, its first record and the first record after it."""
  return zip(paths, [start, *ends[:-1]], ends, strict=True)


def _runs(start: int, stop: int) -> Iterator[tuple[int, int]]:
  """Yields runs of records: the first record and the first one after it."""
  for first in range(start, stop, _AT_ONCE):
    yield first, min(first + _AT_ONCE, stop)

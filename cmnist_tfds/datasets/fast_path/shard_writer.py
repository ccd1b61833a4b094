# SPDX-License-Identifier: Apache-2.0
"""Writing the records of a split to its shard files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from cmnist_tfds.datasets.fast_path import records as records_lib
from cmnist_tfds.disk_errors import disk_errors
from cmnist_tfds.prefetch import prefetch

# Records joined and written in one go; few, so that their bytes stay in the
# processor's cache in between.
_AT_ONCE = 8192

_PathLike = str | os.PathLike[str]


def write_tfrecords(
  records: records_lib.SplitRecords,
  paths: Sequence[_PathLike],
  ends: Sequence[int],
) -> None:
  """Writes TFRecord files.

  Args:
    records: The records of a split.
    paths: The files, in order; those that exist are replaced.
    ends: How many records the files up to and including each hold, as TFDS's
      `shard_utils.get_shard_boundaries` returns it.

  Raises:
    PreparationError: If a file cannot be written.
  """
  for path, start, stop in _shards(paths, ends):
    with disk_errors(path, 'write'), open(path, 'wb') as file:
      for joined, _ in prefetch(
        lambda run: records.join(*run), _runs(start, stop)
      ):
        file.write(joined.data)


def write_array_records(
  records: records_lib.SplitRecords,
  paths: Sequence[_PathLike],
  ends: Sequence[int],
) -> None:
  """Writes ArrayRecord files, uncompressed since the images are compressed.

  Args:
    records: The records of a split.
    paths: The files, in order; those that exist are replaced.
    ends: As in `write_tfrecords`.

  Raises:
    PreparationError: If a file cannot be written.
  """
  # Not everybody who writes shards needs it.
  from array_record.python import array_record_module  # type: ignore[import-untyped]

  for path, start, stop in _shards(paths, ends):
    with disk_errors(path, 'write'):
      try:
        writer = array_record_module.ArrayRecordWriter(
          os.fspath(path), 'group_size:1,uncompressed'
        )
        for run in _runs(start, stop):
          for example in records.examples(*run):
            writer.write(example)
        writer.close()
      except RuntimeError as error:  # ArrayRecord raises no OSErrors.
        raise OSError(str(error)) from error


def _shards(
  paths: Sequence[_PathLike], ends: Sequence[int]
) -> Iterator[tuple[_PathLike, int, int]]:
  """Yields each file with the numbers of its first record and the next's."""
  return zip(paths, [0, *ends[:-1]], ends, strict=True)


def _runs(start: int, stop: int) -> Iterator[tuple[int, int]]:
  """Cuts a shard into runs of records: the first's number and the next's."""
  for first in range(start, stop, _AT_ONCE):
    yield first, min(first + _AT_ONCE, stop)

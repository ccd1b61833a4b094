# SPDX-License-Identifier: Apache-2.0
"""Writes the shards of a dataset with Apache Beam, one element a shard.

The process that starts the pipeline checks the origin files, fills the cache,
and decides which record goes to which shard. Workers map the same cache entries
and write the same bytes as that process would. They send nothing back.

A worker writes a shard under a temporary name and renames it. So a shard is
complete or absent, and it does no harm if a shard is written twice.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import pathlib
import pickle
import platform
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from cmnist_tfds.cache.shuffle_order import shuffle_order
from cmnist_tfds.datasets import tfds_internals
from cmnist_tfds.datasets.fast_path.joiner import SplitRecords
from cmnist_tfds.system.errors import CmnistError, PreparationError
from cmnist_tfds.system.extras import missing_extra

# Only one thread of a worker opens a split.
_opening = threading.Lock()


# Writes the records from one number up to another one to a file.
WriteShard = Callable[[SplitRecords, pathlib.Path, int, int], None]


@dataclasses.dataclass(frozen=True)
class _SharedSplit:
  """What a worker needs to write any shard of a split.

  Attributes:
    name: 'train' or 'test'.
    sources: Pickled `SplitRecords.sources`. A worker opens a split once, which it
      recognizes by equal bytes, because sources compare by identity.
    num_examples: Number of examples.
    num_bytes: `SplitRecords.num_bytes`.
  """

  name: str
  sources: bytes
  num_examples: int
  num_bytes: int


@contextlib.contextmanager
def pipeline(
  runner: Any, options: Any, write_shard: WriteShard
) -> Iterator[WriteShard]:
  """Collects the shards of several splits, then writes them with one pipeline.

  Args:
    runner: `DownloadConfig.beam_runner`.
    options: `DownloadConfig.beam_options`.
    write_shard: Writes a shard, on a worker.

  Yields:
    Collects a shard. The shards are there when the block ends.

  Raises:
    MissingExtraError: If Apache Beam is not installed.
    PreparationError: If the pipeline fails, or a shard is missing after it.
  """
  try:
    import apache_beam as beam
  except ImportError as error:
    raise missing_extra('Building with Beam', error, 'beam') from error
  shards: list[tuple[_SharedSplit, pathlib.Path, int, int]] = []

  @functools.cache
  def share(records: SplitRecords) -> _SharedSplit:
    return _SharedSplit(
      records.split,
      pickle.dumps(records.sources),
      len(records),
      records.num_bytes,
    )

  yield lambda records, path, start, stop: shards.append(
    (share(records), path.absolute(), start, stop)
  )
  try:
    with beam.Pipeline(runner=runner, options=options) as started:
      _ = (
        started
        | 'Shards' >> beam.Create(shards)
        | 'Write' >> beam.MapTuple(functools.partial(_write, write_shard))
      )
  except CmnistError:
    raise
  except Exception as error:  # Each runner has errors of its own.
    raise PreparationError(
      f'Apache Beam could not write the shards: {_reason(error)}'
    ) from error
  missing = [path for _, path, _, _ in shards if not path.is_file()]
  if missing:
    raise PreparationError(
      f'Apache Beam has ended, but {len(missing)} of {len(shards)} shards are'
      f' missing, such as {missing[0]}. The data folder must be on a file system'
      ' that all workers share under the same path, and the pipeline must be'
      ' waited for.'
    )


def _reason(error: Exception) -> str:
  """Returns the line of an error that says what a worker met."""
  # Runners put the traceback of the worker, as text, into their errors.
  lines = str(error).strip().splitlines() or [type(error).__name__]
  ours = f'{PreparationError.__module__}.'
  return next((line for line in lines if line.startswith(ours)), lines[-1])


def _write(
  write_shard: WriteShard,
  split: _SharedSplit,
  path: pathlib.Path,
  start: int,
  stop: int,
) -> None:
  """Writes a shard, on a worker."""
  with _opening:
    records = _open(split)
  # TFDS removes files with such names from a finished dataset.
  unfinished = path.with_name(
    f'{tfds_internals.INCOMPLETE_PREFIX}{uuid.uuid4().hex}.{path.name}'
  )
  try:
    write_shard(records, unfinished, start, stop)
    unfinished.replace(path)
  finally:
    unfinished.unlink(missing_ok=True)


@functools.lru_cache(maxsize=2)
def _open(split: _SharedSplit) -> SplitRecords:
  """Lays out the records of a split like the process that started."""
  order = shuffle_order(split.name, split.num_examples)
  records = SplitRecords(split.name, pickle.loads(split.sources), order)
  if records.num_bytes != split.num_bytes:
    raise PreparationError(
      f'{platform.node()} would write {records.num_bytes:,} bytes of examples'
      f' to the {split.name} split where {split.num_bytes:,} are expected.'
      ' Install the same version of cmnist_tfds on all workers.'
    )
  return records

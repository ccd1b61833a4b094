# SPDX-License-Identifier: Apache-2.0
"""Writes the shards of a dataset with Apache Beam, one element a shard.

The process that starts the pipeline checks the origin files, fills the cache,
and decides which record goes to which shard. Workers map the same cache entries
and write the same bytes as that process would. They send nothing back.

A worker writes a shard under a temporary name and renames it. So a shard is
complete or absent, and it does no harm if a shard is written twice.
"""

from __future__ import annotations

import functools
import pathlib
import pickle
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from cmnist_tfds.cache.store import CACHE_DIR_VARIABLE
from cmnist_tfds.datasets import tfds_internals
from cmnist_tfds.datasets.fast_path.joiner import SplitRecords
from cmnist_tfds.system.errors import CmnistError, PreparationError
from cmnist_tfds.system.extras import missing_extra

_REMEDY = (
  'Every machine that takes part must see the data folder, and the cache folder'
  f' that {CACHE_DIR_VARIABLE} names, under the same path.'
)

# A shard has the records from one number up to another one.
Shard = tuple[SplitRecords, pathlib.Path, int, int]
WriteShard = Callable[[SplitRecords, pathlib.Path, int, int], None]


def write_shards(
  shards: Iterable[Shard], write_shard: WriteShard, runner: Any, options: Any
) -> None:
  """Writes shards with one pipeline.

  Args:
    shards: The shards.
    write_shard: Writes a shard, on a worker.
    runner: `DownloadConfig.beam_runner`.
    options: `DownloadConfig.beam_options`.

  Raises:
    MissingExtraError: If Apache Beam is not installed.
    PreparationError: If the pipeline fails, or a shard is missing after it.
  """
  try:
    import apache_beam as beam
  except ImportError as error:
    raise missing_extra('Building with Beam', error, 'beam') from error
  # A worker opens a split once, which it recognizes by equal bytes.
  pickled = functools.cache(pickle.dumps)
  work = [
    (pickled(records), path.absolute(), start, stop)
    for records, path, start, stop in shards
  ]
  try:
    with beam.Pipeline(runner=runner, options=options) as started:
      _ = (
        started
        | 'Shards' >> beam.Create(work)
        | 'Write' >> beam.MapTuple(functools.partial(_write, write_shard))
      )
  except CmnistError:
    raise
  except Exception as error:  # Each runner has errors of its own.
    raise PreparationError(
      f'Apache Beam could not write the shards: {_reason(error)}. {_REMEDY}'
    ) from error
  missing = [path for _, path, _, _ in work if not path.is_file()]
  if missing:
    raise PreparationError(
      f'Apache Beam has ended, but {len(missing)} of {len(work)} shards are'
      f' missing, such as {missing[0]}. The pipeline must be waited for.'
      f' {_REMEDY}'
    )


def _reason(error: Exception) -> str:
  """Returns the line of an error that says what a worker met."""
  # Runners put the traceback of the worker, as text, into their errors.
  lines = str(error).strip().splitlines() or [type(error).__name__]
  ours = f'{PreparationError.__module__}.'
  return next((line for line in lines if line.startswith(ours)), lines[-1])


_open = functools.lru_cache(maxsize=2)(pickle.loads)


def _write(
  write_shard: WriteShard,
  pickled: bytes,
  path: pathlib.Path,
  start: int,
  stop: int,
) -> None:
  """Writes a shard, on a worker."""
  records = _open(pickled)
  # TFDS removes files with such names from a finished dataset.
  unfinished = path.with_name(
    f'{tfds_internals.INCOMPLETE_PREFIX}{uuid.uuid4().hex}.{path.name}'
  )
  try:
    write_shard(records, unfinished, start, stop)
    unfinished.replace(path)
  finally:
    unfinished.unlink(missing_ok=True)

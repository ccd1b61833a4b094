# SPDX-License-Identifier: Apache-2.0
"""Writes the shards of a dataset with Apache Beam, one element a shard.

The process that starts the pipeline checks the origin files, fills the cache,
and decides which record goes to which shard. Workers map the same cache entries
and write the same bytes as that process would. They send nothing back.

A worker writes a shard beside its place and renames it. So a shard is complete
or absent, and it does no harm if a shard is written again, or twice at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import os
import pathlib
import pickle
import platform
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from cmnist_tfds.cache import shuffle_order, store
from cmnist_tfds.cache.split_sources import share
from cmnist_tfds.datasets import tfds_internals
from cmnist_tfds.datasets.fast_path.records import SplitRecords
from cmnist_tfds.system.errors import CmnistError, PreparationError
from cmnist_tfds.system.extras import missing_extra

_log = logging.getLogger('cmnist_tfds')

# Takes the name of a split, its records, and what the functions in
# `shard_writer` take.
WriteShards = Callable[
  [str, SplitRecords, Sequence[os.PathLike[str]], Sequence[int]], None
]

# Only one thread of a worker opens a split.
_opening = threading.Lock()


@dataclasses.dataclass(frozen=True)
class _SharedSplit:
  """What a worker needs to write any shard of a split.

  Attributes:
    name: 'train' or 'test'.
    sources: Pickled `share(...)`. A worker opens a split once, which it
      recognises by equal bytes, because sources compare by identity.
    order: The folder of the order of the examples in the cache.
    num_examples: Number of examples.
    num_bytes: `SplitRecords.num_bytes`.
    write: Function of `shard_writer` that writes the shards.
  """

  name: str
  sources: bytes
  order: pathlib.Path
  num_examples: int
  num_bytes: int
  write: Callable[..., None]


@dataclasses.dataclass(frozen=True)
class _Shard:
  """One shard: its file, its first record and the first record after it."""

  split: str
  path: pathlib.Path
  start: int
  stop: int


def check_runner(runner: Any, options: Any) -> None:
  """Refuses a runner of Apache Beam that would not write all shards.

  Args:
    runner: `DownloadConfig.beam_runner`.
    options: `DownloadConfig.beam_options`.

  Raises:
    PreparationError: If it is the DaskRunner.
    MissingExtraError: If Apache Beam is not installed.
  """
  try:
    from apache_beam.options import pipeline_options
  except ImportError as error:
    raise missing_extra('Building with Beam', error, 'beam') from error
  if runner is None and options is not None:
    runner = options.view_as(pipeline_options.StandardOptions).runner
  if isinstance(runner, str):
    names = [runner.rpartition('.')[2]]
  else:
    names = [cls.__name__ for cls in type(runner).__mro__]
  if any(name.lower() in ('dask', 'daskrunner') for name in names):
    raise PreparationError(
      'The DaskRunner of Apache Beam is not supported: that of Beam 2.77 runs'
      ' only the last of several outputs of a pipeline and loses the others.'
      ' Choose another runner, or build without Beam.'
    )


@contextlib.contextmanager
def pipeline(
  runner: Any, options: Any, write: Callable[..., None]
) -> Iterator[WriteShards]:
  """Collects the shards of several splits, then writes them with one pipeline.

  Args:
    runner: `DownloadConfig.beam_runner`.
    options: `DownloadConfig.beam_options`.
    write: Function of `shard_writer` that writes the shards.

  Yields:
    Collects the shards of a split. The shards are there when the block ends.

  Raises:
    PreparationError: If the pipeline fails, or a shard is missing after it.
  """
  splits: dict[str, _SharedSplit] = {}
  shards: list[_Shard] = []

  def collect(
    split: str,
    records: SplitRecords,
    paths: Sequence[os.PathLike[str]],
    ends: Sequence[int],
  ) -> None:
    shared = _share(split, records, write)
    if shared is None:
      _log.error(
        'The %s split is written without Apache Beam, because its images are'
        ' not in the cache folder %s, where workers would read them. Make that'
        ' folder writable, or name another one, which all workers share, in'
        ' %s.',
        *(split, store.cache_dir(), store.CACHE_DIR_VARIABLE),
      )
      write(records, paths, ends)
      return
    splits[split] = shared
    starts = [0, *ends[:-1]]
    for path, start, stop in zip(paths, starts, ends, strict=True):
      shards.append(_Shard(split, pathlib.Path(path).absolute(), start, stop))

  yield collect
  if shards:
    _run(runner, options, splits, shards)


def _share(
  split: str, records: SplitRecords, write: Callable[..., None]
) -> _SharedSplit | None:
  """Returns what workers need; None if they would not find it."""
  sources = share(records.sources)
  order = shuffle_order.longer_order(split, len(records)).folder
  if sources is None or order is None:
    return None
  return _SharedSplit(
    split, pickle.dumps(sources), order, len(records), records.num_bytes, write
  )


def _run(
  runner: Any,
  options: Any,
  splits: Mapping[str, _SharedSplit],
  shards: Sequence[_Shard],
) -> None:
  import apache_beam as beam

  try:
    with beam.Pipeline(runner=runner, options=options) as started:
      _ = (
        started
        | 'Shards' >> beam.Create(shards)
        | 'Write' >> beam.Map(_write_shard, splits)
      )
  except CmnistError:
    raise
  except Exception as error:  # Each runner has errors of its own.
    raise PreparationError(
      f'Apache Beam could not write the shards: {_reason(error)}'
    ) from error
  missing = [shard.path.name for shard in shards if not shard.path.is_file()]
  if missing:
    raise PreparationError(
      f'Apache Beam has ended, but {len(missing)} of {len(shards)} shards are'
      f' missing in {shards[0].path.parent}, such as {missing[0]}. The data'
      ' folder must be on a file system that all workers share under the same'
      ' path, and the pipeline must be waited for.'
    )


def _reason(error: Exception) -> str:
  """Returns the line of an error that says what a worker met."""
  # Runners put the traceback of the worker, as text, into their errors.
  lines = str(error).strip().splitlines() or [type(error).__name__]
  ours = f'{PreparationError.__module__}.'
  return next((line for line in lines if line.startswith(ours)), lines[-1])


def _write_shard(shard: _Shard, splits: Mapping[str, _SharedSplit]) -> None:
  """Writes a shard, on a worker."""
  split = splits[shard.split]
  with _opening:
    records = _open(split)
  # TFDS removes files with such names from a finished dataset.
  beside = shard.path.with_name(
    f'{tfds_internals.INCOMPLETE_PREFIX}{uuid.uuid4().hex}.{shard.path.name}'
  )
  try:
    split.write(records, [beside], [shard.stop], shard.start)
    beside.replace(shard.path)
  finally:
    beside.unlink(missing_ok=True)


@functools.lru_cache(maxsize=2)
def _open(split: _SharedSplit) -> SplitRecords:
  """Lays out the records of a split like the process that started."""
  order = shuffle_order.shorten(store.reopen(split.order), split.num_examples)
  records = SplitRecords(
    [source.open() for source in pickle.loads(split.sources)], order
  )
  if records.num_bytes != split.num_bytes:
    raise PreparationError(
      f'{platform.node()} would write {records.num_bytes:,} bytes of examples'
      f' to the {split.name} split where {split.num_bytes:,} are expected.'
      ' Install the same version of cmnist_tfds on all workers.'
    )
  return records

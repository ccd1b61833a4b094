# SPDX-License-Identifier: Apache-2.0
"""Writes the shards of a dataset by joining encoded images.

TFDS's own way to write encodes every image of every subset again, one at a
time. Here each source is encoded once, and the encoded images in the cache are
joined. Both ways give the same examples in the same order.

With Apache Beam, an element of the pipeline is a shard. The process that starts
the pipeline checks the origin files, fills the cache, and decides which record
goes to which shard. Workers map the same cache entries and write the same bytes
as that process would. They send nothing back.
"""

from __future__ import annotations

import functools
import os
import pathlib
import pickle
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets.public_api as tfds

from cmnist_tfds.cache import split_sources
from cmnist_tfds.cache.prepared import Prepared
from cmnist_tfds.cache.split_sources import SplitSource
from cmnist_tfds.cache.store import CACHE_DIR_VARIABLE
from cmnist_tfds.datasets import tfds_internals
from cmnist_tfds.datasets.fast_path.joiner import SplitRecords
from cmnist_tfds.system.errors import PreparationError
from cmnist_tfds.system.extras import needs_extra

# How many records are joined and written together: few enough for their bytes
# to stay in the processor's cache.
_BATCH = 8192

_REMEDY = (
  'Every machine that takes part must see the data folder, and the cache folder'
  f' that {CACHE_DIR_VARIABLE} names, under the same path.'
)

# A shard has the records from one number up to another one.
_Shard = tuple[SplitRecords, pathlib.Path, int, int]


def write_tfrecord(
  records: SplitRecords, path: pathlib.Path, start: int, stop: int
) -> None:
  """Writes the records from one number up to another one to a TFRecord file."""
  with path.open('wb') as file:
    for first in range(start, stop, _BATCH):
      joined, _ = records.join(first, min(first + _BATCH, stop))
      file.write(joined.data)


def write_array_record(
  records: SplitRecords, path: pathlib.Path, start: int, stop: int
) -> None:
  """Writes the records from one number up to another one to an ArrayRecord file."""
  # Only writers of ArrayRecord need this library.
  from array_record.python import array_record_module  # type: ignore[import-untyped]

  try:
    writer = array_record_module.ArrayRecordWriter(
      os.fspath(path),
      'group_size:1,uncompressed',  # The images are compressed.
    )
    for first in range(start, stop, _BATCH):
      for example in records.examples(first, min(first + _BATCH, stop)):
        writer.write(example)
    writer.close()
  except RuntimeError as error:  # ArrayRecord does not raise OSError.
    raise OSError(f'Cannot write {path}: {error}') from error


WRITERS = {
  tfds.core.FileFormat.TFRECORD: write_tfrecord,
  tfds.core.FileFormat.ARRAY_RECORD: write_array_record,
}


def write_splits(
  sources: Mapping[str, Sequence[SplitSource]],
  download_config: tfds.download.DownloadConfig,
  file_format: tfds.core.FileFormat,
  filename_template: Callable[[str], tfds.core.ShardedFileTemplate],
  full: Prepared | None,
) -> list[tfds.core.SplitInfo]:
  """Writes the shards, with Apache Beam if the user wants it.

  Args:
    sources: For each split, the examples of each source, as encoded images.
    download_config: The user's options: number of shards, limit on examples,
      runner and options of Beam.
    file_format: Format of the shards, one of `WRITERS`.
    filename_template: Returns the paths of the shards of a split.
    full: A prepared dataset in this format; None if there is none. Shards that
      have the same examples are links to its shards.

  Returns:
    The facts that TFDS records about each split that has examples.
  """
  infos = []

  def shards() -> Iterator[_Shard]:
    for split, opened in sources.items():
      num_examples = sum(map(len, opened))
      if download_config.max_examples_per_split is not None:
        num_examples = min(num_examples, download_config.max_examples_per_split)
      if not num_examples:
        continue  # TFDS does not record splits without examples.
      records = SplitRecords(split, opened, num_examples)
      num_shards = download_config.get_shard_config().get_number_shards(
        records.num_bytes, num_examples
      )
      ends = tfds_internals.get_shard_boundaries(num_examples, num_shards)
      template = filename_template(split)
      paths = [*map(pathlib.Path, template.sharded_filepaths(num_shards))]
      digest = split_sources.digest(opened, num_examples)
      is_same = full and full.digests.get(split) == digest
      if full and is_same and len(full.shard_lengths[split]) == num_shards:
        for old, new in zip(full.shards(split), paths, strict=True):
          try:
            new.hardlink_to(old)
          except OSError:  # The system cannot link.
            shutil.copyfile(old, new)
      else:
        for path, start, stop in zip(paths, [0, *ends[:-1]], ends, strict=True):
          yield records, path, start, stop
      infos.append(
        tfds.core.SplitInfo(
          name=split,
          shard_lengths=np.diff(ends, prepend=0).tolist(),
          num_bytes=records.num_bytes,
          filename_template=template,
        )
      )

  runner, options = download_config.beam_runner, download_config.beam_options
  if runner is not None or options is not None:
    _write_with_beam(shards(), file_format, runner, options)
  else:
    for shard in shards():
      WRITERS[file_format](*shard)
  return infos


def _write_with_beam(
  shards: Iterable[_Shard],
  file_format: tfds.core.FileFormat,
  runner: Any,
  options: Any,
) -> None:
  """Writes shards with one pipeline.

  Args:
    shards: The shards.
    file_format: Format of the shards.
    runner: `DownloadConfig.beam_runner`.
    options: `DownloadConfig.beam_options`.

  Raises:
    MissingExtraError: If Apache Beam is not installed.
    PreparationError: If the pipeline fails, or a shard is missing after it.
  """
  with needs_extra('Building with Beam', 'beam'):
    import apache_beam as beam
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
        | 'Write' >> beam.MapTuple(functools.partial(_write, file_format))
      )
  except Exception as error:  # Each runner has errors of its own.
    # Runners put the traceback of the worker, as text, into their errors.
    *_, reason = str(error).strip().splitlines() or [type(error).__name__]
    raise PreparationError(
      f'Apache Beam could not write the shards: {reason}. {_REMEDY}'
    ) from error
  missing = [path for _, path, _, _ in work if not path.is_file()]
  if missing:
    raise PreparationError(
      f'Apache Beam has ended, but {len(missing)} of {len(work)} shards are'
      f' missing, such as {missing[0]}. Wait for the pipeline. {_REMEDY}'
    )


_open = functools.lru_cache(maxsize=2)(pickle.loads)


def _write(
  file_format: tfds.core.FileFormat,
  pickled: bytes,
  path: pathlib.Path,
  start: int,
  stop: int,
) -> None:
  """Writes a shard, on a worker.

  The shard is renamed when it is complete, so it does no harm if it is written
  twice.
  """
  # TFDS removes files with such names from a finished dataset.
  unfinished = path.with_name(
    f'{tfds_internals.INCOMPLETE_PREFIX}{uuid.uuid4().hex}.{path.name}'
  )
  try:
    WRITERS[file_format](_open(pickled), unfinished, start, stop)
    unfinished.replace(path)
  finally:
    unfinished.unlink(missing_ok=True)

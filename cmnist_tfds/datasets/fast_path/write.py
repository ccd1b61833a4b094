# SPDX-License-Identifier: Apache-2.0
"""Writes the shards of a split by joining encoded images.

The stock path of TFDS encodes every image of every subset again, one at a time.
This path encodes each source once and joins the encoded images from the cache.
Both paths write the same examples in the same order.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow_datasets.public_api as tfds

from cmnist_tfds.cache.shuffle_order import shuffle_order
from cmnist_tfds.cache.split_sources import SplitSource
from cmnist_tfds.datasets import tfds_internals
from cmnist_tfds.datasets.fast_path import beam_pipeline
from cmnist_tfds.datasets.fast_path.records import SplitRecords

# How many records are joined and written together: few enough for their bytes
# to stay in the processor's cache.
_BATCH = 8192


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


_WRITERS = {
  tfds.core.FileFormat.TFRECORD: write_tfrecord,
  tfds.core.FileFormat.ARRAY_RECORD: write_array_record,
}


def can_write(
  file_format: tfds.core.FileFormat,
  download_config: tfds.download.DownloadConfig,
) -> bool:
  """Returns whether this path can write a dataset; the stock path must, if not.

  Args:
    file_format: Format of the shards.
    download_config: The user's options, such as a limit on examples.
  """
  return (
    file_format in _WRITERS and download_config.max_examples_per_split is None
  )


@contextlib.contextmanager
def shard_writer(
  file_format: tfds.core.FileFormat,
  download_config: tfds.download.DownloadConfig,
) -> Iterator[beam_pipeline.WriteShard]:
  """Writes shards in this process, or with Apache Beam if the user wants it.

  Args:
    file_format: Format of the shards.
    download_config: The user's options.

  Yields:
    The argument `write_shard` of `write_split`. The shards are there when the
    block ends.
  """
  write = _WRITERS[file_format]
  runner, options = download_config.beam_runner, download_config.beam_options
  if runner is None and options is None:
    yield write
  else:
    with beam_pipeline.pipeline(runner, options, write) as collect:
      yield collect


def write_split(
  sources: Sequence[SplitSource],
  filename_template: tfds.core.ShardedFileTemplate,
  shard_config: tfds_internals.ShardConfig,
  same: Sequence[pathlib.Path],
  write_shard: beam_pipeline.WriteShard,
) -> tfds.core.SplitInfo:
  """Writes the shards of a split.

  Args:
    sources: The examples of each source, as encoded images.
    filename_template: The paths of the shards, and the name of the split.
    shard_config: Determines the number of shards.
    same: The shards of a prepared split with the same examples, to which to
      link if there are as many; empty if there is none.
    write_shard: See `shard_writer`.

  Returns:
    The facts that TFDS records about the split.
  """
  split = filename_template.split
  num_examples = sum(map(len, sources))
  records = SplitRecords(split, sources, shuffle_order(split, num_examples))
  num_shards = shard_config.get_number_shards(records.num_bytes, num_examples)
  ends = tfds_internals.get_shard_boundaries(num_examples, num_shards)
  paths = filename_template.sharded_filepaths(num_shards)
  if len(same) == num_shards:
    for old, new in zip(same, paths, strict=True):
      _link(old, new)
  else:
    for path, start, stop in zip(paths, [0, *ends[:-1]], ends, strict=True):
      write_shard(records, pathlib.Path(path), start, stop)
  return tfds.core.SplitInfo(
    name=split,
    shard_lengths=np.diff(ends, prepend=0).tolist(),
    num_bytes=records.num_bytes,
    filename_template=filename_template,
  )


def _link(old: os.PathLike[str], new: os.PathLike[str]) -> None:
  """Links to a finished file, or copies it if the system cannot link."""
  try:
    os.link(old, new)
  except OSError:
    shutil.copyfile(old, new)

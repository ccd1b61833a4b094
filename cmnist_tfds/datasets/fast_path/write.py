# SPDX-License-Identifier: Apache-2.0
"""Writes the shards of a split by joining encoded images.

The stock path of TFDS encodes every image of every subset again, one at a time.
This path encodes each source once and joins the encoded images from the cache.
Both paths write the same examples in the same order.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pathlib
import shutil
from collections.abc import Iterator, Sequence
from concurrent import futures

import numpy as np
import tensorflow_datasets.public_api as tfds

from cmnist_tfds.cache.shuffle_order import shuffle_order
from cmnist_tfds.cache.split_sources import SplitSource
from cmnist_tfds.datasets import tfds_internals
from cmnist_tfds.datasets.fast_path import beam_pipeline, records, shard_writer
from cmnist_tfds.system.atomic import sync_file

_log = logging.getLogger('cmnist_tfds')

_WRITERS = {
  tfds.core.FileFormat.TFRECORD: shard_writer.write_tfrecords,
  tfds.core.FileFormat.ARRAY_RECORD: shard_writer.write_array_records,
}
_CHECKS = {
  tfds.core.FileFormat.TFRECORD: shard_writer.hold_tfrecords,
  tfds.core.FileFormat.ARRAY_RECORD: shard_writer.hold_array_records,
}


def can_write(
  file_format: tfds.core.FileFormat,
  download_config: tfds.download.DownloadConfig,
) -> bool:
  """Returns whether this path can write a dataset.

  Args:
    file_format: Format of the shards.
    download_config: The user's options, such as a limit on examples.

  Returns:
    Whether this path can write it. If not, the stock path must.
  """
  return (
    file_format in _WRITERS and download_config.max_examples_per_split is None
  )


def uses_beam(download_config: tfds.download.DownloadConfig) -> bool:
  """Returns whether the user wants Apache Beam to write a dataset.

  Args:
    download_config: The user's options.

  Raises:
    PreparationError: If the runner is one that would not write all shards.
    MissingExtraError: If Apache Beam is not installed.
  """
  runner, options = download_config.beam_runner, download_config.beam_options
  if runner is None and options is None:
    return False
  beam_pipeline.check_runner(runner, options)
  return True


@contextlib.contextmanager
def shards_writer(
  file_format: tfds.core.FileFormat,
  download_config: tfds.download.DownloadConfig,
) -> Iterator[beam_pipeline.WriteShards]:
  """Writes shards in this process, or with Apache Beam if the user wants it.

  Args:
    file_format: Format of the shards.
    download_config: The user's options.

  Yields:
    The argument `write_shards` of `write_split`. The shards are there when the
    block ends.

  Raises:
    PreparationError: If a shard cannot be written.
  """
  write = _WRITERS[file_format]
  if not uses_beam(download_config):
    with futures.ThreadPoolExecutor() as pool:
      syncing: list[futures.Future[None]] = []

      def write_shards(
        _: str,
        joined: records.SplitRecords,
        paths: Sequence[os.PathLike[str]],
        ends: Sequence[int],
      ) -> None:
        write(joined, paths, ends)
        # The whole dataset is synced at the end, which then takes less time.
        syncing.extend(pool.submit(sync_file, pathlib.Path(p)) for p in paths)

      yield write_shards
      for synced in syncing:
        synced.result()
    return
  with beam_pipeline.pipeline(
    download_config.beam_runner, download_config.beam_options, write
  ) as collect:
    yield collect


def write_split(
  sources: Sequence[SplitSource],
  filename_template: tfds_internals.ShardedFileTemplate,
  file_format: tfds.core.FileFormat,
  shard_config: tfds_internals.ShardConfig,
  same: tfds.core.SplitInfo | None,
  write_shards: beam_pipeline.WriteShards,
) -> tfds.core.SplitInfo:
  """Writes the shards of a split.

  Args:
    sources: The examples of each source, as encoded images.
    filename_template: The paths of the shards, and the name of the split.
    file_format: Format of the shards.
    shard_config: Determines the number of shards.
    same: A prepared split that should have the same examples in the same format;
      None if there is none. If its shards hold just what would be written, they
      are linked to.
    write_shards: See `shards_writer`.

  Returns:
    The facts that TFDS records about the split.

  Raises:
    PreparationError: If a shard cannot be written.
  """
  split = filename_template.split
  num_examples = sum(map(len, sources))
  joined = records.SplitRecords(sources, shuffle_order(split, num_examples))
  num_shards = shard_config.get_number_shards(joined.num_bytes, num_examples)
  ends = tfds_internals.get_shard_boundaries(num_examples, num_shards)
  paths = filename_template.sharded_filepaths(num_shards)
  if (
    same
    and same.num_shards == num_shards
    and _hold(same, file_format, joined, ends)
  ):
    _link(same.filepaths, paths)
  else:
    write_shards(split, joined, paths, ends)
  return tfds.core.SplitInfo(
    name=split,
    shard_lengths=np.diff(ends, prepend=0).tolist(),
    num_bytes=joined.num_bytes,
    filename_template=filename_template,
  )


def _hold(
  same: tfds.core.SplitInfo,
  file_format: tfds.core.FileFormat,
  joined: records.SplitRecords,
  ends: Sequence[int],
) -> bool:
  """Returns whether the shards of a prepared split hold the records."""
  try:
    hold = _CHECKS[file_format](joined, same.filepaths, ends)
  except OSError as error:
    _log.debug('Cannot read %s: %s', same.filepaths, error)
    hold = False
  if not hold:
    _log.warning(
      'Shards of the %s split in %s are missing or damaged, so they are not'
      ' linked to. Build that dataset again, with overwriting.',
      same.name,
      same.filename_template.data_dir,
    )
  return hold


def _link(
  existing: Sequence[os.PathLike[str]], paths: Sequence[os.PathLike[str]]
) -> None:
  """Links to finished files, or copies them if the system cannot link."""
  for old, new in zip(existing, paths, strict=True):
    try:
      os.link(old, new)
    except OSError:
      shutil.copyfile(old, new)

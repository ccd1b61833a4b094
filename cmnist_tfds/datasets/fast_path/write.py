# SPDX-License-Identifier: Apache-2.0
"""Writes the shards of a dataset by joining encoded images.

TFDS's own way to write encodes every image of every subset again, one at a
time. Here each source is encoded once, and the encoded images in the cache are
joined. Both ways give the same examples in the same order.
"""

from __future__ import annotations

import os
import pathlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow_datasets.public_api as tfds

from cmnist_tfds.cache import split_sources
from cmnist_tfds.cache.prepared import Prepared
from cmnist_tfds.cache.split_sources import SplitSource
from cmnist_tfds.datasets import tfds_internals
from cmnist_tfds.datasets.fast_path import beam_pipeline, joiner
from cmnist_tfds.datasets.fast_path.joiner import SplitRecords

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

  def shards() -> Iterator[beam_pipeline.Shard]:
    for split, opened in sources.items():
      num_examples = sum(map(len, opened))
      if download_config.max_examples_per_split is not None:
        num_examples = min(num_examples, download_config.max_examples_per_split)
      if not num_examples:
        continue  # TFDS does not record splits without examples.
      records = joiner.in_tfds_order(split, opened, num_examples)
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
          _link(old, new)
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

  write = WRITERS[file_format]
  runner, options = download_config.beam_runner, download_config.beam_options
  if runner is not None or options is not None:
    beam_pipeline.write_shards(shards(), write, runner, options)
  else:
    for shard in shards():
      write(*shard)
  return infos


def _link(old: pathlib.Path, new: pathlib.Path) -> None:
  """Links to a finished file, or copies it if the system cannot link."""
  try:
    new.hardlink_to(old)
  except OSError:
    shutil.copyfile(old, new)

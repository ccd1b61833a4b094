# SPDX-License-Identifier: Apache-2.0
"""Writes a split by joining encoded images, at the speed of the disk.

The stock path of TFDS encodes every image of every subset anew, one at a time.
Here each source is encoded once, and a split is joined from what the cache
holds. Both paths give the same examples in the same order.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence

import numpy as np
import tensorflow_datasets.public_api as tfds

from cmnist_tfds.cache.shuffle_order import shuffle_order
from cmnist_tfds.cache.split_sources import SplitSource
from cmnist_tfds.datasets import tfds_internals
from cmnist_tfds.datasets.fast_path import records, shard_writer

_WRITERS = {
  tfds.core.FileFormat.TFRECORD: shard_writer.write_tfrecords,
  tfds.core.FileFormat.ARRAY_RECORD: shard_writer.write_array_records,
}


def can_write(
  file_format: tfds.core.FileFormat,
  download_config: tfds.download.DownloadConfig,
) -> bool:
  """Returns whether this path can do what is asked for.

  Args:
    file_format: Format of the shards.
    download_config: May ask for a part of the examples, or for Beam.

  Returns:
    Whether it can; otherwise the stock path must.
  """
  return (
    file_format in _WRITERS
    and download_config.max_examples_per_split is None
    and download_config.beam_runner is None
    and download_config.beam_options is None
  )


def write_split(
  sources: Sequence[SplitSource],
  filename_template: tfds_internals.ShardedFileTemplate,
  file_format: tfds.core.FileFormat,
  shard_config: tfds_internals.ShardConfig,
  same: tfds.core.SplitInfo | None,
) -> tfds.core.SplitInfo:
  """Writes the shards of a split.

  Args:
    sources: What each source gives, as encoded images.
    filename_template: Where the shards go, and the split's name.
    file_format: Format of the shards.
    shard_config: How many shards there are to be.
    same: A prepared split with the same examples in the same format, whose
      files are linked to if they are as many; None if there is none.

  Returns:
    What TFDS records of the split.

  Raises:
    PreparationError: If a shard cannot be written.
  """
  split = filename_template.split
  num_examples = sum(map(len, sources))
  joined = records.SplitRecords(sources, shuffle_order(split, num_examples))
  num_shards = shard_config.get_number_shards(joined.num_bytes, num_examples)
  ends = tfds_internals.get_shard_boundaries(num_examples, num_shards)
  paths = filename_template.sharded_filepaths(num_shards)
  if same and same.num_shards == num_shards:
    _link(same.filepaths, paths)
  else:
    _WRITERS[file_format](joined, paths, ends)
  return tfds.core.SplitInfo(
    name=split,
    shard_lengths=np.diff(ends, prepend=0).tolist(),
    num_bytes=joined.num_bytes,
    filename_template=filename_template,
  )


def _link(
  existing: Sequence[os.PathLike[str]], paths: Sequence[os.PathLike[str]]
) -> None:
  """Links to finished files; copies them where links are not possible."""
  for old, new in zip(existing, paths, strict=True):
    try:
      os.link(old, new)
    except OSError:
      shutil.copyfile(old, new)

# SPDX-License-Identifier: Apache-2.0
"""Prepares subsets of the sample in several ways."""

from __future__ import annotations

import tensorflow_datasets as tfds

from cmnist_tfds import subsets
from cmnist_tfds.datasets.get_builder import get_builder


def prepare(data_dir, name='X-12', *, file_format=None, num_shards=None):
  """Prepares a subset of the sample; returns its folder."""
  builder = get_builder(subsets.subset(name), data_dir=data_dir, sample=True)
  config = tfds.download.DownloadConfig(num_shards=num_shards)
  builder.download_and_prepare(file_format=file_format, download_config=config)
  return builder.data_path

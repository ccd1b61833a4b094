# SPDX-License-Identifier: Apache-2.0
"""Prepares subsets of the sample in several ways."""

from __future__ import annotations

import tensorflow_datasets as tfds

import cmnist_tfds  # noqa: F401


def prepare(data_dir, name='X-12', *, file_format=None, num_shards=None):
  """Prepares a subset of the sample; returns its folder."""
  builder = tfds.builder_cls('cmnist_sample')(config=name, data_dir=data_dir)
  config = tfds.download.DownloadConfig(num_shards=num_shards)
  builder.download_and_prepare(file_format=file_format, download_config=config)
  return builder.data_path

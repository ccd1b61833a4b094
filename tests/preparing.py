# SPDX-License-Identifier: Apache-2.0
"""Prepares subsets of the sample in several ways."""

import pathlib

import tensorflow_datasets as tfds

import cmnist_tfds  # noqa: F401


def prepare(data_dir, name='X-12', *, file_format=None, **options):
  """Prepares a subset of the sample, by options of TFDS; returns its builder."""
  builder = tfds.builder_cls('cmnist_sample')(config=name, data_dir=data_dir)
  config = tfds.download.DownloadConfig(**options)
  builder.download_and_prepare(file_format=file_format, download_config=config)
  return builder


def example(png, *integers):
  """Returns an example of these values of the features, in their order."""
  import tensorflow as tf

  made = tf.train.Example()
  feature = made.features.feature
  feature['image'].bytes_list.value.append(png)
  for name, value in zip(
    ('label', 'source', 'source_label'), integers, strict=True
  ):
    feature[name].int64_list.value.append(value)
  return made


def shards(builder, pattern='*-of-*'):
  """Returns the bytes of each shard, or other file, that is prepared, by name."""
  paths = sorted(pathlib.Path(builder.data_path).glob(pattern))
  return {path.name: path.read_bytes() for path in paths}

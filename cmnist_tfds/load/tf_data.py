# SPDX-License-Identifier: Apache-2.0
"""Subsets as batches of `tf.data`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cmnist_tfds import schema, subsets
from cmnist_tfds.errors import SplitError
from cmnist_tfds.load.open_subset import open_or_prepare
from cmnist_tfds.load.split_view import FEATURE_NAMES, check_features

if TYPE_CHECKING:
  import tensorflow as tf


def as_batches(
  name: str,
  split: str,
  batch_size: int,
  *,
  shuffle: bool = False,
  seed: int | None = None,
  cache: bool = True,
  features: Sequence[str] = ('image', 'label'),
  data_dir: str | os.PathLike[str] | None = None,
  sample: bool = False,
) -> tf.data.Dataset:
  """Returns a subset as a `tf.data.Dataset` of batches, as `fit` takes it.

      train = as_batches('2-FKd', 'train', 256, shuffle=True)
      model.fit(train, epochs=10, shuffle=False)  # The batches are shuffled.

  A batch is what `tfds.load(..., as_supervised=True).batch(batch_size)` gives,
  many times faster, since examples are never handled one by one in TensorFlow.
  The last batch of an epoch may be smaller. The subset is read from where
  `load_data` would read it.

  For `tf.distribute`, every worker reads all and keeps its share of the
  batches. The examples are fetched by Python, so the dataset cannot be sent to
  another process.

  Args:
    name: Name of a subset.
    split: The split, as TFDS writes it: 'train', 'train[:10%]'.
    batch_size: Examples in a batch.
    shuffle: Whether each epoch has all examples of the split in a new random
      order, each order as likely as any other.
    seed: Makes the orders the same in each run; not if None.
    cache: Makes no difference any more: batches are taken from files that are
      mapped, as fast as from a copy in memory.
    features: What is in a batch, any of
      'image', uint8 (batch, 28, 28, 1);
      'label', int64 (batch,);
      'source', int64 (batch,), which of the subset's sources;
      'source_label', int64 (batch,), the sources' own raw labels.
    data_dir: Where prepared datasets are; TFDS's default if None.
    sample: Whether to take the synthetic sample in place of CMNIST.

  Returns:
    Batches that are tuples of the features, in the order asked for.

  Raises:
    SubsetNameError: If there is no such subset.
    SplitError: If there is no such split, or nothing is in it.
    OriginFileError: If the subset is not prepared and a file it needs is
      missing or not the right one.
    PreparationError: If it is not prepared and cannot be written, or a shard is
      damaged; the message says which record.
    ValueError: If there is no such feature, or the batch size is none.
  """
  import tensorflow as tf

  del cache
  check_features(features, FEATURE_NAMES)
  if batch_size < 1:
    raise ValueError(f'batch_size is to be at least 1, not {batch_size}.')
  opened = open_or_prepare(
    subsets.subset(name), data_dir=data_dir, sample=sample
  )
  view = opened.split(split, keep=True)
  if not len(view):
    raise SplitError(f'There are no examples in {split!r}.')

  def fetch(numbers: np.ndarray) -> list[np.ndarray]:
    batch = view.take(numbers, features)
    return [
      batch[f].reshape(-1, *schema.IMAGE.shape)
      if f == schema.IMAGE.name
      else batch[f]
      for f in features
    ]

  def tensors(numbers: tf.Tensor) -> tuple[tf.Tensor, ...]:
    fetched = tf.numpy_function(
      fetch, [numbers], [_spec(f).dtype for f in features], stateful=False
    )
    return tuple(
      tf.ensure_shape(tensor, _spec(feature).shape)
      for tensor, feature in zip(fetched, features, strict=True)
    )

  count = len(view)
  numbers = _numbers(count, batch_size, seed, shuffle=shuffle)
  options = tf.data.Options()
  # There are no files for TensorFlow to share out.
  options.experimental_distribute.auto_shard_policy = (
    tf.data.experimental.AutoShardPolicy.DATA
  )
  return (
    numbers.map(
      tensors, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    .apply(tf.data.experimental.assert_cardinality(-(-count // batch_size)))
    .prefetch(tf.data.AUTOTUNE)
    .with_options(options)
  )


def _numbers(
  count: int, batch_size: int, seed: int | None, *, shuffle: bool
) -> tf.data.Dataset:
  """Returns the numbers of the examples in each batch, int64 (batch,).

  With `shuffle`, each epoch has the numbers in a new order.
  """
  import tensorflow as tf

  def cut(numbers: tf.Tensor) -> tf.data.Dataset:
    # One element a batch: elements of one example cost more than the batches.
    return tf.data.Dataset.range(0, count, batch_size).map(
      lambda start: numbers[start : start + batch_size]
    )

  in_order = tf.range(count, dtype=tf.int64)
  if not shuffle:
    return cut(in_order)
  seeds = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True)
  shuffled = tf.random.experimental.stateless_shuffle
  return (
    seeds.batch(2).take(1).flat_map(lambda pair: cut(shuffled(in_order, pair)))
  )


def _spec(feature: str) -> tf.TensorSpec:
  """Returns shape and type of a feature in a batch."""
  import tensorflow as tf

  declared = next(f for f in schema.FEATURES if f.name == feature)
  return tf.TensorSpec((None, *declared.shape), declared.dtype)

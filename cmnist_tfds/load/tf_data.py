# SPDX-License-Identifier: Apache-2.0
"""Loads subsets as batches of `tf.data`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from cmnist_tfds import schema, subsets
from cmnist_tfds.load import numpy_arrays
from cmnist_tfds.load.open_subset import open_or_prepare
from cmnist_tfds.load.split_spec import Split, Splits, map_splits
from cmnist_tfds.load.split_view import (
  FEATURE_NAMES,
  SplitView,
  check_features,
)
from cmnist_tfds.system.errors import SplitError
from cmnist_tfds.system.extras import require_tensorflow

if TYPE_CHECKING:
  import tensorflow as tf
  from typing_extensions import Unpack


class _Options(numpy_arrays.Options, total=False):
  shuffle: bool
  seed: int | None


@overload
def as_batches(
  name: str, split: Split, batch_size: int, **options: Unpack[_Options]
) -> tf.data.Dataset: ...
@overload
def as_batches(
  name: str, split: Splits, batch_size: int, **options: Unpack[_Options]
) -> Any: ...
def as_batches(
  name: str,
  split: Splits,
  batch_size: int,
  *,
  shuffle: bool = False,
  seed: int | None = None,
  features: Sequence[str] = ('image', 'label'),
  data_dir: str | os.PathLike[str] | None = None,
  sample: bool = False,
  draw: int = 0,
) -> Any:
  """Returns a split as a `tf.data.Dataset` of batches.

      train = as_batches('2-FKd', 'train', 256, shuffle=True)
      model.fit(train, epochs=10, shuffle=False)  # The batches are shuffled.

  The batches equal those of
  `tfds.load(..., as_supervised=True).batch(batch_size)`. They come many times
  faster, because TensorFlow never handles single examples. The last batch of an
  epoch may be smaller. The subset is read as in `load_data`.

  With `tf.distribute`, every worker reads all batches and keeps its share.
  Python code fetches the examples, so the dataset cannot be sent to another
  process.

  Args:
    name: Name of a subset.
    split: What `tfds.load` accepts: a split such as 'train' or 'train[:10%]', a
      `tfds.core.ReadInstruction`, a result of `tfds.even_splits`, or lists,
      tuples and dictionaries of these. 'validation' and 'fit' are parts of the
      training set, as in `load_data`.
    batch_size: Number of examples in a batch.
    shuffle: Whether to shuffle the whole split anew in each epoch. All orders
      are equally likely.
    seed: Seed of the orders, which are the same in each run; if None, they
      differ.
    features: The features in a batch, any of
      'image', uint8 (batch, 28, 28, 1);
      'label', int64 (batch,);
      'source', int64 (batch,), the number of the source in the subset;
      'source_label', int64 (batch,), the raw label in the files of the source.
    data_dir: Where prepared datasets are; TFDS's default if None.
    sample: Whether to load the synthetic sample instead of CMNIST.
    draw: The number of the training set of a reduced subset, as in `load_data`.

  Returns:
    A `tf.data.Dataset` of batches, which are tuples of the features in the
    requested order. For a list, tuple or dictionary of splits, such datasets in
    the same structure.

  Raises:
    SubsetNameError: If there is no such subset.
    SplitError: If there is no such split or draw, or if it is empty.
    OriginFileError: If an origin file is needed and is missing or wrong.
    PreparationError: If a shard is needed and is missing or damaged.
    MissingExtraError: If TensorFlow, the extra `tensorflow`, is not installed.
    ValueError: If there is no such feature, or if the batch size is below 1.
  """
  require_tensorflow('as_batches')  # Without it, nothing must be fetched.
  check_features(features, FEATURE_NAMES)
  if batch_size < 1:
    raise ValueError(f'batch_size must be at least 1, not {batch_size}.')
  opened = open_or_prepare(
    subsets.subset(name), data_dir=data_dir, sample=sample, draw=draw
  )

  def open_split(each: Split) -> SplitView:
    view = opened.split(each)
    if not len(view):
      raise SplitError(f'There are no examples in {each!r}.')
    return view

  return map_splits(
    lambda view: _batches(
      view, batch_size, features, shuffle=shuffle, seed=seed
    ),
    # All splits are checked before any is used.
    map_splits(open_split, split),
  )


def _batches(
  view: SplitView,
  batch_size: int,
  features: Sequence[str],
  *,
  shuffle: bool,
  seed: int | None,
) -> tf.data.Dataset:
  """Returns the batches of the examples of a view."""
  import tensorflow as tf

  declared = {feature.name: feature for feature in schema.FEATURES}
  specs = [
    tf.TensorSpec((None, *declared[f].shape), declared[f].dtype)
    for f in features
  ]

  def fetch(numbers: np.ndarray) -> list[np.ndarray]:
    batch = view.take(numbers, features)
    return [batch[f].reshape(-1, *declared[f].shape) for f in features]

  def tensors(numbers: tf.Tensor) -> tuple[tf.Tensor, ...]:
    fetched = tf.numpy_function(
      fetch, [numbers], [spec.dtype for spec in specs], stateful=False
    )
    return tuple(map(tf.ensure_shape, fetched, [spec.shape for spec in specs]))

  count = len(view)
  numbers = _numbers(count, batch_size, seed, shuffle=shuffle)
  options = tf.data.Options()
  # TensorFlow cannot distribute files here, so it distributes batches.
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

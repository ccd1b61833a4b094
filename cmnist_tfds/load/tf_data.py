# SPDX-License-Identifier: Apache-2.0
"""Loads subsets as batches of `tf.data`."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from cmnist_tfds import schema
from cmnist_tfds.cache.store import Entry
from cmnist_tfds.load.open_subset import Where, open_named
from cmnist_tfds.load.split_spec import Split, Splits, map_splits
from cmnist_tfds.load.split_view import COLUMN_NAMES, SplitView, check_known
from cmnist_tfds.system.extras import require_tensorflow

if TYPE_CHECKING:
  import tensorflow as tf
  from typing_extensions import Unpack


# A split with fewer than one of so many examples of its sources is copied: a
# dataset that is sent takes all pixels of its tensors along.
_SPARSE = 8


# How many examples are taken together, at least.
BLOCK = 1024


class _Options(Where, total=False):
  features: Sequence[str]
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

  TensorFlow maps the images from the cache and calls no Python function, so the
  dataset can be saved, checkpointed and sent to other processes. One that is
  sent takes its pixels along, at most 2 GB, which is TensorFlow's limit.

  With `tf.distribute`, every worker reads all batches and keeps its share. To
  shuffle for several workers, all must be given one seed.

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
      'class_name', string (batch,), and the integers that `load_data` has too,
      int64 (batch,): 'source', 'source_label', 'row', 'writer'.
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
    ValueError: If there is no such feature, the batch size is below 1, or
      several workers shuffle without a seed.
  """
  require_tensorflow('as_batches')  # Without it, nothing must be fetched.
  check_known('features', features, COLUMN_NAMES)
  if batch_size < 1:
    raise ValueError(f'batch_size must be at least 1, not {batch_size}.')
  if shuffle and seed is None and (workers := _num_workers()) > 1:
    raise ValueError(
      f'as_batches needs a seed to shuffle for {workers} workers: without it,'
      ' each would read another order, and some examples twice or never. Give'
      ' all workers the same, such as seed=0.'
    )
  opened = open_named(name, data_dir=data_dir, sample=sample, draw=draw)

  import tensorflow as tf

  options = tf.data.Options()
  # TensorFlow cannot distribute files here, so it distributes batches.
  options.experimental_distribute.auto_shard_policy = (
    tf.data.experimental.AutoShardPolicy.DATA
  )
  return map_splits(
    lambda view: (
      batches(view, batch_size, features, shuffle=shuffle, seed=seed)
      .prefetch(tf.data.AUTOTUNE)
      .with_options(options)
    ),
    # All splits are checked before any is used.
    map_splits(opened.part, split),
  )


def _num_workers() -> int:
  """Returns how many processes train together with TensorFlow."""
  import tensorflow as tf

  resolvers = tf.distribute.cluster_resolver
  strategy = tf.distribute.get_strategy()
  resolver = strategy.cluster_resolver or resolvers.TFConfigClusterResolver()
  tasks = resolver.cluster_spec().as_dict()
  return sum(len(tasks.get(job, ())) for job in ('chief', 'worker'))


def batches(
  view: SplitView,
  batch_size: int,
  features: Sequence[str],
  *,
  shuffle: bool = False,
  seed: int | None = None,
) -> tf.data.Dataset:
  """Returns a dataset of batches of the examples of a view.

  Args:
    view: The examples.
    batch_size: How many examples a batch has.
    features: Names of the features in a batch.
    shuffle: Whether each epoch has a new order.
    seed: Seed of the orders.
  """
  import tensorflow as tf

  takers = [
    _image_taker(view)
    if feature == schema.IMAGE.name
    else functools.partial(tf.gather, tensor(view, feature))
    for feature in features
  ]

  def take(numbers: tf.Tensor) -> tuple[tf.Tensor, ...]:
    # Else batches would have a static size if none is smaller than the others.
    numbers = tf.raw_ops.PlaceholderWithDefault(input=numbers, shape=[None])
    return tuple(taker(numbers) for taker in takers)

  count = len(view)
  in_order = tf.range(count, dtype=tf.int64)
  if shuffle:
    seeds = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True)
    shuffled = tf.random.experimental.stateless_shuffle
    epoch = seeds.batch(2).take(1).map(lambda pair: shuffled(in_order, pair))
  else:
    epoch = tf.data.Dataset.from_tensors(in_order)
  # Elements of one example would cost more than the batches, and small batches
  # are taken together.
  together = batch_size * -(-BLOCK // batch_size)
  cardinality = tf.data.experimental.assert_cardinality(-(-count // batch_size))
  taken = epoch.rebatch(together).map(
    take, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
  )
  if together > batch_size:
    taken = taken.rebatch(batch_size)
  return taken.apply(cardinality)


def _image_taker(view: SplitView) -> Callable[[tf.Tensor], tf.Tensor]:
  """Returns what takes images by their numbers, with TensorFlow alone.

  No Python function is called for a batch, so datasets can be saved, sent and
  abandoned at any time.
  """
  import tensorflow as tf

  tensors: list[tf.Tensor] = []
  which, rows = np.zeros((2, len(view)), np.int32)
  for source, numbers, found in view.located():
    which[numbers], rows[numbers] = len(tensors), found
    tensors.append(_mapped(source.entry))
  if len(view) * _SPARSE < sum(map(len, tensors)):
    tensors = [tensor(view, schema.IMAGE.name)]
    which, rows = np.zeros_like(rows), np.arange(len(view), dtype=np.int32)
  located = tf.constant(which), tf.constant(rows)

  def take(numbers: tf.Tensor) -> tf.Tensor:
    which, rows = (tf.gather(each, numbers) for each in located)
    places, rows = (
      tf.dynamic_partition(each, which, len(tensors))
      for each in (tf.range(tf.size(numbers)), rows)
    )
    taken = [*map(tf.gather, tensors, rows)]
    images = tf.dynamic_stitch(places, taken)
    return tf.reshape(images, [-1, *schema.IMAGE.shape])

  return take


def tensor(view: SplitView, feature: str) -> tf.Tensor:
  """Returns a feature of all examples of a view.

  Args:
    view: The examples.
    feature: The name of the feature.
  """
  import tensorflow as tf

  values = view.read([feature])[feature]
  if feature != schema.IMAGE.name:
    return tf.constant(values)
  # TensorFlow takes over the memory, where a copy would need it twice more.
  return tf.experimental.dlpack.from_dlpack(values[..., None].__dlpack__())


def _mapped(entry: Entry) -> tf.Tensor:
  """Returns the images of a source, which TensorFlow maps from the cache."""
  import tensorflow as tf

  images = entry.arrays['images']
  if entry.folder is None:
    return tf.constant(images)
  path = entry.folder / 'images.npy'
  size = path.stat().st_size
  with tf.device('CPU:0'):
    whole = tf.raw_ops.ImmutableConst(
      dtype=tf.uint8, shape=[size], memory_region_name=str(path)
    )
    return tf.reshape(whole[size - images.nbytes :], images.shape)

# SPDX-License-Identifier: Apache-2.0
"""Loads subsets as batches of `tf.data`."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
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
  policy = tf.data.experimental.AutoShardPolicy.DATA
  options.experimental_distribute.auto_shard_policy = policy
  # These take longer than they save.
  options.experimental_optimization.apply_default_optimizations = False
  return map_splits(
    lambda view: batches(
      view, batch_size, features, shuffle=shuffle, seed=seed
    ).with_options(options),
    # All splits are checked before any is used.
    map_splits(opened.part, split),
  )


def _num_workers() -> int:
  """Returns how many processes train together with TensorFlow."""
  import tensorflow as tf

  resolvers = tf.distribute.cluster_resolver
  found = tf.distribute.get_strategy().cluster_resolver
  tasks = (
    (found or resolvers.TFConfigClusterResolver()).cluster_spec().as_dict()
  )
  return sum(len(tasks.get(job, ())) for job in ('chief', 'worker'))


def batches(
  view: SplitView,
  batch_size: int,
  features: Sequence[str],
  *,
  as_dict: bool = False,
  shuffle: bool = False,
  seed: int | None = None,
) -> tf.data.Dataset:
  """Returns a dataset of batches of the examples of a view.

  No Python function is called for a batch, so datasets can be saved, sent and
  abandoned at any time. Batches are taken ahead.

  Args:
    view: The examples.
    batch_size: How many examples a batch has.
    features: Names of the features in a batch.
    as_dict: Whether a batch is a dictionary of the features, not a tuple.
    shuffle: Whether each epoch has a new order.
    seed: Seed of the orders.
  """
  import tensorflow as tf

  files: list[tf.Tensor] = []
  which, rows = np.zeros((2, len(view)), np.int32)
  for source, numbers, found in view.located():
    which[numbers], rows[numbers] = len(files), found
    files.append(_mapped(source.entry))
  if len(view) * _SPARSE < sum(map(len, files)):
    files = [*tensors(view, [schema.IMAGE.name]).values()]
    which, rows = np.zeros_like(rows), np.arange(len(view), dtype=np.int32)
  others = [name for name in features if name != schema.IMAGE.name]
  places = tf.constant(which), tf.constant(rows)
  whole = {schema.IMAGE.name: places, **tensors(view, others)}
  shuffled, take = _functions()
  epoch = tf.data.Dataset.from_tensors(whole)
  if shuffle:
    seeds = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True)
    epoch = _map(seeds.batch(2).take(1), shuffled, whole)
  # Elements of one example would cost more than the batches, and small batches
  # are taken together.
  together = batch_size * -(-BLOCK // batch_size)
  taken = _map(_rebatch(epoch, together), take, files, tuple(features), as_dict)
  if together > batch_size:
    taken = _rebatch(taken, batch_size)
  count = -(-len(view) // batch_size)
  return taken.apply(tf.data.experimental.assert_cardinality(count))


@functools.cache
def _functions() -> list[Any]:
  """Returns what shuffles all examples, and what takes a batch of them.

  They are traced once in a process. In place of images, examples have the
  numbers of their files and rows, int32 (n,) both.
  """
  import tensorflow as tf

  def shuffled(pair: tf.Tensor, whole: dict[str, Any]) -> Any:
    numbers = tf.range(tf.size(whole[schema.IMAGE.name][0]))
    order = tf.random.experimental.stateless_shuffle(numbers, pair)
    return tf.nest.map_structure(lambda each: tf.gather(each, order), whole)

  def take(examples: Any, files: Any, names: Any, as_dict: bool) -> Any:
    which, rows = examples[schema.IMAGE.name]
    places, rows = (
      tf.dynamic_partition(each, which, len(files))
      for each in (tf.range(tf.size(which)), rows)
    )
    images = tf.dynamic_stitch(places, [*map(tf.gather, files, rows)])
    taken = {**examples, schema.IMAGE.name: images}
    return taken if as_dict else tuple(taken[name] for name in names)

  return [tf.function(each, autograph=False) for each in (shuffled, take)]


def _rebatch(dataset: tf.data.Dataset, size: int) -> tf.data.Dataset:
  how = {'batch_sizes': size, 'drop_remainder': False}
  return _apply('RebatchDatasetV2', dataset, dataset.element_spec, **how)


def _map(
  dataset: tf.data.Dataset, function: Any, tensors: Any, *options: Any
) -> tf.data.Dataset:
  """Maps a dataset by a function of an element, tensors and options."""
  import tensorflow as tf

  specs = tf.nest.map_structure(_spec, (dataset.element_spec, tensors))
  traced = function.get_concrete_function(*specs, *options)
  arguments = {'f': traced, 'other_arguments': tf.nest.flatten(tensors)}
  how = {'num_parallel_calls': tf.data.AUTOTUNE, 'deterministic': 'true'}
  spec = traced.structured_outputs
  return _apply('ParallelMapDatasetV2', dataset, spec, **arguments, **how)


def _apply(
  operation: str, dataset: tf.data.Dataset, like: Any, **arguments: Any
) -> tf.data.Dataset:
  """Applies an operation that makes elements like these, of no static size.

  The methods of datasets would trace functions each time. With what prepares
  these to run, that takes longer than a third of an epoch.
  """
  import tensorflow as tf

  flat = [*map(_spec, tf.nest.flatten(like))]
  variant = getattr(tf.raw_ops, operation)(
    input_dataset=tf.data.experimental.to_variant(dataset),
    output_types=[each.dtype for each in flat],
    output_shapes=[each.shape for each in flat],
    **arguments,
  )
  spec = tf.nest.pack_sequence_as(like, flat)
  return tf.data.experimental.from_variant(variant, spec)


def _spec(tensor: Any) -> tf.TensorSpec:
  import tensorflow as tf

  return tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype)


def tensors(view: SplitView, features: Sequence[str]) -> dict[str, tf.Tensor]:
  """Returns features of all examples of a view, by their names.

  Args:
    view: The examples.
    features: The names of the features.
  """
  import tensorflow as tf

  # TensorFlow takes over the memory of images, where a copy would need it twice.
  return {
    name: tf.experimental.dlpack.from_dlpack(values[..., None].__dlpack__())
    if name == schema.IMAGE.name
    else tf.constant(values)
    for name, values in view.read(features).items()
  }


def _mapped(entry: Entry) -> tf.Tensor:
  """Returns the images of a source, which TensorFlow maps from the cache."""
  import tensorflow as tf

  images = entry.arrays['images']
  if entry.folder is None:
    return tf.constant(images[..., None])
  path = entry.folder / 'images.npy'
  size = path.stat().st_size
  with tf.device('CPU:0'):
    whole = tf.raw_ops.ImmutableConst(
      dtype=tf.uint8, shape=[size], memory_region_name=str(path)
    )
    return tf.reshape(whole[size - images.nbytes :], (-1, *schema.IMAGE.shape))

# SPDX-License-Identifier: Apache-2.0
"""Loads subsets as batches of `tf.data`."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from cmnist_tfds import schema
from cmnist_tfds.cache import store
from cmnist_tfds.load.open_subset import Where, open_named
from cmnist_tfds.load.split_spec import Split, Splits, map_splits
from cmnist_tfds.load.split_view import COLUMN_NAMES, SplitView, check_known
from cmnist_tfds.system.extras import require_tensorflow
from cmnist_tfds.system.paths import PathLike

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
  data_dir: PathLike | None = None,
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
    files.append(_images(source.entry))
  if len(view) * _SPARSE < sum(map(len, files)):
    files = [*tensors(view, [schema.IMAGE.name]).values()]
    which, rows = np.zeros_like(rows), np.arange(len(view), dtype=np.int32)
  others = [name for name in features if name != schema.IMAGE.name]
  places = tf.constant(which), tf.constant(rows)
  whole = {schema.IMAGE.name: places, **tensors(view, others)}
  # Elements of one example would cost more than the batches, and small batches
  # are taken together.
  together = batch_size * -(-BLOCK // batch_size)
  if shuffle and seed is None:  # `tf.random.set_seed` may determine it.
    seed = int(tf.random.uniform((), maxval=2**31 - 1, dtype=tf.int64))
  sizes = together, batch_size, -(-len(view) // batch_size)
  numbers = tf.constant([*sizes, (seed or 0) % 2**63], tf.int64)
  specs = tf.nest.map_structure(_spec, (whole, files, numbers))
  how = tuple(features), as_dict, shuffle, together > batch_size
  build = _builder().get_concrete_function(*specs, how)
  return build(whole, files, numbers, how)


@functools.cache
def _builder() -> Any:
  """Returns the function that builds a dataset from tensors.

  It is traced once in a process. The methods of datasets would trace functions
  each time, which takes longer than a third of an epoch. In place of images,
  examples have the numbers of their files and rows, int32 (n,) both.
  """
  import tensorflow as tf

  def build(whole: Any, files: Any, numbers: Any, how: Any) -> Any:
    together, batch_size, count, seed = tf.unstack(numbers, 4)
    names, as_dict, shuffle, apart = how

    def shuffled(pair: tf.Tensor) -> Any:
      order = tf.range(tf.size(whole[schema.IMAGE.name][0]))
      order = tf.random.experimental.stateless_shuffle(order, pair)
      return tf.nest.map_structure(lambda each: tf.gather(each, order), whole)

    def take(examples: Any) -> Any:
      which, rows = examples[schema.IMAGE.name]
      places, rows = (
        tf.dynamic_partition(each, which, len(files))
        for each in (tf.range(tf.size(which)), rows)
      )
      images = tf.dynamic_stitch(places, [*map(tf.gather, files, rows)])
      taken = {**examples, schema.IMAGE.name: images}
      return taken if as_dict else tuple(taken[name] for name in names)

    dataset = tf.data.Dataset.from_tensors(whole)
    if shuffle:
      # The seed of the program when this was traced must not matter.
      tf.compat.v1.set_random_seed(1)
      seeds = tf.data.Dataset.random(seed, rerandomize_each_iteration=True)
      dataset = seeds.batch(2).take(1).map(shuffled)
    dataset = _rebatch(dataset, together)
    dataset = dataset.map(take, tf.data.AUTOTUNE, deterministic=True)
    if apart:
      dataset = _rebatch(dataset, batch_size)
    return dataset.apply(tf.data.experimental.assert_cardinality(count))

  return tf.function(build, autograph=False)


def _rebatch(dataset: tf.data.Dataset, size: tf.Tensor) -> tf.data.Dataset:
  """Does what the method does, which also maps each element to itself."""
  import tensorflow as tf

  flat = tf.nest.flatten(dataset.element_spec)
  variant = tf.raw_ops.RebatchDatasetV2(
    input_dataset=tf.data.experimental.to_variant(dataset),
    batch_sizes=size,
    drop_remainder=False,
    output_types=[each.dtype for each in flat],
    output_shapes=[each.shape for each in flat],
  )
  return tf.data.experimental.from_variant(variant, dataset.element_spec)


def _spec(tensor: tf.Tensor) -> tf.TensorSpec:
  """Returns what tensors of all lengths are traced as."""
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


def _images(entry: store.Entry) -> tf.Tensor:
  """Returns the images of a source."""
  import tensorflow as tf

  images = entry.arrays['images']
  if entry.folder:
    path = entry.folder / 'images.npy'
    # Another process may delete or replace the file, while the array stays.
    with contextlib.suppress(FileNotFoundError, tf.errors.NotFoundError):
      size, *state = store.file_state(path)
      if size == store.HEADER_SIZE + images.nbytes:
        return _mapped(str(path), size, *state)
  return tf.constant(images[..., None])


# Mapping a file anew costs an epoch many page faults. Entries of one name have
# equal arrays, and one that was damaged and made again is another file.
@functools.lru_cache(maxsize=32)
def _mapped(path: str, size: int, *_: int) -> tf.Tensor:
  import tensorflow as tf

  with tf.device('CPU:0'):
    whole = tf.raw_ops.ImmutableConst(
      dtype=tf.uint8, shape=[size], memory_region_name=path
    )
    return tf.reshape(whole[store.HEADER_SIZE :], (-1, *schema.IMAGE.shape))

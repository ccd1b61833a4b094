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
from cmnist_tfds.load import numpy_arrays
from cmnist_tfds.load.open_subset import open_named
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
  strategy = tf.distribute.get_strategy()
  resolver = strategy.cluster_resolver or resolvers.TFConfigClusterResolver()
  tasks = resolver.cluster_spec().as_dict()
  return sum(len(tasks.get(job, ())) for job in ('chief', 'worker'))


def batches(
  view: SplitView,
  batch_size: int,
  features: Sequence[str],
  structured: Callable[..., Any] = lambda *values: values,
  *,
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
    structured: Returns the structure of a batch for the values of the features.
    shuffle: Whether each epoch has a new order.
    seed: Seed of the orders.
  """
  import tensorflow as tf

  def spec_of(tensor: tf.Tensor) -> tf.TensorSpec:
    return tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype)

  others = [name for name in features if name != schema.IMAGE.name]
  columns = tensors(view, others)
  located, files = _locate(view)
  whole = located, columns
  specs = tf.nest.map_structure(spec_of, (whole, files))
  image = tf.TensorSpec([None, *schema.IMAGE.shape], tf.uint8)
  specs_of_features = {**specs[0][1], schema.IMAGE.name: image}
  spec = structured(*(specs_of_features[name] for name in features))
  in_parallel = {
    'num_parallel_calls': tf.data.AUTOTUNE,
    'deterministic': 'true',
  }
  if shuffle:
    seeds = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True)
    epoch = _applied(
      'ParallelMapDatasetV2',
      seeds.batch(2).take(1),
      specs[0],
      f=_trace(_shuffled)(tf.TensorSpec([None], tf.int64), specs[0]),
      other_arguments=tf.nest.flatten(whole),
      **in_parallel,
    )
  else:
    epoch = tf.data.Dataset.from_tensors(whole)
  # Elements of one example would cost more than the batches, and small batches
  # are taken together.
  together = batch_size * -(-BLOCK // batch_size)
  names = tuple(tf.nest.flatten(structured(*features)))
  taken = _applied(
    'ParallelMapDatasetV2',
    _rebatched(epoch, together, specs[0]),
    spec,
    f=_trace(_take)(names, *specs),
    other_arguments=files,
    **in_parallel,
  )
  if together > batch_size:
    taken = _rebatched(taken, batch_size, spec)
  count = -(-len(view) // batch_size)
  return taken.apply(tf.data.experimental.assert_cardinality(count))


def unbatched(dataset: tf.data.Dataset) -> tf.data.Dataset:
  """Returns the examples of batches, as `tf.data.Dataset.unbatch` does."""
  import tensorflow as tf

  spec = tf.nest.map_structure(
    lambda each: tf.TensorSpec(each.shape[1:], each.dtype), dataset.element_spec
  )
  return _applied('UnbatchDataset', dataset, spec)


def _rebatched(
  dataset: tf.data.Dataset, batch_size: int, spec: Any
) -> tf.data.Dataset:
  how = {'batch_sizes': batch_size, 'drop_remainder': False}
  return _applied('RebatchDatasetV2', dataset, spec, **how)


def _applied(
  operation: str, dataset: tf.data.Dataset, spec: Any, **arguments: Any
) -> tf.data.Dataset:
  """Applies an operation of TensorFlow to a dataset.

  The methods of datasets trace Python functions each time. Together with
  preparing these to run, this would take longer than a third of an epoch.

  Args:
    operation: The name of the operation in `tf.raw_ops`.
    dataset: The dataset.
    spec: The specification of the elements after it.
    **arguments: Its other arguments.
  """
  import tensorflow as tf

  flat = tf.nest.flatten(spec)
  variant = getattr(tf.raw_ops, operation)(
    input_dataset=tf.data.experimental.to_variant(dataset),
    output_types=[each.dtype for each in flat],
    output_shapes=[each.shape for each in flat],
    **arguments,
  )
  return tf.data.experimental.from_variant(variant, spec)


@functools.cache
def _trace(function: Callable[..., list[tf.Tensor]]) -> Callable[..., Any]:
  """Returns what traces a function, once for equal arguments."""
  import tensorflow as tf

  return tf.function(function, autograph=False).get_concrete_function


def _shuffled(pair: tf.Tensor, whole: Any) -> list[tf.Tensor]:
  """Returns columns in an order of which a pair of integers is the seed."""
  import tensorflow as tf

  columns = tf.nest.flatten(whole)
  numbers = tf.range(tf.size(columns[0]))
  order = tf.random.experimental.stateless_shuffle(numbers, pair)
  return [tf.gather(column, order) for column in columns]


def _take(
  names: Sequence[str],
  examples: tuple[tuple[tf.Tensor, tf.Tensor], dict[str, tf.Tensor]],
  files: Sequence[tf.Tensor],
) -> list[tf.Tensor]:
  """Returns the named features of examples.

  Args:
    names: Names of the features.
    examples: Where their images are, as of `_locate`, and their other features.
    files: Images.
  """
  import tensorflow as tf

  (which, rows), columns = examples
  places, rows = (
    tf.dynamic_partition(each, which, len(files))
    for each in (tf.range(tf.size(which)), rows)
  )
  images = tf.dynamic_stitch(places, [*map(tf.gather, files, rows)])
  features = {**columns, schema.IMAGE.name: images}
  return [features[name] for name in names]


def _locate(
  view: SplitView,
) -> tuple[tuple[tf.Tensor, tf.Tensor], list[tf.Tensor]]:
  """Returns where the images of a view are.

  Returns:
    int32 (n,) twice: the number of the file and the row of each image; and the
    files, uint8 (m, 28, 28, 1).
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
  return (tf.constant(which), tf.constant(rows)), files


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
    shape = [-1, *schema.IMAGE.shape]
    return tf.reshape(whole[size - images.nbytes :], shape)

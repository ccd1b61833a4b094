# SPDX-License-Identifier: Apache-2.0
"""Reads prepared datasets from the mapped arrays of the cache.

TFDS parses and decodes every example anew in each epoch. The cache has the same
examples as arrays.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, SupportsIndex

import numpy as np
import tensorflow_datasets.public_api as tfds

from cmnist_tfds import schema
from cmnist_tfds.datasets import tfds_internals
from cmnist_tfds.load import tf_data
from cmnist_tfds.load.open_subset import open_subset
from cmnist_tfds.load.split_view import FEATURE_NAMES, SplitView
from cmnist_tfds.system.errors import PreparationError

# Begin the fields of `tfds.ReadConfig` that are followed. With others, TFDS reads.
_FOLLOWED = 'options', 'skip_', 'try_', 'interleave_', 'shuffle_'


def as_dataset(builder: Any, split: Any, **options: Any) -> Any:
  """Returns one split like `tfds.core.DatasetBuilder.as_dataset`.

  Args:
    builder: The builder of the dataset, which is prepared.
    split: A split as TFDS accepts it.
    **options: The other arguments of `as_dataset`, all of them.

  Returns:
    A `tf.data.Dataset`; tensors if the batch size is -1. None if TFDS must read
    the shards: the cache cannot have them, or the examples are wanted in
    another form or a random order.
  """
  import tensorflow as tf

  wanted: tfds.ReadConfig = options['read_config']
  batch_size, as_supervised = options['batch_size'], options['as_supervised']
  own_format = wanted.file_format and builder.info.file_format
  plain = vars(tfds.ReadConfig(file_format=own_format))
  changed = {k for k, value in plain.items() if vars(wanted)[k] != value}
  cycle, block = wanted.interleave_cycle_length, wanted.interleave_block_length
  if 'interleave_cycle_length' not in changed:
    cycle = 16  # TFDS's default.
  takes = [i.take for i in builder.info.splits[split].file_instructions]
  if (
    not all(name.startswith(_FOLLOWED) for name in changed)
    or options['decoders'] is not None
    or min(takes, default=0) < 1  # TFDS fails at an end before the start.
    # TFDS fails there, too: it takes a single batch of so many.
    or sum(takes) * (batch_size == -1) > builder.info.splits.total_num_examples
    or (options['shuffle_files'] and len(takes) > 1)
    or min(cycle or 0, block or 0, (batch_size or 0) + 2) < 1
    or not tf.executing_eagerly()
    or not (view := find_view(builder, split))
  ):
    return None
  if len(takes) > 1:
    ends = np.cumsum(takes)
    shards = tf.data.Dataset.from_tensor_slices((ends - takes, ends))
    numbers = shards.interleave(tf.data.Dataset.range, cycle, block)
    view = view.select(next(numbers.batch(len(view)).as_numpy_iterator()))
  names = [*builder.info.supervised_keys] if as_supervised else FEATURE_NAMES
  if batch_size == -1:
    taken = tf_data.tensors(view, names)
    return tuple(taken.values()) if as_supervised else taken
  size = batch_size or tf_data.BLOCK
  dataset = tf_data.batches(view, size, names, as_dict=not as_supervised)
  if not batch_size:
    count = tf.data.experimental.assert_cardinality(len(view))
    dataset = dataset.unbatch().apply(count)
  # TFDS would prefetch single examples, which takes longer than all else.
  return dataset.with_options(wanted.options)


class DataSource(tfds_internals.BaseDataSource):
  """The examples of a split, as `tfds.data_source` has those of array_record.

  An example is a dictionary of an image, uint8 (28, 28, 1), and integers. Other
  processes that unpickle a source map the same files.
  """

  def __init__(self, builder: Any, split: Any, view: SplitView):
    """Constructs the source.

    Args:
      builder: The builder of the dataset.
      split: A split as TFDS accepts it.
      view: Its examples.
    """
    super().__init__(builder.info, split)
    self.data_source = view
    self._labels = view.labels
    self._integers = [*map(schema.integers_of, builder.subset.classes)]

  def __getitem__(self, key: SupportsIndex) -> dict[str, Any]:
    number = range(len(self))[key.__index__()]
    image = self.data_source.image(number)[..., None].copy()
    return {schema.IMAGE.name: image, **self._integers[self._labels[number]]}

  def __getitems__(self, keys: Sequence[int]) -> list[dict[str, Any]]:
    numbers = np.array([range(len(self))[key] for key in keys], np.int64)
    images = self.data_source.take(numbers, [schema.IMAGE.name])
    rows = zip(images[schema.IMAGE.name], self._labels[numbers], strict=True)
    return [
      {schema.IMAGE.name: image[..., None], **self._integers[label]}
      for image, label in rows
    ]


def find_view(builder: Any, split: Any) -> SplitView | None:
  """Returns the examples of a split, in the order of the shards.

  Args:
    builder: The builder of the dataset, which is prepared.
    split: A split as TFDS accepts it.

  Returns:
    The examples; None if the cache cannot have them.
  """
  with contextlib.suppress(PreparationError):
    opened = open_subset(
      builder.subset,
      trusted=True,  # The builder has warned, unless told not to.
      data_dir=builder.data_dir_root,
      sample=builder.is_sample,
    )
    if opened and builder.info.splits[split]:  # It knows no other splits.
      view = opened.split(split)
      # Without a cache, they would take memory.
      if all(source.entry.folder for source in view.sources):
        return view
  return None

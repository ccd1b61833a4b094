# SPDX-License-Identifier: Apache-2.0
"""Reads prepared datasets from the cache, in the order TFDS reads their shards.

TFDS parses and decodes every example anew in each epoch. The cache has the same
examples as arrays.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np
import tensorflow_datasets.public_api as tfds

from cmnist_tfds import schema
from cmnist_tfds.datasets import tfds_internals
from cmnist_tfds.load import tf_data
from cmnist_tfds.load.open_subset import open_subset
from cmnist_tfds.load.split_view import FEATURE_NAMES, SplitView
from cmnist_tfds.system.errors import PreparationError

if TYPE_CHECKING:
  import tensorflow as tf

  from cmnist_tfds.datasets.dataset_builder import CmnistBuilder

# How many examples are taken together, where single ones are wanted.
_BLOCK = 512

# How many shards TFDS reads in turns.
_CYCLE = 16

# The fields of `tfds.ReadConfig` that are followed. With others, TFDS reads.
_FOLLOWED = {
  *('options', 'skip_prefetch', 'shuffle_seed', 'try_autocache'),
  *('interleave_cycle_length', 'interleave_block_length'),
  'shuffle_reshuffle_each_iteration',
}


def as_dataset(
  builder: CmnistBuilder,
  split: Any,
  *,
  batch_size: int | None,
  shuffle_files: bool,
  decoders: Any,
  read_config: tfds.ReadConfig,
  as_supervised: bool,
) -> Any:
  """Returns one split like `tfds.core.DatasetBuilder.as_dataset`.

  Args:
    builder: The builder of the dataset, which is prepared.
    split: A split as TFDS accepts it.
    batch_size: As in TFDS, as are the others.
    shuffle_files: Whether shards come in a random order.
    decoders: How to decode features.
    read_config: How to read.
    as_supervised: Whether an example is an image and its label.

  Returns:
    A `tf.data.Dataset`; tensors if the batch size is -1. None if TFDS must read
    the shards: the cache does not have them, or the examples are wanted in
    another form or a random order.
  """
  import tensorflow as tf

  plain = tfds.ReadConfig()
  cycle = read_config.interleave_cycle_length
  if cycle == plain.interleave_cycle_length:
    cycle = _CYCLE
  block = read_config.interleave_block_length
  takes = [i.take for i in builder.info.splits[split].file_instructions]
  if (
    not takes
    or decoders is not None
    or (shuffle_files and len(takes) > 1)
    or min(cycle or 0, block or 0) < 1
    or (batch_size or 0) < -1
    or any(
      getattr(read_config, field.name) != getattr(plain, field.name)
      for field in dataclasses.fields(plain)
      if field.name not in _FOLLOWED
    )
    or not tf.executing_eagerly()
  ):
    return None
  view = find_view(builder, split)
  if view is None:
    return None
  if len(takes) > 1:
    view = view.select(_interleaved(takes, cycle, block))
  names = [*builder.info.supervised_keys] if as_supervised else FEATURE_NAMES

  def structured(*values: tf.Tensor) -> Any:
    return values if as_supervised else dict(zip(names, values, strict=True))

  if batch_size == -1:
    return structured(*tf_data.tensors(view, names))
  dataset = tf_data.batches(view, batch_size or _BLOCK, names).map(structured)
  if not batch_size:
    count = tf.data.experimental.assert_cardinality(len(view))
    dataset = dataset.unbatch().apply(count)
  dataset = dataset.with_options(read_config.options)
  if read_config.skip_prefetch:
    return dataset
  return dataset.prefetch(tf.data.AUTOTUNE)


def _interleaved(takes: Sequence[int], cycle: int, block: int) -> np.ndarray:
  """Returns the numbers of examples in the order of `tf.data`'s `interleave`.

  Args:
    takes: How many examples each file has.
    cycle: How many files are read in turns.
    block: How many examples of a file are read in a turn.
  """
  files = iter(np.split(np.arange(sum(takes)), np.cumsum(takes)[:-1]))
  turns: collections.deque[np.ndarray | None]
  turns = collections.deque([None] * min(cycle, len(takes)))
  order = []
  while turns:
    file = turns.popleft()
    if file is None:
      file = next(files, None)
    if file is not None:
      order.append(file[:block])
      # A file that ends with a full block takes one more turn to end.
      turns.append(file[block:] if len(file) >= block else None)
  return np.concatenate(order)


class DataSource(tfds_internals.BaseDataSource):
  """The examples of a split, as `tfds.data_source` has those of array_record.

  An example is a dictionary of an image, uint8 (28, 28, 1), and integers. Other
  processes that unpickle a source map the same files.
  """

  def __init__(self, builder: CmnistBuilder, split: Any, view: SplitView):
    """Constructs the source of the examples of a split.

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
    numbers = np.asarray(keys, np.int64)
    images = self.data_source.take(numbers, [schema.IMAGE.name])
    return [
      {schema.IMAGE.name: image[..., None], **self._integers[label]}
      for image, label in zip(
        images[schema.IMAGE.name], self._labels[numbers], strict=True
      )
    ]


def find_view(builder: CmnistBuilder, split: Any) -> SplitView | None:
  """Returns the examples of a split, in the order of the shards.

  A prepared dataset that is not in the cache enters it first.

  Args:
    builder: The builder of the dataset, which is prepared.
    split: A split as TFDS accepts it.

  Returns:
    The examples; None if the cache cannot have them.
  """
  with contextlib.suppress(PreparationError):
    opened = open_subset(
      builder.subset, data_dir=builder.data_dir_root, sample=builder.is_sample
    )
    view = opened.split(split) if opened else None
    count = builder.info.splits[split].num_examples
    if view is not None and view.is_mapped and len(view) == count:
      return view
  return None

# SPDX-License-Identifier: Apache-2.0
"""Builders read from the cache what TFDS reads from the shards."""

from __future__ import annotations

import operator

import hypothesis
import numpy as np
import preparing
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from hypothesis import strategies as st

import cmnist_tfds  # noqa: F401

_FORMATS = tfds.core.FileFormat


class Pair:
  """A builder of the package, and one of TFDS for the same shards."""

  def __init__(self, folder):
    self.ours = tfds.builder(
      '/'.join(folder.parts[-3:-1]), data_dir=folder.parents[2]
    )
    self.stock = tfds.builder_from_directory(folder)

  def check(self, split, **options):
    """Checks that both return equal datasets, or raise equal errors."""
    try:
      expected = self.stock.as_dataset(split=split, **options)
    except Exception as error:
      with pytest.raises(type(error)) as raised:
        self.ours.as_dataset(split=split, **options)
      assert str(raised.value) == str(error)
    else:
      found = self.ours.as_dataset(split=split, **options)
      _check_equal(found, expected)


def _check_equal(found, expected):
  if isinstance(expected, tf.data.Dataset):
    assert found.element_spec == expected.element_spec
    assert found.cardinality() == expected.cardinality()
    assert found.options() == expected.options()
    _check_equal(_elements(found), _elements(expected))
  elif isinstance(expected, (tf.Tensor, np.ndarray)):
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(found, expected)
  else:
    assert type(found) is type(expected)
    if isinstance(expected, dict):
      assert [*found] == [*expected]
      found, expected = found.values(), expected.values()
    for one, other in zip(found, expected, strict=True):
      _check_equal(one, other)


def _elements(dataset):
  """Returns the elements, or batches of them where they are examples."""
  first = tf.nest.flatten(dataset.element_spec)[0]
  is_batched = first.shape[0] is None
  return [*(dataset if is_batched else dataset.batch(4096)).as_numpy_iterator()]


def _is_from_shards(dataset):
  """Returns whether TensorFlow opens shards to read a dataset."""
  graph = dataset._as_serialized_graph(allow_stateful=True)
  return b'TFRecordDataset' in graph.numpy()


@pytest.fixture(scope='module')
def pairs(tmp_path_factory):
  """Pairs by the number of shards of the training set."""
  made = {}
  for num_shards in (1, 3, 20):
    data_dir = tmp_path_factory.mktemp('data')
    folder = preparing.prepare(data_dir, num_shards=num_shards)
    made[num_shards] = Pair(folder)
  return made


# Equal to TFDS ---------------------------------------------------------------


@st.composite
def _slices(draw):
  split = draw(st.sampled_from(['train', 'test']))
  unit = draw(st.sampled_from(['', '%', 'shard']))
  limit = {'': 288, '%': 100, 'shard': 3}[unit]
  start, stop = (draw(st.integers(-limit, limit) | st.none()) for _ in range(2))
  if start is stop is None:
    return split
  start, stop = ('' if n is None else f'{n}{unit}' for n in (start, stop))
  return f'{split}[{start}:{stop}]'


_INSTRUCTIONS = st.builds(
  tfds.core.ReadInstruction,
  st.sampled_from(['train', 'test']),
  from_=st.integers(0, 50),
  to=st.integers(50, 100),
  unit=st.sampled_from(['%', 'abs']),
)
_SPLITS = st.one_of(
  st.lists(_slices(), min_size=1, max_size=3).map('+'.join),
  _INSTRUCTIONS,
  st.builds(operator.add, _INSTRUCTIONS, _INSTRUCTIONS),
  st.sampled_from(['all', *tfds.even_splits('train', 3)]),
)
_CONFIGS = st.fixed_dictionaries(
  {},
  optional={
    'interleave_cycle_length': st.sampled_from([1, 2, 5, 16, 64, None]),
    'interleave_block_length': st.sampled_from([1, 3, 16, 500]),
    'skip_prefetch': st.booleans(),
    'try_autocache': st.booleans(),
    'shuffle_reshuffle_each_iteration': st.booleans(),
    'add_tfds_id': st.booleans(),
    'assert_cardinality': st.booleans(),
    'num_parallel_calls_for_decode': st.sampled_from([1, 2]),
    'num_parallel_calls_for_interleave_files': st.sampled_from([1, None]),
    'override_buffer_size': st.just(1 << 16),
    'experimental_interleave_sort_fn': st.just(lambda files: files[::-1]),
    'file_format': st.just('tfrecord'),
  },
)


@st.composite
def _structures(draw):
  split = st.shared(_SPLITS)
  return draw(
    split
    | st.lists(split, max_size=2)
    | st.fixed_dictionaries({'a': split, 'b': st.tuples(split)})
    | st.none()
  )


_CASES = hypothesis.given(
  num_shards=st.sampled_from([1, 3, 20]),
  split=_structures(),
  batch_size=st.sampled_from([None, -1, 1, 7, 128, 5000]),
  as_supervised=st.booleans(),
  shuffle_files=st.booleans(),
  config=_CONFIGS,
)


def _check_case(pairs, num_shards, split, shuffle_files, config, **options):
  config = tfds.ReadConfig(shuffle_seed=1, **config)
  config.options.deterministic = True
  pairs[num_shards].check(
    split, shuffle_files=shuffle_files, read_config=config, **options
  )


@hypothesis.settings(max_examples=10)
@_CASES
def test_datasets_equal_those_of_tfds(pairs, **case):
  _check_case(pairs, **case)


@pytest.mark.slow
@hypothesis.settings(max_examples=300)
@_CASES
def test_many_datasets_equal_those_of_tfds(pairs, **case):
  _check_case(pairs, **case)

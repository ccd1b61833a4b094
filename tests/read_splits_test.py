# SPDX-License-Identifier: Apache-2.0
"""Splits mean what they mean in TFDS."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tensorflow_datasets.core import splits as tfds_splits

from cmnist_tfds.load import split_spec
from cmnist_tfds.system.errors import SplitError

LENGTHS = {'train': [40, 41, 39], 'test': [13]}
INFOS = {
  name: tfds_splits.SplitInfo(
    name=name, shard_lengths=lengths, num_bytes=0, filename_template=None
  )
  for name, lengths in LENGTHS.items()
}

NUMBERS = st.integers(-130, 130).map(str) | st.sampled_from(
  ['', '1_0', '12.5', '-0']
)
BOUNDARIES = st.tuples(NUMBERS, st.sampled_from(['', '%', 'shard'])).map(
  lambda parts: ''.join(parts) if parts[0] else ''
)
SLICES = st.tuples(
  st.sampled_from(['train', 'test']),
  BOUNDARIES,
  st.sampled_from([':', ':', ':', '']),
  BOUNDARIES,
).map(lambda parts: '{}[{}{}{}]'.format(*parts))
EXPRESSIONS = st.lists(
  st.sampled_from(['train', 'test', 'all', 'validation']) | SLICES,
  min_size=1,
  max_size=3,
).map('+'.join)


def by_tfds(expression):
  """The ranges of an expression; None where TFDS raises whatever error."""
  try:
    instruction = tfds_splits.AbstractSplit.from_spec(expression)
    absolute = instruction.to_absolute(INFOS)
  except (ValueError, NotImplementedError):
    return None
  found = [
    (
      part.splitname,
      part.from_ or 0,
      sum(LENGTHS[part.splitname]) if part.to is None else part.to,
    )
    for part in absolute
  ]
  return [each for each in found if each[1] < each[2]]


@given(EXPRESSIONS)
@example('all')
@example('train[100:] + test')
@example('train[-100%:]')
@example('train[:-1shard]')
@example('train[-1shard]')
@example('train[5:5]')
def test_expressions_mean_what_they_mean_in_tfds(expression):
  try:
    found = split_spec.ranges(expression, LENGTHS)
  except SplitError as error:
    found = None
    assert expression in str(error)
  assert found == by_tfds(expression)


@pytest.mark.parametrize(
  ('expression', 'why'),
  [
    ('validation', r"no split 'validation'.*train, test, all"),
    ('train[:10%]+val', "no split 'val'"),
    ('train[', 'Write splits as in TFDS'),
    ('train[1:2:3]', 'Write splits as in TFDS'),
    ('', 'Write splits as in TFDS'),
    ('train[:121]', 'train, which has 120 examples in 3 shards'),
    ('all[:5]', "no split 'all'"),
    ('train[:101%]', 'Write splits as in TFDS'),
    (7, '7 is not a split'),
  ],
)
def test_says_what_is_wrong(expression, why):
  with pytest.raises(SplitError, match=why):
    split_spec.ranges(expression, LENGTHS)

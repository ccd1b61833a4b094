# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmnist_tfds.cache import md5


def by_hashlib(salt, count):
  return [hashlib.md5(salt + b'%d' % i).digest() for i in range(count)]


@given(st.binary(max_size=40), st.integers(0, 300))
def test_digests_are_those_of_hashlib(salt, count):
  digests = md5.of_numbers(salt, count)
  assert digests.shape == (count, 16)
  assert [d.tobytes() for d in digests] == by_hashlib(salt, count)


def test_more_numbers_than_are_taken_at_once():
  digests = md5.of_numbers(b'train', 120_001)
  assert digests.tobytes() == b''.join(by_hashlib(b'train', 120_001))


def test_longest_salt():
  digests = md5.of_numbers(b's' * 53, 100)
  assert [d.tobytes() for d in digests] == by_hashlib(b's' * 53, 100)
  with pytest.raises(ValueError, match='too long'):
    md5.of_numbers(b's' * 53, 101)


def test_no_numbers():
  np.testing.assert_array_equal(
    md5.of_numbers(b'train', 0), np.zeros((0, 16), np.uint8)
  )

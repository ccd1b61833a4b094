# SPDX-License-Identifier: Apache-2.0
"""The order in which TFDS writes the examples of a split.

TFDS sorts examples by the MD5 of the name of the split and the key of the
example (see `tensorflow_datasets.core.hashing` and `.shuffle`). Our keys number
the examples along the concatenation of the sources.
"""

from __future__ import annotations

import functools
import hashlib

import numpy as np

from cmnist_tfds.cache import store

# The least number of keys of an order in the cache.
_FEWEST = 2**15

# Digests that are Python objects at a time.
_AT_ONCE = 2**16


@functools.lru_cache(maxsize=8)
def shuffle_order(split: str, num_examples: int) -> np.ndarray:
  """Returns the keys 0, 1, ... in the order in which TFDS writes examples.

  Args:
    split: Name of the split.
    num_examples: Number of examples.

  Returns:
    uint32 (num_examples,), a permutation of the keys; read-only.
  """
  return shorten(keep_order(split, num_examples), num_examples)


def keep_order(split: str, num_examples: int) -> store.Kept:
  """Returns an order in the cache that has at least a number of keys.

  Args:
    split: Name of the split.
    num_examples: Number of examples.

  Returns:
    The order, which `shorten` shortens to that number.
  """
  # Without its greater keys, a longer order is the order of fewer keys. So one
  # order in the cache serves all splits up to the next power of two.
  length = max(_FEWEST, 1 << (num_examples - 1).bit_length())
  return store.keep(
    'order',
    f'{split}-{length}',
    lambda: store.Made(
      {'order': _sort_keys(split, length)},
      note={},
      description=f'order of {length:,} examples of {split}',
    ),
    lambda kept: _check(kept, length),
  )


def shorten(kept: store.Kept, num_examples: int) -> np.ndarray:
  """Returns the order of the first examples.

  Args:
    kept: An order of at least as many examples.
    num_examples: Number of examples.

  Returns:
    See `shuffle_order`.
  """
  longest = kept.arrays['order']
  order = longest[longest < num_examples]
  order.flags.writeable = False
  return order


def _sort_keys(split: str, count: int) -> np.ndarray:
  salt = split.encode()
  md5 = functools.partial(hashlib.md5, usedforsecurity=False)
  # TFDS compares digests as big-endian numbers of 16 bytes.
  low, high = np.empty((2, count), np.uint64)
  for start in range(0, count, _AT_ONCE):
    keys = range(start, min(start + _AT_ONCE, count))
    digests = b''.join([md5(b'%b%d' % (salt, n)).digest() for n in keys])
    halves = np.frombuffer(digests, '>u8').reshape(-1, 2).T
    high[start : keys.stop], low[start : keys.stop] = halves
  return np.lexsort((low, high)).astype(np.uint32)


def _check(kept: store.Kept, length: int) -> str | None:
  order = kept.arrays.get('order')
  if order is None or order.dtype != np.uint32 or order.shape != (length,):
    return f'expected {length:,} keys in uint32, found other data'
  if not kept.is_trusted:
    return 'it belongs to another user'
  return None

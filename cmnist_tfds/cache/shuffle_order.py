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

# How many keys are handled at a time.
_CHUNK = 2**16


@functools.lru_cache(maxsize=8)
def shuffle_order(
  split: str, num_examples: int, stop: int | None = None
) -> np.ndarray:
  """Returns the keys 0, 1, ... in the order in which TFDS writes examples.

  Args:
    split: Name of the split.
    num_examples: Number of examples.
    stop: How many keys to return, from the first on; all if None. Few take the
      same time whatever the number of examples.

  Returns:
    uint32 (stop,); read-only. All of them are a permutation of the keys.
  """
  # Without its greater keys, a longer order is the order of fewer keys. So one
  # order in the cache serves all splits up to the next power of two.
  length = max(_FEWEST, 1 << (num_examples - 1).bit_length())
  longer = store.get_or_create(
    'order',
    f'{split}-{length}',
    lambda: {'order': _sort_keys(split, length)},
    {'what': f'order of {length:,} examples of {split}'},
  )
  wanted = num_examples if stop is None else stop
  found, count = [], 0
  for keys in longer.chunks('order', _CHUNK):
    found.append(keys[keys < num_examples])
    count += len(found[-1])
    if count >= wanted:
      break
  order = np.concatenate(found)[:wanted]
  order.flags.writeable = False
  return order


def _sort_keys(split: str, count: int) -> np.ndarray:
  salt = split.encode()
  md5 = functools.partial(hashlib.md5, usedforsecurity=False)
  # TFDS compares digests as big-endian numbers of 16 bytes.
  low, high = np.empty((2, count), np.uint64)
  for start in range(0, count, _CHUNK):
    keys = range(start, min(start + _CHUNK, count))
    digests = b''.join([md5(b'%b%d' % (salt, n)).digest() for n in keys])
    halves = np.frombuffer(digests, '>u8').reshape(-1, 2).T
    high[start : keys.stop], low[start : keys.stop] = halves
  return np.lexsort((low, high)).astype(np.uint32)

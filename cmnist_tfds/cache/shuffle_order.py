# SPDX-License-Identifier: Apache-2.0
"""The order TFDS writes the examples of a split in.

TFDS sorts examples by the MD5 of the split's name and the example's key (see
`tensorflow_datasets.core.hashing` and `.shuffle`). Keys are the numbers of the
examples along the concatenation of the sources.
"""

from __future__ import annotations

import numpy as np

from cmnist_tfds.cache import md5

# The longest order computed yet, by split. The order of fewer examples is the
# same with the greater keys left out, and leaving out is far quicker.
_longest: dict[str, np.ndarray] = {}


def order(split: str, num_examples: int) -> np.ndarray:
  """Returns the keys 0, 1, ..., in the order TFDS writes their examples.

  Args:
    split: Name of the split.
    num_examples: Number of examples.

  Returns:
    uint32 (num_examples,), a permutation of the keys.
  """
  known = _longest.get(split)
  if known is None or len(known) < num_examples:
    known = _longest[split] = _compute(split, num_examples)
  if len(known) == num_examples:
    return known
  return known[known < num_examples]


def _compute(split: str, num_examples: int) -> np.ndarray:
  digests = md5.of_numbers(split.encode(), num_examples)
  # TFDS compares digests as big-endian numbers.
  high, low = digests.view('>u8').astype(np.uint64).T
  keys = np.argsort(high)
  if np.any(high[keys[1:]] == high[keys[:-1]]):
    # So rare that it would be a waste to sort by both at once.
    keys = np.lexsort((low, high))
  keys = keys.astype(np.uint32)
  keys.flags.writeable = False
  return keys

# SPDX-License-Identifier: Apache-2.0
"""MD5 of many short messages at once (RFC 1321), in NumPy.

`hashlib` takes one message at a time, and the calls cost several times what the
digests do.
"""

from __future__ import annotations

import math

import numpy as np

_INITIAL = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476)
_ADDENDS = [int(abs(math.sin(i + 1)) * 2**32) for i in range(64)]
_ROTATIONS = [
  rotation
  for of_round in (
    (7, 12, 17, 22),
    (5, 9, 14, 20),
    (4, 11, 16, 23),
    (6, 10, 15, 21),
  )
  for rotation in of_round * 4
]
# Bytes of a message that fit into one block with the padding.
_LONGEST = 55
# So many messages keep the temporaries in the processor's cache.
_AT_ONCE = 16384


def of_numbers(salt: bytes, count: int) -> np.ndarray:
  """Returns the MD5 of a salt followed by each number, in decimal digits.

  Args:
    salt: Prefix of all messages, at most 40 bytes.
    count: The numbers are 0, 1, ..., count - 1.

  Returns:
    uint8 (count, 16), the digests.
  """
  digests = np.empty((count, 16), np.uint8)
  start = 0
  while start < count:
    # Messages of one batch have one length, so the numbers as many digits.
    stop = min(count, start + _AT_ONCE, 10 ** len(str(start)))
    digests[start:stop] = _of_blocks(_padded_numbers(salt, start, stop))
    start = stop
  return digests


def _padded_numbers(salt: bytes, start: int, stop: int) -> np.ndarray:
  """Returns the one block of each message, uint8 (stop - start, 64)."""
  num_digits = len(str(start))
  length = len(salt) + num_digits
  if length > _LONGEST:
    raise ValueError(f'{salt!r} is too long: {length} > {_LONGEST} bytes.')
  numbers = np.arange(start, stop)
  blocks = np.zeros((len(numbers), 64), np.uint8)
  blocks[:, : len(salt)] = np.frombuffer(salt, np.uint8)
  for place in range(num_digits):
    blocks[:, length - 1 - place] = ord('0') + numbers // 10**place % 10
  blocks[:, length] = 0x80
  blocks[:, 56:58] = np.frombuffer((8 * length).to_bytes(2, 'little'), np.uint8)
  return blocks


def _of_blocks(blocks: np.ndarray) -> np.ndarray:
  """Returns the digests of messages of one block each, uint8 (n, 16)."""
  words = np.ascontiguousarray(blocks.view('<u4').T).astype(np.uint32)
  a, b, c, d = initial = [
    np.full(len(blocks), value, np.uint32) for value in _INITIAL
  ]
  for i, (addend, rotation) in enumerate(
    zip(_ADDENDS, _ROTATIONS, strict=True)
  ):
    if i < 16:
      mixed, word = d ^ (b & (c ^ d)), i
    elif i < 32:
      mixed, word = c ^ (d & (b ^ c)), (5 * i + 1) % 16
    elif i < 48:
      mixed, word = b ^ c ^ d, (3 * i + 5) % 16
    else:
      mixed, word = c ^ (b | ~d), 7 * i % 16
    mixed += a
    mixed += np.uint32(addend)
    mixed += words[word]
    left, right = np.uint32(rotation), np.uint32(32 - rotation)
    a, b, c, d = d, b + (mixed << left | mixed >> right), b, c
  sums = [x + y for x, y in zip(initial, (a, b, c, d), strict=True)]
  return np.stack(sums, axis=1).astype('<u4').view(np.uint8)

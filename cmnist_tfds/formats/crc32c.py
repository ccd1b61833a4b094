# SPDX-License-Identifier: Apache-2.0
"""CRC-32C of concatenations, for whole arrays of checksums at once.

A CRC is linear: the checksum of A + B is that of A, shifted by the length of B,
XORed with that of B. So the checksum of a record follows from those of its
parts, and each part's is computed once.
"""

from __future__ import annotations

import google_crc32c
import numpy as np


def shift(crc: int, length: int) -> int:
  """Returns the share of what stands before in the checksum of the whole.

  Args:
    crc: Checksum of any bytes A.
    length: Number of bytes of any B.

  Returns:
    What the checksum of B is to be XORed with to give that of A + B.
  """
  zeros = bytes(length)
  return google_crc32c.extend(crc, zeros) ^ google_crc32c.value(zeros)


def shift_table(length: int) -> np.ndarray:
  """Tabulates `shift` by one length, for `shift_all`.

  Args:
    length: Number of bytes to shift by.

  Returns:
    uint32 (4, 256): for each byte of a checksum, lowest first, and each value
    of it, its share in the result.
  """
  return np.array(
    [
      [shift(value << 8 * byte, length) for value in range(256)]
      for byte in range(4)
    ],
    np.uint32,
  )


def shift_all(
  crcs: np.ndarray, tables: np.ndarray, which: np.ndarray
) -> np.ndarray:
  """Shifts checksums, each by one of several lengths.

  Args:
    crcs: uint32 (n,), the checksums.
    tables: uint32 (k, 4, 256), the `shift_table` of each length.
    which: Integers (n,), which table is for which checksum.

  Returns:
    uint32 (n,).
  """
  shifted = np.zeros_like(crcs)
  for byte in range(4):
    shifted ^= tables[which, byte, crcs >> 8 * byte & 0xFF]
  return shifted

# SPDX-License-Identifier: Apache-2.0
"""Computes CRC-32C of concatenations, for whole arrays of checksums.

A CRC is linear: the checksum of A + B is the checksum of A, shifted by the
length of B, XOR the checksum of B. So the checksum of a record follows from the
checksums of its parts, and those are computed only once.
"""

from __future__ import annotations

import google_crc32c
import numpy as np


def shift(crc: int, length: int) -> int:
  """Shifts a checksum by a number of bytes.

  Args:
    crc: Checksum of some bytes A.
    length: Number of bytes in B.

  Returns:
    The value that, XOR the checksum of B, is the checksum of A + B.
  """
  zeros = bytes(length)
  return google_crc32c.extend(crc, zeros) ^ google_crc32c.value(zeros)


def shift_table(length: int) -> np.ndarray:
  """Tabulates `shift` by one length, for `shift_all`.

  Args:
    length: Number of bytes to shift by.

  Returns:
    uint32 (4, 256): the contribution of each byte of a checksum (lowest byte
    first) with each of its 256 values. The contributions are XORed.
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
  """Shifts many checksums, each by one of several lengths.

  Args:
    crcs: uint32 (n,), the checksums.
    tables: uint32 (k, 4, 256), the `shift_table` of each length.
    which: Integers (n,), the number of the table for each checksum.

  Returns:
    uint32 (n,).
  """
  shifted = np.zeros_like(crcs)
  for byte in range(4):
    shifted ^= tables[which, byte, crcs >> 8 * byte & 0xFF]
  return shifted

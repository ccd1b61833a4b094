# SPDX-License-Identifier: Apache-2.0
"""The frames of records in TFRecord files.

The frame of a record has the length of the record (8 bytes), the checksum of
these 8 bytes, the record, and the checksum of the record. Numbers are
little-endian, and checksums are masked CRC-32C
(tensorflow/core/lib/io/record_writer.h).
"""

from __future__ import annotations

import functools
import struct
from typing import Any

import google_crc32c
import numpy as np

# Number of bytes in a frame before and after the record.
HEADER_SIZE = 12
FOOTER_SIZE = 4


@functools.lru_cache(maxsize=4096)
def header(length: int) -> bytes:
  """Returns the part of a frame before a record of this length."""
  packed = struct.pack('<Q', length)
  return packed + struct.pack('<I', _mask(google_crc32c.value(packed)))


def footers(crcs: np.ndarray) -> np.ndarray:
  """Returns the parts of frames after the records.

  Args:
    crcs: uint32 (n,), the CRC-32C of each record.

  Returns:
    Void of four bytes, (n,).
  """
  return _mask(crcs).astype('<u4').view('V4')


def _mask(crc: Any) -> Any:
  """Masks a CRC, or an array of CRCs, as TFRecord does."""
  rotated = crc >> 15 | crc << 17 & 0xFFFFFFFF
  return rotated + 0xA282EAD8 & 0xFFFFFFFF

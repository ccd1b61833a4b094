# Copyright 2026 The cmnist_tfds Authors.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.


"""TFRecord framing: a record between its length and its checksum.

A record of n bytes is framed by n (8 bytes), the checksum of those 8 bytes, the
record, and the checksum of the record; numbers are little-endian, checksums are
masked CRC-32C (tensorflow/core/lib/io/record_writer.h).
"""

from __future__ import annotations

import functools
import mmap
import os
import struct
from collections.abc import Iterator
from typing import TypeVar

import google_crc32c
import numpy as np

from cmnist_tfds import errors

# Bytes of a frame before and after the record.
HEADER_SIZE = 12
FOOTER_SIZE = 4

_Crc = TypeVar('_Crc', int, np.ndarray)


def frame(record: bytes) -> bytes:
  """Returns a record in its frame."""
  footer = struct.pack('<I', _mask(google_crc32c.value(record)))
  return header(len(record)) + record + footer


@functools.lru_cache(maxsize=4096)
def header(length: int) -> bytes:
  """Returns what stands before a record of so many bytes."""
  packed = struct.pack('<Q', length)
  return packed + struct.pack('<I', _mask(google_crc32c.value(packed)))


def footers(crcs: np.ndarray) -> np.ndarray:
  """Returns what stands after records.

  Args:
    crcs: uint32 (n,), the CRC-32C of each record.

  Returns:
    uint8 (n, 4).
  """
  return _mask(crcs).astype('<u4')[:, None].view(np.uint8)


def read(path: str | os.PathLike[str]) -> Iterator[bytes]:
  """Yields the records of a file, each checked.

  Args:
    path: A file of framed records, not compressed.

  Yields:
    The records, in order.

  Raises:
    PreparationError: If a record is damaged; the message says which.
  """
  size = os.path.getsize(path)
  if not size:
    return  # An empty file cannot be mapped.
  with (
    open(path, 'rb') as file,
    mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
  ):
    number = start = 0
    while start < size:
      begin = start + HEADER_SIZE
      found = data[start:begin]
      length = int.from_bytes(found[:8], 'little')
      end = begin + length
      if begin <= size and found != header(length):
        raise _damaged(path, number, start, 'its length fails its checksum')
      if end + FOOTER_SIZE > size:
        raise _damaged(path, number, start, 'the file ends before it does')
      record = data[begin:end]
      (checksum,) = struct.unpack_from('<I', data, end)
      if checksum != _mask(google_crc32c.value(record)):
        raise _damaged(path, number, start, 'it fails its checksum')
      yield record
      number += 1
      start = end + FOOTER_SIZE


def _mask(crc: _Crc) -> _Crc:
  """Masks a CRC or an array of them, as TFRecord stores it."""
  rotated = crc >> 15 | crc << 17 & 0xFFFFFFFF
  return rotated + 0xA282EAD8 & 0xFFFFFFFF


def _damaged(
  path: str | os.PathLike[str], number: int, start: int, why: str
) -> errors.PreparationError:
  return errors.PreparationError(
    f'{os.fspath(path)} is damaged: record {number}, at byte {start}: {why}.'
    ' Build the dataset again, with overwriting.'
  )

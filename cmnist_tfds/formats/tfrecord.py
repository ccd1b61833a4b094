# SPDX-License-Identifier: Apache-2.0
"""Reads and writes TFRecord files.

The frame of a record has the length of the record (8 bytes), the checksum of
these 8 bytes, the record, and the checksum of the record. Numbers are
little-endian, and checksums are masked CRC-32C
(tensorflow/core/lib/io/record_writer.h).
"""

from __future__ import annotations

import functools
import mmap
import os
import struct
from typing import TypeVar

import google_crc32c
import numpy as np

from cmnist_tfds.system import errors

# Number of bytes in a frame before and after the record.
HEADER_SIZE = 12
FOOTER_SIZE = 4

_Crc = TypeVar('_Crc', int, np.ndarray)


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


class File:
  """An uncompressed TFRecord file with random access to its records.

  Several threads may read it at the same time. The file is mapped into memory.
  """

  def __init__(self, path: str | os.PathLike[str]):
    """Finds the records.

    Args:
      path: The file.

    Raises:
      PreparationError: If the file is not a sequence of whole frames. The
        message names the first damaged record.
    """
    self._path = os.fspath(path)
    with open(path, 'rb') as file:
      # An empty file cannot be mapped.
      self._data: mmap.mmap | bytes = (
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if os.path.getsize(path)
        else b''
      )
    self._bytes = np.frombuffer(self._data, np.uint8)
    self._bounds = self._find_frames()

  def __len__(self) -> int:
    return len(self._bounds) - 1

  def records(self, numbers: np.ndarray) -> list[bytes]:
    """Returns records after checking each.

    Args:
      numbers: Integers (n,), the numbers of the records.

    Returns:
      The records, in the order of the numbers.

    Raises:
      PreparationError: If a record is damaged. The message says which one.
    """
    data = self._data
    begins = self._bounds[numbers] + HEADER_SIZE
    ends = self._bounds[numbers + 1] - FOOTER_SIZE
    found = [
      data[begin:end]
      for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)
    ]
    crcs = np.fromiter(
      map(google_crc32c.value, found), np.uint32, count=len(found)
    )
    written = _take(self._bytes, ends, FOOTER_SIZE)
    wrong = (written != footers(crcs).view(np.uint8).reshape(-1, 4)).any(axis=1)
    if wrong.any():
      number = int(numbers[wrong.argmax()])
      raise self._damaged(number, 'it fails its checksum')
    return found

  def _find_frames(self) -> np.ndarray:
    """Returns where each frame begins, then where the last one ends."""
    length_at = struct.Struct('<Q').unpack_from
    data, size = self._data, len(self._data)
    begins = []
    begin = 0
    while begin + HEADER_SIZE <= size:
      begins.append(begin)
      begin += HEADER_SIZE + length_at(data, begin)[0] + FOOTER_SIZE
    # All frames after a wrong length are wrong, so only the first one counts.
    self._bounds = np.array([*begins, size])
    headers = _take(self._bytes, self._bounds[:-1], HEADER_SIZE)
    lengths, which = np.unique(
      headers[:, :8].copy().view('<u8')[:, 0], return_inverse=True
    )
    right = b''.join(map(header, lengths.tolist()))
    expected = np.frombuffer(right, np.uint8).reshape(-1, HEADER_SIZE)[which]
    wrong = (headers != expected).any(axis=1)
    if wrong.any():
      raise self._damaged(int(wrong.argmax()), 'its length fails its checksum')
    if begin != size:
      cut = len(begins) - (begin > size)
      raise self._damaged(cut, 'the file ends within this record')
    return self._bounds

  def _damaged(self, number: int, why: str) -> errors.PreparationError:
    return errors.PreparationError(
      f'{self._path} is damaged: record {number}, at byte'
      f' {self._bounds[number]}: {why}.'
    )


def _mask(crc: _Crc) -> _Crc:
  """Masks a CRC, or an array of CRCs, as TFRecord does."""
  rotated = crc >> 15 | crc << 17 & 0xFFFFFFFF
  return rotated + 0xA282EAD8 & 0xFFFFFFFF


def _take(data: np.ndarray, at: np.ndarray, width: int) -> np.ndarray:
  if not at.size:
    return np.empty((0, width), np.uint8)
  places = np.ndarray(len(data) - width + 1, f'V{width}', data, strides=(1,))
  return places[at].view(np.uint8).reshape(-1, width)

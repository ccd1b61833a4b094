# SPDX-License-Identifier: Apache-2.0
"""Reads arrays from the two formats of origin files: IDX and NPZ.

The first bytes of a file decide which format it has; its name does not matter.
The header of the array is checked first. No more bytes are inflated than it
announces.
"""

from __future__ import annotations

import lzma
import math
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import BinaryIO, Protocol

import numpy as np
from isal import igzip, igzip_lib

from cmnist_tfds.errors import OriginFileError

GZIP_MAGIC = b'\x1f\x8b'
ZIP_MAGIC = b'PK\x03\x04'

# An IDX file begins with two zero bytes, the type of the values and the rank.
_IDX_UINT8 = 8

# The name that numpy.savez gives to an unnamed array.
_NPZ_KEY = 'arr_0'

_BLOCK = 1 << 20

# What gzip and zipfile raise if a file is damaged, encrypted, or compressed by
# an unknown method.
DAMAGE = (
  EOFError,
  OSError,
  RuntimeError,
  ValueError,
  lzma.LZMAError,
  struct.error,
  igzip_lib.IsalError,
  zipfile.BadZipFile,
  zlib.error,
)

# Raises OriginFileError if the shape in the header is not the expected one.
ShapeCheck = Callable[[tuple[int, ...]], None]


class _Readable(Protocol):
  def read(self, size: int, /) -> bytes: ...


def read_array(stream: BinaryIO, check_shape: ShapeCheck) -> np.ndarray:
  """Reads the array of an IDX file that gzip packed, or of an NPZ file.

  Args:
    stream: The file, which must be seekable and at its start.
    check_shape: Called with the shape in the header, before anything is
      allocated or inflated.

  Returns:
    The array, uint8, C-contiguous and writable.

  Raises:
    OriginFileError: If the file is damaged or has another format. The message
      says what was expected and what was found, but does not name the file.
  """
  magic = stream.read(4)
  stream.seek(0)
  try:
    if magic.startswith(GZIP_MAGIC):
      with igzip.open(stream) as unpacked:
        return _read_idx(unpacked, check_shape)
    if magic == ZIP_MAGIC:
      with zipfile.ZipFile(stream) as archive:
        return _read_npz(archive, check_shape)
  except DAMAGE as error:
    raise OriginFileError(f'damaged or cut short: {error}') from error
  raise OriginFileError(
    'expected a gzip file (1f 8b) or an NPZ file (50 4b 03 04), found a file'
    f' that begins with {magic.hex(" ") or "nothing"}'
  )


def _read_idx(stream: _Readable, check_shape: ShapeCheck) -> np.ndarray:
  magic = _read_exactly(stream, 4)
  zeros, dtype, rank = magic[:2], magic[2], magic[3]
  if zeros != b'\0\0' or dtype != _IDX_UINT8:
    raise OriginFileError(
      f'expected IDX data of uint8 (00 00 08), found {magic.hex(" ")}'
    )
  shape = tuple(np.frombuffer(_read_exactly(stream, 4 * rank), '>u4').tolist())
  check_shape(shape)
  return _read_values(stream, shape)


def _read_npz(archive: zipfile.ZipFile, check_shape: ShapeCheck) -> np.ndarray:
  names = archive.namelist()
  if f'{_NPZ_KEY}.npy' not in names:
    raise OriginFileError(
      f'expected an NPZ file with the array {_NPZ_KEY}, found'
      f' {", ".join(names[:5]) or "nothing"} in it'
    )
  with archive.open(f'{_NPZ_KEY}.npy') as stream:
    try:
      version = np.lib.format.read_magic(stream)
      read_header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
      )
      shape, in_columns, dtype = read_header(stream)
    except ValueError as error:
      raise OriginFileError(f'its NPY header is damaged: {error}') from error
    if dtype.hasobject:
      raise OriginFileError(
        'expected uint8 values, found Python objects (pickles); they are not'
        ' loaded, because loading them can run any code'
      )
    if dtype != np.uint8:
      raise OriginFileError(f'expected uint8 values, found {dtype}')
    check_shape(shape)
    if in_columns:
      return np.ascontiguousarray(_read_values(stream, shape[::-1]).T)
    return _read_values(stream, shape)


def _read_values(stream: _Readable, shape: tuple[int, ...]) -> np.ndarray:
  """Reads the values of an array and checks that the stream ends there."""
  array = np.empty(math.prod(shape), np.uint8)
  filled = 0
  while filled < array.size:
    block = stream.read(min(_BLOCK, array.size - filled))
    if not block:
      raise OriginFileError(
        f'expected {array.size:,} values, found {filled:,}: it is cut short'
      )
    array[filled : filled + len(block)] = np.frombuffer(block, np.uint8)
    filled += len(block)
  # At the end of the stream, gzip and zip check their checksums.
  if stream.read(1):
    raise OriginFileError(f'expected {array.size:,} values, found more')
  return array.reshape(shape)


def _read_exactly(stream: _Readable, size: int) -> bytes:
  found = stream.read(size)
  if len(found) < size:
    raise OriginFileError(
      f'expected an IDX header, found only {len(found)} bytes'
    )
  return found

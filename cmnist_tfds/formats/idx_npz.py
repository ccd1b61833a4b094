# SPDX-License-Identifier: Apache-2.0
"""Reads arrays from the formats of origin files: IDX, NPZ and NPY.

Which format a file has is told by its first bytes, not by its name. Nothing is
unpickled, and no more is inflated than the checked header of the array
promises. A file is read once and in order, so a caller can hash the very bytes
that are decoded.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
from isal import igzip

from cmnist_tfds.system.errors import OriginFileError

GZIP_MAGIC = b'\x1f\x8b'
ZIP_MAGIC = b'PK\x03\x04'
NPY_MAGIC = b'\x93NUMPY'

# The types of values, by the third byte of an IDX file.
_IDX_TYPES = {8: '|u1', 9: '|i1', 11: '>i2', 12: '>i4'}

_BLOCK = 1 << 20

# NumPy refuses headers of NPY files of more than 10,000 bytes.
_HEAD = 1 << 14

# Deflate makes data smaller by this factor at most.
_HIGHEST_RATIO = 1032

# Raises OriginFileError if the shape in the header is not the expected one.
ShapeCheck = Callable[[tuple[int, ...]], None]


def read_array(
  stream: io.BufferedReader[Any],
  size: int,
  check_shape: ShapeCheck,
  *,
  name: str = 'arr_0',
  integers: bool = False,
) -> np.ndarray:
  """Reads an array in an IDX file, packed by gzip or not, or an NPZ or NPY file.

  Args:
    stream: The file, at its start. It is read once and in order.
    size: The number of bytes in it. So many are held in memory if it is an NPZ
      file.
    check_shape: Called with the shape the header states, before anything is
      allocated or inflated.
    name: Name of the array in an NPZ file. `numpy.savez` gives 'arr_0' to an
      unnamed array.
    integers: Whether the array may have integers of any type, not only uint8.

  Returns:
    The array, uint8 or another type of integers, C-contiguous and writable.

  Raises:
    OriginFileError: If the file is damaged or has another format. The message
      says what was expected and what was found, but does not name the file.
    OSError: If the file cannot be read.
  """
  magic = stream.peek(4)[:4]
  unpacked: Any = stream
  try:
    if magic.startswith(GZIP_MAGIC):
      unpacked = igzip.open(stream)
    elif magic == ZIP_MAGIC:
      archive = zipfile.ZipFile(io.BytesIO(stream.read()))
      unpacked = archive.open(find_member(archive, f'{name}.npy'))
    head = io.BytesIO(unpacked.read(_HEAD))
    shape, in_columns, dtype = _read_header(head)
    _check_type(dtype, integers)
    if not 0 <= math.prod(shape) * dtype.itemsize <= size * _HIGHEST_RATIO:
      raise OriginFileError(
        f'expected an array that {size:,} bytes can hold, found a header that'
        f' promises one of shape {shape[:8]}'
      )
    check_shape(shape)
    array = np.empty(shape[::-1] if in_columns else shape, dtype)
    left = memoryview(array.reshape(-1).view(np.uint8).data)
    while count := head.readinto(left) or unpacked.readinto(left[:_BLOCK]):
      left = left[count:]
    # Reading on to the end also makes gzip and zip compare their checksums.
    if left or head.read(1) or unpacked.read(1):
      found = 'fewer: it is cut short' if left else 'more'
      raise OriginFileError(f'expected {array.size:,} values, found {found}')
  except OriginFileError:
    raise
  # The parsers of NumPy, gzip and zip raise errors of many kinds.
  except Exception as error:
    # With a number, it says that the system cannot read the file.
    if isinstance(error, OSError) and error.errno:
      raise
    raise OriginFileError(f'damaged or cut short: {error}') from error
  array = array.astype(dtype.newbyteorder('='), copy=False)
  return np.ascontiguousarray(array.T) if in_columns else array


def find_member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
  """Finds a member of a zip file.

  Args:
    archive: The zip file.
    name: The name of the member.

  Returns:
    What the directory says of the member.

  Raises:
    OriginFileError: If there is no such member.
  """
  names = archive.namelist()
  if name not in names:
    others = ', '.join(names[:3])[:200] or 'nothing'
    raise OriginFileError(f'expected a member {name}, found {others} in it')
  return archive.getinfo(name)


def _read_header(
  head: io.BytesIO,
) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
  """Returns the shape, whether the first axis varies fastest, and the type."""
  magic = head.read(6)
  head.seek(0)
  if magic == NPY_MAGIC:
    if np.lib.format.read_magic(head) == (1, 0):
      return np.lib.format.read_array_header_1_0(head)
    return np.lib.format.read_array_header_2_0(head)
  if not magic.startswith(b'\0\0') or magic[2] not in _IDX_TYPES:
    raise OriginFileError(
      'expected the data of an IDX file (00 00 08) or an NPY file (93 4e 55 4d),'
      ' packed by gzip or zip or not, found data that begin with'
      f' {magic[:4].hex(" ") or "nothing"}'
    )
  _, kind, rank = struct.unpack('>HBB', head.read(4))
  shape = struct.unpack(f'>{rank}I', head.read(4 * rank))
  return shape, False, np.dtype(_IDX_TYPES[kind])


def _check_type(dtype: np.dtype[Any], integers: bool) -> None:
  if dtype.hasobject:
    raise OriginFileError(
      'expected uint8 values, found Python objects (pickles), which can run any'
      ' code when loaded and are never loaded here'
    )
  if dtype != np.uint8 and not (integers and dtype.kind in 'iu'):
    expected = 'whole numbers' if integers else 'uint8 values from 0 to 255'
    raise OriginFileError(f'expected {expected}, found values of type {dtype}')

# SPDX-License-Identifier: Apache-2.0
"""Reads arrays from the formats of origin files: IDX, NPZ and NPY.

The first bytes of a file tell its format, not its name. Nothing is unpickled,
and no more is inflated than the checked header of the array promises.
"""

from __future__ import annotations

import io
import struct
import zipfile
from typing import Any

import numpy as np
from isal import igzip

from cmnist_tfds.system.errors import OriginFileError, read_errors

GZIP_MAGIC = b'\x1f\x8b'
ZIP_MAGIC = b'PK\x03\x04'
NPY_MAGIC = b'\x93NUMPY'

# The types of values, by the third byte of an IDX file.
_IDX_TYPES = {8: '|u1', 9: '|i1', 11: '>i2', 12: '>i4'}

_BLOCK = 1 << 20


@read_errors()
def read_array(
  data: bytes,
  shape: tuple[int, ...] | None = None,
  *,
  name: str = 'arr_0',
  integers: bool = False,
) -> np.ndarray:
  """Reads an array in an IDX file, packed by gzip or not, or an NPZ or NPY file.

  Args:
    data: The file.
    shape: The shape that the array must have, but for its first axis, which may
      be shorter; None for any. It is compared with the header before anything
      is allocated or inflated.
    name: Name of the array in an NPZ file. `numpy.savez` gives 'arr_0' to an
      unnamed array.
    integers: Whether the array may have integers of any type, not only uint8.

  Returns:
    The array, uint8 or another type of integers, C-contiguous and writable.

  Raises:
    OriginFileError: If the file cannot be read or has another format. The message
      says what was expected and what was found, but does not name the file.
  """
  stream: Any = io.BytesIO(data)
  if data.startswith(GZIP_MAGIC):
    stream = igzip.open(stream)
  elif data.startswith(ZIP_MAGIC):
    archive = zipfile.ZipFile(stream)
    if archive.namelist().count(f'{name}.npy') > 1:
      raise OriginFileError(f'the member {name}.npy appears twice in it')
    stream = archive.open(f'{name}.npy')
  found, in_columns, dtype = _read_header(stream)
  if dtype != np.uint8 and not (integers and dtype.kind in 'iu'):
    expected = 'whole numbers' if integers else 'uint8 values from 0 to 255'
    kind = f'values of type {dtype}; scale pixels, and save whole numbers'
    if dtype.hasobject:
      kind = 'Python objects (pickles), which can run code and are never loaded'
    raise OriginFileError(f'expected {expected}, found {kind}')
  if shape and (found[1:] != shape[1:] or found > shape):
    raise OriginFileError(f'expected an array of shape {shape}, found {found}')
  array = np.empty(found[::-1] if in_columns else found, dtype)
  left = memoryview(array.reshape(-1).view(np.uint8).data)
  while count := stream.readinto(left[:_BLOCK]):
    left = left[count:]
  # Reading on to the end also makes gzip and zip compare their checksums.
  if left or stream.read(1):
    more = 'fewer: it is cut short' if left else 'more'
    raise OriginFileError(f'expected {array.size:,} values, found {more}')
  array = array.astype(dtype.newbyteorder('='), copy=False)
  return np.ascontiguousarray(array.T) if in_columns else array


def _read_header(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
  """Returns the shape, whether the first axis varies fastest, and the type."""
  magic = stream.read(4)
  if NPY_MAGIC.startswith(magic) and magic:
    if stream.read(4) == NPY_MAGIC[4:] + b'\1\0':
      return np.lib.format.read_array_header_1_0(stream)
    return np.lib.format.read_array_header_2_0(stream)
  if not magic.startswith(b'\0\0') or magic[2] not in _IDX_TYPES:
    raise OriginFileError(
      'expected an IDX file (00 00 08) or an NPY file (93 4e 55 4d), packed or'
      f' not, found data that begin with {magic.hex(" ") or "nothing"}'
    )
  shape = struct.unpack(f'>{magic[3]}I', stream.read(4 * magic[3]))
  return shape, False, np.dtype(_IDX_TYPES[magic[2]])

# SPDX-License-Identifier: Apache-2.0
"""Reads arrays from the formats of origin files: IDX, NPZ and NPY.

Which format a file has is told by its first bytes, not by its name. No more is
ever inflated than the checked header of the array promises. A file is read once
and in order, so a caller can hash the very bytes that are decoded.
"""

from __future__ import annotations

import io
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
from isal import igzip, igzip_lib, isal_zlib

from cmnist_tfds.system.errors import OriginFileError

GZIP_MAGIC = b'\x1f\x8b'
ZIP_MAGIC = b'PK\x03\x04'

NPY_MAGIC = b'\x93NUMPY'

# An IDX file begins with two zero bytes, the type of the values and the rank.
_IDX_UINT8 = 8
_IDX_TYPES = {_IDX_UINT8: '|u1', 9: '|i1', 11: '>i2', 12: '>i4'}

_BLOCK = 1 << 20

# The directory of EMNIST's archive takes 5 KiB. A directory of this size has
# 5,700 members at most, which zipfile lists in milliseconds.
_LARGEST_DIRECTORY = 1 << 18

# What ends a zip file: the locator of a zip64 record, the record itself, and a
# comment of any length.
_ZIP64_LOCATOR, _END_RECORD, _LONGEST_COMMENT = 20, 22, 0xFFFF

# Stands for a number that the zip64 record has.
_IN_ZIP64 = 0xFFFFFFFF

# The last bytes of a zip file, so many, hold all of its directory.
LARGEST_ZIP_TAIL = _LARGEST_DIRECTORY + _END_RECORD + _LONGEST_COMMENT

# The header of a member, without the name and the extra field at its end.
MEMBER_HEADER = 30

# NumPy's own limit for the header of an NPY file, in bytes.
_LONGEST_NPY_HEADER = 10_000

# An image of several channels in a batch has four axes. No array of a source
# has as many values as 64 GiB hold.
_HIGHEST_RANK = 8
_MOST_VALUES = 1 << 36

# The dictionary that is the header of an NPY file: one item, and the shape in
# it. Python 2 wrote integers as 28L.
_NPY_ITEM = re.compile(
  r"""\s*(['"])(descr|fortran_order|shape)\1\s*:"""
  r"""\s*('[^']*'|"[^"]*"|\[.*\]|True|False|\([\dL, ]*\))\s*(?:,|$)"""
)
_NPY_SHAPE = re.compile(r'\(((\d{1,12}L?)(, ?\d{1,12}L?)*,?)?\)', re.ASCII)

# NumPy's names of the type uint8, and of those that labels may have.
_UINT8 = ('|u1', 'u1', '<u1', '>u1', '=u1', 'uint8')
_INTEGER = re.compile(r'[<>=|]?[iu][1248]')

# What gzip and zipfile raise where a file is damaged, encrypted, or packed in a
# way they do not know.
DAMAGE = (
  EOFError,
  OSError,
  OverflowError,
  RuntimeError,
  ValueError,
  struct.error,
  igzip_lib.IsalError,
  zipfile.BadZipFile,
  zlib.error,
)

# Raises OriginFileError if the shape in the header is not the expected one.
ShapeCheck = Callable[[tuple[int, ...]], None]


# Returns so many bytes, or fewer, and none at the end.
_Read = Callable[[int], bytes | memoryview]


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
  """
  try:
    magic = stream.peek(6)[:6]
    if magic.startswith(GZIP_MAGIC):
      with igzip.open(stream) as unpacked:
        return _read_idx(unpacked.read, check_shape, integers)
    if magic.startswith(ZIP_MAGIC):
      # NumPy asks for huge pages, so this is faster than reading bytes.
      data = np.empty(size, np.uint8)
      whole = data[: stream.readinto(data.data)].data
      return _read_npz(whole, check_shape, name, integers)
    if magic == NPY_MAGIC:
      return _read_npy(stream.read, check_shape, integers)
    if magic.startswith(b'\0\0'):
      return _read_idx(stream.read, check_shape, integers)
  except DAMAGE as error:
    raise OriginFileError(f'damaged or cut short: {error}') from error
  raise OriginFileError(
    'expected a gzip file (1f 8b) or an NPZ file (50 4b 03 04), found a file'
    f' that begins with {magic[:4].hex(" ") or "nothing"}'
  )


def open_zip(
  stream: BinaryIO, largest_directory: int = _LARGEST_DIRECTORY
) -> zipfile.ZipFile:
  """Opens a zip file, unless its directory is unreasonably large.

  Args:
    stream: The file, seekable.
    largest_directory: How many bytes the directory may have. With the default,
      the zip64 format is refused too.

  Returns:
    The zip file.

  Raises:
    OriginFileError: If the directory is too large. `zipfile` would need a
      minute and half a gigabyte for a million members.
    zipfile.BadZipFile: If it is not a zip file, or damaged.
  """
  size = stream.seek(0, io.SEEK_END)
  stream.seek(max(0, size - _ZIP64_LOCATOR - _END_RECORD - _LONGEST_COMMENT))
  tail = stream.read()
  at = tail.rfind(b'PK\5\6')
  if at < 0 or len(tail) - at < _END_RECORD:
    raise zipfile.BadZipFile('File is not a zip file')
  (found,) = struct.unpack_from('<I', tail, at + 12)
  # A zip64 record, which takes precedence, is for 65,535 members or more, and
  # for 4 GiB.
  zip64 = tail[max(0, at - _ZIP64_LOCATOR) : at].startswith(b'PK\6\7')
  zip64 = zip64 and largest_directory == _LARGEST_DIRECTORY
  if (found > largest_directory and found != _IN_ZIP64) or zip64:
    raise OriginFileError(
      f'expected a zip directory of at most {largest_directory:,} bytes, found'
      f' {"one of the zip64 format" if zip64 else f"one of {found:,}"}'
    )
  return zipfile.ZipFile(stream)


def find_member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
  """Finds a member of a zip file.

  Args:
    archive: The zip file.
    name: The name of the member.

  Returns:
    What the directory says of the member.

  Raises:
    OriginFileError: If there is no such member, or if it is packed by a method
      other than stored and deflate. The others, as LZMA, can need gigabytes.
  """
  names = archive.namelist()
  if name not in names:
    others = ', '.join(names[:3])[:200] or 'nothing'
    raise OriginFileError(f'expected a member {name}, found {others} in it')
  member = archive.getinfo(name)
  if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
    raise OriginFileError(
      f'expected the member {name} stored or deflated, found the compression'
      f' method {member.compress_type}'
    )
  return member


def member_at(head: bytes, member: zipfile.ZipInfo) -> int:
  """Returns where the content of a member begins, from the start of `head`.

  Args:
    head: The member's own header, 30 bytes or more.
    member: What the directory says of it.

  Raises:
    zipfile.BadZipFile: If there is no such header.
  """
  if not head.startswith(ZIP_MAGIC) or len(head) < MEMBER_HEADER:
    raise zipfile.BadZipFile(f'no member begins where {member.filename} should')
  return MEMBER_HEADER + sum(struct.unpack_from('<HH', head, 26))


def _read_idx(
  read: _Read, check_shape: ShapeCheck, integers: bool
) -> np.ndarray:
  magic = _read_exactly(read, 4)
  zeros, dtype, rank = magic[:2], magic[2], magic[3]
  if zeros != b'\0\0' or dtype not in (
    _IDX_TYPES if integers else {_IDX_UINT8}
  ):
    raise OriginFileError(
      f'expected IDX data of {"integers" if integers else "uint8 (00 00 08)"},'
      f' found {magic.hex(" ")}'
    )
  shape = tuple(np.frombuffer(_read_exactly(read, 4 * rank), '>u4').tolist())
  _check_shape(shape, check_shape)
  return _read_values(read, shape, np.dtype(_IDX_TYPES[dtype]))


def _read_npz(
  data: memoryview, check_shape: ShapeCheck, name: str, integers: bool
) -> np.ndarray:
  start = max(0, len(data) - LARGEST_ZIP_TAIL)
  # `zipfile` takes offsets from the end of what it is given.
  with open_zip(io.BytesIO(data[start:])) as archive:
    member = find_member(archive, f'{name}.npy')
  at = start + member.header_offset
  at += member_at(bytes(data[at : at + MEMBER_HEADER]), member)
  packed = data[at : at + member.compress_size]
  stored = member.compress_type == zipfile.ZIP_STORED
  inflate = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_DEFLATE)
  checksum = 0

  def read(size: int) -> bytes | memoryview:
    nonlocal packed, checksum
    if stored:
      block, packed = packed[:size], packed[size:]
    elif inflate.eof:
      block = memoryview(b'')
    else:
      # The decompressor keeps what it does not need yet.
      block, packed = inflate.decompress(packed, size), memoryview(b'')
    checksum = isal_zlib.crc32(block, checksum)
    return block

  array = _read_npy(read, check_shape, integers)
  if checksum != member.CRC:
    raise zipfile.BadZipFile(f'Bad CRC-32 for file {member.filename!r}')
  return array


def _read_npy(
  read: _Read, check_shape: ShapeCheck, integers: bool
) -> np.ndarray:
  shape, in_columns, dtype = _read_npy_header(read, integers)
  _check_shape(shape, check_shape)
  array = _read_values(read, shape[::-1] if in_columns else shape, dtype)
  return np.ascontiguousarray(array.T) if in_columns else array


def _read_npy_header(
  read: _Read, integers: bool
) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
  """Reads the header of an NPY file of uint8 values, or of any integers.

  NumPy's own reader evaluates the header as Python, which fails in many ways.

  Returns:
    The shape, whether the first axis varies fastest, and the type.
  """
  magic = _read_exactly(read, 8)
  if magic[:6] != NPY_MAGIC or magic[6:8] not in (b'\1\0', b'\2\0', b'\3\0'):
    raise OriginFileError(
      'its NPY header is damaged: expected 93 4e 55 4d 50 59 and version 1.0,'
      f' 2.0 or 3.0, found {magic.hex(" ")}'
    )
  width = 2 if magic[6] == 1 else 4
  length = int.from_bytes(_read_exactly(read, width), 'little')
  if length > _LONGEST_NPY_HEADER:
    raise OriginFileError(
      f'its NPY header is damaged: expected at most {_LONGEST_NPY_HEADER:,}'
      f' bytes, found {length:,}'
    )
  header = _read_exactly(read, length).decode('latin-1').strip()
  found = {}
  at, end = 1, len(header) - 1
  while item := _NPY_ITEM.match(header, at, end):
    found[item[2]] = item[3].strip('\'"')
    at = item.end()
  if (
    header[:1] + header[at:].lstrip() != '{}'
    or len(found) != 3
    or found['fortran_order'] not in ('True', 'False')
    or not _NPY_SHAPE.fullmatch(found['shape'])
  ):
    raise OriginFileError(
      "its NPY header is damaged: expected {'descr': ..., 'fortran_order': ...,"
      f" 'shape': ...}}, found {header[:80]!r}"
    )
  descr = found['descr']
  if 'O' in descr:
    raise OriginFileError(
      'expected uint8 values, found Python objects (pickles), which can run'
      ' any code when loaded and are never loaded here'
    )
  if descr not in _UINT8 and not (integers and _INTEGER.fullmatch(descr)):
    expected = (
      'whole numbers' if integers else 'uint8 values (|u1) from 0 to 255'
    )
    raise OriginFileError(
      f'expected {expected}, found values of type {descr[:80]!r}'
    )
  shape = tuple(int(size) for size in re.findall(r'\d+', found['shape']))
  return shape, found['fortran_order'] == 'True', np.dtype(descr)


def _check_shape(shape: tuple[int, ...], check_shape: ShapeCheck) -> None:
  if len(shape) > _HIGHEST_RANK or math.prod(shape) > _MOST_VALUES:
    raise OriginFileError(
      f'expected an array of at most {_HIGHEST_RANK} axes and {_MOST_VALUES:,}'
      f' values, found one of shape {shape[:_HIGHEST_RANK]}'
    )
  check_shape(shape)


def _read_values(
  read: _Read, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> np.ndarray:
  """Reads so many values, and makes sure that the stream ends there."""
  count = math.prod(shape)
  array = np.empty(count * dtype.itemsize, np.uint8)
  filled = 0
  while filled < array.size:
    block = read(min(_BLOCK, array.size - filled))
    if not block:
      raise OriginFileError(
        f'expected {count:,} values, found {filled // dtype.itemsize:,}: it is'
        ' cut short'
      )
    array[filled : filled + len(block)] = np.frombuffer(block, np.uint8)
    filled += len(block)
  # Reading on to the end also makes gzip and zip compare their checksums.
  if read(1):
    raise OriginFileError(f'expected {count:,} values, found more')
  native = dtype.newbyteorder('=')
  return array.view(dtype).astype(native, copy=False).reshape(shape)


def _read_exactly(read: _Read, size: int) -> bytes:
  """Reads a part of the header, which is small."""
  found = bytes(read(size))
  if len(found) < size:
    raise OriginFileError(
      f'expected {size:,} bytes of a header, found only {len(found)}'
    )
  return found

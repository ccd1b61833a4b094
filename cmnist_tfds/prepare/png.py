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

"""Grey images of 28 x 28 pixels as PNG (ISO/IEC 15948), in whole arrays.

Encoded images have one layout: signature, IHDR, one IDAT, IEND, and no row is
filtered, since filters gain nothing on such images. The compressed pixels of
each end at the border of a byte, with what zlib calls a full flush, and an
empty last block (RFC 1951). So those of many images, less their last blocks,
are one stream, which is inflated in one call. A call for each image would take
longer, and threads would spend their time on waiting for the interpreter.

The bytes depend on nothing but the pixels and zlib, which is told to look for
runs of one byte alone: on images as small as these it is nearly as dense as by
default and twice as fast.
"""

from __future__ import annotations

import struct
import zlib

import deflate
import numpy as np
from isal import isal_zlib

from cmnist_tfds import errors, sources
from cmnist_tfds.prepare.windows import take

_SIZE = sources.IMAGE_SIZE
# A row is the number of its filter, then its pixels.
_ROW = _SIZE + 1
_RAW = _SIZE * _ROW
# No more than an image needs, since a flush clears it: a window of 1024 bytes,
# blocks of 1023 symbols.
_WINDOW_BITS = 10
_MEMORY_LEVEL = 4


def _chunk(kind: bytes, data: bytes) -> bytes:
  return b''.join(
    (
      struct.pack('>I', len(data)),
      kind,
      data,
      struct.pack('>I', zlib.crc32(kind + data)),
    )
  )


# Eight bits a pixel, grey, deflated, filtered by row, not interlaced.
_HEAD = b'\x89PNG\r\n\x1a\n' + _chunk(
  b'IHDR', struct.pack('>IIBBBBB', _SIZE, _SIZE, 8, 0, 0, 0, 0)
)
_END = _chunk(b'IEND', b'')
_IDAT = b'IDAT'
_IDAT_CRC = zlib.crc32(_IDAT)
# Bytes before and after the compressed pixels of a PNG with one IDAT.
_BEFORE = len(_HEAD) + 8
_AFTER = 4 + len(_END)
# What zlib puts before the blocks (RFC 1950).
_ZLIB = b'\x78\x01'
# What a full flush ends with, and an empty last block.
_FLUSHED = b'\x00\x00\xff\xff'
_LAST_BLOCK = b'\x03\x00'
# What stands around the blocks of an image encoded here.
_BEFORE_BLOCKS = np.dtype(
  [
    ('head', f'V{len(_HEAD)}'),
    ('length', '>u4'),
    ('idat', 'V4'),
    ('zlib', 'V2'),
  ]
)
_AFTER_BLOCKS = np.dtype(
  [('last_block', 'V2'), ('adler', '>u4'), ('crc', '>u4'), ('end', 'V12')]
)
_ADLER_BASE = 65521
# Filters are 0 to 4: none, left, above, average, Paeth.
_LAST_FILTER = 4


def encode(images: np.ndarray) -> list[bytes]:
  """Encodes images.

  Args:
    images: uint8 (n, 28, 28).

  Returns:
    The PNG of each image.
  """
  raw = np.zeros((len(images), _SIZE, _ROW), np.uint8)
  raw[:, :, 1:] = images
  deflater = zlib.compressobj(
    method=zlib.DEFLATED,
    wbits=-_WINDOW_BITS,
    memLevel=_MEMORY_LEVEL,
    strategy=zlib.Z_RLE,
  )
  rows = raw.reshape(-1, _RAW)
  # Nothing else is done in this loop, so that several threads share the work.
  blocks = [
    deflater.compress(image.data) + deflater.flush(zlib.Z_FULL_FLUSH)
    for image in rows
  ]
  return [
    _png(b'%b%b%b%b' % (_ZLIB, deflated, _LAST_BLOCK, adler.to_bytes(4, 'big')))
    for deflated, adler in zip(
      blocks, map(isal_zlib.adler32, rows), strict=True
    )
  ]


def _png(pixels: bytes) -> bytes:
  """Returns a PNG of compressed pixels."""
  length = len(pixels).to_bytes(4, 'big')
  crc = isal_zlib.crc32(pixels, _IDAT_CRC).to_bytes(4, 'big')
  return b'%b%b%b%b%b%b' % (_HEAD, length, _IDAT, pixels, crc, _END)


def decode(
  data: np.ndarray, begins: np.ndarray, ends: np.ndarray
) -> np.ndarray:
  """Decodes images, be they encoded here or by TensorFlow.

  Args:
    data: uint8, holds PNGs of 28 x 28 grey pixels with one IDAT, their rows
      filtered or not.
    begins: Integers (n,), where each PNG begins.
    ends: Integers (n,), where each ends.

  Returns:
    uint8 (n, 28, 28), not contiguous.

  Raises:
    PreparationError: If one has another layout or is damaged; the message says
      which.
  """
  inflated = _inflate_together(data, begins, ends)
  if inflated is None:
    # Others encoded some of them, or one is damaged.
    inflated = _inflate_each(data, begins, ends)
  rows = np.frombuffer(inflated, np.uint8).reshape(-1, _SIZE, _ROW)
  filters, images = rows[:, :, 0], rows[:, :, 1:]
  filtered = np.flatnonzero(filters.any(axis=1))
  if filtered.size:
    unknown = np.flatnonzero((filters > _LAST_FILTER).any(axis=1))
    if unknown.size:
      raise _undecodable(int(unknown[0]), 'it has rows of an unknown filter')
    images[filtered] = _unfilter(filters[filtered], images[filtered])
  return images


def _inflate_together(
  data: np.ndarray, begins: np.ndarray, ends: np.ndarray
) -> bytearray | None:
  """Returns the rows of all images, None unless all are whole and of here."""
  first = begins + _BEFORE_BLOCKS.itemsize
  last = ends - _AFTER_BLOCKS.itemsize
  if not (last - first >= len(_FLUSHED)).all():
    return None
  before = _structs(data, begins, _BEFORE_BLOCKS)
  after = _structs(data, last, _AFTER_BLOCKS)
  flushed = take(data, last - len(_FLUSHED), len(_FLUSHED))
  for found, expected in (
    (before['head'], _HEAD),
    (before['idat'], _IDAT),
    (before['zlib'], _ZLIB),
    (flushed.view('V4'), _FLUSHED),
    (after['last_block'], _LAST_BLOCK),
    (after['end'], _END),
  ):
    if not (found == np.void(expected)).all():
      return None
  bounds = zip(first.tolist(), last.tolist(), strict=True)
  view = data.data
  joined = b''.join([view[begin:end] for begin, end in bounds])
  try:
    inflated = deflate.deflate_decompress(
      joined + _LAST_BLOCK, len(begins) * _RAW
    )
  except deflate.DeflateError:
    return None
  if len(inflated) != len(begins) * _RAW:
    return None
  adler = _adler_of_all(after['adler'].astype(np.int64))
  return inflated if isal_zlib.adler32(inflated) == adler else None


def _structs(data: np.ndarray, at: np.ndarray, kind: np.dtype) -> np.ndarray:
  """Returns what begins at these places: of that kind (n,)."""
  return take(data, at, kind.itemsize).view(kind)[:, 0]


def _adler_of_all(adlers: np.ndarray) -> int:
  """Returns the Adler-32 of images joined, given that of each (RFC 1950).

  It is two sums modulo 65521: of the bytes, from 1; and of the first sums after
  each byte, to which one before an image adds as often as the image has bytes.
  """
  sums = (adlers & 0xFFFF) - 1
  before = (np.cumsum(sums) - sums) % _ADLER_BASE
  low = 1 + int(sums.sum())
  high = int((adlers >> 16).sum()) + _RAW * int(before.sum())
  return high % _ADLER_BASE << 16 | low % _ADLER_BASE


def _inflate_each(
  data: np.ndarray, begins: np.ndarray, ends: np.ndarray
) -> bytearray:
  """Returns the rows of all images, each after the number of its filter."""
  inflated = bytearray()
  bounds = zip(begins.tolist(), ends.tolist(), strict=True)
  for number, (begin, end) in enumerate(bounds):
    png = data[begin:end].tobytes()
    if not (png.startswith(_HEAD) and png.endswith(_END)):
      raise _undecodable(
        number, f'it is no PNG of {_SIZE} x {_SIZE} grey pixels'
      )
    try:
      rows = deflate.zlib_decompress(png[_BEFORE:-_AFTER], _RAW)
    except deflate.DeflateError as err:
      raise _undecodable(number, 'its pixels cannot be inflated') from err
    if len(rows) != _RAW:
      raise _undecodable(number, f'it has {len(rows)} bytes in place of {_RAW}')
    inflated += rows
  return inflated


def _undecodable(number: int, why: str) -> errors.PreparationError:
  return errors.PreparationError(
    f'Image {number} of those to decode cannot be: {why}. Build the dataset'
    ' again, with overwriting.'
  )


def _unfilter(filters: np.ndarray, rows: np.ndarray) -> np.ndarray:
  """Undoes the filters of rows, pixel by pixel but for all images at once.

  Args:
    filters: uint8 (n, 28), the number of the filter of each row.
    rows: uint8 (n, 28, 28), filtered.

  Returns:
    uint8 (n, 28, 28), pixels.
  """
  # A margin of zeros on top and to the left; wide, for sums above 255.
  pixels = np.zeros((len(rows), _SIZE + 1, _SIZE + 1), np.int16)
  for y in range(_SIZE):
    for x in range(_SIZE):
      left, above = pixels[:, y + 1, x], pixels[:, y, x + 1]
      corner = pixels[:, y, x]
      estimate = left + above - corner
      near = np.stack([left, above, corner])
      paeth = np.choose(np.abs(near - estimate).argmin(axis=0), near)
      predicted = np.choose(
        filters[:, y],
        [0, left, above, (left + above) // 2, paeth],
      )
      pixels[:, y + 1, x + 1] = (rows[:, y, x] + predicted) & 0xFF
  return pixels[:, 1:, 1:].astype(np.uint8)

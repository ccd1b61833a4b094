# SPDX-License-Identifier: Apache-2.0
"""Grey images of 28 x 28 pixels as PNG (ISO/IEC 15948), in whole arrays.

Encoded images have one layout: signature, IHDR, one IDAT, IEND; no row is
filtered, since filters gain nothing on such images; and the pixels are one
block of fixed Huffman codes (RFC 1951), which zlib-ng writes four times as fast
as others write blocks with codes of their own, and which is inflated three
times as fast, for a few hundredths more bytes. They depend on nothing but the
pixels and the version of zlib-ng, on x86 and on ARM.

Many images are inflated in one call. A call for each would take longer, and
threads would spend their time waiting for the interpreter. For that, blocks are
joined to one stream. A block ends at any bit, and the next one begins at a byte;
in between an empty stored block leads from the one to the other. How long that
is depends on where the block before ends, of which the header of the compressed
data keeps note: among its bits are two that may say how hard the compressor
tried, and that nobody needs (RFC 1950).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np
from zlib_ng import zlib_ng

from cmnist_tfds import errors, sources
from cmnist_tfds.formats.byte_ranges import put, take

_SIZE = sources.IMAGE_SIZE
# A row is the number of its filter, then its pixels.
_ROW = _SIZE + 1
_RAW = _SIZE * _ROW
# The level that writes fixed codes. Memory is no more than an image needs: a
# window of 1024 bytes, blocks of 1023 symbols.
_LEVEL = 1
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
# The header of compressed data: whether the byte in which the block ends has
# room for the three bits that an empty stored block begins with, or not.
_ROOM = b'\x78\x01'
_NO_ROOM = b'\x78\x5e'
_STORED_BITS = 3
# The lengths of an empty stored block, which follow at the next byte.
_LENGTHS = b'\x00\x00\xff\xff'
# An empty last block.
_LAST_BLOCK = b'\x03\x00'
# The lowest bits of a block: whether it is the last one, and its kind.
_BLOCK_BITS = 0b111
_FIXED, _LAST_FIXED = 0b010, 0b011
# What stands around the block of an image encoded here.
_BEFORE_BLOCK = np.dtype(
  [
    ('head', f'V{len(_HEAD)}'),
    ('length', '>u4'),
    ('idat', 'V4'),
    ('zlib', 'V2'),
  ]
)
_AFTER_BLOCK = np.dtype([('adler', '>u4'), ('crc', '>u4'), ('end', 'V12')])
_ADLER_BASE = 65521
# Filters are 0 to 4: none, left, above, average, Paeth.
_LAST_FILTER = 4


def encode(images: np.ndarray) -> list[bytes]:
  """Encodes images.

  Args:
    images: uint8 (n, 28, 28).

  Returns:
    The PNG of each image.

  Raises:
    PreparationError: If zlib-ng is of a version that writes other blocks.
  """
  raw = np.zeros((len(images), _SIZE, _ROW), np.uint8)
  raw[:, :, 1:] = images
  rows = raw.reshape(-1, _RAW)
  deflater = zlib_ng.compressobj(
    level=_LEVEL,
    method=zlib_ng.DEFLATED,
    wbits=-_WINDOW_BITS,
    memLevel=_MEMORY_LEVEL,
  )
  deflate, flush = deflater.compress, deflater.flush
  partly, fully = zlib_ng.Z_PARTIAL_FLUSH, zlib_ng.Z_FULL_FLUSH
  blocks, room = _last_blocks(
    [deflate(image) + flush(partly) + flush(fully) for image in rows]
  )
  headers = [_ROOM if has_room else _NO_ROOM for has_room in room]
  adlers = [adler.to_bytes(4, 'big') for adler in map(zlib_ng.adler32, rows)]
  return [
    _png(b'%b%b%b' % pixels)
    for pixels in zip(headers, blocks, adlers, strict=True)
  ]


def _last_blocks(flushed: Sequence[bytes]) -> tuple[list[bytes], list[bool]]:
  """Makes the last block of a stream of each that others follow.

  Args:
    flushed: Blocks. After each stand an empty one of fixed codes, whose bits are
      0 1 0 and seven zeros, as a partial flush leaves it; and an empty stored
      one, whose bits are three zeros, more up to the next byte, and the lengths,
      as a full flush leaves it. Bytes begin with their lowest bits.

  Returns:
    The blocks, and whether the last byte of each has room for three bits.
  """
  joined = bytearray().join(flushed)
  data = np.frombuffer(joined, np.uint8)
  sizes = np.fromiter(map(len, flushed), np.int64, len(flushed))
  ends = np.cumsum(sizes)
  begins = ends - sizes
  lengths_at = ends - len(_LENGTHS)
  if (data[begins] & _BLOCK_BITS != _FIXED).any() or (
    take(data, lengths_at, len(_LENGTHS)).tobytes() != _LENGTHS * len(flushed)
  ):
    raise errors.PreparationError(
      f'zlib-ng {zlib_ng.ZLIBNG_VERSION} writes other blocks than expected.'
      ' Install another version of it.'
    )
  # Between block and lengths one bit is set, among the last 19.
  marked = take(data, lengths_at - 4, 4).view('<u4')[:, 0].astype(np.float64)
  num_bits = 8 * (lengths_at - 4 - begins) + np.frexp(marked)[1] - len('01')
  sizes = -(-num_bits // 8)
  spare = 8 * sizes - num_bits
  data[begins] ^= _FIXED ^ _LAST_FIXED
  data[begins + sizes - 1] &= (0xFF >> spare).astype(np.uint8)
  bounds = zip(begins.tolist(), (begins + sizes).tolist(), strict=True)
  blocks = [bytes(joined[begin:end]) for begin, end in bounds]
  return blocks, (spare >= _STORED_BITS).tolist()


def _png(pixels: bytes) -> bytes:
  """Returns a PNG of compressed pixels."""
  length = len(pixels).to_bytes(4, 'big')
  crc = zlib_ng.crc32(pixels, _IDAT_CRC).to_bytes(4, 'big')
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
    images = images.copy()
    images[filtered] = _unfilter(filters[filtered], images[filtered])
  return images


def _inflate_together(
  data: np.ndarray, begins: np.ndarray, ends: np.ndarray
) -> bytes | None:
  """Returns the rows of all images, None unless all are whole and of here."""
  first = begins + _BEFORE_BLOCK.itemsize
  last = ends - _AFTER_BLOCK.itemsize
  if not (first < last).all():
    return None
  before = _structs(data, begins, _BEFORE_BLOCK)
  after = _structs(data, last, _AFTER_BLOCK)
  room = before['zlib'] == np.void(_ROOM)
  if not (
    (before['head'] == np.void(_HEAD)).all()
    and (before['idat'] == np.void(_IDAT)).all()
    and (room | (before['zlib'] == np.void(_NO_ROOM))).all()
    and (data[first] & _BLOCK_BITS == _LAST_FIXED).all()
    and (after['end'] == np.void(_END)).all()
  ):
    return None
  # Blocks are copied with so many bytes of what is after them as the stored
  # ones take, which are then written there.
  last = last + np.where(room, len(_LENGTHS), len(_LENGTHS) + 1)
  view = data.data
  bounds = zip(first.tolist(), last.tolist(), strict=True)
  joined = bytearray().join([view[begin:end] for begin, end in bounds])
  joined += _LAST_BLOCK
  blocks = np.frombuffer(joined, np.uint8)
  stops = np.cumsum(last - first)
  blocks[stops - (last - first)] ^= _FIXED ^ _LAST_FIXED
  blocks[stops[~room] - len(_LENGTHS) - 1] = 0
  put(blocks, stops - len(_LENGTHS), np.frombuffer(_LENGTHS, np.uint8)[None])
  try:
    inflated = zlib_ng.decompress(
      joined, wbits=-zlib_ng.MAX_WBITS, bufsize=len(begins) * _RAW
    )
  except zlib_ng.error:
    return None
  if len(inflated) != len(begins) * _RAW:
    return None
  adler = _adler_of_all(after['adler'].astype(np.int64))
  return inflated if zlib_ng.adler32(inflated) == adler else None


def _structs(data: np.ndarray, at: np.ndarray, kind: np.dtype) -> np.ndarray:
  """Returns what begins at these locations: of that kind (n,)."""
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
) -> bytes:
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
      rows = zlib_ng.decompress(png[_BEFORE:-_AFTER], bufsize=_RAW)
    except zlib_ng.error as err:
      raise _undecodable(number, 'its pixels cannot be inflated') from err
    if len(rows) != _RAW:
      raise _undecodable(number, f'it has {len(rows)} bytes in place of {_RAW}')
    inflated += rows
  return bytes(inflated)


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

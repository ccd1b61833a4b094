# SPDX-License-Identifier: Apache-2.0
"""Encodes and decodes grey images of 28 x 28 pixels as PNG (ISO/IEC 15948).

All encoded images have the same layout: signature, IHDR, one IDAT, IEND. Rows
are not filtered, because filters do not make such images smaller. zlib-ng
deflates the pixels at level 1. That is five times as fast as zlib at its
default level, for images a twentieth larger.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np
from zlib_ng import zlib_ng

from cmnist_tfds.sources import IMAGE_SIZE as _SIZE
from cmnist_tfds.system.errors import PreparationError

# A row has the number of its filter, then its pixels.
_ROW = _SIZE + 1
_RAW = _SIZE * _ROW

_LEVEL = 1
# An image fits into a window of 2 ** 10 bytes. Larger windows are slower.
_WINDOW_BITS = 10

# The filters are 0 none, 1 left, 2 above, 3 average, 4 Paeth.
_LAST_FILTER = 4


def _chunk(kind: bytes, data: bytes) -> bytes:
  return b''.join(
    (
      struct.pack('>I', len(data)),
      kind,
      data,
      struct.pack('>I', zlib.crc32(kind + data)),
    )
  )


# Eight bits per pixel, grey, deflated, filtered by row, not interlaced.
_HEAD = b'\x89PNG\r\n\x1a\n' + _chunk(
  b'IHDR', struct.pack('>IIBBBBB', _SIZE, _SIZE, 8, 0, 0, 0, 0)
)
_END = _chunk(b'IEND', b'')
_IDAT = b'IDAT'
_IDAT_CRC = zlib.crc32(_IDAT)
# Bytes before and after the deflated pixels of a PNG with one IDAT.
_BEFORE = len(_HEAD) + 4 + len(_IDAT)
_AFTER = 4 + len(_END)


def encode(images: np.ndarray) -> list[bytes]:
  """Encodes images.

  Args:
    images: uint8 (n, 28, 28).

  Returns:
    The PNG of each image, which depends only on the pixels and on the version
    of zlib-ng.
  """
  rows = np.zeros((len(images), _SIZE, _ROW), np.uint8)
  rows[:, :, 1:] = images
  return [
    _png(zlib_ng.compress(row, _LEVEL, _WINDOW_BITS))
    for row in rows.reshape(-1, _RAW)
  ]


def _png(deflated: bytes) -> bytes:
  """Returns the PNG of deflated pixels."""
  length = len(deflated).to_bytes(4, 'big')
  crc = zlib_ng.crc32(deflated, _IDAT_CRC).to_bytes(4, 'big')
  return b'%b%b%b%b%b%b' % (_HEAD, length, _IDAT, deflated, crc, _END)


def decode(pngs: Sequence[bytes]) -> np.ndarray:
  """Decodes images that this module or TensorFlow has encoded.

  Args:
    pngs: PNGs of 28 x 28 grey pixels with one IDAT. Rows may be filtered.

  Returns:
    uint8 (n, 28, 28), not contiguous.

  Raises:
    PreparationError: If an image has another layout or is damaged. The message
      says which one.
  """
  inflated = b''.join(
    [_inflate(number, png) for number, png in enumerate(pngs)]
  )
  rows = np.frombuffer(inflated, np.uint8).reshape(-1, _SIZE, _ROW)
  filters, images = rows[:, :, 0], rows[:, :, 1:]
  filtered = np.flatnonzero(filters.any(axis=1))
  if filtered.size:
    unknown = np.flatnonzero((filters > _LAST_FILTER).any(axis=1))
    if unknown.size:
      raise _undecodable(int(unknown[0]), 'it has rows with an unknown filter')
    images = images.copy()
    images[filtered] = _unfilter(filters[filtered], images[filtered])
  return images


def _inflate(number: int, png: bytes) -> bytes:
  """Returns the rows of an image, each preceded by the number of its filter."""
  if not (png.startswith(_HEAD) and png.endswith(_END)):
    raise _undecodable(
      number, f'it is not a PNG of {_SIZE} x {_SIZE} grey pixels'
    )
  try:
    rows = zlib_ng.decompress(png[_BEFORE:-_AFTER], bufsize=_RAW)
  except zlib_ng.error as err:
    raise _undecodable(number, 'its pixels cannot be inflated') from err
  if len(rows) != _RAW:
    raise _undecodable(number, f'it has {len(rows)} bytes instead of {_RAW}')
  return rows


def _undecodable(number: int, why: str) -> PreparationError:
  return PreparationError(
    f'Image {number} of the images to decode cannot be decoded: {why}.'
  )


def _unfilter(filters: np.ndarray, rows: np.ndarray) -> np.ndarray:
  """Undoes the filters of rows, one pixel of all images at a time.

  Args:
    filters: uint8 (n, 28), the number of the filter of each row.
    rows: uint8 (n, 28, 28), the filtered rows.

  Returns:
    uint8 (n, 28, 28), the pixels.
  """
  # There is a margin of zeros above and to the left. Sums may exceed 255.
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

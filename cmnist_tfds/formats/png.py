# SPDX-License-Identifier: Apache-2.0
"""Encodes and decodes small gray images as PNG (ISO/IEC 15948).

All encoded images have the same layout: signature, IHDR, one IDAT, IEND. Rows
are not filtered, because filters do not make such images smaller. zlib-ng
deflates the pixels at level 1. That is five times as fast as zlib at its
default level, for images a twentieth larger.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from zlib_ng import zlib_ng

_LEVEL = 1
# Larger windows than 2 ** 10 bytes are slower, and an image fits into it.
_WINDOW_BITS = 10


def _chunk(kind: bytes, data: bytes) -> bytes:
  crc = zlib_ng.crc32(data, zlib_ng.crc32(kind))
  return struct.pack('>I4s', len(data), kind) + data + struct.pack('>I', crc)


def _head(height: int, width: int) -> bytes:
  """Returns signature and IHDR: gray, 8 bits per pixel, not interlaced."""
  fields = struct.pack('>IIBBBBB', width, height, 8, 0, 0, 0, 0)
  return b'\x89PNG\r\n\x1a\n' + _chunk(b'IHDR', fields)


_END = _chunk(b'IEND', b'')


def encode(images: np.ndarray) -> list[bytes]:
  """Encodes images.

  Args:
    images: uint8 (n, height, width).

  Returns:
    The PNG of each image, which depends only on the pixels and on the version
    of zlib-ng.
  """
  _, height, width = images.shape
  head = _head(height, width)
  # A row has the number of its filter, 0 for none, then its pixels.
  rows = np.pad(images, [(0, 0), (0, 0), (1, 0)])
  return [
    head + _chunk(b'IDAT', zlib_ng.compress(row, _LEVEL, _WINDOW_BITS)) + _END
    for row in rows.reshape(-1, height * (width + 1))
  ]


def decode(
  pngs: Sequence[bytes], height: int, width: int, first: int = 0
) -> np.ndarray:
  """Decodes images that this module or TensorFlow has encoded.

  Args:
    pngs: PNGs of gray pixels with one IDAT. Rows may be filtered.
    height: Number of rows.
    width: Number of pixels in a row.
    first: Number of the first image, for errors.

  Returns:
    uint8 (n, height, width), not contiguous.

  Raises:
    ValueError: If an image has another layout or is damaged.
  """
  head = _head(height, width)
  size = height * (width + 1)
  inflated = []
  for number, png in enumerate(pngs, first):
    try:
      rows = zlib_ng.decompress(png[len(head) + 8 : -len(_END) - 4])
    except zlib_ng.error:
      rows = b''
    if len(rows) != size or not (png.startswith(head) and png.endswith(_END)):
      raise ValueError(
        f'image {number} is damaged, or not a PNG of {height} x {width} gray'
        ' pixels'
      )
    inflated.append(rows)
  found = np.frombuffer(b''.join(inflated), np.uint8)
  found = found.reshape(-1, height, width + 1)
  filters, images = found[:, :, 0], found[:, :, 1:]
  filtered = filters.any(axis=1)
  if filtered.any():
    images = images.copy()
    images[filtered] = _unfilter(filters[filtered], images[filtered])
  return images


def _unfilter(filters: np.ndarray, rows: np.ndarray) -> np.ndarray:
  """Undoes the filters of rows, one pixel of all images at a time."""
  # There is a margin of zeros above and to the left. Sums may exceed 255.
  pixels = np.pad(np.zeros_like(rows, np.int16), [(0, 0), (1, 0), (1, 0)])
  for y, x in np.ndindex(rows.shape[1:]):
    left, above = pixels[:, y + 1, x], pixels[:, y, x + 1]
    corner = pixels[:, y, x]
    near = np.stack([left, above, corner])
    nearest = np.abs(near - (left + above - corner)).argmin(axis=0)
    paeth = np.choose(nearest, near)
    predictions = [0 * left, left, above, (left + above) // 2, paeth]
    predicted = np.choose(filters[:, y], predictions)
    pixels[:, y + 1, x + 1] = (rows[:, y, x] + predicted) & 0xFF
  return pixels[:, 1:, 1:].astype(np.uint8)

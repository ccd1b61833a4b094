# SPDX-License-Identifier: Apache-2.0
"""Decodes picture files, of the formats that are named here alone."""

from __future__ import annotations

import io
import math
import struct
import zlib

import numpy as np

from cmnist_tfds.system.errors import OriginFileError
from cmnist_tfds.system.extras import needs_extra

# Names of pictures end in one of these. Others are other files.
ENDINGS = (
  *('.png', '.jpg', '.jpeg', '.bmp', '.gif', '.tif', '.tiff', '.webp'),
  *('.pgm', '.ppm', '.pbm'),
)

# Pillow's names of their formats. To read some other formats it starts programs.
_FORMATS = ('BMP', 'GIF', 'JPEG', 'PNG', 'PPM', 'TIFF', 'WEBP')


def decode(data: bytes, name: str) -> np.ndarray:
  """Decodes a picture.

  Args:
    data: The file.
    name: Its name, for messages.

  Returns:
    uint8 (height, width), or (height, width, 3) in modes that have colors. What
    is transparent is white, and the picture is turned as its EXIF data say.

  Raises:
    OriginFileError: If it is not a picture of 8 bits in a format that is read, or
      larger than Pillow's limit.
    MissingExtraError: If Pillow is not installed.
  """
  with needs_extra('Reading pictures', 'pictures'):
    from PIL import Image, ImageOps, UnidentifiedImageError
  try:
    with Image.open(io.BytesIO(data), formats=_FORMATS) as opened:
      if opened.mode.startswith(('I', 'F')):
        raise ValueError(
          f'expected pixels of 8 bits, found the mode {opened.mode}; save it'
          ' with 8 bits'
        )
      # Pillow takes the first frame, and black for rows that are not there.
      frames = getattr(opened, 'n_frames', 1)
      if frames > 1 and opened.format != 'MPO':  # A photo with a preview.
        raise ValueError(f'expected one frame, found {frames}')
      if opened.format == 'PNG' and not _is_whole(data):
        raise ValueError('it is cut short')
      picture = ImageOps.exif_transpose(opened)
      if picture.has_transparency_data:
        opaque = picture.convert('RGBA')
        white = Image.new('RGBA', opaque.size, 'white')
        picture = Image.alpha_composite(white, opaque)
      mode = 'L' if picture.mode in {'1', 'L'} else 'RGB'
      return np.asarray(picture.convert(mode))
  # Pillow raises errors of many kinds for damaged files.
  except Exception as error:
    fault = str(error) if data else 'it is empty'
    if data and isinstance(error, UnidentifiedImageError):
      fault = f'expected one of {", ".join(_FORMATS)}'
    raise OriginFileError(f'{name}: is not a picture: {fault}') from error


def _is_whole(png: bytes) -> bool:
  """Returns whether a PNG file has all of its rows."""
  width, height, depth, color = struct.unpack_from('>IIBB', png, 16)
  bits = width * depth * {2: 3, 4: 2, 6: 4}.get(color, 1)
  # Each row begins with a byte. Interlaced pictures have more rows.
  size, packed = height * (1 + bits / 8), bytearray()
  kind, position = b'', 8
  while kind != b'IEND' and position + 8 <= len(png):
    length, kind = struct.unpack_from('>I4s', png, position)
    begin, position = position + 8, position + length + 12
    packed += png[begin : begin + length] if kind == b'IDAT' else b''
  return len(zlib.decompressobj().decompress(packed, math.ceil(size))) >= size

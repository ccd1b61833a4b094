# SPDX-License-Identifier: Apache-2.0
"""Converts images of origin files to 28x28 gray pixels, by declared steps."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from cmnist_tfds.sources import IMAGE_SIZE
from cmnist_tfds.sources.records import Step

_SIZE = (IMAGE_SIZE, IMAGE_SIZE)

# Images that are converted at a time, so that no second copy of a large split
# is made in memory.
_BATCH = 8192

# Luma of ITU-R BT.601 in 16 bits, as Pillow computes it.
_LUMA = (19_595, 38_470, 7_471)


def convert(images: np.ndarray, steps: Sequence[Step]) -> np.ndarray:
  """Converts images.

  Args:
    images: uint8 (n, height, width), (n, height, width, channels), or
      (n, height * width) for square images. They may be overwritten.
    steps: The steps, in order.

  Returns:
    uint8 (n, 28, 28), C-contiguous.
  """
  if not steps and images.shape[1:] == _SIZE:
    return images
  # Converted images of the same size overwrite those in the files.
  in_place = images.shape[1:] == _SIZE and images.flags.writeable
  into = images if in_place else np.empty((len(images), *_SIZE), np.uint8)
  for start in range(0, len(images), _BATCH):
    batch = slice(start, start + _BATCH)
    into[batch] = _convert(images[batch], steps)
  return into


def _convert(images: np.ndarray, steps: Sequence[Step]) -> np.ndarray:
  if images.ndim == 2:
    side = math.isqrt(images.shape[1])
    images = images.reshape(-1, side, side)
  for step in steps:
    if isinstance(step, tuple):
      top, left, height, width = step
      images = images[:, top : top + height, left : left + width]
    elif isinstance(step, int):
      scaled = (images.astype(np.uint32) * 2 * 255 + step) // (2 * step)
      images = np.minimum(scaled, 255).astype(np.uint8)
    elif step == 'transpose':
      # A copy, because the result may overwrite what it is a view of.
      images = images.swapaxes(1, 2).copy()
    elif step == 'invert':
      images = 255 - images
    elif step == 'grey':
      images = to_gray(images)
    elif step == 'resize' and images.shape[1:3] != _SIZE:
      images = _resize_by_area(images)
  return images[..., 0] if images.ndim == 4 else images


def to_gray(images: np.ndarray) -> np.ndarray:
  """Returns the brightness of images of three channels, or of one."""
  if images.ndim == 3 or images.shape[3] == 1:
    return images.reshape(images.shape[:3])
  luma = images.astype(np.uint32) @ np.array(_LUMA, np.uint32)
  return ((luma + (1 << 15)) >> 16).astype(np.uint8)


def _resize_by_area(images: np.ndarray) -> np.ndarray:
  """Resizes images: a pixel is the mean of the area that it covers.

  Sums of whole numbers are exact, and halves are rounded up, so the result is
  the same on every computer.
  """
  height, width = images.shape[1:3]
  sums = images.astype(np.float64)
  for axis, size in ((1, height), (2, width)):
    sums = np.tensordot(sums, _overlaps(size), (axis, 1))
    sums = np.moveaxis(sums, -1, axis)
  area = height * width
  return ((sums.astype(np.int64) * 2 + area) // (2 * area)).astype(np.uint8)


def _overlaps(size: int) -> np.ndarray:
  """Returns by how much each new pixel covers each old one.

  Args:
    size: The number of old pixels.

  Returns:
    float64 (28, size) of whole numbers. The unit is a 28th of an old pixel, so
    a row sums to `size`.
  """
  fine = np.repeat(np.eye(IMAGE_SIZE), size, axis=1)
  return fine.reshape(IMAGE_SIZE, size, IMAGE_SIZE).sum(axis=2)

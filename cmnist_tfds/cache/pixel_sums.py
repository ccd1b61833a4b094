# SPDX-License-Identifier: Apache-2.0
"""The mean and the standard deviation of training pixels, from exact sums."""

from __future__ import annotations

import contextlib
import functools
import json
import math
import pathlib

import numpy as np

from cmnist_tfds import subsets
from cmnist_tfds.cache import split_sources
from cmnist_tfds.sources import Source
from cmnist_tfds.subsets import Subset

# Sums of sources whose files the authors have. Extensions are there by their
# digests. scripts/write_pixel_sums.py makes it.
TABLE = pathlib.Path(__file__).with_name('pixel_sums.json')

# How many images are summed together.
_CHUNK = 4096


def normalization(subset: Subset) -> tuple[float | None, float | None]:
  """Returns the mean and the standard deviation of pixels divided by 255.

  Args:
    subset: The subset. Of a reduced one, all training examples are taken.

  Returns:
    Both, or None twice if they are not known: there are no training examples,
    or the package lacks the sums of a source that is not in the cache.
  """
  with contextlib.suppress(LookupError, ZeroDivisionError):
    sums = [label_sums(source)[[*raw]] for source, raw in subset.members]
    count, total, squares = np.concatenate(sums).sum(0).tolist()
    variance = (count * squares - total**2) / (255 * count) ** 2
    return total / (255 * count), math.sqrt(variance)
  return None, None


@functools.cache
def label_sums(source: Source) -> np.ndarray:
  """Returns sums of the training pixels of a source.

  Args:
    source: The source.

  Returns:
    int64 (m, 3): for each raw label, from 0, the number of pixels, their sum,
    and that of their squares.

  Raises:
    LookupError: If they are not known.
  """
  known = json.loads(TABLE.read_text('utf-8'))
  if (key := source.digest or source.key) in known:
    return np.array(known[key])
  return summed(split_sources.find_raw(subsets.combine(source), 'train')[0])


def summed(found: split_sources.SplitSource) -> np.ndarray:
  """Returns the sums of the raw pixels of a split of a source.

  Args:
    found: The split.

  Returns:
    int64 (m, 3), as of `label_sums`.
  """
  sums = np.zeros((len(found.label_of), 3), np.int64)
  chunks = (found.entry.chunks(name, _CHUNK) for name in ('images', 'labels'))
  for images, labels in zip(*chunks, strict=True):
    pixels = images.astype(np.int64)
    count = np.full(len(pixels), math.prod(pixels.shape[1:]))
    columns = [count, pixels.sum((1, 2)), np.square(pixels).sum((1, 2))]
    np.add.at(sums, labels, np.stack(columns, 1))
  return sums

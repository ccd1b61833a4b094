# SPDX-License-Identifier: Apache-2.0
"""Encoded images of made-up sources, as the cache holds them."""

from __future__ import annotations

from collections.abc import Sequence

import framing
import google_crc32c
import numpy as np
import synthetic

from cmnist_tfds.cache import split_sources, store
from cmnist_tfds.cache.split_sources import SplitSource
from cmnist_tfds.formats import png
from cmnist_tfds.subsets import SubsetClass


def encode(
  images: np.ndarray,
  labels: np.ndarray,
  *,
  number: int = 0,
  first_label: int = 0,
  raw_labels: Sequence[int] = range(62),
  rows: Sequence[int] | None = None,
) -> SplitSource:
  """Returns what a source gives to a split.

  Args:
    images: uint8 (n, 28, 28).
    labels: uint8 (n,), the raw labels.
    number: Number of the source in the subset.
    first_label: Label in the subset of the first of the raw labels.
    raw_labels: Those that the subset takes.
    rows: The examples that the subset takes; None for all.

  Returns:
    The encoded images.
  """
  source = synthetic.make().source
  pngs = png.encode(images)
  joined = b''.join(pngs) + bytes(split_sources.MARGIN)
  arrays = {
    'pngs': np.frombuffer(joined, np.uint8),
    'lengths': np.array([len(data) for data in pngs], np.uint16),
    'crcs': np.array([google_crc32c.value(data) for data in pngs], np.uint32),
    'labels': labels,
  }
  return SplitSource(
    classes=tuple(
      SubsetClass(label, str(label), source, number, raw_label, None, None)
      for label, raw_label in enumerate(raw_labels, first_label)
    ),
    kept=store.Kept(arrays, {}),
    rows=None if rows is None else np.array(rows, np.int64),
    key=f'source {number}',
  )


def features(source: SplitSource) -> list[tuple[bytes, dict[str, int]]]:
  """Returns the PNG and the integers of each example that a split takes."""
  arrays = source.arrays
  ends = np.cumsum(arrays['lengths'], dtype=np.int64).tolist()
  found = []
  for row in range(len(ends)) if source.rows is None else source.rows:
    begin = ends[row] - int(arrays['lengths'][row])
    raw_label = int(arrays['labels'][row])
    (described,) = (c for c in source.classes if c.raw_label == raw_label)
    integers = {
      'label': described.label,
      'source': described.source_number,
      'source_label': raw_label,
    }
    found.append((arrays['pngs'][begin : ends[row]].tobytes(), integers))
  return found


def serialized(sources: Sequence[SplitSource]) -> list[bytes]:
  """Returns the serialised examples along the concatenation of sources."""
  return [
    framing.encode(*of_example)
    for source in sources
    for of_example in features(source)
  ]

# SPDX-License-Identifier: Apache-2.0
"""Opens subsets from the cache or from shards."""

from __future__ import annotations

import dataclasses
import os

from cmnist_tfds.load import cached, prepared
from cmnist_tfds.load.cached import Cached
from cmnist_tfds.load.draws import check_draw, draw_rows
from cmnist_tfds.load.prepared import Prepared
from cmnist_tfds.sources import SPLITS
from cmnist_tfds.subsets import Subset

Opened = Prepared | Cached


def open_subset(
  subset: Subset,
  *,
  data_dir: str | os.PathLike[str] | None = None,
  sample: bool = False,
  draw: int = 0,
) -> Opened | None:
  """Opens a subset for reading.

  The cache is by far the fastest. It is used if it has the same examples as the
  prepared dataset, or if there is no prepared dataset.

  Args:
    subset: The subset.
    data_dir: Where prepared datasets are; TFDS's default if None.
    sample: Whether to open `cmnist_sample` instead of `cmnist`.
    draw: The number of the draw of a reduced subset; 0 for the published
      training set. Other draws are taken from the subset with all training
      examples.

  Returns:
    The subset; None if what it is read from is not prepared and the cache lacks
    one of its sources.

  Raises:
    SplitError: If there is no such draw.
    PreparationError: If the prepared dataset is damaged.
  """
  check_draw(subset, draw)
  if draw:
    full = open_subset(subset.full, data_dir=data_dir, sample=sample)
    return None if full is None else _take_draw(full, subset, draw)
  found = prepared.find_prepared(subset, data_dir=data_dir, sample=sample)
  # No hash proves the files of the sample, so `find_cached` cannot find them.
  in_cache = None if sample else cached.find_cached(subset)
  if found is None:
    return in_cache
  prepared.warn(found)
  if in_cache is not None and found.digests == in_cache.digests:
    # The cache has no shards, but 'train[0shard]' asks for one.
    return dataclasses.replace(in_cache, shard_lengths=found.shard_lengths)
  return found


def open_or_prepare(
  subset: Subset,
  *,
  data_dir: str | os.PathLike[str] | None = None,
  sample: bool = False,
  draw: int = 0,
) -> Opened:
  """Opens a subset for reading, and prepares it first if necessary.

  Args:
    subset: The subset.
    data_dir: Where prepared datasets are; TFDS's default if None.
    sample: Whether to open `cmnist_sample` instead of `cmnist`.
    draw: The number of the draw, as in `open_subset`.

  Returns:
    The subset.

  Raises:
    SplitError: If there is no such draw.
    OriginFileError: If the subset must be prepared and an origin file is
      missing or wrong.
    PreparationError: If the subset must be prepared and cannot be written, or
      the prepared dataset is damaged.
  """
  check_draw(subset, draw)
  if draw:
    full = open_or_prepare(subset.full, data_dir=data_dir, sample=sample)
    return _take_draw(full, subset, draw)
  found = open_subset(subset, data_dir=data_dir, sample=sample)
  if found is not None:
    return found
  fresh = prepared.prepare(subset, data_dir=data_dir, sample=sample)
  return open_subset(subset, data_dir=data_dir, sample=sample) or fresh


def _take_draw(full: Opened, reduced: Subset, draw: int) -> Cached:
  """Returns a reduced subset with another training set than the published."""
  train, test = map(full.mapped, SPLITS)
  train = train.select(draw_rows(reduced, train.labels, draw))
  return Cached(
    reduced,
    splits={'train': train, 'test': test},
    digests={},
    shard_lengths={'train': [len(train)], 'test': [len(test)]},
    dataset=full.dataset,
    draw=draw,
  )

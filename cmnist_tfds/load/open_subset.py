# SPDX-License-Identifier: Apache-2.0
"""Finds what a subset can be read from."""

from __future__ import annotations

import os

from cmnist_tfds.load import cached, prepared
from cmnist_tfds.load.cached import Cached
from cmnist_tfds.load.prepared import Prepared
from cmnist_tfds.subsets import Subset

Opened = Prepared | Cached


def open_subset(
  subset: Subset,
  *,
  data_dir: str | os.PathLike[str] | None = None,
  sample: bool = False,
) -> Opened | None:
  """Returns what a subset can be read from.

  The cache is read where it has the very examples of the prepared dataset, or
  where there is no such dataset; it is by far the fastest.

  Args:
    subset: The subset.
    data_dir: Where prepared datasets are; TFDS's default if None.
    sample: Whether to take `cmnist_sample` in place of `cmnist`.

  Returns:
    The subset; None if it is not prepared and the cache lacks one of its
    sources.

  Raises:
    PreparationError: If what is there cannot be understood.
  """
  found = prepared.find_prepared(subset, data_dir=data_dir, sample=sample)
  # Nothing proves the files of the sample, so the cache names them by content.
  in_cache = None if sample else cached.find_cached(subset)
  if found is None:
    return in_cache
  prepared.warn(found)
  if in_cache is not None and found.digests == in_cache.digests:
    return in_cache
  return found


def open_or_prepare(
  subset: Subset,
  *,
  data_dir: str | os.PathLike[str] | None = None,
  sample: bool = False,
) -> Opened:
  """Returns what a subset can be read from; prepares what is not there.

  Args:
    subset: The subset.
    data_dir: Where prepared datasets are; TFDS's default if None.
    sample: Whether to take `cmnist_sample` in place of `cmnist`.

  Returns:
    The subset.

  Raises:
    OriginFileError: If the subset is to be prepared and a file it needs is
      missing or not the right one.
    PreparationError: If it is to be prepared and cannot be written, or what is
      there cannot be understood.
  """
  found = open_subset(subset, data_dir=data_dir, sample=sample)
  if found is not None:
    return found
  fresh = prepared.prepare(subset, data_dir=data_dir, sample=sample)
  return open_subset(subset, data_dir=data_dir, sample=sample) or fresh

# SPDX-License-Identifier: Apache-2.0
"""What subsets are read from: their shards, else the stores of their sources."""

from __future__ import annotations

import os

from cmnist_tfds.load import cached, prepared
from cmnist_tfds.load.cached import Stored
from cmnist_tfds.load.prepared import Prepared
from cmnist_tfds.subsets import Subset

Readable = Prepared | Stored
Opened = Readable


def open_subset(
  subset: Subset,
  *,
  data_dir: str | os.PathLike[str] | None = None,
  sample: bool = False,
) -> Opened | None:
  """Returns what a subset can be read from, or None; see `find`."""
  return find(subset.name, data_dir=data_dir, sample=sample)


def find(
  name: str,
  *,
  data_dir: str | os.PathLike[str] | None = None,
  sample: bool = False,
) -> Readable | None:
  """Returns what a subset can be read from.

  Args:
    name: Name of a subset.
    data_dir: Where prepared datasets are; TFDS's default if None.
    sample: Whether to take `cmnist_sample` in place of `cmnist`.

  Returns:
    The subset; None if it is not prepared, nor all its sources encoded.

  Raises:
    SubsetNameError: If there is no such subset.
    PreparationError: If what is there cannot be understood.
  """
  found = prepared.find(name, data_dir=data_dir, sample=sample)
  if found is not None:
    prepared.warn(found)
    return found
  # Nothing proves the files of the sample: their stores go by their contents.
  return None if sample else cached.find(name)


def find_or_prepare(
  name: str,
  *,
  data_dir: str | os.PathLike[str] | None = None,
  sample: bool = False,
) -> Readable:
  """Returns what a subset can be read from; prepares it where there is nothing.

  Args:
    name: Name of a subset.
    data_dir: Where prepared datasets are; TFDS's default if None.
    sample: Whether to take `cmnist_sample` in place of `cmnist`.

  Returns:
    The subset.

  Raises:
    SubsetNameError: If there is no such subset.
    OriginFileError: If the subset is to be prepared and a file it needs is
      missing or not the right one.
    PreparationError: If it is to be prepared and cannot be written, or what is
      there cannot be understood.
  """
  found = find(name, data_dir=data_dir, sample=sample)
  if found is None:
    found = prepared.prepare(name, data_dir=data_dir, sample=sample)
    prepared.warn(found)
  return found

# SPDX-License-Identifier: Apache-2.0
"""Opens subsets from the cache, without shards.

The examples and their order are those that a build would write.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from cmnist_tfds.cache import split_sources
from cmnist_tfds.cache.shuffle_order import shuffle_order
from cmnist_tfds.cache.split_sources import SplitSource
from cmnist_tfds.dataset_files import DATASET
from cmnist_tfds.load import hold_out, split_spec
from cmnist_tfds.load.mapped_split import MappedSplit
from cmnist_tfds.load.split_view import SplitView
from cmnist_tfds.sources import SPLITS
from cmnist_tfds.subsets import Subset


@dataclasses.dataclass(frozen=True, eq=False)
class Cached:
  """A subset in mapped arrays. Shards of it may or may not exist.

  Attributes:
    subset: The subset.
    splits: The splits, by name.
    digests: For each split, a hash of everything that determines its examples.
    shard_lengths: For each split, the number of examples in each shard of the
      prepared dataset; if there is none, one number for each split.
    dataset: 'cmnist' or 'cmnist_sample'.
    draw: The number of the draw that the training set is; 0 for the published
      one.
  """

  subset: Subset
  splits: Mapping[str, MappedSplit]
  digests: Mapping[str, str]
  shard_lengths: Mapping[str, Sequence[int]]
  dataset: str = DATASET
  draw: int = 0

  @property
  def class_names(self) -> tuple[str, ...]:
    """The class name of each label."""
    return self.subset.class_names

  @property
  def class_counts(self) -> list[tuple[int, int]]:
    """For each label, the number of its examples in train and in test."""
    train, test = (
      np.bincount(self.splits[split].labels, minlength=self.subset.num_classes)
      for split in SPLITS
    )
    return list(zip(train.tolist(), test.tolist(), strict=True))

  def mapped(self, split: str) -> MappedSplit:
    """Returns a whole split, 'train' or 'test'."""
    return self.splits[split]

  def training_parts(self) -> dict[str, np.ndarray]:
    """Returns the numbers of the examples of each part of 'train'.

    Raises:
      SplitError: If a class has too few examples or writers to hold out any.
    """
    return hold_out.part_rows(
      self.subset,
      self.splits['train'].labels,
      dataset=self.dataset,
      draw=self.draw,
    )

  def split(self, spec: split_spec.Split, *, keep: bool = False) -> SplitView:
    """Returns the examples of a split.

    Args:
      spec: The split, as `tfds.load` accepts it: 'train', 'train[:10%]'.
      keep: Has no effect, because the cache has the split already.

    Raises:
      SplitError: If there is no such split.
    """
    del keep
    parts = self.training_parts() if split_spec.names_part(spec) else {}
    lengths = {part: [len(rows)] for part, rows in parts.items()}
    splits = {
      part: self.splits['train'].select(rows) for part, rows in parts.items()
    }
    splits |= self.splits
    return SplitView(
      self.subset,
      [
        (splits[run.split], run.start, run.stop)
        for run in split_spec.runs(spec, {**self.shard_lengths, **lengths})
      ],
    )


def find_cached(subset: Subset) -> Cached | None:
  """Opens a subset from the cache.

  Args:
    subset: The subset.

  Returns:
    The subset; None unless the cache has all its sources from verified files.
  """
  splits, digests = {}, {}
  for split in SPLITS:
    sources = split_sources.find_raw(subset, split)
    if sources is None:
      return None
    count = sum(map(len, sources))
    splits[split] = _map_split(sources, shuffle_order(split, count))
    digests[split] = split_sources.digest(sources, count)
  lengths = {name: [len(split)] for name, split in splits.items()}
  return Cached(subset, splits, digests, lengths)


def _map_split(
  sources: Sequence[SplitSource], order: np.ndarray
) -> MappedSplit:
  return MappedSplit(
    images=[source.kept.arrays['images'] for source in sources],
    rows=[source.rows for source in sources],
    labels=np.concatenate([source.labels() for source in sources]),
    order=order,
  )

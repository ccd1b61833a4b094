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
from cmnist_tfds.load import split_spec
from cmnist_tfds.load.mapped_split import MappedSplit
from cmnist_tfds.load.split_view import SplitView
from cmnist_tfds.sources import SPLITS
from cmnist_tfds.subsets import Subset


@dataclasses.dataclass(frozen=True, eq=False)
class Cached:
  """A subset in the cache. Shards of it may or may not exist.

  Attributes:
    subset: The subset.
    splits: The splits, by name.
    digests: For each split, a hash of everything that determines its examples.
    shard_lengths: For each split, the number of examples in each shard of the
      prepared dataset; if there is none, one number for each split.
    dataset: Always 'cmnist', because the unverified sample is read from shards.
  """

  subset: Subset
  splits: Mapping[str, MappedSplit]
  digests: Mapping[str, str]
  shard_lengths: Mapping[str, Sequence[int]]
  dataset: str = 'cmnist'

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

  def split(self, spec: split_spec.Split, *, keep: bool = False) -> SplitView:
    """Returns the examples of a split.

    Args:
      spec: The split, as `tfds.load` accepts it: 'train', 'train[:10%]'.
      keep: Has no effect, because the cache has the split already.

    Raises:
      SplitError: If there is no such split.
    """
    del keep
    return SplitView(
      self.subset,
      [
        (self.splits[run.split], run.start, run.stop)
        for run in split_spec.runs(spec, self.shard_lengths)
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

# SPDX-License-Identifier: Apache-2.0
"""Opens subsets for reading."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from cmnist_tfds import origin, subsets
from cmnist_tfds import sample as sample_lib
from cmnist_tfds.cache import prepared, split_sources
from cmnist_tfds.cache.prepared import Prepared
from cmnist_tfds.cache.shuffle_order import shuffle_order
from cmnist_tfds.cache.split_sources import SplitSource
from cmnist_tfds.load import hold_out, split_spec
from cmnist_tfds.load.draws import check_draw, draw_rows
from cmnist_tfds.load.split_view import SplitView
from cmnist_tfds.sources import SPLITS
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system.errors import SplitError
from cmnist_tfds.system.paths import PathLike
from cmnist_tfds.system.streams import warn_once

if TYPE_CHECKING:
  from typing_extensions import Unpack


@dataclasses.dataclass(frozen=True, eq=False)
class Opened:
  """A subset that is open for reading.

  Attributes:
    subset: The subset.
    dataset: 'cmnist' or 'cmnist_sample'.
    digests: For each split, a hash of everything that determines its examples.
      It is empty if nobody knows them.
    shard_lengths: For each split, the number of examples in each shard of the
      prepared dataset; if there is none, one number for each split.
    folder: The folder of the prepared dataset, which need not exist.
    prepared: The prepared dataset; None if there is none.
    draw: The number of the draw that the training set is; 0 for the published
      one.
  """

  subset: Subset
  dataset: str
  digests: Mapping[str, str]
  shard_lengths: Mapping[str, Sequence[int]]
  folder: pathlib.Path
  prepared: Prepared | None
  # Returns at least the first examples of a whole split.
  _first: Callable[[str, int], SplitView]
  draw: int = 0

  @property
  def class_counts(self) -> list[tuple[int, int]]:
    """For each label, the number of its examples in train and in test."""
    if self.metadata:
      return [(row['train'], row['test']) for row in self.metadata['classes']]
    counts = (
      np.bincount(self.split(s).labels, minlength=self.subset.num_classes)
      for s in SPLITS
    )
    return [*zip(*map(np.ndarray.tolist, counts), strict=True)]

  @property
  def metadata(self) -> Mapping[str, Any]:
    """What the builder wrote of the prepared dataset; empty if there is none."""
    return self.prepared.metadata if self.prepared else {}

  def rows(self, spec: split_spec.Split) -> list[tuple[str, np.ndarray]]:
    """Returns which examples a split has.

    Args:
      spec: The split, as `tfds.load` accepts it: 'train', 'train[:10%]'.

    Returns:
      'train' or 'test', and numbers of examples of it, int64 (m,), from 0 and
      ascending; for each summand of the split that is not empty.

    Raises:
      SplitError: If there is no such split, or a class has too few examples or
        writers to hold out any.
    """
    parts: dict[str, np.ndarray] = {}
    # The text of an instruction of TFDS names its splits.
    if any(part in str(spec) for part in split_spec.PARTS):
      labels = self._first('train', sum(self.shard_lengths['train'])).labels
      parts = hold_out.part_rows(
        self.subset, labels, dataset=self.dataset, draw=self.draw
      )
    lengths = {**self.shard_lengths}
    lengths.update((part, [len(rows)]) for part, rows in parts.items())
    return [
      ('train', parts[split][start:stop])
      if split in parts
      else (split, np.arange(start, stop))
      for split, start, stop in split_spec.ranges(spec, lengths)
    ]

  def split(self, spec: split_spec.Split) -> SplitView:
    """Returns the examples of a split.

    Args:
      spec: The split, as in `rows`.

    Raises:
      SplitError: As `rows` does.
      PreparationError: If a shard must be read and is damaged.
    """
    views = [
      self._first(split, int(numbers[-1]) + 1).select(numbers)
      for split, numbers in self.rows(spec)
    ]
    return SplitView.concatenate(self.subset, views)

  def part(self, spec: split_spec.Split) -> SplitView:
    """Returns the examples of a split, as `split` does, of which there are any.

    Raises:
      SplitError: Also if there are none.
    """
    view = self.split(spec)
    if not len(view):
      raise SplitError(f'There are no examples in {spec!r}.')
    return view


class Where(TypedDict, total=False):
  """What is opened of a subset.

  Attributes:
    data_dir: Where prepared datasets are; TFDS's default if None.
    sample: Whether to open `cmnist_sample` instead of `cmnist`.
    draw: The number of the draw of a reduced subset; 0 for the published
      training set. Other draws are taken from the subset with all training
      examples.
  """

  data_dir: PathLike | None
  sample: bool
  draw: int


def open_subset(
  subset: Subset, *, trusted: bool = False, **where: Unpack[Where]
) -> Opened | None:
  """Opens a subset that is here.

  It is read from the cache. A prepared dataset with other examples than those
  of the origin files in the cache enters the cache first.

  Args:
    subset: The subset.
    trusted: Whether to read a dataset that nothing proves without a warning.
    **where: What is opened of it.

  Returns:
    The subset; None if what it is read from is not prepared and the cache lacks
    one of its sources.

  Raises:
    SplitError: If there is no such draw.
    PreparationError: If the prepared dataset is damaged.
  """
  return _open(subset, split_sources.find_raw, trusted=trusted, **where)


def open_or_prepare(subset: Subset, **where: Unpack[Where]) -> Opened:
  """Opens a subset; files of its sources that are not here are fetched.

  Args:
    subset: The subset.
    **where: What is opened of it.

  Returns:
    The subset.

  Raises:
    SplitError: If there is no such draw.
    OriginFileError: If an origin file is needed and is missing or wrong.
    PreparationError: If the prepared dataset is damaged.
  """
  opened = open_subset(subset, **where)
  if opened is None:
    if hint := prepared.sample_hint(subset, where.get('data_dir')):
      warn_once(f'{subset.title} is not here, so it is fetched.{hint}')
    locations = origin.default_locations(where.get('data_dir'))
    fetch = functools.partial(split_sources.open_split, locations=locations)
    opened = _open(subset, fetch, **where)
  assert opened, 'all sources were fetched'
  return opened


def open_named(name: str, **where: Unpack[Where]) -> Opened:
  """Opens the subset of a name, which may say that its sample is meant.

  Args:
    name: Name of a subset, as `subsets.subset` takes it.
    **where: What is opened of it.

  Returns:
    The subset, as `open_or_prepare` does.

  Raises:
    SubsetNameError: If there is no such subset.
  """
  where['sample'] = where.get('sample') or subsets.names_sample(name)
  return open_or_prepare(subsets.subset(name), **where)


def _open(
  subset: Subset,
  find: Callable[[Subset, str], list[SplitSource]],
  data_dir: PathLike | None = None,
  sample: bool = False,
  draw: int = 0,
  trusted: bool = False,
) -> Opened | None:
  check_draw(subset, draw)
  if draw:
    full = _open(subset.full, find, data_dir, sample)
    return full and _take_draw(full, subset, draw)
  if sample:  # Its files are in the package.
    where = sample_lib.locations(subset)
    find = functools.partial(split_sources.open_split, locations=where)
  folder = prepared.dataset_dir(subset, data_dir=data_dir, sample=sample)
  found = prepared.find_prepared(subset, folder)
  sources = {split: find(subset, split) for split in SPLITS}
  counts = {split: sum(map(len, each)) for split, each in sources.items()}
  digests: Mapping[str, str] = {
    split: split_sources.digest(each, counts[split])
    for split, each in sources.items()
  }
  is_complete = all(sources.values())
  lengths: Mapping[str, Sequence[int]] = {s: [n] for s, n in counts.items()}
  if found:
    if not trusted:
      prepared.warn(found)
    is_complete = is_complete and found.digests == digests
    digests, lengths = found.digests, found.shard_lengths
  elif not is_complete:
    return None

  def first(split: str, stop: int) -> SplitView:
    if is_complete:
      order = shuffle_order(split, counts[split], stop)
      return SplitView(subset, sources[split], order)
    assert found, 'without it, all sources are complete'
    order = np.arange(stop, dtype=np.uint32)
    return SplitView(subset, [found.open(split)], order)

  name = folder.parents[1].name
  return Opened(subset, name, digests, lengths, folder, found, first)


def _take_draw(full: Opened, reduced: Subset, draw: int) -> Opened:
  """Returns a reduced subset with another training set than the published."""
  views = {split: full.split(split) for split in SPLITS}
  rows = draw_rows(reduced, views['train'].labels, draw)
  views['train'] = views['train'].select(rows)
  return dataclasses.replace(
    full,
    subset=reduced,
    digests={},
    shard_lengths={split: [len(view)] for split, view in views.items()},
    prepared=None,
    _first=lambda split, stop: views[split],
    draw=draw,
  )

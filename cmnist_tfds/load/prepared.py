# SPDX-License-Identifier: Apache-2.0
"""Finds and opens prepared subsets.

This module imports TFDS only to prepare a subset.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import math
import os
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np

from cmnist_tfds import schema, subsets
from cmnist_tfds.cache import store
from cmnist_tfds.dataset_files import (
  DATASET,
  SAMPLE,
  Shard,
  how_to_rebuild,
  read_dataset_files,
)
from cmnist_tfds.load import hold_out, memory, split_spec
from cmnist_tfds.load.mapped_split import MappedSplit
from cmnist_tfds.load.shard_split import ShardSplit
from cmnist_tfds.load.split_view import SplitView, Stretch
from cmnist_tfds.origin import Proof
from cmnist_tfds.sources import SPLITS
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system import paths
from cmnist_tfds.system.errors import OutdatedError, PreparationError

# The folders in which TFDS builds datasets.
_UNFINISHED = 'incomplete.*'
_SECONDS_TO_RENAME = 0.1

_Read = TypeVar('_Read')

_log = logging.getLogger('cmnist_tfds')


@dataclasses.dataclass(frozen=True)
class Prepared:
  """A prepared subset on disk.

  Attributes:
    subset: The subset.
    dataset: 'cmnist' or 'cmnist_sample'.
    folder: The folder of the prepared dataset.
    file_format: Format of the shards, 'tfrecord' or 'array_record'.
    shards: For each split, its shards, in order.
    metadata: The metadata that the builder wrote: classes, counts, proofs,
      digests. It is empty if another package built the dataset.
  """

  subset: Subset
  dataset: str
  folder: pathlib.Path
  file_format: str
  shards: Mapping[str, tuple[Shard, ...]]
  metadata: Mapping[str, Any]

  @property
  def class_names(self) -> tuple[str, ...]:
    """The class name of each label."""
    return self.subset.class_names

  @property
  def shard_lengths(self) -> dict[str, list[int]]:
    """For each split, the number of examples in each of its shards.

    A split without examples, which TFDS does not record, has no shards.
    """
    return {split: [] for split in SPLITS} | {
      split: [shard.num_examples for shard in shards]
      for split, shards in self.shards.items()
    }

  @property
  def class_counts(self) -> list[tuple[int, int]]:
    """For each label, the number of its examples in train and in test."""
    if 'classes' in self.metadata:
      return [(row['train'], row['test']) for row in self.metadata['classes']]
    train, test = (
      np.bincount(
        self.split(split).read([schema.LABEL.name])[schema.LABEL.name],
        minlength=self.subset.num_classes,
      )
      for split in SPLITS
    )
    return list(zip(train.tolist(), test.tolist(), strict=True))

  @property
  def digests(self) -> Mapping[str, str]:
    """For each split, a hash of everything that determines its examples.

    It is empty if the metadata lacks them.
    """
    return self.metadata.get('digests', {})

  def mapped(self, split: str) -> MappedSplit:
    """Returns a whole split, 'train' or 'test', which the cache keeps.

    Raises:
      PreparationError: If a shard is missing or damaged. The message names the
        record.
    """
    return self._retrying(lambda found: found._keep(split))

  def training_parts(self) -> dict[str, np.ndarray]:
    """Returns the numbers of the examples of each part of 'train'.

    Raises:
      SplitError: If a class has too few examples or writers to hold out any.
      PreparationError: If a shard is missing or damaged. The message names the
        record.
    """
    return hold_out.part_rows(
      self.subset, self.mapped('train').labels, dataset=self.dataset
    )

  def split(self, spec: split_spec.Split, *, keep: bool = False) -> SplitView:
    """Returns the examples of a split.

    If the whole split is read, the cache keeps it and maps it the next time.

    Args:
      spec: The split, as `tfds.load` accepts it: 'train', 'train[:10%]'.
      keep: Whether the cache should keep splits that are read only in part,
        too, because the caller reads them repeatedly.

    Raises:
      SplitError: If there is no such split.
      PreparationError: If a shard is missing, or a shard of a kept split is
        damaged. The message names the record.
    """
    return self._retrying(lambda found: found._split(spec, keep))

  def _retrying(self, read: Callable[[Prepared], _Read]) -> _Read:
    """Reads again what a build replaces, until it stays as it is."""
    found: Prepared | None = self
    before = None  # This may have been opened long ago.
    while True:
      try:
        found = found or _read(self.subset, self.dataset, self.folder)
        if found is not None:
          return read(found)
      except PreparationError:
        if _identity(self.folder) == before:
          raise
      _wait_for_replacement(self.folder)
      if found is None and _identity(self.folder) == before:
        raise PreparationError(f'{self.folder} is gone. Build it again.')
      found, before = None, _identity(self.folder)

  def _split(self, spec: str, keep: bool) -> SplitView:
    runs: list[Stretch] = []
    parts = self.training_parts() if split_spec.names_part(spec) else {}
    lengths = {part: [len(rows)] for part, rows in parts.items()}
    for run in split_spec.runs(spec, self.shard_lengths | lengths):
      if run.split in parts:
        whole = self._keep('train')
        split: MappedSplit | ShardSplit = whole.select(parts[run.split])
      elif keep or len(run) == sum(self.shard_lengths[run.split]):
        split = self._keep(run.split)
      else:
        split = self._find_kept(run.split) or self._shard_split(run.split)
        if isinstance(split, ShardSplit):
          # What is open stays readable when the dataset is replaced.
          split.open_shards()
      runs.append((split, run.start, run.stop))
    return SplitView(self.subset, runs)

  def _shard_split(self, split: str) -> ShardSplit:
    return ShardSplit(
      self.subset,
      self.file_format,
      self.shards[split],
      how_to_rebuild(self.subset, self.dataset, self.folder),
    )

  def _find_kept(self, split: str) -> MappedSplit | None:
    kept = store.find_kept(
      'arrays', self._cache_name(split), self._check(split)
    )
    return None if kept is None else _map_kept(kept)

  def _keep(self, split: str) -> MappedSplit:
    """Maps a whole split from the cache, which it reads from shards first."""

    def make() -> store.Made:
      labels: list[np.ndarray] = []

      def images() -> Iterator[np.ndarray]:
        for images, of_images in self._shard_split(split).read_all():
          labels.append(of_images)
          yield images

      name = f'{self.dataset}/{self.subset.name}'
      return store.Made(
        {'images': images(), 'labels': labels},
        note={},
        description=f'{name} {split} in {self.folder}, pixels',
      )

    count = sum(self.shard_lengths[split])
    # Only where the cache cannot be written do they stay in memory.
    with memory.allocating(
      count * math.prod(schema.IMAGE.shape),
      f'{count:,} examples of {self.subset.title}',
    ):
      return _map_kept(
        store.keep('arrays', self._cache_name(split), make, self._check(split))
      )

  def _cache_name(self, split: str) -> str:
    """Returns a name that changes when the shards change."""
    digest = hashlib.sha256(os.fsencode(self.folder.resolve()))
    for shard in self.shards[split]:
      try:
        stat = shard.path.stat()
        digest.update(f'{stat.st_size} {stat.st_mtime_ns} '.encode())
      except FileNotFoundError:
        digest.update(b'missing')
    name = f'{self.dataset}-{self.subset.name}-{split}'
    return f'{name}-{digest.hexdigest()[:16]}'

  def _check(self, split: str) -> store.Check:
    count = sum(self.shard_lengths[split])

    def check(kept: store.Kept) -> str | None:
      images, labels = (kept.arrays.get(name) for name in ('images', 'labels'))
      shape = (count, *schema.IMAGE.shape[:2])
      if images is None or images.dtype != np.uint8 or images.shape != shape:
        return f'expected images uint8 {shape}'
      if labels is None or labels.dtype != np.int64 or labels.shape != (count,):
        return f'expected labels int64 {(count,)}'
      if (
        count
        and not 0 <= labels.min() <= labels.max() < self.subset.num_classes
      ):
        return f'expected labels below {self.subset.num_classes}'
      if not kept.is_trusted:
        return 'it belongs to another user'
      return None

    return check


def _map_kept(kept: store.Kept) -> MappedSplit:
  labels = kept.arrays['labels']
  return MappedSplit(
    [kept.arrays['images']], [None], labels, np.arange(len(labels))
  )


def dataset_dir(
  subset: Subset,
  *,
  data_dir: paths.PathLike | None = None,
  sample: bool = False,
) -> pathlib.Path:
  """Returns the folder of a prepared subset, without importing TFDS.

  Args:
    subset: The subset.
    data_dir: Where prepared datasets are; TFDS's default if None.
    sample: Whether the subset is one of `cmnist_sample` instead of `cmnist`.

  Returns:
    `<data_dir>/<dataset>/<config>/<version>`, the layout of TFDS.

  Raises:
    PreparationError: If `data_dir` is not a local folder, or the file system
      refuses its name.
  """
  dataset = SAMPLE if sample else DATASET
  root = paths.data_root(data_dir)
  return root / dataset / subset.name / subsets.VERSION


def find_prepared(
  subset: Subset,
  *,
  data_dir: paths.PathLike | None = None,
  sample: bool = False,
) -> Prepared | None:
  """Opens a prepared subset.

  Args:
    subset: The subset.
    data_dir: Where prepared datasets are; TFDS's default if None.
    sample: Whether to look for `cmnist_sample` instead of `cmnist`.

  Returns:
    The subset, or None if it is not prepared.

  Raises:
    PreparationError: If the prepared dataset is damaged.
  """
  folder = dataset_dir(subset, data_dir=data_dir, sample=sample)
  paths.check_name(folder / 'dataset_info.json')
  dataset = SAMPLE if sample else DATASET
  try:
    found = _read(subset, dataset, folder)
  except PreparationError:
    found = None
  if found is None:
    # A build may be replacing it at this moment.
    _wait_for_replacement(folder)
    found = _read(subset, dataset, folder)
  return found


def _identity(folder: pathlib.Path) -> tuple[int, int] | None:
  """Returns what changes when a dataset is replaced; None if there is none."""
  try:
    status = (folder / 'dataset_info.json').stat()
  except OSError:
    return None
  return status.st_ino, status.st_mtime_ns


def _wait_for_replacement(folder: pathlib.Path) -> None:
  """Waits a moment if a build may be renaming or replacing a dataset."""
  if any(folder.parent.glob(_UNFINISHED)):
    time.sleep(_SECONDS_TO_RENAME)


def prepare(
  subset: Subset,
  *,
  data_dir: paths.PathLike | None = None,
  sample: bool = False,
) -> Prepared:
  """Prepares a subset, unless TFDS finds it somewhere.

  Args:
    subset: The subset.
    data_dir: Where prepared datasets are; TFDS's default if None.
    sample: Whether to prepare `cmnist_sample` instead of `cmnist`.

  Returns:
    The subset.

  Raises:
    OriginFileError: If an origin file is missing or wrong.
    PreparationError: If the subset cannot be written, its folder is not local,
      or `tfds.testing.mock_data` lets nothing be written.
  """
  # Importing TFDS takes a second, and no other function here needs it.
  from cmnist_tfds.datasets.get_builder import get_builder

  builder = get_builder(subset, data_dir=data_dir, sample=sample)
  builder.download_and_prepare()
  # TFDS may know other folders of datasets.
  found = _read(subset, builder.name, pathlib.Path(builder.data_path))
  if found is None:
    raise PreparationError(
      f'TFDS has prepared nothing in {builder.data_dir}, because its'
      ' download_and_prepare is replaced, as by tfds.testing.mock_data. Inside'
      ' of that, use tfds.load.'
    )
  return found


def _read(
  subset: Subset, dataset: str, folder: pathlib.Path
) -> Prepared | None:
  if not os.path.lexists(folder):
    return None
  try:
    files = read_dataset_files(subset, dataset, folder)
  except OutdatedError:
    return None  # It is to be made anew.
  shards = {name: split.shards for name, split in files.splits.items()}
  return Prepared(
    subset, dataset, folder, files.file_format, shards, files.metadata
  )


def warn(found: Prepared) -> None:
  """Logs reasons not to trust a prepared subset."""
  if found.dataset == SAMPLE:
    return  # The name of the dataset says that it is not CMNIST.
  sources = found.metadata.get('sources')
  if sources is None:
    _log.warning(
      '%s was not built by this package: it does not say how its origin files'
      ' were verified.',
      found.folder,
    )
    return
  proofs = {
    path: proof
    for source in sources
    for path, proof in source['verified'].items()
  }
  unproved = [
    path for path, proof in proofs.items() if proof == Proof.NONE.value
  ]
  if unproved:
    _log.warning(
      '%s was built from unverified origin files: %s.',
      found.folder,
      ', '.join(unproved),
    )

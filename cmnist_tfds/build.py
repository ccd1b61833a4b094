# SPDX-License-Identifier: Apache-2.0
"""Builds subsets, one after the other or several at a time."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import multiprocessing
import os
import pathlib
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import tqdm

from cmnist_tfds import paths
from cmnist_tfds.errors import CmnistError, PreparationError
from cmnist_tfds.load import prepared
from cmnist_tfds.subsets import Subset

# The average size of an example on disk, over all subsets.
_BYTES_PER_EXAMPLE = 450


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
  """How subsets are built.

  Attributes:
    sample: Whether to build `cmnist_sample` instead of `cmnist`.
    data_dir: Folder of prepared datasets; TFDS's default if None.
    download_dir: Folder of downloaded files; TFDS's default if None.
    manual_dir: Folder of origin files; TFDS's default if None.
    mirror: Folder or HTTP address of origin files, tried before the original
      hosts.
    allow_unverified: Whether to accept origin files that cannot be verified.
    overwrite: Whether to rebuild subsets that are already prepared.
  """

  sample: bool = False
  data_dir: str | None = None
  download_dir: str | None = None
  manual_dir: str | None = None
  mirror: str | None = None
  allow_unverified: bool = False
  overwrite: bool = False


@dataclasses.dataclass(frozen=True)
class Outcome:
  """The result of building one subset.

  Attributes:
    subset: The subset.
    folder: The folder of the prepared subset; empty if it failed.
    num_examples: Number of examples in both splits.
    num_bytes: Bytes of the examples in both splits.
    seconds: How long the build took.
    error: Why the build failed; empty if it did not.
  """

  subset: Subset
  folder: str = ''
  num_examples: int = 0
  num_bytes: int = 0
  seconds: float = 0.0
  error: str = ''


def build(
  selected: Sequence[Subset], options: Options, jobs: int = 1
) -> Iterator[Outcome]:
  """Builds subsets; if one fails, the others are still built.

  Full subsets are built first, because reduced subsets share their test shards.

  Args:
    selected: The subsets, each once.
    options: How to build them.
    jobs: How many to build at the same time. More than one are built in
      processes of their own.

  Yields:
    The outcome of each subset, as soon as it is known.

  Raises:
    PreparationError: If there is too little free disk space for the subsets.
  """
  paths.data_root(options.data_dir)  # An address is refused before any work.
  _check_disk_space(selected, options)
  full = [subset for subset in selected if subset.per_class is None]
  reduced = [subset for subset in selected if subset.per_class is not None]
  with tqdm.tqdm(
    total=len(selected),
    desc='Building',
    unit=' subsets',
    disable=not sys.stderr.isatty(),
  ) as progress:
    for group in (full, reduced):
      outcomes: Iterator[Outcome]
      if jobs == 1 or len(group) <= 1:
        outcomes = (_build_one(subset, options) for subset in group)
      else:
        outcomes = _build_in_processes(group, options, jobs)
      for outcome in outcomes:
        progress.set_postfix_str(outcome.subset.name)
        progress.update()
        yield outcome


def _build_in_processes(
  group: Sequence[Subset], options: Options, jobs: int
) -> Iterator[Outcome]:
  # Forked processes would inherit locks from threads that do not exist in them.
  pool = concurrent.futures.ProcessPoolExecutor(
    min(jobs, len(group)), mp_context=multiprocessing.get_context('spawn')
  )
  try:
    # The processes start here. They inherit that Ctrl-C is ignored, and heed it
    # only while they build.
    with _on_interrupt(signal.SIG_IGN):
      futures = [
        pool.submit(_build_interruptibly, subset, options) for subset in group
      ]
    for future in concurrent.futures.as_completed(futures):
      yield future.result()
  finally:
    pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _on_interrupt(handler: Any) -> Iterator[None]:
  """Replaces the handler of SIGINT, which Ctrl-C sends, for a while."""
  previous = signal.signal(signal.SIGINT, handler)
  try:
    yield
  finally:
    signal.signal(signal.SIGINT, previous)


@contextlib.contextmanager
def _interrupt_deferred() -> Iterator[None]:
  """Defers Ctrl-C to the end of the block.

  TFDS cannot be imported again after its import was interrupted.
  """
  interrupted = threading.Event()
  with _on_interrupt(lambda *_: interrupted.set()):
    yield
  if interrupted.is_set():
    raise KeyboardInterrupt


def _build_interruptibly(subset: Subset, options: Options) -> Outcome:
  # A terminal sends Ctrl-C to every process.
  with _on_interrupt(signal.default_int_handler):
    return _build_one(subset, options)


def _build_one(subset: Subset, options: Options) -> Outcome:
  with _interrupt_deferred():
    import tensorflow_datasets as tfds

    from cmnist_tfds.datasets.get_builder import get_builder

  if not sys.stderr.isatty() or multiprocessing.parent_process():
    tfds.disable_progress_bar()
  mode = tfds.download.GenerateMode
  start = time.monotonic()
  try:
    builder = get_builder(
      subset,
      data_dir=options.data_dir,
      sample=options.sample,
      allow_unverified=options.allow_unverified,
      mirror=options.mirror,
    )
    builder.download_and_prepare(
      download_dir=options.download_dir,
      download_config=tfds.download.DownloadConfig(
        manual_dir=options.manual_dir,
        download_mode=(
          mode.REUSE_CACHE_IF_EXISTS
          if options.overwrite
          else mode.REUSE_DATASET_IF_EXISTS
        ),
      ),
    )
  except (CmnistError, OSError) as error:
    return Outcome(subset, error=str(error))
  splits = builder.info.splits.values()
  return Outcome(
    subset,
    folder=builder.data_dir,
    num_examples=sum(split.num_examples for split in splits),
    num_bytes=sum(split.num_bytes for split in splits),
    seconds=time.monotonic() - start,
  )


def _check_disk_space(selected: Sequence[Subset], options: Options) -> None:
  """Raises a `PreparationError` if the disk is too small for the subsets."""
  if options.sample:
    return
  names = {subset.name for subset in selected}
  num_examples = 0
  for subset in selected:
    folder = prepared.dataset_dir(subset, data_dir=options.data_dir)
    if folder.exists():
      continue
    num_examples += subset.num_train or 0
    # A reduced subset shares the test shards of the full one.
    if subset.per_class is None or subset.full.name not in names:
      num_examples += subset.num_test or 0
  if not num_examples:
    return
  needed = num_examples * _BYTES_PER_EXAMPLE
  existing = _nearest_existing(folder)
  free = shutil.disk_usage(existing).free
  if needed > free:
    raise PreparationError(
      f'{len(selected)} subsets need about {needed / 1e9:,.1f} GB, but only'
      f' {free / 1e9:,.1f} GB are free in {existing}. Free some space, or choose'
      ' another folder with --data_dir.'
    )


def _nearest_existing(path: pathlib.Path) -> pathlib.Path:
  """Returns a path, or else the nearest of its parents that exists."""
  path = pathlib.Path(os.path.abspath(path))
  return next(p for p in (path, *path.parents) if p.exists())

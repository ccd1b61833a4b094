# SPDX-License-Identifier: Apache-2.0
"""Builds subsets, several at a time, each in a process of its own."""

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

from cmnist_tfds import load
from cmnist_tfds.errors import CmnistError, PreparationError
from cmnist_tfds.subsets import Subset

# What an example takes on disk, on the average over the family.
_BYTES_PER_EXAMPLE = 450


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
  """How subsets are built.

  Attributes:
    sample: Whether to build from the synthetic sample in place of CMNIST.
    data_dir: Where datasets go; TFDS's default if None.
    download_dir: Where downloads go; TFDS's default if None.
    manual_dir: Folder with origin files; TFDS's default if None.
    mirror: Folder or HTTP base with origin files.
    allow_unverified: Whether to take origin files that nothing proves.
    overwrite: Whether to build anew what is there.
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
  """What became of one subset.

  Attributes:
    name: The subset's name.
    data_dir: Where it is.
    num_examples: Examples in both splits.
    num_bytes: Bytes of the examples.
    seconds: How long it took.
    fault: Why it failed, empty if it did not.
  """

  name: str
  data_dir: str = ''
  num_examples: int = 0
  num_bytes: int = 0
  seconds: float = 0.0
  fault: str = ''


def build(
  chosen: Sequence[Subset], options: Options, jobs: int = 1
) -> Iterator[Outcome]:
  """Builds subsets; one that fails does not stop the others.

  Full subsets come first: reduced ones share their test shards.

  Args:
    chosen: The subsets.
    options: How they are built.
    jobs: How many at a time.

  Yields:
    One outcome per subset, as soon as it is known.

  Raises:
    PreparationError: If the disk is too small for what is to be built.
  """
  _check_room(chosen, options)
  full = [s.name for s in chosen if s.per_class is None]
  reduced = [s.name for s in chosen if s.per_class is not None]
  progress = tqdm.tqdm(
    total=len(chosen),
    desc='Building',
    unit=' subsets',
    disable=not sys.stderr.isatty(),
  )
  run = _in_turn if jobs == 1 or len(chosen) == 1 else _in_processes
  with progress:
    for names in (full, reduced):
      for outcome in run(names, options, jobs):
        progress.set_postfix_str(outcome.name)
        progress.update()
        yield outcome


def _in_turn(
  names: Sequence[str], options: Options, jobs: int
) -> Iterator[Outcome]:
  del jobs
  for name in names:
    yield _build_one(name, options)


def _in_processes(
  names: Sequence[str], options: Options, jobs: int
) -> Iterator[Outcome]:
  # Forked processes would inherit the threads of whatever runs by now.
  pool = concurrent.futures.ProcessPoolExecutor(
    min(jobs, len(names) or 1),
    mp_context=multiprocessing.get_context('spawn'),
  )
  try:
    # Processes start here, and ignore Ctrl-C from their first moment on.
    with _interrupts(signal.SIG_IGN):
      building = [pool.submit(_build_interruptibly, n, options) for n in names]
    for done in concurrent.futures.as_completed(building):
      yield done.result()
  finally:
    pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _interrupts(handler: Any) -> Iterator[None]:
  """Handles Ctrl-C in another way for a while."""
  previous = signal.signal(signal.SIGINT, handler)
  try:
    yield
  finally:
    signal.signal(signal.SIGINT, previous)


@contextlib.contextmanager
def _interrupts_deferred() -> Iterator[None]:
  """Heeds Ctrl-C at the end: TFDS, interrupted while imported, complains."""
  interrupted = threading.Event()
  with _interrupts(lambda *_: interrupted.set()):
    yield
  if interrupted.is_set():
    raise KeyboardInterrupt


def _build_interruptibly(name: str, options: Options) -> Outcome:
  # Ctrl-C reaches every process. Those that wait for work ignore it.
  with _interrupts(signal.default_int_handler):
    return _build_one(name, options)


def _build_one(name: str, options: Options) -> Outcome:
  with _interrupts_deferred():
    import tensorflow_datasets as tfds

  if not sys.stderr.isatty() or multiprocessing.parent_process():
    tfds.disable_progress_bar()
  mode = tfds.download.GenerateMode
  start = time.monotonic()
  try:
    builder = _builder(name, options)
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
    return Outcome(name, fault=str(error))
  splits = builder.info.splits.values()
  return Outcome(
    name=name,
    data_dir=builder.data_dir,
    num_examples=sum(s.num_examples for s in splits),
    num_bytes=sum(s.num_bytes for s in splits),
    seconds=time.monotonic() - start,
  )


def _builder(name: str, options: Options) -> Any:
  return load.get_builder(
    name,
    data_dir=options.data_dir,
    sample=options.sample,
    allow_unverified=options.allow_unverified,
    mirror=options.mirror,
  )


def _check_room(chosen: Sequence[Subset], options: Options) -> None:
  """Raises a `PreparationError` if the disk cannot hold the subsets."""
  if options.sample:
    return
  names = {s.name for s in chosen}
  num_examples = 0
  for subset in chosen:
    folder = load.dataset_dir(subset, data_dir=options.data_dir)
    if folder.exists():
      continue
    num_examples += subset.num_train or 0
    # A reduced subset shares the test shards of the full one.
    if subset.per_class is None or subset.full.name not in names:
      num_examples += subset.num_test or 0
  if not num_examples:
    return
  needed = num_examples * _BYTES_PER_EXAMPLE
  root = folder.parents[2]
  free = shutil.disk_usage(_nearest_existing(root)).free
  if needed > free:
    raise PreparationError(
      f'{len(chosen)} subsets need about {needed / 1e9:,.1f} GB in {root}, and'
      f' {free / 1e9:,.1f} GB are free there. Make room, or give another'
      ' folder (--data_dir).'
    )


def _nearest_existing(path: pathlib.Path) -> pathlib.Path:
  path = pathlib.Path(os.path.abspath(path))
  return next(p for p in (path, *path.parents) if p.exists())

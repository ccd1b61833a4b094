# SPDX-License-Identifier: Apache-2.0
"""Builds subsets, one after the other or several at a time."""

from __future__ import annotations

import collections
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
from multiprocessing import connection

from cmnist_tfds.cache import prepared
from cmnist_tfds.origin import mirror_of_user, missing_files
from cmnist_tfds.origin.limits import Limits
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system import interrupts, paths, streams
from cmnist_tfds.system.disk_errors import format_size
from cmnist_tfds.system.errors import (
  CmnistError,
  NamedPlaceError,
  OriginFileError,
  PreparationError,
)

# The average size of an example on disk, over all subsets.
_BYTES_PER_EXAMPLE = 450

# How long a process that is told to end may remove its temporary files.
_SECONDS_TO_CLEAN_UP = 10


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
    limits: When to give up on a host; the user's limits if None.
    allow_unverified: Whether to accept origin files that cannot be verified.
    overwrite: Whether to rebuild subsets that are already prepared.
  """

  sample: bool = False
  data_dir: str | None = None
  download_dir: str | None = None
  manual_dir: str | None = None
  mirror: str | None = None
  limits: Limits | None = None
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
  with streams.progress_bar(
    total=len(selected),
    desc='Building',
    unit=' subsets',
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
  """Builds subsets in processes, each of which builds one after the other.

  The fault of a process that is killed is that of the subset it builds.
  """
  waiting = collections.deque(group)
  workers = [_Worker(options) for _ in range(min(jobs, len(group)))]
  try:
    for worker in workers:
      worker.start_build(waiting.popleft())
    while busy := [worker for worker in workers if worker.subset]:
      ready = connection.wait([worker.connection for worker in busy])
      for worker in busy:
        if worker.connection in ready:
          yield worker.outcome()
          if waiting:
            worker.start_build(waiting.popleft())
  finally:
    for worker in workers:
      worker.terminate()
    for worker in workers:
      worker.join()


class _Worker:
  """A process that builds subsets.

  Attributes:
    connection: Is ready when the process has built a subset, or has ended.
    subset: The subset that is being built; None if there is none.
  """

  def __init__(self, options: Options):
    self._options = options
    self.subset: Subset | None = None
    self._start()

  def _start(self) -> None:
    # Forked processes would inherit locks of threads that they do not have.
    context = multiprocessing.get_context('spawn')
    self.connection, theirs = context.Pipe()
    self._process = context.Process(target=_work, args=(theirs, self._options))
    # A terminal sends Ctrl-C to every process. The new one inherits that it is
    # ignored, and ends when this one tells it to.
    with interrupts.handling([signal.SIGINT], signal.SIG_IGN):
      self._process.start()
    # The process now has the only copy, which closes when the process ends.
    theirs.close()

  def start_build(self, subset: Subset) -> None:
    """Lets the process build a subset."""
    if not self._process.is_alive():
      self._start()
    self.subset = subset
    # If the process ends now, the connection gets ready without an outcome.
    with contextlib.suppress(BrokenPipeError):
      self.connection.send(subset)

  def outcome(self) -> Outcome:
    """Returns the outcome of the subset, which must be known."""
    subset, self.subset = self.subset, None
    assert subset
    try:
      outcome: Outcome = self.connection.recv()
    except (EOFError, OSError):
      self._process.join()
      self.connection.close()
      return Outcome(subset, error=_how_it_ended(self._process.exitcode))
    return outcome

  def terminate(self) -> None:
    """Tells the process to end."""
    self._process.terminate()

  def join(self) -> None:
    """Waits for the end of the process."""
    self._process.join(_SECONDS_TO_CLEAN_UP)
    self._process.kill()
    self._process.join()


def _how_it_ended(exitcode: int | None) -> str:
  if exitcode is not None and exitcode < 0:
    how = f'was killed by {signal.Signals(-exitcode).name}'
  else:
    how = f'ended with exit status {exitcode}'
  return (
    f'the process that built it {how}. If the system ran out of memory, build'
    ' fewer subsets at the same time, with a smaller --jobs'
  )


def _work(parent: connection.Connection, options: Options) -> None:
  """Builds subsets as they come, until there are no more."""
  threading.Thread(target=_end_with_parent, daemon=True).start()
  with (
    contextlib.suppress(EOFError, BrokenPipeError, KeyboardInterrupt),
    interrupts.terminations_interrupt(),
  ):
    while True:
      parent.send(_build_one(parent.recv(), options))


def _end_with_parent() -> None:
  """Ends this process when its parent was killed."""
  parent = multiprocessing.parent_process()
  assert parent
  connection.wait([parent.sentinel])
  os.kill(os.getpid(), signal.SIGTERM)
  time.sleep(_SECONDS_TO_CLEAN_UP)
  os._exit(1)


def _build_one(subset: Subset, options: Options) -> Outcome:
  # TFDS cannot be imported again after its import was interrupted.
  with interrupts.deferred():
    import tensorflow_datasets as tfds

    from cmnist_tfds.datasets import download_manager
    from cmnist_tfds.datasets.get_builder import get_builder

  if not streams.is_terminal(sys.stderr) or multiprocessing.parent_process():
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
      limits=options.limits,
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
  except MemoryError:
    return Outcome(
      subset,
      error='there is not enough memory. Close other programs, or build fewer'
      ' subsets at the same time',
    )
  except NamedPlaceError as error:
    return Outcome(subset, error=str(error))
  except OriginFileError as error:
    found_in = download_manager.locations_on_disk(
      options.download_dir or paths.data_root(options.data_dir) / 'downloads',
      options.manual_dir,
      mirror_of_user(options.mirror),
    )
    missing = list(missing_files.describe(subset.sources, found_in))
    if missing:
      missing.insert(
        0, f'Files of {subset.name} that are not on this computer:'
      )
    return Outcome(subset, error='\n'.join([str(error), *missing]))
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
  names = {subset.name for subset in selected}
  num_examples = 0
  for subset in selected:
    folder = prepared.dataset_dir(
      subset, data_dir=options.data_dir, sample=options.sample
    )
    if options.sample or folder.exists():
      continue  # The sample is small.
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
      f'{len(selected)} subsets need about {format_size(needed)}, but only'
      f' {format_size(free)} are free in {existing}. Free some space, or choose'
      ' another folder with --data_dir.'
    )


def _nearest_existing(path: pathlib.Path) -> pathlib.Path:
  """Returns a path, or else the nearest of its parents that exists."""
  path = pathlib.Path(os.path.abspath(path))
  return next(p for p in (path, *path.parents) if p.exists())

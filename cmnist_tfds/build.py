# SPDX-License-Identifier: Apache-2.0
"""Builds subsets, one after the other or several at a time."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import multiprocessing.resource_tracker
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent import futures
from typing import Any

from cmnist_tfds.subsets import DATASET, SAMPLE, Subset
from cmnist_tfds.system import paths, streams
from cmnist_tfds.system.errors import CmnistError, PreparationError


@dataclasses.dataclass(frozen=True)
class Outcome:
  """The result of building one subset.

  Attributes:
    name: The subset.
    num_examples: Number of examples in both splits.
    num_bytes: Bytes of the examples in both splits.
    seconds: How long the build took, to a tenth.
    folder: The folder of the prepared subset; empty if it failed.
    error: Why the build failed; empty if it did not.
  """

  name: str
  num_examples: int = 0
  num_bytes: int = 0
  seconds: float = 0.0
  folder: str = ''
  error: str = ''


def build(
  selected: Sequence[Subset], *, jobs: int = 1, **options: Any
) -> Iterator[Outcome]:
  """Builds subsets; if one fails, the others are still built.

  Full subsets are built first, because reduced subsets share their test shards.

  Args:
    selected: The subsets, each once.
    jobs: How many to build at the same time, each in a process.
    **options: Other arguments of `build_one`, which can be pickled.

  Yields:
    The outcome of each subset, as soon as it is known.

  Raises:
    PreparationError: If the data folder is not local, or the system kills one
      of the processes.
  """
  paths.data_root(options.get('data_dir'))  # Refuses remote addresses.
  work = functools.partial(build_one, **options)
  selected = sorted(selected, key=_is_reduced)
  outcomes: Iterable[Outcome] = map(work, selected)
  if (jobs := min(jobs, len(selected))) > 1:
    outcomes = _build_in_processes(work, selected, jobs)
  yield from streams.progress_bar(
    outcomes, total=len(selected), desc='Building', unit=' subset'
  )


def _is_reduced(subset: Subset) -> bool:
  return subset.per_class is not None


def _build_in_processes(
  work: Callable[[Subset], Outcome], selected: Sequence[Subset], jobs: int
) -> Iterator[Outcome]:
  # Forked processes would inherit locks of threads that they do not have.
  spawn = multiprocessing.get_context('spawn')
  with _ignored_by_new_processes():
    multiprocessing.resource_tracker.ensure_running()
  # An interrupt inside `as_completed` could leave locked what the pool needs.
  done: queue.SimpleQueue[futures.Future[Outcome]] = queue.SimpleQueue()
  with futures.ProcessPoolExecutor(
    jobs, spawn, _start_worker, (streams.LOG.level,)
  ) as pool:
    try:
      for _, group in itertools.groupby(selected, _is_reduced):
        with _ignored_by_new_processes():
          pending = [pool.submit(_work, work, subset) for subset in group]
          for future in pending:
            future.add_done_callback(done.put)
        for _ in pending:
          yield done.get().result()
    except futures.process.BrokenProcessPool as error:
      raise PreparationError(
        'A process that builds subsets was killed, perhaps because the system'
        ' ran out of memory. Build fewer subsets at the same time, with a'
        ' smaller --jobs; finished subsets are not built again.'
      ) from error
    except BaseException:
      pool.shutdown(wait=False, cancel_futures=True)
      for process in multiprocessing.active_children():
        process.terminate()
      raise


@contextlib.contextmanager
def _ignored_by_new_processes() -> Iterator[None]:
  """Lets processes that the block starts ignore what a terminal sends to all.

  They end when this process tells them to.
  """
  # Windows has no HUP.
  numbers = {signal.SIGINT, getattr(signal, 'SIGHUP', signal.SIGINT)}
  handlers = {n: signal.signal(n, signal.SIG_IGN) for n in numbers}
  try:
    yield
  finally:
    for number, handler in handlers.items():
      signal.signal(number, handler)


def _start_worker(level: int) -> None:
  streams.LOG.setLevel(level)  # Quiet or not, as its parent.
  signal.signal(signal.SIGTERM, _stop)
  threading.Thread(target=_end_with_parent, daemon=True).start()


def _stop(*_: object) -> None:
  """Ends a build, which then removes its temporary files."""
  signal.signal(signal.SIGTERM, signal.SIG_IGN)
  # In a destructor, Python reports the exit and goes on, until `_work` ends.
  sys.unraisablehook = lambda _: None
  sys.exit()


def _work(work: Callable[[Subset], Outcome], subset: Subset) -> Outcome:
  try:
    if signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
      sys.exit()  # The pool gave another subset to a process that was stopped.
    return work(subset)
  finally:
    if signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
      # The pool takes an exit for a result. This ends the wait for more work.
      signal.signal(signal.SIGALRM, _stop)
      signal.setitimer(signal.ITIMER_REAL, 0.1)


def _end_with_parent() -> None:
  if parent := multiprocessing.parent_process():
    parent.join()
  os._exit(1)


def build_one(
  subset: Subset,
  *,
  overwrite: bool = False,
  download_dir: str | None = None,
  manual_dir: str | None = None,
  sample: bool = False,
  **builder_options: Any,
) -> Outcome:
  """Builds one subset.

  Args:
    subset: The subset.
    overwrite: Whether to rebuild it if it is already prepared.
    download_dir: Folder of downloaded files; TFDS's default if None.
    manual_dir: Folder of origin files; TFDS's default if None.
    sample: Whether to build `cmnist_sample` instead of `cmnist`.
    **builder_options: Other arguments of the builder.
  """
  import tensorflow_datasets as tfds

  start = time.monotonic()
  config = tfds.download.DownloadConfig(manual_dir=manual_dir)
  if overwrite:
    config.download_mode = tfds.download.GenerateMode.REUSE_CACHE_IF_EXISTS
  try:
    builder_cls = tfds.builder_cls(SAMPLE if sample else DATASET)
    builder = builder_cls(config=subset.name, **builder_options)
    builder.download_and_prepare(
      download_dir=download_dir, download_config=config
    )
  except (CmnistError, OSError, MemoryError) as error:
    reason = str(error) or 'There is not enough memory.'
    return Outcome(subset.name, error=reason)
  splits = builder.info.splits.values()
  return Outcome(
    subset.name,
    sum(split.num_examples for split in splits),
    sum(split.num_bytes for split in splits),
    round(time.monotonic() - start, 1),
    builder.data_dir,
  )

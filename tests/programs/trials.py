# SPDX-License-Identifier: Apache-2.0
"""Counts the outcomes of many random trials."""

from __future__ import annotations

import argparse
import collections
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable


def run(
  description: str | None,
  count: int,
  try_one: Callable[[int], Iterable[str]],
  *,
  seconds: int = 10,
  most_mib: int = 256,
) -> int:
  """Runs trials as the command line says, and prints how they came out.

  A trial that raises, or takes too long, counts as 'something else', and its
  traceback and seed are printed. `--seed <that> --count 1` repeats it.

  Args:
    description: What the program does.
    count: How many trials to run unless `--count` says so.
    try_one: Runs the trial of a seed; returns its outcomes.
    seconds: How long a trial may take.
    most_mib: By how many MiB the memory of the process may grow.

  Returns:
    The exit status: 1 if a trial gave something else or memory grew too much.
  """
  parser = argparse.ArgumentParser(description=description)
  parser.add_argument('--count', type=int, default=count)
  parser.add_argument('--seed', type=int, default=0, help='the first seed')
  args = parser.parse_args()

  def hang(*_: object) -> None:
    raise TimeoutError(f'it takes more than {seconds} s')

  signal.signal(signal.SIGALRM, hang)
  outcomes: collections.Counter[str] = collections.Counter()
  began = time.monotonic()
  before = 0
  for seed in range(args.seed, args.seed + args.count):
    signal.alarm(seconds)
    try:
      outcomes.update(try_one(seed))
    except Exception:
      outcomes['something else'] += 1
      print(f'seed {seed}:')
      traceback.print_exc(file=sys.stdout)
    finally:
      signal.alarm(0)
    # The first trial imports and allocates what all trials use.
    before = before or _memory()
  grown = _memory() - before >> 10
  for outcome, number in sorted(outcomes.items()):
    print(f'{outcome}: {number:,}')
  print(
    f'{args.count:,} trials in {time.monotonic() - began:.0f} s; memory grew by'
    f' {grown} MiB'
  )
  return int(bool(outcomes['something else']) or grown > most_mib)


def _memory() -> int:
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

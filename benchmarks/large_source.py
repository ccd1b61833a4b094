# SPDX-License-Identifier: Apache-2.0
"""Measures how a source that may be larger than memory is encoded and built.

    python benchmarks/large_source.py

Draws images into 100 npy files, declares them as a source of one's own, and
encodes, builds and reads it, each time in a new process. Prints a Markdown
table, which README.md beside this file explains.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import stand_ins

_NUM_FILES = 100
_SIZES = (500_000, 1_000_000, 2_500_000, 5_000_000)
_TEST_PER_CLASS = 10
_NAME = '1-Ls'
_BATCH = 1024
_MIB = 2**20
_STEPS = ('encode', 'build', 'read')


def main() -> None:
  """Runs the benchmark."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('sizes', type=int, nargs='*', default=_SIZES)
  parser.add_argument('--scratch', type=pathlib.Path, help='a folder on a disk')
  parser.add_argument('--step', choices=_STEPS, help=argparse.SUPPRESS)
  args = parser.parse_args()
  if args.step:
    print(json.dumps(_measure(args.step, args.scratch)))
    return
  print(
    '| images | step | s | images/s | processor s | peak anonymous MiB |'
    ' peak MiB |\n|--:|---|--:|--:|--:|--:|--:|'
  )
  for size in args.sizes:
    with tempfile.TemporaryDirectory(dir=args.scratch) as folder:
      scratch = pathlib.Path(folder)
      _make(scratch, size // _NUM_FILES)
      for step in _STEPS:
        found = _run(step, scratch)
        print(
          f'| {found["images"]:,} | {step} | {found["seconds"]:.1f} |'
          f' {found["images"] / found["seconds"]:,.0f} |'
          f' {found["processor"]:.1f} |'
          f' {found["anonymous"] / _MIB:,.0f} | {found["peak"] / _MIB:,.0f} |',
          flush=True,
        )


def _make(folder: pathlib.Path, per_file: int) -> None:
  """Draws the files, and drafts their declaration as a user would."""
  drawings = stand_ins.draw(2048)
  files = folder / 'large'
  files.mkdir()
  for number in range(_NUM_FILES):
    images = stand_ins.vary(np.random.default_rng(number), drawings, per_file)
    np.save(files / f'{number:03d}.npy', images)
  command = [
    *(sys.executable, '-m', 'cmnist_tfds', 'source', 'new', files),
    *('--key', 'Ls', '--title', 'Large', '--first', str(_TEST_PER_CLASS)),
  ]
  subprocess.run(command, stdout=subprocess.DEVNULL, check=True)


def _run(step: str, scratch: pathlib.Path) -> dict[str, Any]:
  """Measures a step in a new process."""
  done = subprocess.run(
    [sys.executable, __file__, '--step', step, '--scratch', scratch],
    env={
      **os.environ,
      'CMNIST_SOURCES': str(scratch / 'large.toml'),
      'CMNIST_CACHE_DIR': str(scratch / 'cache'),
      'TF_CPP_MIN_LOG_LEVEL': '3',
    },
    stdout=subprocess.PIPE,
    check=True,
  )
  return dict(json.loads(done.stdout.splitlines()[-1]))


def _measure(step: str, scratch: pathlib.Path) -> dict[str, Any]:
  """Takes a step in this process, after all imports."""
  import tensorflow_datasets as tfds

  import cmnist_tfds
  from cmnist_tfds import origin, subsets
  from cmnist_tfds.cache import split_sources

  if step == 'read':
    import tensorflow  # noqa: F401  # Or its import would be timed.

  builder = tfds.builder(f'cmnist/{_NAME}', data_dir=scratch / 'data')
  with _sampled_memory() as anonymous:
    began, worked = time.monotonic(), time.process_time()
    if step == 'encode':
      sources = [
        split_sources.open_split(
          subsets.subset(_NAME), split, origin.Locations(), encoded=True
        )
        for split in ('train', 'test')
      ]
      images = sum(len(source) for split in sources for source in split)
    elif step == 'build':
      builder.download_and_prepare()
      images = sum(s.num_examples for s in builder.info.splits.values())
    else:
      batches = cmnist_tfds.as_batches(
        _NAME, 'train', _BATCH, shuffle=True, data_dir=scratch / 'data'
      )
      images = sum(len(labels) for _, labels in batches)
    seconds = time.monotonic() - began
    processor = time.process_time() - worked
  return {
    'images': images,
    'seconds': seconds,
    'processor': processor,
    'anonymous': max(anonymous),
    # Linux counts in KiB.
    'peak': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
  }


@contextlib.contextmanager
def _sampled_memory() -> Iterator[list[int]]:
  """Yields a list that fills with the bytes of memory that no file backs."""
  found = [_anonymous()]
  done = threading.Event()

  def sample() -> None:
    while not done.wait(0.02):
      found.append(_anonymous())

  sampler = threading.Thread(target=sample)
  sampler.start()
  try:
    yield found
  finally:
    done.set()
    sampler.join()


def _anonymous() -> int:
  status = pathlib.Path('/proc/self/status').read_text('utf-8')
  return int(status.partition('RssAnon:')[2].split(maxsplit=1)[0]) * 1024


if __name__ == '__main__':
  main()

# SPDX-License-Identifier: Apache-2.0
"""Measures the ways to read a subset, in turns and in one run.

    cmnist build 2-FKd --data_dir data
    python benchmarks/read.py --name 2-FKd --data_dir data

Prints a Markdown table: the best time of several rounds, examples a second, and
the ratios to `tfds.load(...).batch(1024)` and to `numpy.load` of the same bytes
in one .npy file. Ways that need a library or files that are not there are named
below the table. README.md beside this file says what the rows mean.
"""

from __future__ import annotations

import argparse
import collections
import gzip
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

_BATCH = 1024
_BASE = 'tfds.load(...).batch(1024)'
_REFERENCE = 'numpy.load of the same bytes, both splits'
_ORIGIN_FILES = 'CMNIST_ORIGIN_FILES'

# What is done, and how many examples it reads.
Way = tuple[Callable[[], Any], int]


def _drain(batches: Iterable[Any]) -> None:
  collections.deque(batches, maxlen=0)


def _ways(
  name: str, data_dir: str, sample: bool, scratch: pathlib.Path
) -> Iterator[tuple[str, Way]]:
  """Yields what is measured of the package, by name."""
  import tensorflow_datasets as tfds

  import cmnist_tfds

  where: dict[str, Any] = {'data_dir': data_dir, 'sample': sample}
  dataset = 'cmnist_sample' if sample else 'cmnist'
  (x_train, _), (x_test, _) = cmnist_tfds.load_data(name, **where)
  train, both = len(x_train), len(x_train) + len(x_test)
  file = scratch / 'images.npy'
  np.save(file, np.concatenate([x_train, x_test]))
  del x_train, x_test

  def load(**kwargs: Any) -> Any:
    return tfds.load(
      f'{dataset}/{name}', split='train', data_dir=data_dir, **kwargs
    )

  def batches() -> Iterable[Any]:
    return cmnist_tfds.as_batches(name, 'train', _BATCH, shuffle=True, **where)

  def without_cache() -> None:
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
      before = os.environ.get('CMNIST_CACHE_DIR')
      os.environ['CMNIST_CACHE_DIR'] = folder
      try:
        cmnist_tfds.load_data(name, **where)
      finally:
        del os.environ['CMNIST_CACHE_DIR']
        if before is not None:
          os.environ['CMNIST_CACHE_DIR'] = before

  later = batches()
  yield _BASE, (lambda: _drain(load(as_supervised=True).batch(_BATCH)), train)
  yield 'tfds.load(batch_size=-1)', (lambda: load(batch_size=-1), train)
  yield _REFERENCE, (lambda: np.load(file), both)
  yield (
    'load_data, both splits',
    (lambda: cmnist_tfds.load_data(name, **where), both),
  )
  yield 'load_data, from shards alone, both splits', (without_cache, both)
  yield 'as_batches, first epoch', (lambda: _drain(batches()), train)
  yield 'as_batches, later epochs', (lambda: _drain(later), train)
  if importlib.util.find_spec('torch'):
    from torch.utils.data import DataLoader

    from cmnist_tfds.load.torch_dataset import CMNIST

    train_set = CMNIST(name, 'train', **where)
    loader = DataLoader(train_set, batch_size=_BATCH, shuffle=True)
    yield (
      'PyTorch dataset, construction',
      (lambda: CMNIST(name, 'train', **where), train),
    )
    yield 'PyTorch DataLoader(1024)', (lambda: _drain(loader), train)


def _others(
  files: pathlib.Path, data_dir: str, scratch: pathlib.Path
) -> Iterator[tuple[str, Way]]:
  """Yields loaders of Fashion-MNIST: those of other libraries, and ours."""
  import keras

  import cmnist_tfds

  cached = scratch / 'keras/datasets/fashion-mnist'
  shutil.copytree(files, cached)
  yield (
    'Fashion-MNIST: keras.datasets',
    (keras.datasets.fashion_mnist.load_data, 70_000),
  )
  yield (
    'Fashion-MNIST: load_data',
    (lambda: cmnist_tfds.load_data('1-F', data_dir=data_dir), 70_000),
  )
  if importlib.util.find_spec('torchvision'):
    from torch.utils.data import DataLoader
    from torchvision import datasets, transforms

    from cmnist_tfds.load.torch_dataset import CMNIST

    raw = scratch / 'FashionMNIST/raw'
    raw.mkdir(parents=True)
    for path in files.glob('*.gz'):
      (raw / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    theirs = datasets.FashionMNIST(
      str(scratch), transform=transforms.PILToTensor()
    )
    for library, train_set in (
      ('torchvision', theirs),
      ('ours', CMNIST('1-F', 'train', data_dir=data_dir)),
    ):
      loader = DataLoader(train_set, batch_size=_BATCH, shuffle=True)
      yield (
        f'Fashion-MNIST: DataLoader(1024), {library}',
        (lambda loader=loader: _drain(loader), 60_000),
      )


def _seconds(run: Callable[[], Any]) -> float:
  start = time.perf_counter()
  result = run()
  seconds = time.perf_counter() - start
  del result
  return seconds


def _first_batch(name: str, data_dir: str, sample: bool) -> Callable[[], Any]:
  """Returns a run of a whole process, from its start to a first batch."""
  code = (
    'import cmnist_tfds;'
    f'cmnist_tfds.load_data({name!r}, split="train[:{_BATCH}]",'
    f' data_dir={data_dir!r}, sample={sample})'
  )
  return lambda: subprocess.run([sys.executable, '-c', code], check=True)


def _private_kib() -> int:
  """Returns the resident memory that belongs to this process alone, in KiB."""
  lines = pathlib.Path('/proc/self/status').read_text('utf-8').splitlines()
  (line,) = (line for line in lines if line.startswith('RssAnon'))
  return int(line.split()[1])


def _memory_of_worker(name: str, data_dir: str, sample: bool) -> str:
  """Returns what a DataLoader worker's own memory grows by in an epoch."""
  from torch.utils.data import DataLoader, get_worker_info

  from cmnist_tfds.load.torch_dataset import CMNIST

  train_set = CMNIST(name, 'train', data_dir=data_dir, sample=sample)

  def collate(samples: Any) -> tuple[int, int]:
    worker = get_worker_info()
    assert worker is not None
    return worker.id, _private_kib()

  seen: dict[int, list[int]] = collections.defaultdict(list)
  for worker, kib in DataLoader(
    train_set, _BATCH, num_workers=2, collate_fn=collate
  ):
    seen[worker].append(kib)
  grown = max(kib[-1] - kib[0] for kib in seen.values())
  return (
    f'A worker of a DataLoader grows by {grown / 1024:.1f} MiB in an epoch of'
    f' {len(train_set) * 784 / 2**20:.0f} MiB of pixels.'
  )


def main() -> None:
  """Measures and prints."""
  parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
  parser.add_argument('--name', default='2-FKd', help='a prepared subset')
  parser.add_argument('--data_dir', help="where datasets are; TFDS's if unset")
  parser.add_argument('--rounds', type=int, default=5)
  parser.add_argument('--sample', action='store_true')
  args = parser.parse_args()
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
  where = (args.name, args.data_dir, args.sample)
  with tempfile.TemporaryDirectory() as folder:
    scratch = pathlib.Path(folder)
    # Keras reads it when it is imported.
    os.environ['KERAS_HOME'] = str(scratch / 'keras')
    ways = dict(_ways(*where, scratch))
    files = pathlib.Path(os.environ.get(_ORIGIN_FILES, folder), 'fashion_mnist')
    left_out = []
    if files.is_dir() and not args.sample:
      ways |= dict(_others(files, args.data_dir, scratch))
    else:
      left_out.append(
        f'Loaders of Fashion-MNIST: {_ORIGIN_FILES} names no folder with its'
        ' files.'
      )
    best = dict.fromkeys(ways, float('inf'))
    start = _first_batch(*where)
    best_start = float('inf')
    for _ in range(args.rounds):
      best_start = min(best_start, _seconds(start))
      for way, (run, _) in ways.items():
        best[way] = min(best[way], _seconds(run))
  rates = {way: ways[way][1] / seconds for way, seconds in best.items()}
  print(f'{args.name}, best of {args.rounds} rounds\n')
  print('| way | ms | examples a second | x tfds.load | x numpy.load |')
  print('|---|--:|--:|--:|--:|')
  for way, seconds in best.items():
    print(
      f'| {way} | {seconds * 1e3:,.0f} | {rates[way]:,.0f}'
      f' | {rates[way] / rates[_BASE]:.1f}'
      f' | {rates[way] / rates[_REFERENCE]:.2f} |'
    )
  print(f'| process, to first batch | {best_start * 1e3:,.0f} | | | |')
  print()
  if importlib.util.find_spec('torch'):
    print(_memory_of_worker(*where))
  for what in left_out:
    print(f'Left out: {what}')


if __name__ == '__main__':
  main()

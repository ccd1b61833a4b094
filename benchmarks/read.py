# SPDX-License-Identifier: Apache-2.0
"""Measures the ways to read a prepared subset against `tfds.load`.

    cmnist build 2-FKd --data_dir data
    python benchmarks/read.py --name 2-FKd --data_dir data

Prints examples a second of the train split, the best of several rounds, and
the ratio to `tfds.load(...).batch(1024)` in the same run. Rounds go through all
ways in turn, so that what else the machine does weighs on all of them. Encoded
sources are read where the cache has them, as it has after a build.
"""

from __future__ import annotations

import argparse
import collections
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable

_BATCH = 1024
_BASE = 'tfds.load(...).batch(1024)'
_WHOLE = 'tfds.load, batch_size=-1'


def _drain(batches: Iterable) -> None:
  collections.deque(batches, maxlen=0)


def _ways(name: str, data_dir: str, sample: bool) -> dict[str, Callable]:
  """Returns what is measured; each reads the whole train split once."""
  import tensorflow_datasets as tfds

  import cmnist_tfds
  from cmnist_tfds import load

  where = {'data_dir': data_dir, 'sample': sample}
  dataset = 'cmnist_sample' if sample else 'cmnist'

  def by_tfds() -> Iterable:
    return tfds.load(
      f'{dataset}/{name}', split='train', data_dir=data_dir, as_supervised=True
    ).batch(_BATCH)

  def batches(**kwargs) -> Iterable:
    return cmnist_tfds.as_batches(
      *(name, 'train', _BATCH), shuffle=True, **kwargs, **where
    )

  cached = batches()
  ways = {
    _BASE: lambda: _drain(by_tfds()),
    _WHOLE: lambda: tfds.load(
      f'{dataset}/{name}', split='train', data_dir=data_dir, batch_size=-1
    ),
    'load_data': lambda: cmnist_tfds.load_data(name, split='train', **where),
    'as_batches, first epoch': lambda: _drain(batches()),
    'as_batches, later epochs': lambda: _drain(cached),
    'as_batches, cache=False': lambda: _drain(batches(cache=False)),
  }
  if not sample and load.find_readable(name, data_dir=os.devnull):
    ways['load_data, no shards'] = lambda: cmnist_tfds.load_data(
      name, split='train', data_dir=os.devnull
    )
  if importlib.util.find_spec('torch'):
    from torch.utils.data import DataLoader

    from cmnist_tfds.load.torch_dataset import CMNIST

    loader = DataLoader(
      CMNIST(name, 'train', **where), batch_size=_BATCH, shuffle=True
    )
    ways['PyTorch DataLoader'] = lambda: _drain(loader)
  return ways


def _seconds(run: Callable) -> float:
  start = time.perf_counter()
  run()
  return time.perf_counter() - start


def _first_batch(name: str, data_dir: str, sample: bool) -> Callable:
  """Returns a run of a whole process, from its start to a first batch."""
  code = (
    'import cmnist_tfds;'
    f'cmnist_tfds.load_data({name!r}, split="train[:{_BATCH}]",'
    f' data_dir={data_dir!r}, sample={sample})'
  )
  return lambda: subprocess.run([sys.executable, '-c', code], check=True)


def main() -> None:
  """Measures and prints."""
  parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
  parser.add_argument('--name', default='2-FKd', help='a prepared subset')
  parser.add_argument('--data_dir', help="where datasets are; TFDS's if unset")
  parser.add_argument('--rounds', type=int, default=5)
  parser.add_argument('--sample', action='store_true')
  args = parser.parse_args()
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

  import cmnist_tfds

  where = (args.name, args.data_dir, args.sample)
  _, labels = cmnist_tfds.load_data(
    args.name, split='train', data_dir=args.data_dir, sample=args.sample
  )
  start = _first_batch(*where)
  ways = _ways(*where)
  best = dict.fromkeys(ways, float('inf'))
  best_start = float('inf')
  for _ in range(args.rounds):
    best_start = min(best_start, _seconds(start))
    for way, run in ways.items():
      best[way] = min(best[way], _seconds(run))
  print(f'{args.name}: {len(labels):,} examples, best of {args.rounds} rounds')
  for way, seconds in best.items():
    rate = len(labels) / seconds
    print(f'{way:<28}{rate:>12,.0f} examples/s{best[_BASE] / seconds:>8.1f} x')
  print(f'{"process, to first batch":<28}{best_start:>12.2f} s')


if __name__ == '__main__':
  main()

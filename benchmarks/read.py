# SPDX-License-Identifier: Apache-2.0
"""Measures the ways to read a subset, against TFDS alone and `numpy.load`.

    CMNIST_ORIGIN_FILES=files python benchmarks/read.py --data_dir data
    python benchmarks/read.py --name 4-EcFKdK49 --stand_ins scratch

The ways take turns for several rounds, so that other work on the machine slows
all of them. A Markdown table has the best time of each. README.md beside this
file explains the rows.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import functools
import gzip
import importlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from unittest import mock

import numpy as np
import stand_ins

_BATCH = 1024
_USUAL_BATCH = 128
_NUM_WORKERS = 2
# How many single images are read: it takes long.
_SINGLE = 10_000
_OURS = 'cmnist_tfds'
# Whose ways are compared with ours, in rows with the same title.
_OTHERS = ('TFDS', 'torchvision')
_BASE = 'tfds.load(...).batch(1024) of TFDS'
_REFERENCE = 'numpy.load, both splits'
_ORIGIN_FILES = 'CMNIST_ORIGIN_FILES'
_FASHION = 'Fashion-MNIST'
_FASHION_TRAIN, _FASHION_BOTH = 60_000, 70_000


@dataclasses.dataclass(frozen=True)
class Way:
  """One way to read examples.

  Attributes:
    name: The name of its row.
    num_examples: How many examples it reads.
    run: Reads them.
  """

  name: str
  num_examples: int
  run: Callable[[], Any]


@dataclasses.dataclass(frozen=True)
class Subject:
  """The subset that is read.

  Attributes:
    name: Its name.
    data_dir: The folder with prepared datasets, TFDS's default if None.
    sample: Whether to read the synthetic sample instead of CMNIST.
    stand_ins: The folder with stand-ins of the origin files, if any.
  """

  name: str
  data_dir: str | None
  sample: bool
  stand_ins: pathlib.Path | None

  @property
  def where(self) -> dict[str, Any]:
    """Arguments of the package's functions that say where to read."""
    return {'data_dir': self.data_dir, 'sample': self.sample}

  @property
  def dataset(self) -> str:
    """The name of the dataset in TFDS."""
    return f'{"cmnist_sample" if self.sample else "cmnist"}/{self.name}'


def _ways(subject: Subject, scratch: pathlib.Path) -> Iterator[Way]:
  """Yields the ways to read a subset with TFDS, NumPy and this package."""
  import cmnist_tfds

  name, where = subject.name, subject.where
  (x_train, _), (x_test, _) = cmnist_tfds.load_data(name, **where)
  train, both = len(x_train), len(x_train) + len(x_test)
  same_bytes = scratch / 'images.npy'
  np.save(same_bytes, np.concatenate([x_train, x_test]))
  del x_train, x_test

  def load_data() -> Any:
    return cmnist_tfds.load_data(name, **where)

  def load_data_from_shards(*, again: bool) -> Any:
    cache = scratch / 'cache_of_shards'
    if not again and cache.exists():
      # Deletion takes time; it is left to the end.
      cache.rename(tempfile.mkdtemp(dir=scratch))
    with mock.patch.dict(os.environ, CMNIST_CACHE_DIR=str(cache)):
      return load_data()

  def batches(size: int) -> Iterable[Any]:
    return cmnist_tfds.as_batches(name, 'train', size, shuffle=True, **where)

  yield Way(_REFERENCE, both, lambda: np.load(same_bytes))
  yield Way('load_data, both splits', both, load_data)
  yield Way(
    'load_data, both splits, from shards with an empty cache',
    both,
    lambda: load_data_from_shards(again=False),
  )
  yield Way(
    'load_data, both splits, from shards the second time',
    both,
    lambda: load_data_from_shards(again=True),
  )
  # What runs before the batches that are compared is the same.
  sizes = _USUAL_BATCH, _BATCH
  for size in sizes:
    yield Way(
      f'as_batches({size}), first epoch',
      train,
      lambda size=size: _drain(batches(size)),
    )
  for size in sizes:
    later = batches(size)
    yield Way(
      f'as_batches({size}), later epochs',
      train,
      lambda later=later: _drain(later),
    )


def _tfds_ways(
  subject: Subject, files: str | None, scratch: pathlib.Path
) -> Iterator[Way]:
  """Yields what builders of TFDS alone and of this package do."""
  import keras
  import tensorflow_datasets as tfds

  ours = tfds.builder(subject.dataset, data_dir=subject.data_dir)
  # TFDS has data sources of this format only.
  random_access = dataclasses.replace(subject, data_dir=str(scratch / 'data'))
  made = _prepare(random_access, files, file_format='array_record')
  stock = tfds.builder_from_directory(ours.data_path)
  stock_source = tfds.builder_from_directory(made.data_path).as_data_source
  train = ours.info.splits['train'].num_examples
  single = min(_SINGLE, train)
  chosen = np.random.default_rng(0).permutation(train)[:single].tolist()
  model = keras.Sequential(
    [
      keras.layers.Flatten(),
      keras.layers.Dense(ours.info.features['label'].num_classes),
    ]
  )
  loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
  model.compile('sgd', loss)

  def labeled(builder: Any) -> Any:
    return builder.as_dataset(split='train', as_supervised=True)

  def read(builder: Any, batch_size: int) -> Any:
    return builder.as_dataset(split='train', batch_size=batch_size)

  def read_single(builder: Any) -> None:
    _drain(tfds.as_numpy(builder.as_dataset(split=f'train[:{single}]')))

  def fit(builder: Any) -> None:
    batches = labeled(builder).shuffle(10_000).batch(_USUAL_BATCH)
    model.fit(batches, verbose=0)

  for library, builder in (('TFDS', stock), (_OURS, ours)):
    source = (stock_source if builder is stock else ours.as_data_source)(
      'train'
    )
    runs: dict[str, tuple[int, Callable[..., Any]]] = {
      'tfds.load(...).batch(1024)': (
        train,
        lambda builder, _: _drain(labeled(builder).batch(_BATCH)),
      ),
      'tfds.load(...).batch(128).prefetch()': (
        train,
        lambda builder, _: _drain(
          labeled(builder).batch(_USUAL_BATCH).prefetch(-1)
        ),
      ),
      'tfds.load(batch_size=128)': (
        train,
        lambda builder, _: _drain(read(builder, _USUAL_BATCH)),
      ),
      'tfds.load(batch_size=-1)': (train, lambda builder, _: read(builder, -1)),
      'tfds.as_numpy, single examples': (
        single,
        lambda builder, _: read_single(builder),
      ),
      'Keras, shuffle(10_000).batch(128)': (
        train,
        lambda builder, _: fit(builder),
      ),
      'data source[i]': (
        single,
        lambda _, source: _drain(source[i] for i in chosen),
      ),
      'data source.__getitems__': (
        single,
        lambda _, source: source.__getitems__(chosen),
      ),
    }
    for title, (count, run) in runs.items():
      yield Way(
        f'{title} of {library}',
        count,
        functools.partial(run, builder, source),
      )


def _torch_ways(subject: Subject) -> Iterator[Way]:
  """Yields the ways to read a subset with PyTorch."""
  from torch.utils.data import BatchSampler, DataLoader, RandomSampler

  from cmnist_tfds.load.torch_dataset import CMNIST

  def construct() -> CMNIST:
    return CMNIST(subject.name, 'train', **subject.where)

  train = construct()
  yield Way('PyTorch dataset, construction', len(train), construct)
  for num_workers in (0, _NUM_WORKERS):
    loader = DataLoader(train, _BATCH, shuffle=True, num_workers=num_workers)
    yield Way(
      f'PyTorch DataLoader(1024), {num_workers} workers',
      len(train),
      lambda loader=loader: _drain(loader),
    )
  sampler = BatchSampler(RandomSampler(train), _BATCH, drop_last=False)
  batches = DataLoader(train, sampler=sampler, batch_size=None)
  yield Way(
    'PyTorch DataLoader(sampler=BatchSampler(1024))',
    len(train),
    lambda: _drain(batches),
  )


def _keras_ways(
  subject: Subject, files: pathlib.Path, scratch: pathlib.Path
) -> Iterator[Way]:
  """Yields `load_data` of Keras and of this package, for Fashion-MNIST."""
  import keras

  import cmnist_tfds

  shutil.copytree(files, scratch / 'keras/datasets/fashion-mnist')
  yield Way(
    f'{_FASHION}: keras.datasets.fashion_mnist.load_data',
    _FASHION_BOTH,
    keras.datasets.fashion_mnist.load_data,
  )
  yield Way(
    f"{_FASHION}: load_data('1-F')",
    _FASHION_BOTH,
    lambda: cmnist_tfds.load_data('1-F', data_dir=subject.data_dir),
  )


def _torchvision_ways(
  subject: Subject, files: pathlib.Path, scratch: pathlib.Path
) -> Iterator[Way]:
  """Yields the ways of torchvision's dataset and of this package's."""
  import torch
  from torch.utils.data import DataLoader, Subset
  from torchvision import datasets, transforms
  from torchvision.transforms import v2

  from cmnist_tfds.load.torch_dataset import CMNIST

  raw = scratch / 'FashionMNIST/raw'
  raw.mkdir(parents=True)
  for path in files.glob('*.gz'):
    (raw / path.stem).write_bytes(gzip.decompress(path.read_bytes()))

  def construct(library: str, transform: Any = None) -> Any:
    if library == 'torchvision':
      return datasets.FashionMNIST(str(scratch), transform=transform)
    return CMNIST(
      '1-F', 'train', data_dir=subject.data_dir, transform=transform
    )

  def read(dataset: Any) -> None:
    for index in chosen:
      dataset[index]

  chosen = np.random.default_rng(0).permutation(_FASHION_TRAIN)[:_SINGLE]
  chosen = chosen.tolist()
  to_float = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
  applied = {'ToTensor': transforms.ToTensor(), 'v2': to_float}
  for library in ('torchvision', 'cmnist_tfds'):
    yield Way(
      f'{_FASHION}: dataset of {library}, construction',
      _FASHION_TRAIN,
      lambda library=library: construct(library),
    )
    dataset = construct(library)
    yield Way(
      f'{_FASHION}: dataset[i] of {library}',
      _SINGLE,
      lambda dataset=dataset: read(dataset),
    )
    for name, transform in applied.items():
      for workers in (0, _NUM_WORKERS):
        loader = DataLoader(
          Subset(construct(library, transform), chosen),
          _USUAL_BATCH,
          num_workers=workers,
        )
        yield Way(
          f'{_FASHION}: {name}, DataLoader(128), {workers} workers, of {library}',
          _SINGLE,
          lambda loader=loader: _drain(loader),
        )


def _drain(batches: Iterable[Any]) -> None:
  collections.deque(batches, maxlen=0)


def _first_batch(subject: Subject) -> None:
  """Runs a process that reads the first batch and ends."""
  lines = ['import pathlib', 'import sys', 'import cmnist_tfds']
  if subject.stand_ins:
    lines += [
      f'sys.path.append({os.path.dirname(__file__)!r})',
      'import stand_ins',
      f'stand_ins.use(pathlib.Path({str(subject.stand_ins)!r}))',
    ]
  lines.append(
    f'cmnist_tfds.load_data({subject.name!r}, split="train[:{_BATCH}]",'
    f' **{subject.where!r})'
  )
  code = '\n'.join(lines)
  subprocess.run([sys.executable, '-c', code], check=True)


def _memory_of_worker(subject: Subject) -> str:
  """Says by how much the memory of a DataLoader worker grows in an epoch."""
  from torch.utils.data import DataLoader, get_worker_info

  from cmnist_tfds.load.torch_dataset import CMNIST

  def collate(samples: Any) -> tuple[int, int]:
    del samples
    worker = get_worker_info()
    assert worker is not None
    status = pathlib.Path('/proc/self/status').read_text('utf-8')
    (line,) = (
      line for line in status.splitlines() if line.startswith('RssAnon')
    )
    return worker.id, int(line.split()[1])

  train = CMNIST(subject.name, 'train', **subject.where)
  seen: dict[int, list[int]] = collections.defaultdict(list)
  for worker, kib in DataLoader(
    train, _BATCH, num_workers=_NUM_WORKERS, collate_fn=collate
  ):
    seen[worker].append(kib)
  grown = max(kib[-1] - kib[0] for kib in seen.values())
  pixels = len(train) * 28 * 28
  return (
    f'The memory of a DataLoader worker grows by {grown / 1024:.1f} MiB in an'
    f' epoch of {pixels / 2**20:,.0f} MiB of pixels.'
  )


def _unusable(library: str) -> str | None:
  """Says why a library cannot be imported, None if it can."""
  try:
    importlib.import_module(library)
  # torchvision raises RuntimeErrors with a torch it was not built for.
  except (ImportError, RuntimeError) as error:
    return f'{library} cannot be imported ({error})'
  return None


def _prepare(subject: Subject, files: str | None, **options: Any) -> Any:
  """Builds the subset from origin files, unless it is there."""
  import tensorflow_datasets as tfds

  import cmnist_tfds  # noqa: F401  # Registers the datasets.

  builder = tfds.builder(subject.dataset, data_dir=subject.data_dir, **options)
  builder.download_and_prepare(
    download_config=tfds.download.DownloadConfig(manual_dir=files)
  )
  return builder


def _measure(
  ways: list[Way], subject: Subject, rounds: int
) -> tuple[dict[Way, float], float]:
  """Returns the best time of each way, and that to a first batch, in s."""
  best = dict.fromkeys(ways, float('inf'))
  best_start = float('inf')
  for _ in range(rounds):
    best_start = min(best_start, _seconds(lambda: _first_batch(subject)))
    for way in ways:
      best[way] = min(best[way], _seconds(way.run))
  return best, best_start


def _seconds(run: Callable[[], Any]) -> float:
  start = time.perf_counter()
  result = run()
  seconds = time.perf_counter() - start
  del result
  return seconds


def _print_rows(best: dict[Way, float]) -> None:
  """Prints what was measured, and how many times faster each way is."""
  rates = {way.name: way.num_examples / s for way, s in best.items()}
  print(
    '| way | ms | examples/s | x TFDS | x numpy.load | x the same of others |'
  )
  print('|---|--:|--:|--:|--:|--:|')
  for way, seconds in best.items():
    rate = rates[way.name]
    theirs = [way.name.replace(_OURS, other) for other in _OTHERS]
    found = [rates[n] for n in theirs if n in rates and n != way.name]
    times = ', '.join(f'{rate / each:.2f}' for each in found)
    print(
      f'| {way.name} | {seconds * 1e3:,.0f} | {rate:,.0f}'
      f' | {rate / rates[_BASE]:.1f} | {rate / rates[_REFERENCE]:.2f}'
      f' | {times} |'
    )


def main() -> None:
  """Measures the ways and prints the table."""
  parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
  parser.add_argument('--name', default='2-FKd', help='default: 2-FKd')
  parser.add_argument(
    '--data_dir', help="folder with prepared datasets (default: TFDS's)"
  )
  parser.add_argument(
    '--rounds', type=int, default=5, metavar='N', help='default: 5'
  )
  parser.add_argument(
    '--sample', action='store_true', help='read the synthetic sample'
  )
  parser.add_argument(
    '--stand_ins',
    type=pathlib.Path,
    metavar='FOLDER',
    help='a scratch folder of build.py, or a new one: makes stand-ins of the'
    ' origin files there, and builds and caches the subset there too',
  )
  args = parser.parse_args()
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
  # PyTorch for CUDA crashes if TensorFlow is imported before it.
  no_torch, no_torchvision = _unusable('torch'), _unusable('torchvision')
  files = os.environ.get(_ORIGIN_FILES)
  made = None
  if args.stand_ins:
    scratch_of_build = args.stand_ins.resolve()
    made = scratch_of_build / 'stand_ins_1'
    stand_ins.make(made, 1, files and pathlib.Path(files))
    stand_ins.use(made)
    os.environ['CMNIST_CACHE_DIR'] = str(scratch_of_build / 'cache_1')
    args.data_dir = args.data_dir or str(scratch_of_build / 'data_to_read')
  subject = Subject(args.name, args.data_dir, args.sample, made)
  _prepare(subject, str(made) if made else files)
  with tempfile.TemporaryDirectory() as folder:
    scratch = pathlib.Path(folder)
    # Keras reads the variable when it is imported.
    os.environ['KERAS_HOME'] = str(scratch / 'keras')
    where = str(made) if made else files
    ways = [*_tfds_ways(subject, where, scratch), *_ways(subject, scratch)]
    left_out = []
    if no_torch:
      left_out.append(f'PyTorch: {no_torch}')
    else:
      ways += _torch_ways(subject)
    fashion = pathlib.Path(files or folder, 'fashion_mnist')
    if args.sample or not fashion.is_dir():
      left_out.append(
        f'{_FASHION}: {_ORIGIN_FILES} names no folder with its files, or the'
        ' sample is read'
      )
    else:
      _prepare(dataclasses.replace(subject, name='1-F'), files)
      for library, their_ways, reason in (
        ('keras', _keras_ways, _unusable('keras')),
        ('torchvision', _torchvision_ways, no_torch or no_torchvision),
      ):
        if reason:
          left_out.append(f'{_FASHION} with {library}: {reason}')
        else:
          ways += their_ways(subject, fashion, scratch)
    best, best_start = _measure(ways, subject, args.rounds)
  print(f'{args.name}, best of {args.rounds} rounds\n')
  _print_rows(best)
  print(f'| process, to first batch | {best_start * 1e3:,.0f} | | | | |')
  for reason in left_out:
    print(f'| left out: {reason} | | | | | |')
  if not no_torch:
    print(f'\n{_memory_of_worker(subject)}')


if __name__ == '__main__':
  main()

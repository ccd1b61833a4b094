# SPDX-License-Identifier: Apache-2.0
"""Flips bytes of cache entries and of shards and reads them.

Every bit of the manifests and of the headers of arrays in the cache is flipped
once, in random order; then bytes anywhere are changed. Whatever was changed in
the cache, the reading must be right. A changed shard gives the right examples
or one error of ours.
"""

from __future__ import annotations

import logging
import os
import pathlib
import random
import sys
import tempfile
from collections.abc import Callable, Iterator

_TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(_TESTS), str(_TESTS.parent)]

import numpy as np  # noqa: E402
import preparing  # noqa: E402
import synthetic  # noqa: E402
import tensorflow_datasets as tfds  # noqa: E402
import trials  # noqa: E402

import cmnist_tfds  # noqa: E402
from cmnist_tfds.cache import split_sources, store  # noqa: E402
from cmnist_tfds.cache.shuffle_order import shuffle_order  # noqa: E402
from cmnist_tfds.origin import Locations  # noqa: E402
from cmnist_tfds.subsets import Subset  # noqa: E402
from cmnist_tfds.system.errors import PreparationError  # noqa: E402

_NAME = 'X-12-r-1'
_NPY_HEADER = 128

# What a reading gave, in a form that can be compared.
_Result = list[bytes]
_Reader = Callable[[], _Result]


def _plain(*arrays: np.ndarray) -> _Result:
  return [f'{a.dtype} {a.shape}'.encode() + a.tobytes() for a in arrays]


def _source_reader(
  open_split: Callable[..., list[split_sources.SplitSource]],
  subset: Subset,
  folder: pathlib.Path,
) -> _Reader:
  def read() -> _Result:
    (source,) = open_split(
      subset, 'train', Locations(manual_dir=folder), allow_unverified=False
    )
    names = sorted(source.arrays)
    return [
      *_plain(*(source.arrays[name] for name in names)),
      repr((names, source.entry.note, source.key)).encode(),
    ]

  return read


def _read_order() -> _Result:
  shuffle_order.cache_clear()
  return _plain(shuffle_order('train', 40))


def _sample_reader(data_dir: pathlib.Path) -> _Reader:
  def read() -> _Result:
    train, test = cmnist_tfds.load_data(
      _NAME,
      features=('image', 'label', 'source'),
      data_dir=data_dir,
      sample=True,
    )
    return _plain(*train, *test)

  return read


class _Trials:
  """Trials in one folder."""

  def __init__(self, folder: pathlib.Path):
    self._cache, self._empty_cache = folder / 'cache', folder / 'empty'
    os.environ[store.CACHE_DIR_VARIABLE] = str(self._cache)
    made = synthetic.make()
    manual_dir = made.write(folder / 'origin')
    subset = Subset('1-T', ((made.source, (0, 1)),))
    entries = [
      _source_reader(split_sources.open_raw, subset, manual_dir),
      _source_reader(split_sources.open_encoded, subset, manual_dir),
      _read_order,
      _sample_reader(folder / 'tfrecord'),
    ]
    for file_format in ('tfrecord', 'array_record'):
      preparing.prepare(folder / file_format, _NAME, file_format=file_format)
    store.clear()
    self._expected: dict[_Reader, _Result] = {}
    self._cached: list[tuple[pathlib.Path, _Reader]] = []
    for reader in entries:
      before = self._files_of_cache()
      self._expected[reader] = reader()
      new = self._files_of_cache() - before
      assert new
      self._cached += [(path, reader) for path in sorted(new)]
    self._shards: list[tuple[pathlib.Path, _Reader]] = []
    for file_format in ('tfrecord', 'array_record'):
      reader = _sample_reader(folder / file_format)
      self._expected[reader] = self._expected[entries[-1]]
      self._shards += [
        (path, reader)
        for path in sorted((folder / file_format).rglob(f'*.{file_format}-*'))
      ]
    self._sound = {
      path: path.read_bytes() for path, _ in self._cached + self._shards
    }
    self._headers = [
      (path, reader, bit)
      for path, reader in self._cached
      for bit in range(8 * self._header_size(path))
    ]
    random.Random(0).shuffle(self._headers)

  @property
  def num_headers(self) -> int:
    """How many trials flip a bit of a header."""
    return len(self._headers)

  def _files_of_cache(self) -> set[pathlib.Path]:
    return {
      path
      for path in store.cache_dir().rglob('*')
      if path.suffix in ('.npy', '.json')
    }

  def _header_size(self, path: pathlib.Path) -> int:
    size = len(self._sound[path])
    return size if path.suffix == '.json' else min(size, _NPY_HEADER)

  def try_one(self, seed: int) -> Iterator[str]:
    rng = random.Random(seed)
    if seed < len(self._headers):
      path, reader, bit = self._headers[seed]
      data = bytearray(self._sound[path])
      data[bit // 8] ^= 1 << bit % 8
      what = 'bits of headers in the cache'
    else:
      is_cached = rng.random() < 0.5
      path, reader = rng.choice(self._cached if is_cached else self._shards)
      data = _flip(self._sound[path], rng)
      what = 'bytes in the cache' if is_cached else 'bytes of shards'
    # Another file has its place, so that no map of it changes.
    path.unlink()
    path.write_bytes(data)
    is_shard = path.suffix not in ('.npy', '.json')
    if is_shard:
      os.environ[store.CACHE_DIR_VARIABLE] = str(self._empty_cache)
    try:
      result = reader()
    except PreparationError as error:
      if not is_shard or str(path) not in str(error):
        raise
      yield f'{what}: one clear error'
    else:
      if result != self._expected[reader]:
        raise AssertionError(f'{path} gives something else')
      yield f'{what}: right'
    finally:
      path.unlink()
      path.write_bytes(self._sound[path])
      if is_shard:
        store.clear()
        os.environ[store.CACHE_DIR_VARIABLE] = str(self._cache)


def _flip(data: bytes, rng: random.Random) -> bytes:
  """Returns the data with a byte, some bytes or a block changed."""
  out = bytearray(data)
  for _ in range(rng.choice((1, 1, 2, 20))):
    at = rng.randrange(len(out))
    out[at] ^= rng.randrange(1, 256)
  if rng.random() < 0.1:
    at = rng.randrange(len(out))
    block = out[at : at + 512]
    out[at : at + 512] = rng.choice(
      (bytes(len(block)), rng.randbytes(len(block)))
    )
  return bytes(out)


def main() -> int:
  logging.disable()
  tfds.disable_progress_bar()
  with tempfile.TemporaryDirectory() as folder:
    started = _Trials(pathlib.Path(folder))
    print(f'{started.num_headers:,} bits of headers in the cache')
    return trials.run(__doc__, 40_000, started.try_one)


if __name__ == '__main__':
  sys.exit(main())

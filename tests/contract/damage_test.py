# SPDX-License-Identifier: Apache-2.0
"""What is damaged on disk is found, named and mended; pixels are never wrong."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from contract.datasets import Toy, shards, tree, whole


class _Place:
  """A prepared toy, whose origin files are gone, and ways to read it."""

  def __init__(self, cmnist, folder):
    self.toy = Toy(folder)
    self.toy.write()
    self.cmnist = cmnist
    self.folder = folder / 'data/cmnist/1-Ty/1.0.0'
    self.build()
    self.expected = self.read(folder / 'out')
    self.sound = whole(self.toy.data_dir, 'cmnist')
    self.cache = folder / 'cache'

  def build(self, *options):
    self.cmnist.works('build', '1-Ty', *self.toy.where, *options)

  def read(self, out, **cache_dir):
    """Returns the examples, or the error."""
    shutil.rmtree(out, ignore_errors=True)
    done = self.cmnist.run(
      *('export', '1-Ty', '--sources', self.toy.declaration),
      *('--data_dir', self.toy.data_dir, '--format', 'npz', '-o', out),
      **cache_dir,
    )
    if done.status:
      assert done.status == 1
      return done.error
    (path,) = out.glob('*.npz')
    with np.load(path, allow_pickle=False) as file:
      # Shards do not hold the rows of origin files and their writers.
      named = ((n, a) for n, a in file.items() if n[:4] not in ('row_', 'writ'))
      return {name: array.tobytes() for name, array in named}


@pytest.fixture(scope='module')
def place(cmnist, tmp_path_factory):
  return _Place(cmnist, tmp_path_factory.mktemp('place'))


def _flip(at):
  def flip(data):
    position = int(len(data) * at)
    return data[:position] + bytes([data[position] ^ 4]) + data[position + 1 :]

  return flip


_DAMAGES = {
  **{f'flip at {at}': _flip(at) for at in (0, 0.01, 0.3, 0.5, 0.7, 0.999)},
  'cut': lambda data: data[: len(data) // 2],
  'last byte': lambda data: data[:-1],
  'empty': lambda data: b'',
  'zeros': lambda data: bytes(len(data)),
  'more': lambda data: data + data[:100],
  'missing': lambda data: None,
}


def _damage(path, damage):
  damaged = _DAMAGES[damage](path.read_bytes())
  if damaged is None:
    path.unlink()
  else:
    path.write_bytes(damaged)


@pytest.mark.parametrize('damage', _DAMAGES)
def test_a_damaged_shard(place, tmp_path, damage):
  # Its origin files are not here, and it is not in the cache.
  cache_dir = {'CMNIST_CACHE_DIR': tmp_path / 'cache'}
  for name, data in shards(place.folder).items():
    path = place.folder / name
    _damage(path, damage)
    try:
      found = place.read(tmp_path / 'out', **cache_dir)
    finally:
      path.write_bytes(data)
    assert name in found and 'cmnist build 1-Ty --overwrite' in found
  assert place.read(tmp_path / 'out', **cache_dir) == place.expected


@pytest.mark.parametrize('name', ['dataset_info.json', 'features.json'])
def test_damaged_information_is_named_and_mended(place, tmp_path, name):
  path = place.folder / name
  data = path.read_bytes()
  for damaged in (b'', b'{', data[:50], b'[]', b'\xff\x00'):
    path.write_bytes(damaged)
    found = place.read(tmp_path / 'out', CMNIST_CACHE_DIR=tmp_path / 'cache')
    if isinstance(found, dict):
      # Not needed to read it.
      assert found == place.expected
    else:
      assert str(place.folder) in found and 'cmnist build 1-Ty' in found
  place.build('--overwrite')
  assert whole(place.toy.data_dir, 'cmnist') == place.sound


_QUICK = {'flip at 0.5', 'missing'}


@pytest.mark.parametrize(
  'damage',
  [
    pytest.param(name, marks=[] if name in _QUICK else pytest.mark.slow)
    for name in _DAMAGES
  ],
)
def test_a_damaged_cache(cmnist, place, tmp_path, damage):
  cache_dir = {'CMNIST_CACHE_DIR': tmp_path / 'cache'}
  argv = ['build', '1-Ty', *place.toy.where, '--data_dir']
  cmnist.works(*argv, tmp_path / 'data', **cache_dir)
  for number, (name, data) in enumerate(tree(tmp_path / 'cache').items()):
    if len(data) < 100:
      continue
    _damage(tmp_path / 'cache' / name, damage)
    again = tmp_path / str(number)
    done = cmnist.run(*argv, again, **cache_dir)
    # It is made anew, or named.
    if done.status:
      assert str(tmp_path / 'cache') in done.error
      cmnist.works('cache', 'clear', **cache_dir)
      cmnist.works(*argv, again, **cache_dir)
    assert whole(again, 'cmnist') == place.sound
  assert place.read(tmp_path / 'out', **cache_dir) == place.expected

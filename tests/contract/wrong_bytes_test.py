# SPDX-License-Identifier: Apache-2.0
"""Only proved origin files are built, in whatever packing they are."""

from __future__ import annotations

import gzip
import io

import numpy as np
import pytest

from contract.datasets import Toy, idx, shards
from contract.serving import serve


@pytest.fixture
def toy(tmp_path):
  return Toy(tmp_path)


@pytest.fixture
def build(cmnist, toy, tmp_path):
  """Builds the toy with a cache of its own."""

  def build(*options, where=toy.where):
    return cmnist.run(
      *('build', '1-Ty', *where, *options), CMNIST_CACHE_DIR=tmp_path / 'cache'
    )

  return build


def _arrays(toy):
  return {
    f'{split}-{part}': arrays[split]
    for split in ('train', 'test')
    for part, arrays in (('images', toy.images), ('labels', toy.labels))
  }


def _gz(toy, arrays):
  for name, array in arrays.items():
    data = gzip.compress(idx(array), compresslevel=1, mtime=1)
    (toy.manual / f'{name}.gz').write_bytes(data)


def _plain(toy, arrays):
  for name, array in arrays.items():
    (toy.manual / name).write_bytes(idx(array))


def _npz(toy, arrays):
  named = {name.replace('-', '_'): array for name, array in arrays.items()}
  np.savez(toy.manual / 'all.npz', **named)


def _npy(toy, arrays):
  for name, array in arrays.items():
    np.save(toy.manual / f'{name}.npy', array)


def _rows(arrays, split):
  images = arrays[f'{split}-images'].reshape(-1, 784)
  labels = arrays[f'{split}-labels'].reshape(-1, 1)
  return np.concatenate([labels, images], 1)


def _csv(toy, arrays):
  for split in ('train', 'test'):
    head = ','.join(['label', *(f'pixel{n}' for n in range(784))])
    text = io.StringIO()
    rows = _rows(arrays, split)
    np.savetxt(text, rows, '%d', ',', header=head, comments='')
    (toy.manual / f'{split}.csv').write_text(text.getvalue())


def _parquet(toy, arrays):
  pa = pytest.importorskip('pyarrow')
  import pyarrow.parquet as pq

  for split in ('train', 'test'):
    columns = _rows(arrays, split).T
    names = ['class', *(f'pixel{n}' for n in range(784))]
    pq.write_table(
      pa.table(list(columns), names), toy.manual / f'{split}.parquet'
    )


_PACKINGS = [*(_gz, _plain, _npz, _npy, _csv, _parquet)]


def _check_built(toy):
  folder = toy.data_dir / 'cmnist/1-Ty/1.0.0'
  assert shards(folder)
  return shards(folder)


@pytest.fixture(scope='module')
def published(cmnist, tmp_path_factory):
  """The shards that are built of the published files."""
  toy = Toy(tmp_path_factory.mktemp('published'))
  toy.write()
  cmnist.works('build', '1-Ty', *toy.where)
  return _check_built(toy)


@pytest.mark.parametrize('pack', _PACKINGS)
def test_right_arrays_in_any_packing_are_built(toy, build, published, pack):
  pack(toy, _arrays(toy))
  done = build()
  assert done.status == 0, done.err
  assert _check_built(toy) == published


def _pixel(arrays):
  arrays['train-images'] = arrays['train-images'].copy()
  arrays['train-images'][7, 14, 14] ^= 1


def _label(arrays):
  arrays['test-labels'] = 1 - arrays['test-labels']


def _order(arrays):
  arrays['train-images'] = arrays['train-images'][::-1]


def _shift(arrays):
  arrays['test-images'] = np.roll(arrays['test-images'], 1, axis=1)


@pytest.mark.parametrize(
  ('pack', 'spoil'),
  [
    *((pack, _pixel) for pack in _PACKINGS),
    *((_npz, spoil) for spoil in (_label, _order, _shift)),
    *((_csv, spoil) for spoil in (_label, _order, _shift)),
  ],
)
def test_wrong_arrays_in_any_packing_are_not_built(toy, build, pack, spoil):
  arrays = _arrays(toy)
  spoil(arrays)
  pack(toy, {n: np.ascontiguousarray(a) for n, a in arrays.items()})
  for options in ([], ['--allow_unverified']):
    done = build(*options)
    assert (done.status, done.out) == (1, '')
    assert 'toy/' in done.err
    assert not list(toy.data_dir.rglob('dataset_info.json'))


@pytest.mark.parametrize(
  ('name', 'data'),
  [
    ('train-images.gz', b''),
    ('train-images.gz', b'<!DOCTYPE html><html>moved</html>'),
    ('train-images.gz', gzip.compress(b'something else')),
    ('train-labels.gz', gzip.compress(idx(np.zeros(40, np.uint8)))),
    ('test-labels.gz', gzip.compress(idx(np.zeros(19, np.uint8)))),
  ],
  ids=['empty', 'page', 'other', 'labels', 'short'],
)
def test_wrong_bytes_in_the_place_of_a_file_are_named(toy, build, name, data):
  toy.write(**{name: data})
  done = build()
  assert done.status == 1
  assert name in done.err and str(toy.manual) in done.err
  assert not list(toy.data_dir.rglob('dataset_info.json'))
  toy.write()
  assert build().status == 0


def test_what_a_host_sends_is_proved(cmnist, published, tmp_path):
  served = Toy(tmp_path / 'served')
  served.write()
  with serve(served.manual) as host:
    toy = Toy(tmp_path / 'toy', url=f'http://{host}')
    where = ['--sources', toy.declaration, '--data_dir', toy.data_dir]
    cache_dir = {'CMNIST_CACHE_DIR': tmp_path / 'cache'}
    images = served.files['train-images.gz']
    for data in (images[:-1], images[:-1] + b'x', b'<html>', b''):
      served.write(**{'train-images.gz': data})
      done = cmnist.run('build', '1-Ty', *where, **cache_dir)
      assert done.status == 1
      assert 'train-images.gz' in done.err and host in done.err
      assert not list(toy.data_dir.rglob('dataset_info.json'))
    served.write()
    cmnist.works('build', '1-Ty', *where, **cache_dir)
    assert _check_built(toy) == published
    # What was fetched need not be fetched again.
    served.write(**dict.fromkeys(served.files, b''))
    cmnist.works('cache', 'clear', **cache_dir)
    cmnist.works('build', '1-Ty', *where, '--overwrite', **cache_dir)
    assert _check_built(toy) == published


def test_unproved_files_are_built_only_if_asked_and_say_so(cmnist, tmp_path):
  toy = Toy(tmp_path)
  toy.write()
  lines = toy.declaration.read_text('utf-8').splitlines()
  unproved = [
    n for n in lines if not n.startswith(('sha256', 'fingerprint', 'size'))
  ]
  toy.declaration.write_text('\n'.join(unproved), 'utf-8')
  cache_dir = {'CMNIST_CACHE_DIR': tmp_path / 'cache'}
  done = cmnist.run('build', '1-Ty', *toy.where, **cache_dir)
  assert done.status == 1
  assert '--allow_unverified' in done.err
  cmnist.works('build', '1-Ty', *toy.where, '--allow_unverified', **cache_dir)
  metadata = toy.data_dir / 'cmnist/1-Ty/1.0.0/metadata.json'
  assert 'unverified' in metadata.read_text('utf-8')

# SPDX-License-Identifier: Apache-2.0
"""Origin files in the packings in which users have them.

CMNIST_ALL_PACKINGS=1 adds the training files and the tables of all sources,
which takes some minutes.
"""

from __future__ import annotations

import dataclasses
import gzip
import io
import json
import os
import struct
import sys
import zipfile
import zlib

import numpy as np
import pytest
import synthetic

from cmnist_tfds.origin import (
  Copy,
  Locations,
  Proof,
  audit,
  fingerprint,
  load_split,
  packings,
  recreation,
)
from cmnist_tfds.sources import SOURCES
from cmnist_tfds.system.errors import OriginFileError

_ALL = bool(os.environ.get('CMNIST_ALL_PACKINGS'))

_SPLITS = ('test', 'train') if _ALL else ('test',)


def _stem(file):
  return file.name.partition('.')[0]


def _idx(array):
  return synthetic.idx(array, packed=False)


def _gzip(array):
  return gzip.compress(_idx(array), 1)


def _npz(array):
  out = io.BytesIO()
  np.savez(out, array)
  return out.getvalue()


def _npy(array):
  out = io.BytesIO()
  np.save(out, array)
  return out.getvalue()


# For each packing, the path of a file and how it is packed.
_OF_ARRAYS = {
  'gzip': ('{stem}.gz', _gzip),
  'gzip below': ('gzip/{stem}.gz', _gzip),
  'torchvision': ('Set/raw/{stem}', _idx),
  'Kaggle IDX': ('archive/{stem}/{stem}', _idx),
  'second copy': ('{stem} (1).gz', _gzip),
  'npz': ('arrays/{stem}.npz', _npz),
  'npy': ('arrays/{stem}.npy', _npy),
  'int64 npz': ('{stem}.npz', lambda a: _npz(a.astype(_wide(a)))),
}


def _wide(array):
  return np.int64 if array.ndim == 1 else np.uint8


def _write(folder, path, data):
  (folder / path).parent.mkdir(parents=True, exist_ok=True)
  (folder / path).write_bytes(data)


def _pack_arrays(folder, packing, arrays):
  path, pack = _OF_ARRAYS[packing]
  for file, array in arrays.items():
    _write(folder, path.format(stem=_stem(file)), pack(array))


def _pack_zip(folder, arrays):
  with zipfile.ZipFile(folder / 'renamed.zip', 'w') as archive:
    for file, array in arrays.items():
      archive.writestr(f'x/{_stem(file)}.gz', _gzip(array))


def _pack_csv(folder, arrays, header='label'):
  images, labels = arrays.values()
  rows = np.column_stack([labels, images.reshape(len(images), -1)])
  names = ','.join([header, *(f'pixel{i}' for i in range(784))])
  text = '\n'.join(','.join(map(str, row)) for row in rows.tolist())
  (folder / 'x.csv').write_text((f'{names}\n' if header else '') + text)


def _pack_parquet(folder, arrays):
  pa = pytest.importorskip('pyarrow')
  import pyarrow.parquet as pq

  images, labels = arrays.values()
  pixels = images.reshape(len(images), -1)
  columns = {f'pixel{i + 1}': pixels[:, i] for i in range(784)}
  columns['class'] = [str(label) for label in labels]
  pq.write_table(pa.table(columns), folder / 'x.parquet')


def _pack_hub(folder, arrays):
  pa = pytest.importorskip('pyarrow')
  image_lib = pytest.importorskip('PIL.Image')
  import pyarrow.parquet as pq

  images, labels = arrays.values()
  pictures = []
  for image in images:
    out = io.BytesIO()
    image_lib.fromarray(image).save(out, 'png', compress_level=1)
    pictures.append({'bytes': out.getvalue(), 'path': None})
  table = pa.table({'image': pictures, 'label': labels})
  pq.write_table(table, folder / 'x.parquet')


_PACKINGS = {
  **{
    name: lambda folder, arrays, name=name: _pack_arrays(folder, name, arrays)
    for name in _OF_ARRAYS
  },
  'zip': _pack_zip,
  'CSV': _pack_csv,
  'CSV without header': lambda *args: _pack_csv(*args, header=''),
  'Parquet of pixels': _pack_parquet,
  'Parquet of pictures': _pack_hub,
}


def _arrays_of(source, split, folder):
  """Returns the arrays of a split, as in its files, which are at hand."""
  files = source.splits[split].files
  if not all((folder / file.path).is_file() for file in files):
    pytest.skip(f'the files of {source.title} are not at hand')
  return {
    file: load_split.read_copy(Copy(file, folder / file.path), shape)[0]
    for file, shape in files.items()
  }


def _load(source, split, folder, **kwargs):
  return load_split.load_split(
    source, split, Locations(manual_dir=folder, **kwargs)
  )


@pytest.mark.parametrize('packing', _PACKINGS)
@pytest.mark.parametrize('form', ['idx', 'npz', 'zip'])
def test_a_packing_is_found_and_proved(
  packing, form, tmp_path, record_property
):
  made = synthetic.make(form=form)
  files = made.source.splits['train'].files
  arrays = dict(zip(files, made.arrays['train'], strict=True))
  _PACKINGS[packing](tmp_path, arrays)
  found = _load(made.source, 'train', tmp_path)
  made.assert_read(found)
  assert Proof.NONE not in found.proofs.values()
  record_property('packing', 'found and proved')


@pytest.mark.parametrize('split', _SPLITS)
@pytest.mark.parametrize('key', [source.key for source in SOURCES])
@pytest.mark.parametrize('packing', _PACKINGS)
def test_a_real_file_in_a_packing_is_found_and_proved(
  packing, key, split, origin_files, tmp_path, record_property
):
  if not _ALL and key != 'Kd' and packing.startswith(('CSV', 'Parquet')):
    pytest.skip('without CMNIST_ALL_PACKINGS, tables of one source are read')
  source = next(source for source in SOURCES if source.key == key)
  arrays = _arrays_of(source, split, origin_files)
  _PACKINGS[packing](tmp_path, arrays)
  found = _load(source, split, tmp_path)
  expected = _load(source, split, origin_files)
  np.testing.assert_array_equal(found.images, expected.images)
  np.testing.assert_array_equal(found.labels, expected.labels)
  assert Proof.NONE not in found.proofs.values()
  record_property('packing', 'real, found and proved')


def _one_pixel(images, labels):
  images[-1, 14, 14] ^= 1


def _one_label(images, labels):
  labels[-1] ^= 1


def _two_rows(images, labels):
  # Labels alternate, so the labels of these rows are equal.
  images[[0, 2]] = images[[2, 0]]


@pytest.mark.parametrize('change', [_one_pixel, _one_label, _two_rows])
@pytest.mark.parametrize('packing', _PACKINGS)
def test_a_changed_array_is_refused(packing, change, tmp_path, record_property):
  made = synthetic.make()
  files = made.source.splits['train'].files
  changed = [array.copy() for array in made.arrays['train']]
  change(*changed)
  _PACKINGS[packing](tmp_path, dict(zip(files, changed, strict=True)))
  with pytest.raises(OriginFileError):
    _load(made.source, 'train', tmp_path)
  # Nor is it used where unverified files are allowed.
  with pytest.raises(OriginFileError):
    load_split.load_split(
      made.source,
      'train',
      Locations(manual_dir=tmp_path),
      allow_unverified=True,
    )
  record_property('packing', 'changed and refused')


def test_a_table_of_train_and_test_has_both(tmp_path):
  made = synthetic.make()
  files = made.source.splits['train'].files
  both = [
    np.concatenate(parts)
    for parts in zip(made.arrays['train'], made.arrays['test'], strict=True)
  ]
  _pack_csv(tmp_path, dict(zip(files, both, strict=True)))
  made.assert_read(_load(made.source, 'train', tmp_path))
  made.assert_read(_load(made.source, 'test', tmp_path), 'test')


def test_a_table_of_upright_images_gives_those_of_the_file(tmp_path):
  made = synthetic.make(form='zip')
  files = made.source.splits['train'].files
  images, labels = made.arrays['train']
  arrays = (images.transpose(0, 2, 1), labels)
  _pack_csv(tmp_path, dict(zip(files, arrays, strict=True)))
  made.assert_read(_load(made.source, 'train', tmp_path))


def test_a_folder_too_deep_will_do(tmp_path):
  made = synthetic.make()
  made.write(tmp_path)
  made.assert_read(_load(made.source, 'train', tmp_path / 'toy'))
  # The folder of another source beside it.
  (tmp_path / 'other').mkdir()
  made.assert_read(_load(made.source, 'train', tmp_path / 'other'))


def test_known_caches_come_after_the_users_folders(
  tmp_path, monkeypatch, caplog
):
  monkeypatch.setenv('KERAS_HOME', str(tmp_path / 'keras'))
  made = synthetic.make()
  for path, data in made.files.items():
    name = path.rpartition('/')[2]
    _write(tmp_path / 'keras/datasets/toy', name, data)
    unpacked = gzip.decompress(data)
    _write(tmp_path / 'downloads/extracted', f'GZIP.{name}', unpacked)
  caches = packings.known_caches(tmp_path / 'downloads')
  for cache in caches:
    made.assert_read(
      _load(made.source, 'train', tmp_path / 'none', known_caches=(cache,))
    )
    assert str(cache) in caplog.text
    caplog.clear()
  made.write(tmp_path / 'manual')
  _load(made.source, 'train', tmp_path / 'manual', known_caches=caches)
  assert not caplog.text


def test_a_download_is_the_last_resort(tmp_path):
  made = synthetic.make()
  files = made.source.splits['train'].files
  _pack_arrays(
    tmp_path,
    'torchvision',
    dict(zip(files, made.arrays['train'], strict=True)),
  )

  def download(url):
    raise AssertionError(url)

  made.assert_read(_load(made.source, 'train', tmp_path, download=download))


def test_arrays_of_an_npz_file_may_have_any_name(tmp_path):
  made = synthetic.make()
  (images, labels), (x_test, y_test) = made.arrays['train'], made.arrays['test']
  arrays = {'x_test': x_test, 'y_test': y_test, 'y_train': labels}
  np.savez(tmp_path / 'toy.npz', x_train=images, **arrays)
  made.assert_read(_load(made.source, 'train', tmp_path))
  images[0, 0, 0] ^= 1
  np.savez(tmp_path / 'toy.npz', x_train=images, **arrays)
  with pytest.raises(OriginFileError):
    _load(made.source, 'train', tmp_path)


def test_a_table_that_no_library_reads_is_no_obstacle(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, 'pyarrow', None)
  made = synthetic.make()
  (tmp_path / 'a.parquet').write_bytes(b'PAR1')
  with pytest.raises(OriginFileError, match='Reading Parquet needs'):
    _load(made.source, 'train', tmp_path)
  found = audit.audit([made.source], Locations(manual_dir=tmp_path))
  assert {finding.copy for finding in found} == {None}
  files = made.source.splits['train'].files
  _pack_zip(tmp_path, dict(zip(files, made.arrays['train'], strict=True)))
  made.assert_read(_load(made.source, 'train', tmp_path))


def test_odd_files_are_passed_over(tmp_path):
  made = synthetic.make()
  files = made.source.splits['train'].files
  arrays = dict(zip(files, made.arrays['train'], strict=True))
  for name, data in {
    'a.gz': b'\x1f\x8b',
    'b.zip': b'PK\x03\x04',
    'c.csv': b'',
    'd.parquet': b'PAR1',
    'e': b'\0\0',
    'f': b'',
    'g.csv': b'1' + b',2' * 784,
  }.items():
    (tmp_path / name).write_bytes(data)
  os.mkfifo(tmp_path / 'pipe')
  (tmp_path / 'loop').symlink_to(tmp_path)
  (tmp_path / 'below').mkdir()
  _pack_zip(tmp_path / 'below', arrays)
  made.assert_read(_load(made.source, 'train', tmp_path))
  # Users link to folders that they have elsewhere.
  (tmp_path / 'manual').mkdir()
  (tmp_path / 'manual/link').symlink_to(tmp_path / 'below')
  made.assert_read(_load(made.source, 'train', tmp_path / 'manual'))


# Proof by re-creation ---------------------------------------------------------

# A time near that of the files of EMNIST that were at hand.
_TIME = 1487374626 + 37


def _emnist_like(seconds=_TIME):
  """Returns a file as those of EMNIST, no fingerprint of which is known."""
  rng = np.random.default_rng(0)
  array = rng.integers(0, 256, (40, 28, 28), np.uint8)
  name = 'emnist-toy-train-images-idx3-ubyte'
  deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
  raw = _idx(array)
  data = b'\x1f\x8b\x08\x08' + struct.pack('<I', seconds) + b'\x02\xff'
  data += name.encode() + b'\0' + deflate.compress(raw) + deflate.flush()
  data += struct.pack('<II', zlib.crc32(raw), len(raw))
  return synthetic.origin_file(f'emnist/{name}.gz', data), array


def test_the_time_in_a_gzip_header_is_searched_and_remembered(tmp_path):
  learnt = tmp_path / 'cache/learnt.json'
  file, array = _emnist_like()
  assert recreation.recreate(file, array, learnt) is Proof.RECREATED
  assert json.loads(learnt.read_text()) == {
    file.path: {'time': _TIME, 'fingerprint': fingerprint(array)}
  }
  # What was remembered is no proof.
  array[0] = 0
  assert recreation.recreate(file, array, learnt) is None


def test_a_remembered_time_is_tried_first(tmp_path):
  learnt = tmp_path / 'learnt.json'
  file, array = _emnist_like(seconds=12345)
  learnt.write_text(json.dumps({file.path: {'time': 12345}}))
  assert recreation.recreate(file, array, learnt) is Proof.RECREATED
  assert recreation.read_learnt(learnt)[file.path]['fingerprint']


@pytest.mark.parametrize('text', ['', '[]', '{"a": 1}', '{', '{"a": {}}'])
def test_a_damaged_memory_is_no_obstacle(text, tmp_path):
  learnt = tmp_path / 'learnt.json'
  learnt.write_text(text)
  file, array = _emnist_like()
  assert recreation.recreate(file, array, learnt) is Proof.RECREATED
  assert file.path in recreation.read_learnt(learnt)


def test_what_was_learnt_is_reported(tmp_path):
  file, array = _emnist_like()
  made = synthetic.make()
  source = dataclasses.replace(
    made.source,
    splits={
      'train': dataclasses.replace(made.source.splits['train'], images=file)
    },
  )
  (tmp_path / 'raw').mkdir()
  (tmp_path / 'raw/unpacked').write_bytes(_idx(array))
  locations = Locations(manual_dir=tmp_path, learnt=tmp_path / 'learnt.json')

  def found():
    return next(iter(audit.audit([source], locations, hashes=True)))

  assert found().proof is Proof.RECREATED
  assert found().fingerprint == fingerprint(array)
  (tmp_path / 'raw/unpacked').unlink()
  assert found().proof is None
  assert found().fingerprint == fingerprint(array)


def test_without_a_known_size_the_search_is_short():
  file, array = _emnist_like(seconds=_TIME)
  near, near_array = _emnist_like(seconds=_TIME - 20)
  file, near = (dataclasses.replace(f, size=None) for f in (file, near))
  assert recreation.recreate(file, array) is None
  assert recreation.recreate(near, near_array) is Proof.RECREATED


# The published files that are made again in little time.
_REMADE = [
  'kannada_mnist/X_kannada_MNIST_test.npz',
  'kannada_mnist/y_kannada_MNIST_train.npz',
  'kmnist/kmnist-test-imgs.npz',
  'kmnist/kmnist-train-labels.npz',
  'kmnist/train-labels-idx1-ubyte.gz',
  'kuzushiji49/k49-train-labels.npz',
  'kuzushiji49/k49-test-labels.npz',
  'notmnist/train-labels-idx1-ubyte.gz',
  'emnist/emnist-letters-train-labels-idx1-ubyte.gz',
  'emnist/emnist-balanced-test-labels-idx1-ubyte.gz',
]
if _ALL:
  _REMADE += [
    'kannada_mnist/X_kannada_MNIST_train.npz',
    'kmnist/t10k-images-idx3-ubyte.gz',
    'notmnist/t10k-images-idx3-ubyte.gz',
  ]


@pytest.mark.parametrize('path', _REMADE)
def test_a_published_file_is_made_again(path, origin_files, record_property):
  file, shape = next(
    (form, shape)
    for source in SOURCES
    for file, shape in source.origin_files.items()
    for form in (file, *file.equivalents)
    if form.path == path
  )
  if not (origin_files / path).is_file():
    pytest.skip(f'{path} is not at hand')
  array, _ = load_split.read_copy(Copy(file, origin_files / path), shape)
  assert recreation.recreate(file, array) is Proof.RECREATED
  one_value, two_rows = array.copy(), array.copy()
  one_value[-1:].reshape(-1)[-1] ^= 1
  other = np.flatnonzero((array != array[0]).reshape(len(array), -1).any(1))[0]
  two_rows[[0, other]] = two_rows[[other, 0]]
  assert recreation.recreate(file, one_value) is None
  assert recreation.recreate(file, two_rows) is None
  record_property('packing', 'real, made again')

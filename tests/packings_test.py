# SPDX-License-Identifier: Apache-2.0
"""Origin files in the packings in which users have them."""

import dataclasses
import gzip
import os
import sys

import msgspec
import numpy as np
import pytest
import synthetic

from cmnist_tfds.origin import Proof, locations
from cmnist_tfds.system.errors import OriginFileError


def _idx(array):
  return synthetic.idx(array, packed=False)


def _gzip(array):
  return gzip.compress(_idx(array), 1)


def _int64(array):
  return array.astype(np.int64) if array.ndim == 1 else array


def _each(path, pack):
  """A file for each array."""
  return lambda arrays: {
    path.format(stem=file.name.partition('.')[0]): pack(array)
    for file, array in arrays.items()
  }


def _csv(arrays, names=('label', *synthetic.PIXELS)):
  images, labels = arrays.values()
  return {'x.csv': synthetic.table(labels, images, names)}


def _hub(arrays):
  pytest.importorskip('pyarrow')
  pytest.importorskip('PIL.Image')
  images, labels = arrays.values()
  pictures = [{'bytes': synthetic.png(i), 'path': None} for i in images]
  return {'x.parquet': {'image': pictures, 'label': labels}}


# For each packing, the files in which it has arrays.
_PACKINGS = {
  'gzip': _each('{stem}.gz', _gzip),
  'torchvision': _each('Set/raw/{stem}', _idx),
  'Kaggle IDX': _each('archive/{stem}/{stem}', _idx),
  'any name': _each('a/b/c/{stem}-x.bin', _gzip),
  'int64 npz': _each('{stem}.npz', lambda array: {'arr_0': _int64(array)}),
  'zip': lambda arrays: {'renamed.zip': _each('x/{stem}.gz', _gzip)(arrays)},
  'Keras': lambda arrays: {
    'set.npz': dict(zip(('x_train', 'y_train'), arrays.values(), strict=True))
  },
  'CSV': _csv,
  'CSV without header': lambda arrays: _csv(arrays, ()),
  'Parquet of pictures': _hub,
}


def _pack(folder, arrays, packing):
  synthetic.write(folder, _PACKINGS[packing](arrays))


def _arrays(made, arrays=()):
  """Arrays, those of the training examples by default, by their files."""
  arrays = arrays or [array.copy() for array in made.arrays['train']]
  return dict(zip(made.source.splits['train'].files, arrays, strict=True))


@pytest.mark.parametrize('packing', _PACKINGS)
@pytest.mark.parametrize('form', ['idx', 'npz', 'zip'])
def test_a_packing_is_found_and_proved(packing, form, tmp_path, caplog):
  made = synthetic.make(form=form)
  arrays = _arrays(made)
  _pack(tmp_path, arrays, packing)
  found = made.load(manual_dir=tmp_path)
  made.assert_read(found)
  assert Proof.NONE not in found.proofs.values()
  # What is read in place of the published file is named.
  assert packing == 'gzip' or str(tmp_path) in caplog.text
  # With another pixel it is refused even where unverified files are allowed.
  next(iter(arrays.values()))[7, 14, 14] ^= 1
  _pack(tmp_path, arrays, packing)
  with pytest.raises(OriginFileError):
    made.load(manual_dir=tmp_path, allow_unverified=True)


def test_a_table_of_train_and_test_has_both(tmp_path):
  made = synthetic.make()
  parts = zip(*made.arrays.values(), strict=True)
  _pack(tmp_path, _arrays(made, [*map(np.concatenate, parts)]), 'CSV')
  for split in ('train', 'test'):
    made.assert_read(made.load(split, manual_dir=tmp_path), split)


def test_a_table_of_upright_images_gives_those_of_the_file(tmp_path):
  made = synthetic.make(form='zip')
  images, labels = made.arrays['train']
  _pack(tmp_path, _arrays(made, [images.transpose(0, 2, 1), labels]), 'CSV')
  made.assert_read(made.load(manual_dir=tmp_path))


@pytest.mark.parametrize(
  'place',
  [
    'downloads/toy/{stem}.gz.of_tfds',
    'downloads/{stem}.gz.of_old_tfds',
    'downloads/extracted/GZIP.{stem}',
    'keras/datasets/toy/{stem}.gz',
    'debian/{stem}.gz',
  ],
)
@pytest.mark.parametrize('form', ['idx', 'zip'])
def test_places_of_other_programs_are_searched_before_the_network(
  place, form, tmp_path, monkeypatch
):
  monkeypatch.setenv('KERAS_HOME', str(tmp_path / 'keras'))
  monkeypatch.setattr(locations, '_DEBIAN', tmp_path / 'debian')
  made = synthetic.make(form=form)
  for path, data in made.files.items():
    stem = path.rpartition('/')[2][:-3]
    synthetic.write(tmp_path / place.format(stem=stem), data)
  found = made.load(download_dir=tmp_path / 'downloads')
  made.assert_read(found)
  assert set(found.proofs.values()) == {Proof.SHA256}


def test_an_equivalent_of_another_name_is_proved_by_its_hash(tmp_path):
  made = synthetic.make(form='npz')
  source = made.source
  for number, file in enumerate(source.splits['train'].files):
    (other,) = file.equivalents
    (tmp_path / f'{number}').write_bytes(made.files[other.path])
    other = msgspec.structs.replace(other, fingerprint=None)
    facts = {'fingerprint': None, 'equivalents': (other,)}
    source = synthetic.replace_file(source, file.path, **facts)
  made = dataclasses.replace(made, source=source)
  found = made.load(manual_dir=tmp_path)
  made.assert_read(found)
  assert set(found.proofs.values()) == {Proof.SHA256}


def test_a_folder_too_deep_will_do_and_six_too_high(tmp_path):
  made = synthetic.make()
  made.write(tmp_path / 'a/b/c/d/e')
  for folder in ('a', 'a/b/c/d/e/toy'):
    made.assert_read(made.load(manual_dir=tmp_path / folder))
  with pytest.raises(OriginFileError, match='not found'):
    made.load(manual_dir=tmp_path)


def test_a_table_that_no_library_reads_is_no_obstacle(tmp_path, monkeypatch):
  made = synthetic.make()
  _pack(tmp_path, _arrays(made), 'Parquet of pictures')
  monkeypatch.setitem(sys.modules, 'PIL', None)
  with pytest.raises(OriginFileError, match='Reading pictures needs'):
    made.load(manual_dir=tmp_path)
  _pack(tmp_path, _arrays(made), 'zip')
  made.assert_read(made.load(manual_dir=tmp_path))


def test_odd_files_are_passed_over(tmp_path):
  made = synthetic.make()
  odd = {
    **{'a.gz': b'\x1f\x8b', 'b.zip': b'PK\x03\x04', 'c.csv': b'', 'e': b'\0\0'},
    **{'d.parquet': b'PAR1', 'f': b'', 'g.csv': b'1' + b',2' * 784},
  }
  synthetic.write(tmp_path, odd)
  os.mkfifo(tmp_path / 'pipe')
  (tmp_path / 'loop').symlink_to(tmp_path)
  (tmp_path / 'nowhere').symlink_to('missing')
  _pack(tmp_path / 'below', _arrays(made), 'zip')
  made.assert_read(made.load(manual_dir=tmp_path))
  # Users link to folders that they have elsewhere.
  (tmp_path / 'manual').mkdir()
  (tmp_path / 'manual/link').symlink_to(tmp_path / 'below')
  made.assert_read(made.load(manual_dir=tmp_path / 'manual'))

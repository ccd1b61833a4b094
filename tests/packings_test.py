# SPDX-License-Identifier: Apache-2.0
"""Origin files in the packings in which users have them."""

import gzip
import io
import os
import sys
import zipfile

import msgspec
import numpy as np
import pytest
import synthetic

from cmnist_tfds.origin import Locations, Proof, load_split, locations
from cmnist_tfds.system.errors import OriginFileError


def _stem(file):
  return file.name.partition('.')[0]


def _idx(array):
  return synthetic.idx(array, packed=False)


def _gzip(array):
  return gzip.compress(_idx(array), 1)


def _wide_npz(array):
  out = io.BytesIO()
  np.savez(out, array.astype(np.int64) if array.ndim == 1 else array)
  return out.getvalue()


# For each packing of single arrays, the path of a file and how it is packed.
_FILES = {
  'gzip': ('{stem}.gz', _gzip),
  'gzip below': ('gzip/{stem}.gz', _gzip),
  'torchvision': ('Set/raw/{stem}', _idx),
  'Kaggle IDX': ('archive/{stem}/{stem}', _idx),
  'second copy': ('{stem} (1).gz', _gzip),
  'any name': ('a/b/c/{stem}-x.bin', _gzip),
  'int64 npz': ('{stem}.npz', _wide_npz),
}


def _pack_files(folder, arrays, packing):
  path, pack = _FILES[packing]
  for file, array in arrays.items():
    target = folder / path.format(stem=_stem(file))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(pack(array))


def _pack_zip(folder, arrays):
  with zipfile.ZipFile(folder / 'renamed.zip', 'w') as archive:
    for file, array in arrays.items():
      archive.writestr(f'x/{_stem(file)}.gz', _gzip(array))


def _pack_keras(folder, arrays):
  names = ('x_train', 'y_train')
  np.savez(folder / 'set.npz', **dict(zip(names, arrays.values(), strict=True)))


def _pack_csv(folder, arrays, header='label'):
  images, labels = arrays.values()
  rows = np.column_stack([labels, images.reshape(len(images), -1)])
  names = ','.join([header, *(f'pixel{i}' for i in range(784))])
  text = '\n'.join(','.join(map(str, row)) for row in rows.tolist())
  (folder / 'x.csv').write_text((f'{names}\n' if header else '') + text)


def _pack_hub(folder, arrays):
  pa = pytest.importorskip('pyarrow')
  pytest.importorskip('PIL.Image')
  import pyarrow.parquet as pq

  images, labels = arrays.values()
  pictures = [{'bytes': synthetic.png(i), 'path': None} for i in images]
  table = pa.table({'image': pictures, 'label': labels})
  pq.write_table(table, folder / 'x.parquet')


_PACKINGS = {
  **{
    name: lambda folder, arrays, name=name: _pack_files(folder, arrays, name)
    for name in _FILES
  },
  'zip': _pack_zip,
  'Keras': _pack_keras,
  'CSV': _pack_csv,
  'CSV without header': lambda *args: _pack_csv(*args, header=''),
  'Parquet of pictures': _pack_hub,
}


def _arrays(made):
  files = made.source.splits['train'].files
  arrays = [array.copy() for array in made.arrays['train']]
  return dict(zip(files, arrays, strict=True))


def _load(source, split, folder, **kwargs):
  where = Locations(manual_dir=folder, **kwargs)
  return load_split.load_split(source, split, where)


@pytest.mark.parametrize('packing', _PACKINGS)
@pytest.mark.parametrize('form', ['idx', 'npz', 'zip'])
def test_a_packing_is_found_and_proved(packing, form, tmp_path, caplog):
  made = synthetic.make(form=form)
  arrays = _arrays(made)
  _PACKINGS[packing](tmp_path, arrays)
  found = _load(made.source, 'train', tmp_path)
  made.assert_read(found)
  assert Proof.NONE not in found.proofs.values()
  # What is read in place of the published file is told.
  assert packing == 'gzip' or str(tmp_path) in caplog.text
  # With another pixel it is refused even where unverified files are allowed.
  next(iter(arrays.values()))[7, 14, 14] ^= 1
  _PACKINGS[packing](tmp_path, arrays)
  with pytest.raises(OriginFileError):
    _load(made.source, 'train', tmp_path, allow_unverified=True)


def test_a_table_of_train_and_test_has_both(tmp_path):
  made = synthetic.make()
  files = made.source.splits['train'].files
  both = [
    np.concatenate(parts)
    for parts in zip(made.arrays['train'], made.arrays['test'], strict=True)
  ]
  _pack_csv(tmp_path, dict(zip(files, both, strict=True)))
  for split in ('train', 'test'):
    made.assert_read(_load(made.source, split, tmp_path), split)


def test_a_table_of_upright_images_gives_those_of_the_file(tmp_path):
  made = synthetic.make(form='zip')
  files = made.source.splits['train'].files
  images, labels = made.arrays['train']
  arrays = (images.transpose(0, 2, 1), labels)
  _pack_csv(tmp_path, dict(zip(files, arrays, strict=True)))
  made.assert_read(_load(made.source, 'train', tmp_path))


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
    target = tmp_path / place.format(stem=path.rpartition('/')[2][:-3])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
  where = Locations(
    download_dir=tmp_path / 'downloads', manual_dir=tmp_path / 'none'
  )
  found = load_split.load_split(made.source, 'train', where)
  made.assert_read(found)
  assert set(found.proofs.values()) == {Proof.SHA256}


def test_an_equivalent_of_another_name_is_proved_by_its_hash(tmp_path):
  made = synthetic.make(form='npz')
  source = made.source
  for number, file in enumerate(source.splits['train'].files):
    (other,) = file.equivalents
    (tmp_path / f'{number}').write_bytes(made.files[other.path])
    other = msgspec.structs.replace(other, fingerprint=None)
    source = synthetic.replace_file(
      source, file.path, fingerprint=None, equivalents=(other,)
    )
  found = _load(source, 'train', tmp_path)
  made.assert_read(found)
  assert set(found.proofs.values()) == {Proof.SHA256}


def test_a_folder_too_deep_will_do_and_six_too_high(tmp_path):
  made = synthetic.make()
  made.write(tmp_path / 'a/b/c/d/e')
  for folder in ('', 'a', 'a/b/c/d/e/toy'):
    if folder:
      made.assert_read(_load(made.source, 'train', tmp_path / folder))
    else:
      with pytest.raises(OriginFileError, match='not found'):
        _load(made.source, 'train', tmp_path)


def test_a_table_that_no_library_reads_is_no_obstacle(tmp_path, monkeypatch):
  made = synthetic.make()
  _pack_hub(tmp_path, _arrays(made))
  monkeypatch.setitem(sys.modules, 'PIL', None)
  with pytest.raises(OriginFileError, match='Reading pictures needs'):
    _load(made.source, 'train', tmp_path)
  _pack_zip(tmp_path, _arrays(made))
  made.assert_read(_load(made.source, 'train', tmp_path))


def test_odd_files_are_passed_over(tmp_path):
  made = synthetic.make()
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
  (tmp_path / 'nowhere').symlink_to('missing')
  (tmp_path / 'below').mkdir()
  _pack_zip(tmp_path / 'below', _arrays(made))
  made.assert_read(_load(made.source, 'train', tmp_path))
  # Users link to folders that they have elsewhere.
  (tmp_path / 'manual').mkdir()
  (tmp_path / 'manual/link').symlink_to(tmp_path / 'below')
  made.assert_read(_load(made.source, 'train', tmp_path / 'manual'))

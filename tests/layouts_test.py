# SPDX-License-Identifier: Apache-2.0
"""Files of every layout are drafted, declared and read as plain NumPy has them."""

from __future__ import annotations

import csv
import gzip
import io
import pathlib
import tarfile
import zipfile

import numpy as np
import pytest

from cmnist_tfds.origin import (
  Locations,
  Proof,
  draft,
  http_client,
  load_split,
  mirror,
)
from cmnist_tfds.origin.conversion import convert
from cmnist_tfds.sources import declaration, records
from cmnist_tfds.system.errors import OriginFileError

Image = pytest.importorskip('PIL.Image')

_RNG = np.random.default_rng(0)


def _parse(path: pathlib.Path) -> records.Source:
  (source,) = declaration.read(path, beside=path.parent)
  return source


def _draft(path: pathlib.Path, **kwargs) -> records.Source:
  text = draft.draft(path, key='Xy', title='Test', **kwargs)
  written = path.with_name('xy.toml')
  written.write_text(text, 'utf-8')
  return _parse(written)


def _change(folder: pathlib.Path, old: str, new: str) -> records.Source:
  path = folder / 'xy.toml'
  text = path.read_text('utf-8')
  assert old in text
  path.write_text(text.replace(old, new), 'utf-8')
  return _parse(path)


def _load(source, split='train', **kwargs):
  return load_split.load_split(source, split, Locations(), **kwargs)


def _images(count, *shape):
  return _RNG.integers(0, 100, (count, *(shape or (28, 28))), np.uint8)


def _save(path, pixels):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(pixels).save(path)


def _mean_by_area(image, size=28):
  """Resizes an image in the slow and obvious way, by small squares."""
  height, width = image.shape
  fine = np.repeat(np.repeat(image.astype(np.int64), size, 0), size, 1)
  sums = fine.reshape(size, height, size, width).sum((1, 3))
  return ((2 * sums + height * width) // (2 * height * width)).astype(np.uint8)


# Pictures --------------------------------------------------------------------


@pytest.fixture
def shapes(tmp_path):
  """A folder of pictures with its pixels, by class and in order of names."""
  pixels = {'circle': _images(9), 'square': _images(7)}
  for name, images in pixels.items():
    for number, image in enumerate(images):
      _save(tmp_path / f'shapes/{name}/{number:03d}.png', image)
  (tmp_path / 'shapes/circle/notes.txt').write_text('no picture')
  (tmp_path / 'shapes/circle/.hidden.png').write_bytes(b'no picture')
  return tmp_path / 'shapes', pixels


def test_a_folder_of_pictures(shapes):
  folder, pixels = shapes
  source = _draft(folder, first=2)
  assert source.layout == 'folder'
  assert source.class_names == ('circle', 'square')
  for split, chosen in (('train', slice(2, None)), ('test', slice(2))):
    read = _load(source, split)
    expected = [pixels[name][chosen] for name in source.class_names]
    np.testing.assert_array_equal(read.images, np.concatenate(expected))
    np.testing.assert_array_equal(
      read.labels, np.repeat([0, 1], [len(e) for e in expected])
    )
    assert set(read.proofs.values()) == {Proof.FINGERPRINT}


def test_a_changed_picture_is_noticed(shapes):
  folder, pixels = shapes
  source = _draft(folder)
  _save(folder / 'circle/000.png', pixels['circle'][0] ^ 1)
  with pytest.raises(OriginFileError, match='its files are not the declared'):
    _load(source)
  read = _load(source, allow_unverified=True)
  assert set(read.proofs.values()) == {Proof.NONE}


def test_folders_of_train_and_test(tmp_path):
  pixels = {}
  for split, count in (('train', 5), ('test', 3)):
    for name in ('a', 'b'):
      pixels[split, name] = _images(count)
      for number, image in enumerate(pixels[split, name]):
        _save(tmp_path / f'set/{split}/{name}/{number}.png', image)
  source = _draft(tmp_path / 'set')
  for split in ('train', 'test'):
    expected = np.concatenate([pixels[split, name] for name in ('a', 'b')])
    np.testing.assert_array_equal(_load(source, split).images, expected)


@pytest.mark.parametrize('form', ['zip', 'tar', 'tar.bz2'])
def test_an_archive_of_pictures(tmp_path, form):
  pixels = {'U+4E00': _images(6, 64, 64), 'U+4E8C': _images(8, 64, 64)}
  pixels['U+4E09'] = _images(1, 64, 64)  # Too few to divide.
  path = tmp_path / f'kkanji.{form}'
  files = {}
  for folder, images in pixels.items():
    for number, image in enumerate(images):
      out = io.BytesIO()
      Image.fromarray(image).save(out, 'png')
      files[f'kkanji2/{folder}/{number:04d}.png'] = out.getvalue()
  if form == 'zip':
    with zipfile.ZipFile(path, 'w') as archive:
      for name, data in files.items():
        archive.writestr(name, data)
  else:
    with tarfile.open(path, 'w:bz2' if 'bz2' in form else 'w') as archive:
      for name, data in files.items():
        info = tarfile.TarInfo(f'./{name}')
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
  source = _draft(path, first=1, min_examples=5)
  assert source.class_names == ('一', '二')
  assert source.steps == ('resize',)
  read = _load(source)
  expected = [*pixels['U+4E00'][1:], *pixels['U+4E8C'][1:]]
  np.testing.assert_array_equal(
    read.images, [_mean_by_area(image) for image in expected]
  )
  assert set(read.proofs.values()) == {Proof.SHA256}


def test_a_mirror_takes_archives_whole_and_no_folders(shapes, tmp_path):
  folder, _ = shapes
  path = tmp_path / 'shapes.zip'
  with zipfile.ZipFile(path, 'w') as archive:
    for picture in folder.rglob('*/*.png'):
      archive.write(picture, picture.relative_to(folder))
  for files, outcome in ((folder, 'published nowhere'), (path, '')):
    source = _draft(files)
    client = http_client.Client()
    target = tmp_path / f'mirror-{files.name}'
    (filled,) = mirror.fill(target, [source], Locations(), client)
    assert outcome in filled.fault
    assert bool(filled.fault) == bool(outcome)
  assert (tmp_path / 'mirror-shapes.zip/shapes.zip').is_file()


def test_pictures_of_odd_sizes_and_colours(tmp_path):
  sizes = [(20, 31), (28, 28), (90, 40), (28, 28)]
  for number, size in enumerate(sizes):
    _save(tmp_path / f'set/a/{number}.png', _images(1, *size, 3)[0])
    _save(tmp_path / f'set/b/{number}.png', _images(1, *size)[0])
  source = _draft(tmp_path / 'set', first=1)
  assert source.steps == ('grey', 'resize')
  read = _load(source)
  for image, path in zip(
    read.images,
    [tmp_path / f'set/{c}/{n}.png' for c in 'ab' for n in (1, 2, 3)],
    strict=True,
  ):
    with Image.open(path) as picture:
      grey = np.asarray(picture.convert('L'))
    np.testing.assert_array_equal(image, _mean_by_area(grey))


@pytest.mark.parametrize(
  ('pixels', 'fault'),
  [
    (_images(1, 28, 30)[0], 'expected a picture of 28x28 pixels, found 28x30'),
    (_images(1, 28, 28, 3)[0], 'found colours'),
  ],
)
def test_a_picture_that_is_not_as_declared_is_named(shapes, pixels, fault):
  folder, _ = shapes
  source = _draft(folder)
  _save(folder / 'square/003.png', pixels)
  with pytest.raises(OriginFileError, match=fault) as raised:
    _load(source)
  assert 'square/003.png' in str(raised.value)


def test_a_damaged_picture_and_a_missing_class_are_named(shapes):
  folder, _ = shapes
  source = _draft(folder)
  (folder / 'square/003.png').write_bytes(b'\x89PNG and no more')
  with pytest.raises(OriginFileError, match=r'square/003\.png: is no picture'):
    _load(source)
  for path in (folder / 'square').iterdir():
    path.unlink()
  with pytest.raises(OriginFileError, match='in a folder square for the class'):
    _load(source)


def test_what_is_transparent_is_white(tmp_path):
  for name in 'ab':
    for number in range(2):
      pixels = np.zeros((28, 28, 4), np.uint8)
      pixels[:20, :, 3] = 255  # The upper part is black, the lower transparent.
      _save(tmp_path / f'set/{name}/{number}.png', pixels)
  source = _draft(tmp_path / 'set')
  read = _load(source)
  assert (read.images[:, :20] == 0).all()
  assert (read.images[:, 20:] == 255).all()


# Arrays ----------------------------------------------------------------------


def _npz(path, **arrays):
  np.savez_compressed(path, **arrays)
  return path


def test_an_npz_with_all_arrays(tmp_path):
  arrays = {
    'x_train': _images(30, 32, 32, 3) + 156,
    'y_train': np.arange(30, dtype=np.int64) % 3,
    'x_test': _images(6, 32, 32, 3) + 156,
    'y_test': np.arange(6, dtype=np.int64) % 3,
  }
  source = _draft(_npz(tmp_path / 'set.npz', **arrays))
  assert source.steps == ('grey', 'invert', 'resize')
  for split in ('train', 'test'):
    read = _load(source, split)
    for image, rgb in zip(read.images, arrays[f'x_{split}'], strict=True):
      with Image.fromarray(rgb) as picture:
        grey = np.asarray(picture.convert('L'))
      np.testing.assert_array_equal(image, _mean_by_area(255 - grey))
    np.testing.assert_array_equal(read.labels, arrays[f'y_{split}'])
    assert read.labels.dtype == np.uint8


@pytest.mark.parametrize('packed', [True, False])
def test_idx_with_rows_of_labels(tmp_path, packed):
  """As QMNIST has them: big-endian, with the digit in the first column."""
  folder = tmp_path / 'set'
  folder.mkdir()
  images = {'train': _images(20), 'test': _images(10)}
  labels = {
    split: np.stack([np.arange(len(i)) % 2 + 7, *[np.arange(len(i))] * 7], 1)
    for split, i in images.items()
  }
  for split, pixels in images.items():
    for name, array, kind in (
      (f'{split}-images', pixels, 8),
      (f'{split}-labels', labels[split].astype('>i4'), 12),
    ):
      data = bytes([0, 0, kind, array.ndim])
      data += np.array(array.shape, '>u4').tobytes() + array.tobytes()
      (folder / name).write_bytes(gzip.compress(data) if packed else data)
  source = _draft(folder)
  assert list(source.raw_labels) == [7, 8]
  for split, pixels in images.items():
    read = _load(source, split)
    np.testing.assert_array_equal(read.images, pixels)
    np.testing.assert_array_equal(read.labels, labels[split][:, 0])


def test_a_file_for_each_class(tmp_path):
  """As Quick, Draw! has them: rows of 784 pixels."""
  folder = tmp_path / 'draw'
  folder.mkdir()
  pixels = {
    name: _images(count, 784) for name, count in (('ax', 9), ('bat', 12))
  }
  for name, rows in pixels.items():
    np.save(folder / f'{name}.npy', rows)
  source = _draft(folder, first=4)
  read = _load(source)
  expected = np.concatenate([rows[4:] for rows in pixels.values()])
  np.testing.assert_array_equal(read.images, expected.reshape(-1, 28, 28))
  np.testing.assert_array_equal(_load(source, 'test').labels, [0] * 4 + [1] * 4)


def test_files_of_classes_with_too_few_examples_are_left_out(tmp_path):
  folder = tmp_path / 'draw'
  folder.mkdir()
  for name, count in (('ax', 9), ('bat', 0), ('cat', 1), ('dog', 9)):
    np.save(folder / f'{name}.npy', _images(count, 784))
  with pytest.raises(OriginFileError, match='--min_examples 2'):
    _draft(folder)
  source = _draft(folder, min_examples=2)
  assert source.class_names == ('ax', 'dog')
  with pytest.raises(OriginFileError, match='one class with 10 examples'):
    _draft(folder, min_examples=10)


def test_65_536_classes(tmp_path):
  labels = np.repeat(np.arange(65_536, dtype=np.uint16), 2)
  np.random.default_rng(1).shuffle(labels)
  images = np.zeros((len(labels), 28, 28), np.uint8)
  images[:, 0, 0], images[:, 0, 1] = labels % 256, labels // 256
  np.savez(tmp_path / 'many.npz', images=images, labels=labels)
  source = _draft(tmp_path / 'many.npz')
  assert len(source.class_names) == 65_536
  for split in ('train', 'test'):
    read = _load(source, split)
    assert read.labels.dtype == np.uint16
    assert sorted(read.labels.tolist()) == list(range(65_536))
    pixels = read.images.astype(np.int64)
    np.testing.assert_array_equal(
      pixels[:, 0, 0] + 256 * pixels[:, 0, 1], read.labels
    )


def test_labels_with_gaps(tmp_path):
  labels = np.array([300, 5, 9, 5, 300, 9, 5, 9, 300] * 2)
  _draft(_npz(tmp_path / 'set.npz', images=_images(18), labels=labels))
  source = _change(tmp_path, '["5", "9", "300"]', '["five", "nine", "many"]')
  assert source.class_names == ('five', 'nine', 'many')
  assert list(source.raw_labels) == [5, 9, 300]
  read = _load(source)
  assert read.labels.dtype == np.uint16
  assert np.unique(read.labels).tolist() == [5, 9, 300]
  source = _change(tmp_path, '[5, 9, 300]', '[5, 9, 301]')
  with pytest.raises(OriginFileError, match='300 among them'):
    _load(source)


def test_a_file_lists_the_examples_for_test(tmp_path):
  images, labels = _images(20), np.arange(20) % 2
  _draft(_npz(tmp_path / 'set.npz', images=images, labels=labels), first=3)
  (tmp_path / 'test.txt').write_text('1\n4\n\n19\n10\n')
  text = (tmp_path / 'xy.toml').read_text('utf-8')
  (tmp_path / 'xy.toml').write_text(
    text.replace(
      'split = { first = 3 }',
      "split = { list = { path = 'test.txt' }, test_counts = 2 }",
    )
  )
  source = _parse(tmp_path / 'xy.toml')
  with pytest.raises(OriginFileError, match='no hash of it is declared'):
    _load(source)
  read = _load(source, 'test', allow_unverified=True)
  np.testing.assert_array_equal(read.images, images[[1, 4, 10, 19]])
  read = _load(source, allow_unverified=True)
  np.testing.assert_array_equal(
    read.images, np.delete(images, [1, 4, 10, 19], 0)
  )
  (tmp_path / 'test.txt').write_text('1\n4\n19\n10\n20\n')
  with pytest.raises(OriginFileError, match=r'paths of pictures, found 20$'):
    _load(source, allow_unverified=True)


# Tables ----------------------------------------------------------------------


@pytest.mark.parametrize('header', [True, False])
@pytest.mark.parametrize('ending', ['csv', 'csv.gz'])
def test_a_table_of_pixels(tmp_path, header, ending):
  # More rows than are read together, in one of the cases.
  count = 4200 if header and ending == 'csv' else 50
  images, labels = _images(count), np.arange(count) % 2 + 1
  rows = np.concatenate([labels[:, None], images.reshape(count, -1)], 1)
  names = ['label', *(f'pixel{i}' for i in range(784))]
  text = io.StringIO()
  writer = csv.writer(text)
  writer.writerows([names] * header)
  writer.writerows(rows.tolist())
  data = text.getvalue().encode()
  path = tmp_path / f'set.{ending}'
  path.write_bytes(gzip.compress(data) if ending.endswith('gz') else data)
  source = _draft(path, first=5)
  read = _load(source)
  np.testing.assert_array_equal(read.images, images[10:])
  np.testing.assert_array_equal(read.labels, labels[10:])


def test_a_table_with_names_of_classes(tmp_path):
  images = _images(8)
  lines = [
    ','.join([*map(str, image.ravel()), name])
    for image, name in zip(images, ['cat', 'dog'] * 4, strict=True)
  ]
  head = ','.join([*(f'p{i}' for i in range(784)), 'class'])
  path = tmp_path / 'set.csv'
  path.write_text('\n'.join([head, *lines]) + '\n')
  source = _draft(path, first=1)
  assert source.class_names == ('cat', 'dog')
  read = _load(source)
  np.testing.assert_array_equal(read.images, images[2:])
  assert read.labels.tolist() == [0, 1] * 3


@pytest.mark.parametrize(
  ('row', 'fault'),
  [
    ('0,' + ','.join(['256'] * 784), 'from 0 to 255, found'),
    ('0,' + ','.join(['1'] * 783), 'the number of columns changed'),
    ('bird,' + ','.join(['1'] * 784), "name of a class, found 'bird'"),
    ('0,' + ','.join(['x'] * 784), 'expected whole numbers'),
    ('7,' + ','.join(['1'] * 784), '7 among them'),
  ],
)
def test_a_row_that_is_wrong(tmp_path, row, fault):
  rows = [f'{n % 2},' + ','.join(['1'] * 784) for n in range(20)]
  path = tmp_path / 'set.csv'
  path.write_text('\n'.join(rows) + '\n')
  source = _draft(path, first=1)
  path.write_text('\n'.join([*rows[:-1], row]) + '\n')
  with pytest.raises(OriginFileError, match=fault) as raised:
    _load(source, allow_unverified=True)
  assert 'set.csv' in str(raised.value)


def test_a_table_that_lists_pictures(tmp_path):
  """As HASYv2 has them: an archive with tables that name pictures."""
  images = _images(12, 32, 32)
  labels = np.array([31, 1400] * 6)
  files = {}
  for number, image in enumerate(images):
    out = io.BytesIO()
    Image.fromarray(np.repeat(255 - image[..., None], 3, 2)).save(out, 'png')
    files[f'hasy-data/v2-{number:05d}.png'] = out.getvalue()
  for split, numbers in (('train', range(8)), ('test', range(8, 12))):
    lines = ['path,symbol_id,latex,user_id'] + [
      f'../../hasy-data/v2-{n:05d}.png,{labels[n]},x,16' for n in numbers
    ]
    files[f'classification-task/fold-1/{split}.csv'] = '\n'.join(lines).encode()
  path = tmp_path / 'hasy.tar.bz2'
  with tarfile.open(path, 'w:bz2') as archive:
    for name, data in files.items():
      info = tarfile.TarInfo(name)
      info.size = len(data)
      archive.addfile(info, io.BytesIO(data))
  (tmp_path / 'xy.toml').write_text("""
    homepage = 'x'
    license = 'x'
    citation = '@misc{x}'
    layout = 'csv'
    image_column = 'path'
    label_column = 'symbol_id'
    shape = [32, 32]
    convert = ['grey', 'invert', 'resize']
    [archive]
    path = 'hasy.tar.bz2'
    [[source]]
    key = 'Xy'
    title = 'x'
    classes = ['A', '\\alpha']
    labels = [31, 1400]
    [source.train]
    num_examples = 8
    class_counts = 4
    [[source.train.files]]
    path = 'train.csv'
    member = 'classification-task/fold-1/train.csv'
    [source.test]
    num_examples = 4
    class_counts = 2
    [[source.test.files]]
    path = 'test.csv'
    member = 'classification-task/fold-1/test.csv'
  """)
  source = _parse(tmp_path / 'xy.toml')
  for split, numbers in (('train', slice(8)), ('test', slice(8, None))):
    read = _load(source, split, allow_unverified=True)
    expected = [_mean_by_area(image) for image in images[numbers]]
    np.testing.assert_array_equal(read.images, expected)
    np.testing.assert_array_equal(read.labels, labels[numbers])


@pytest.mark.parametrize('form', ['png', 'hugging face', 'pixels'])
def test_parquet(tmp_path, form):
  pa = pytest.importorskip('pyarrow')
  pq = pytest.importorskip('pyarrow.parquet')
  images, labels = _images(20), np.arange(20) % 2

  def png(image):
    out = io.BytesIO()
    Image.fromarray(image).save(out, 'png')
    return out.getvalue()

  column = [
    image.ravel().tolist()
    if form == 'pixels'
    else {'bytes': png(image), 'path': None}
    if form == 'hugging face'
    else png(image)
    for image in images
  ]
  table = pa.table({'image': column, 'label': labels})
  pq.write_table(table, tmp_path / 'set.parquet')
  source = _draft(tmp_path / 'set.parquet', first=2)
  read = _load(source)
  np.testing.assert_array_equal(read.images, images[4:])
  np.testing.assert_array_equal(read.labels, labels[4:])
  path = tmp_path / 'set.parquet'
  path.write_bytes(path.read_bytes()[:-20])
  with pytest.raises(OriginFileError, match='no Parquet file, or damaged'):
    _load(source, allow_unverified=True)


# Conversion ------------------------------------------------------------------


@pytest.mark.parametrize(
  'size', [(32, 32), (64, 48), (20, 20), (28, 31), (1, 1)]
)
def test_resizing_takes_the_mean_of_an_area(size):
  images = _RNG.integers(0, 256, (5, *size), np.uint8)
  expected = [_mean_by_area(image) for image in images]
  np.testing.assert_array_equal(convert(images, ['resize']), expected)


def test_steps_are_taken_in_order():
  images = _RNG.integers(0, 256, (3, 40, 30), np.uint8)
  found = convert(images.copy(), [(5, 1, 28, 28), 'transpose', 'invert'])
  np.testing.assert_array_equal(
    found, 255 - images[:, 5:33, 1:29].swapaxes(1, 2)
  )

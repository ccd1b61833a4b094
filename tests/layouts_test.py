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
from hypothesis import given
from hypothesis import strategies as st

from cmnist_tfds.origin import Locations, Proof, draft, load_split
from cmnist_tfds.origin.conversion import convert
from cmnist_tfds.sources import declaration, records
from cmnist_tfds.system.errors import OriginFileError

Image = pytest.importorskip('PIL.Image')

_RNG = np.random.default_rng(0)


def _parse(path: pathlib.Path) -> records.Source:
  (source,) = declaration.read(path)
  return source


def _draft(path: pathlib.Path, **options) -> records.Source:
  written = path.with_name('xy.toml')
  text = draft.draft(path, key='Xy', title='Test', **options)
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


def _assert_read(source, images, labels, split='train'):
  read = _load(source, split)
  np.testing.assert_array_equal(read.images, images)
  np.testing.assert_array_equal(read.labels, labels)
  assert Proof.NONE not in read.proofs.values()


def _images(count, *shape):
  return _RNG.integers(0, 100, (count, *(shape or (28, 28))), np.uint8)


def _png(pixels) -> bytes:
  out = io.BytesIO()
  Image.fromarray(pixels).save(out, 'png')
  return out.getvalue()


def _save(path, pixels):
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_bytes(_png(pixels))


def _tar(path, files, mode='w'):
  with tarfile.open(path, mode) as archive:
    for name, data in files.items():
      info = tarfile.TarInfo(name)
      info.size = len(data)
      archive.addfile(info, io.BytesIO(data))


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
  (tmp_path / 'shapes/circle/notes.txt').write_text('not a picture')
  (tmp_path / 'shapes/circle/.hidden.png').write_bytes(b'not a picture')
  return tmp_path / 'shapes', pixels


def test_a_folder_of_pictures(shapes):
  folder, pixels = shapes
  source = _draft(folder, first=2)
  assert source.layout == 'folder'
  assert source.class_names == ('circle', 'square')
  train = np.concatenate([images[2:] for images in pixels.values()])
  test = np.concatenate([images[:2] for images in pixels.values()])
  _assert_read(source, train, np.repeat([0, 1], [7, 5]))
  _assert_read(source, test, [0, 0, 1, 1], 'test')
  _save(folder / 'circle/000.png', pixels['circle'][0] ^ 1)
  with pytest.raises(OriginFileError, match='expected the fingerprint'):
    _load(source)
  read = _load(source, allow_unverified=True)
  assert set(read.proofs.values()) == {Proof.NONE}


@pytest.mark.parametrize('form', ['zip', 'tar', 'tar.bz2'])
def test_an_archive_of_pictures(tmp_path, form):
  pixels = {'U+4E00': _images(6, 64, 64), 'U+4E8C': _images(8, 64, 64)}
  pixels['U+4E09'] = _images(1, 64, 64)  # Too few to divide.
  path = tmp_path / f'kkanji.{form}'
  files = {
    f'kkanji2/{folder}/{number:04d}.png': _png(image)
    for folder, images in pixels.items()
    for number, image in enumerate(images)
  }
  if form == 'zip':
    with zipfile.ZipFile(path, 'w') as archive:
      for name, data in files.items():
        archive.writestr(name, data)
  else:
    files = {f'./{name}': data for name, data in files.items()}
    _tar(path, files, 'w:bz2' if 'bz2' in form else 'w')
  source = _draft(path, first=1, min_examples=5)
  assert source.class_names == ('一', '二')
  assert source.steps == ('resize',)
  expected = [*pixels['U+4E00'][1:], *pixels['U+4E8C'][1:]]
  resized = [_mean_by_area(image) for image in expected]
  _assert_read(source, resized, [0] * 5 + [1] * 7)


def test_pictures_of_odd_sizes_and_colors(tmp_path):
  sizes = [(20, 31), (28, 28), (90, 40), (28, 28)]
  for number, size in enumerate(sizes):
    _save(tmp_path / f'set/a/{number}.png', _images(1, *size, 3)[0])
    _save(tmp_path / f'set/b/{number}.png', _images(1, *size)[0])
  source = _draft(tmp_path / 'set', first=1)
  assert source.steps == ('grey', 'resize')
  read = _load(source)
  for image, name in zip(
    read.images, ['a1', 'a2', 'a3', 'b1', 'b2', 'b3'], strict=True
  ):
    with Image.open(tmp_path / f'set/{name[0]}/{name[1]}.png') as picture:
      gray = np.asarray(picture.convert('L'))
    np.testing.assert_array_equal(image, _mean_by_area(gray))


def test_what_is_transparent_is_white_and_pictures_are_upright(tmp_path):
  turned = Image.Exif()
  turned[0x112] = 6
  for name in 'ab':
    for number in range(2):
      pixels = np.zeros((28, 28, 4), np.uint8)
      pixels[:20, :, 3] = 255  # The upper part is black, the lower transparent.
      _save(tmp_path / f'set/{name}/{number}.png', pixels)
  pixels = pixels[..., 3]
  Image.fromarray(pixels).save(tmp_path / 'set/b/1.png', exif=turned)
  read = _load(_draft(tmp_path / 'set'))
  expected = np.zeros((28, 28), np.uint8)
  expected[20:] = 255
  np.testing.assert_array_equal(read.images[0], expected)
  np.testing.assert_array_equal(read.images[1], np.rot90(pixels, -1))


@pytest.mark.parametrize(
  ('data', 'fault'),
  [
    (_png(_images(1, 28, 30)[0]), 'of 28x28 pixels, found 28x30'),
    (_png(_images(1, 28, 28, 3)[0]), 'found colors'),
    (_png(_images(1)[0].astype(np.uint16)), 'expected pixels of 8 bits'),
    (b'\x89PNG and no more', 'is not a picture: expected one of'),
    (b'', 'it is empty'),
    # Pillow would start a program to read it.
    (b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 28 28\n', 'expected one of'),
  ],
)
def test_a_picture_that_is_not_as_declared_is_named(shapes, data, fault):
  folder, _ = shapes
  source = _draft(folder)
  (folder / 'square/003.png').write_bytes(data)
  with pytest.raises(OriginFileError, match=fault) as raised:
    _load(source, allow_unverified=True)
  assert 'square/003.png' in str(raised.value)


def test_a_class_without_pictures_is_named(shapes):
  folder, _ = shapes
  source = _draft(folder)
  for path in (folder / 'square').iterdir():
    path.unlink()
  with pytest.raises(OriginFileError, match='in a folder square for the class'):
    _load(source)


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
    expected = []
    for rgb in arrays[f'x_{split}']:
      with Image.fromarray(rgb) as picture:
        expected.append(_mean_by_area(255 - np.asarray(picture.convert('L'))))
    _assert_read(source, expected, arrays[f'y_{split}'], split)


@pytest.mark.parametrize('packed', [True, False])
def test_idx_with_rows_of_labels(tmp_path, packed):
  """As QMNIST has them: big-endian, with the digit in the first column."""
  images = {'train': _images(20), 'test': _images(10)}
  labels = {
    split: np.stack([np.arange(len(i)) % 2 + 7, *[np.arange(len(i))] * 7], 1)
    for split, i in images.items()
  }
  (tmp_path / 'set').mkdir()
  for split, pixels in images.items():
    for name, array, kind in (
      (f'{split}-images', pixels, 8),
      (f'{split}-labels', labels[split].astype('>i4'), 12),
    ):
      data = bytes([0, 0, kind, array.ndim])
      data += np.array(array.shape, '>u4').tobytes() + array.tobytes()
      path = tmp_path / 'set' / name
      path.write_bytes(gzip.compress(data) if packed else data)
  source = _draft(tmp_path / 'set', label_column='0')
  assert list(source.raw_labels) == [7, 8]
  for split, pixels in images.items():
    _assert_read(source, pixels, labels[split][:, 0], split)


def test_a_file_for_each_class(tmp_path):
  """As Quick, Draw! has them: rows of 784 pixels."""
  (tmp_path / 'draw').mkdir()
  pixels = {
    name: _images(count, 784)
    for name, count in (('ax', 9), ('bat', 0), ('cat', 1), ('dog10', 12))
  }
  pixels['dog9'] = _images(8, 784)
  for name, rows in pixels.items():
    np.save(tmp_path / f'draw/{name}.npy', rows)
  source = _draft(tmp_path / 'draw', first=4, min_examples=2)
  # Names that end in numbers are in the order of these.
  assert source.class_names == ('ax', 'dog9', 'dog10')
  expected = np.concatenate([pixels[n][4:] for n in source.class_names])
  labels = np.repeat([0, 1, 2], [5, 4, 8])
  _assert_read(source, expected.reshape(-1, 28, 28), labels)
  assert _load(source, 'test').labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4


@pytest.mark.slow
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
    found = pixels[:, 0, 0] + 256 * pixels[:, 0, 1]
    np.testing.assert_array_equal(found, read.labels)


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
  source = _change(
    tmp_path,
    'first = 3',
    "list = { path = 'test.txt' }\ntest_counts = 2",
  )
  with pytest.raises(OriginFileError, match='no hash of it is declared'):
    _load(source)
  chosen = [1, 4, 10, 19]
  for split, expected in (
    ('train', np.delete(images, chosen, 0)),
    ('test', images[chosen]),
  ):
    read = _load(source, split, allow_unverified=True)
    np.testing.assert_array_equal(read.images, expected)
  (tmp_path / 'test.txt').write_text('1\n4\n19\n10\n20\n')
  with pytest.raises(OriginFileError, match=r'paths of pictures, found 20$'):
    _load(source, allow_unverified=True)


# Tables ----------------------------------------------------------------------


def _table(images, labels, names=()):
  text = io.StringIO()
  writer = csv.writer(text)
  writer.writerows([names] if names else [])
  writer.writerows(
    [label, *i.ravel()] for label, i in zip(labels, images, strict=True)
  )
  return text.getvalue().encode()


_NAMES = ['label', *(f'pixel{i}' for i in range(784))]


@pytest.mark.parametrize(
  ('name', 'count', 'names', 'column'),
  [
    ('set.csv', 4200, _NAMES, None),
    ('set.csv.gz', 50, _NAMES, None),
    ('set.csv', 50, (), '0'),
    ('set.csv.gz', 50, (), '0'),
  ],
)
def test_a_table_of_pixels(tmp_path, name, count, names, column):
  images, labels = _images(count), np.arange(count) % 2 + 1
  data = _table(images, labels, names)
  path = tmp_path / name
  path.write_bytes(gzip.compress(data) if name.endswith('gz') else data)
  source = _draft(path, first=5, label_column=column)
  _assert_read(source, images[10:], labels[10:])


@pytest.mark.parametrize(
  ('row', 'fault'),
  [
    ('0,' + ','.join(['256'] * 784), "invalid value '256'"),
    ('0,' + ','.join(['1'] * 783), 'Expected 785 columns, got 784'),
    ('bird,' + ','.join(['1'] * 784), "row 20: .* of a class, found 'bird'"),
    ('0,' + ','.join(['x'] * 784), "invalid value 'x'"),
    ('0,' + ','.join(['1_0'] * 784), "invalid value '1_0'"),
    ('0,' + ','.join(['\u0663'] * 784), 'invalid value'),
    ('7,' + ','.join(['1'] * 784), '7 among them'),
  ],
)
def test_a_row_that_is_wrong(tmp_path, row, fault):
  rows = [f'{n % 2},' + ','.join(['100'] * 784) for n in range(20)]
  path = tmp_path / 'set.csv'
  path.write_text('\n'.join(rows) + '\n')
  source = _draft(path, first=1, label_column='0')
  path.write_text('\n'.join([*rows[:-1], row]) + '\n', 'utf-8')
  with pytest.raises(OriginFileError, match=fault) as raised:
    _load(source, allow_unverified=True)
  assert 'set.csv' in str(raised.value)


def test_a_table_that_lists_pictures(tmp_path):
  """As HASYv2 has them: an archive with tables that name pictures."""
  images, labels = _images(12, 32, 32), np.array([31, 1400] * 6)
  files = {
    f'hasy-data/v2-{n:05d}.png': _png(np.repeat(255 - image[..., None], 3, 2))
    for n, image in enumerate(images)
  }
  for split, numbers in (('train', range(8)), ('test', range(8, 12))):
    lines = ['path,symbol_id,latex,user_id'] + [
      f'../../hasy-data/v2-{n:05d}.png,{labels[n]},x,16' for n in numbers
    ]
    files[f'classification-task/fold-1/{split}.csv'] = '\n'.join(lines).encode()
  _tar(tmp_path / 'hasy.tar.bz2', files, 'w:bz2')
  text = """
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
  """
  for split, count in (('train', 8), ('test', 4)):
    text += f"""
    [source.{split}]
    num_examples = {count}
    class_counts = {count // 2}
    [[source.{split}.files]]
    path = '{split}.csv'
    member = 'classification-task/fold-1/{split}.csv'
    """
  (tmp_path / 'xy.toml').write_text(text)
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
  images = _images(20)
  # Numbers as text are raw labels, and come by their size.
  labels = np.array(['2', '10'] * 10)
  forms = {
    'png': _png,
    'hugging face': lambda image: {'bytes': _png(image), 'path': None},
    'pixels': lambda image: image.ravel().tolist(),
  }
  column = [forms[form](image) for image in images]
  path = tmp_path / 'set.parquet'
  pq.write_table(pa.table({'image': column, 'label': labels}), path)
  source = _draft(path, first=2)
  assert source.class_names == ('2', '10')
  _assert_read(source, images[4:], labels[4:].astype(int))
  path.write_bytes(path.read_bytes()[:-20])
  with pytest.raises(OriginFileError, match=r'set\.parquet: cannot be read'):
    _load(source, allow_unverified=True)


# Conversion ------------------------------------------------------------------


@given(st.integers(1, 64), st.integers(1, 64))
def test_resizing_takes_the_mean_of_an_area(height, width):
  images = _RNG.integers(0, 256, (3, height, width), np.uint8)
  expected = [_mean_by_area(image) for image in images]
  np.testing.assert_array_equal(convert(images, ['resize']), expected)


def test_steps_are_taken_in_order():
  images = _RNG.integers(0, 256, (3, 40, 30), np.uint8)
  found = convert(images.copy(), [(5, 1, 28, 28), 'transpose', 'invert'])
  np.testing.assert_array_equal(
    found, 255 - images[:, 5:33, 1:29].swapaxes(1, 2)
  )


@pytest.mark.parametrize('brightest', [1, 16, 100])
def test_pixels_are_scaled(tmp_path, brightest):
  images, labels = _images(20) % (brightest + 1), np.arange(20) % 2
  path = _npz(tmp_path / 'set.npz', images=images, labels=labels)
  source = _draft(path, scale=brightest, first=1)
  assert source.steps[0] == brightest
  scaled = np.floor(images.astype(int) * 255 / brightest + 0.5)
  if 'invert' in source.steps:
    scaled = 255 - scaled
  _assert_read(source, scaled[2:], labels[2:])

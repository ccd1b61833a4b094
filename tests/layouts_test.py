# SPDX-License-Identifier: Apache-2.0
"""Files of every layout are drafted, declared and read as plain NumPy has them."""

from __future__ import annotations

import gzip
import io
import pathlib

import numpy as np
import pytest
import synthetic
from hypothesis import given
from hypothesis import strategies as st
from synthetic import png

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
  return load_split.load_split(source, split, Locations(**kwargs))


def _assert_read(source, images, labels, split='train'):
  read = _load(source, split)
  np.testing.assert_array_equal(read.images, images)
  np.testing.assert_array_equal(read.labels, labels)
  assert Proof.NONE not in read.proofs.values()


def _images(count, *shape):
  return _RNG.integers(0, 100, (count, *(shape or (28, 28))), np.uint8)


def _save(path, pixels):
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_bytes(png(pixels))


def _cut_short(pixels):
  """A PNG that ends, without an error of its own, before its last rows."""
  whole, few = png(pixels), png(pixels[:5])
  return whole[:33] + few[33:]


def _frames(form):
  """A picture of two frames."""
  out = io.BytesIO()
  first, second = map(Image.fromarray, _images(2))
  first.save(out, form, save_all=True, append_images=[second])
  return out.getvalue()


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
  with (folder / 'circle/000.png').open('ab') as file:
    file.write(b'\n')  # Some programs add to pictures.
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
  files = {
    f'kkanji2/{folder}/{number:04d}.png': png(image)
    for folder, images in pixels.items()
    for number, image in enumerate(images)
  }
  path = tmp_path / f'kkanji.{form}'
  if form == 'zip':
    path.write_bytes(synthetic.zipped(files))
  else:
    files = {f'./{name}': data for name, data in files.items()}
    mode = 'w:bz2' if 'bz2' in form else 'w'
    path.write_bytes(synthetic.tarred(files, mode))
  source = _draft(path, first=1, min_examples=5)
  assert source.class_names == ('U+4E00', 'U+4E8C')
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
  pixels = np.zeros((28, 28, 4), np.uint8)
  pixels[:20, :, 3] = 255  # The upper part is black, the lower transparent.
  for name in ('a/0', 'a/1', 'b/0', 'b/1'):
    _save(tmp_path / f'set/{name}.png', pixels)
  turned = Image.Exif()
  turned[0x112] = 6
  shape = pixels[..., 3]
  Image.fromarray(shape).save(tmp_path / 'set/b/1.png', exif=turned)
  read = _load(_draft(tmp_path / 'set'))
  expected = [255 - shape, np.rot90(shape, -1)]
  np.testing.assert_array_equal(read.images, expected)


@pytest.mark.parametrize(
  ('data', 'fault'),
  [
    (png(_images(1, 28, 30)[0]), 'of 28x28 pixels, found 28x30'),
    (png(_images(1, 28, 28, 3)[0]), 'found colors'),
    (png(_images(1)[0].astype(np.uint16)), 'expected pixels of 8 bits'),
    (b'\x89PNG and no more', 'is not a picture: expected one of'),
    (b'', 'it is empty'),
    (_cut_short(_images(1)[0]), 'it is cut short'),
    *((_frames(form), 'one frame, found 2') for form in ('gif', 'tiff', 'png')),
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
  with pytest.raises(OriginFileError, match='in a folder square, found none'):
    _load(source)


# Arrays ----------------------------------------------------------------------


def _npz(path, **arrays):
  np.savez_compressed(path, **arrays)
  return path


def test_an_npz_with_all_arrays(tmp_path):
  arrays = {
    f'{name}_{split}': array
    for split, count in (('train', 30), ('test', 6))
    for name, array in (
      ('x', _images(count, 32, 32, 3) + 156),
      ('y', np.arange(count) % 3),
    )
  }
  source = _draft(_npz(tmp_path / 'set.npz', **arrays))
  assert source.steps == ('grey', 'invert', 'resize')
  for split in ('train', 'test'):
    rgb = arrays[f'x_{split}']
    gray = [np.asarray(Image.fromarray(i).convert('L')) for i in rgb]
    expected = [_mean_by_area(255 - image) for image in gray]
    _assert_read(source, expected, arrays[f'y_{split}'], split)


def test_idx_with_rows_of_labels(tmp_path):
  """As QMNIST has them: big-endian, with the digit in the first column."""
  images, digits = _images(20), np.arange(20) % 2 + 7
  rows = np.stack([digits, *[np.arange(20)] * 7], 1).astype('>i4')
  header = bytes([0, 0, 12, 2]) + np.array(rows.shape, '>u4').tobytes()
  (tmp_path / 'set').mkdir()
  for split in ('train', 'test'):
    path = tmp_path / f'set/{split}-images'
    path.write_bytes(synthetic.idx(images, packed=False))
    path = tmp_path / f'set/{split}-labels.gz'
    path.write_bytes(gzip.compress(header + rows.tobytes()))
  source = _draft(tmp_path / 'set', label_column='0')
  assert list(source.raw_labels) == [7, 8]
  _assert_read(source, images, digits, 'test')


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
    "list = { path = 'test.txt' }, test_counts = 2",
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


def test_a_table_of_thousands_of_rows(tmp_path):
  images, labels = _images(4200), np.arange(4200) % 2 + 1
  rows = np.column_stack([labels, images.reshape(4200, -1)])
  names = ','.join(['label', *(f'pixel{i}' for i in range(784))])
  path = tmp_path / 'set.csv.gz'
  np.savetxt(path, rows, '%d', ',', header=names, comments='')
  _assert_read(_draft(path, first=5), images[10:], labels[10:])


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
    f'hasy-data/v2-{n:05d}.png': png(np.repeat(255 - image[..., None], 3, 2))
    for n, image in enumerate(images)
  }
  for split, numbers in (('train', range(8)), ('test', range(8, 12))):
    lines = ['path,symbol_id,latex,user_id'] + [
      f'../../hasy-data/v2-{n:05d}.png,{labels[n]},x,16' for n in numbers
    ]
    files[f'classification-task/fold-1/{split}.csv'] = '\n'.join(lines).encode()
  data = synthetic.tarred(files, 'w:bz2')
  (tmp_path / 'hasy.tar.bz2').write_bytes(data)
  text = """
    homepage = 'x'
    license = 'x'
    citation = '@misc{x}'
    layout = 'csv'
    image_column = 'path'
    label_column = 'symbol_id'
    shape = [32, 32]
    convert = ['grey', 'invert', 'resize']
    archive = { path = 'hasy.tar.bz2' }
    [[source]]
    key = 'Xy'
    title = 'x'
    classes = ['A', '\\alpha']
    labels = [31, 1400]
  """
  for split, count in (('train', 8), ('test', 4)):
    member = f'classification-task/fold-1/{split}.csv'
    text += f"""
    [source.{split}]
    num_examples = {count}
    class_counts = {count // 2}
    files = [{{ path = '{split}.csv', member = '{member}' }}]
    """
  (tmp_path / 'xy.toml').write_text(text)
  source = _parse(tmp_path / 'xy.toml')
  for split, numbers in (('train', slice(8)), ('test', slice(8, None))):
    read = _load(source, split, allow_unverified=True)
    expected = [_mean_by_area(image) for image in images[numbers]]
    np.testing.assert_array_equal(read.images, expected)
    np.testing.assert_array_equal(read.labels, labels[numbers])


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

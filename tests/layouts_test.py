# SPDX-License-Identifier: Apache-2.0
"""Files of every layout are drafted, declared and read as plain NumPy has them."""

import gzip
import io
import pathlib

import numpy as np
import pytest
import running
import synthetic
from hypothesis import given
from hypothesis import strategies as st
from synthetic import png

import cmnist_tfds
from cmnist_tfds.origin import Locations, draft, load_split, picture_files
from cmnist_tfds.origin.conversion import convert
from cmnist_tfds.origin.verification import Proof
from cmnist_tfds.sources import declaration, records
from cmnist_tfds.system.errors import OriginFileError

Image = pytest.importorskip('PIL.Image')

_RNG = np.random.default_rng(0)


def _parse(path: pathlib.Path) -> records.Source:
  (source,) = declaration.read(path)
  return source


def _draft(path: pathlib.Path, changes=(), **options) -> records.Source:
  """Drafts a source, with other text in places of the draft."""
  text = draft.draft(path, key='Xy', title='Test', **options)
  for old, new in changes:
    assert old in text
    text = text.replace(old, new)
  written = path.with_name('xy.toml')
  written.write_text(text, 'utf-8')
  return _parse(written)


def _load(source, split='train', **kwargs):
  return load_split.load_split(source, split, Locations(**kwargs))


def _assert_read(source, images, labels, split='train'):
  read = _load(source, split)
  np.testing.assert_array_equal(read.images, images)
  np.testing.assert_array_equal(read.labels, labels)
  assert Proof.NONE not in read.proofs.values()


def _images(count, *shape):
  return _RNG.integers(0, 100, (count, *(shape or (28, 28))), np.uint8)


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


# What is read ----------------------------------------------------------------

_GRAY, _LARGE, _FEW = _images(30), _images(30, 64, 64), _images(1, 64, 64)
_RGB = _images(30, 32, 32, 3) + 156
_TWO, _THREE = np.arange(30) % 2, np.arange(30) % 3
_ARCHIVED = synthetic.pictures({'a': _LARGE[::2], 'b': _FEW, 'c': _LARGE[1::2]})
_DOTTED = {f'./{name}': data for name, data in _ARCHIVED.items()}
# As QMNIST has them: big-endian, with the digit in the first column.
_ROWS = np.stack([_TWO + 7, *[np.arange(30)] * 7], 1).astype('>i4')
_ROWS_IDX = bytes([0, 0, 12, 2]) + np.array(_ROWS.shape, '>u4').tobytes()
_QMNIST = {
  f'{split}-{name}': data
  for split in ('train', 'test')
  for name, data in {
    'images': synthetic.idx(_GRAY, packed=False),
    'labels.gz': gzip.compress(_ROWS_IDX + _ROWS.tobytes()),
  }.items()
}


def _gray(images):
  return [np.asarray(Image.fromarray(image).convert('L')) for image in images]


@pytest.mark.parametrize(
  ('name', 'content', 'options', 'steps', 'images', 'labels'),
  [
    *(
      (name, files, {'min_examples': 5, 'first': 1}, ('resize',),
       [_mean_by_area(i) for i in (*_LARGE[2::2], *_LARGE[3::2])], [0] * 14 + [1] * 14)
      for name, files in (
        ('s.zip', _ARCHIVED), ('s.tar', _DOTTED), ('s.tar.bz2', _DOTTED),
      )
    ),
    (
      's.npz',
      {'x_train': _RGB, 'y_train': _THREE, 'x_test': _RGB[:6], 'y_test': _THREE[:6]},
      {},
      ('grey', 'invert', 'resize'),
      [_mean_by_area(255 - image) for image in _gray(_RGB)],
      _THREE,
    ),
    ('s', _QMNIST, {'label_column': '0'}, (), _GRAY, _TWO + 7),
    *(
      ('s.npz', {'x': images, 'y': _TWO}, {'scale': white, 'first': 1}, (white, *steps),
       (255 * len(steps) + (-1) ** len(steps) * np.floor(images * 255.0 / white + 0.5))[2:],
       _TWO[2:])
      for images, white, steps in (
        (_GRAY // 60, 1, ()), (16 - _GRAY // 12, 16, ('invert',)), (_GRAY, 100, ()),
      )
    ),
  ],
)  # fmt: skip
def test_what_is_drafted_is_read(
  tmp_path, name, content, options, steps, images, labels
):
  source = _draft(synthetic.write(tmp_path / name, content), **options)
  assert source.steps == steps
  _assert_read(source, images, labels)


@pytest.fixture
def shapes(tmp_path):
  """A folder of pictures with its pixels, by class and in order of names."""
  pixels = {'circle': _images(9), 'square': _images(7)}
  others = {'circle/notes.txt': b'text', 'circle/.hidden.png': b'text'}
  files = synthetic.pictures(pixels) | others
  return synthetic.write(tmp_path / 'shapes', files), pixels


def test_a_folder_of_pictures(shapes):
  folder, pixels = shapes
  with (folder / 'circle/00.png').open('ab') as file:
    file.write(b'\n')  # Some programs add to pictures.
  source = _draft(folder, first=2)
  assert source.layout == 'folder'
  assert source.class_names == ('circle', 'square')
  circles, squares = pixels.values()
  train, test = [*circles[2:], *squares[2:]], [*circles[:2], *squares[:2]]
  _assert_read(source, train, np.repeat([0, 1], [7, 5]))
  _assert_read(source, test, [0, 0, 1, 1], 'test')
  (folder / 'circle/00.png').write_bytes(png(pixels['circle'][0] ^ 1))
  with pytest.raises(OriginFileError, match='expected the fingerprint'):
    _load(source)
  read = _load(source, allow_unverified=True)
  assert set(read.proofs.values()) == {Proof.NONE}


def test_pictures_of_odd_sizes_and_colors(tmp_path):
  sizes = [(20, 31), (28, 28), (90, 40), (28, 28)]
  colors, gray = ([_images(1, *s, *c)[0] for s in sizes] for c in ((3,), ()))
  files = synthetic.pictures({'a': colors, 'b': gray})
  source = _draft(synthetic.write(tmp_path / 'set', files), first=1)
  assert source.steps == ('grey', 'resize')
  images = [*map(_mean_by_area, [*_gray(colors[1:]), *gray[1:]])]
  _assert_read(source, images, [0] * 3 + [1] * 3)


def test_what_is_transparent_is_white_and_pictures_are_upright(tmp_path):
  pixels = np.zeros((28, 28, 4), np.uint8)
  pixels[:20, :, 3] = 255  # The upper part is black, the lower transparent.
  files = synthetic.pictures({'a': [pixels] * 2, 'b': [pixels] * 2})
  synthetic.write(tmp_path / 'set', files)
  turned = Image.Exif()
  turned[0x112] = 6
  shape = pixels[..., 3]
  Image.fromarray(shape).save(tmp_path / 'set/b/01.png', exif=turned)
  source = _draft(tmp_path / 'set')
  _assert_read(source, [255 - shape, np.rot90(shape, -1)], [0, 1])


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
  (folder / 'square/03.png').write_bytes(data)
  with pytest.raises(OriginFileError, match=fault) as raised:
    _load(source, allow_unverified=True)
  assert 'square/03.png' in str(raised.value)


def test_a_class_without_pictures_is_named(shapes):
  folder, _ = shapes
  source = _draft(folder)
  for path in (folder / 'square').iterdir():
    path.unlink()
  with pytest.raises(OriginFileError, match='in a folder square, found none'):
    _load(source)


# Arrays ----------------------------------------------------------------------


def test_labels_with_gaps(tmp_path):
  labels = np.array([300, 5, 9, 5, 300, 9, 5, 9, 300] * 2)
  arrays = {'images': _images(18), 'labels': labels}
  path = synthetic.write(tmp_path / 'set.npz', arrays)
  names = ('["5", "9", "300"]', '["five", "nine", "many"]')
  source = _draft(path, [names])
  assert source.class_names == ('five', 'nine', 'many')
  assert list(source.raw_labels) == [5, 9, 300]
  read = _load(source)
  assert read.labels.dtype == np.uint16
  assert np.unique(read.labels).tolist() == [5, 9, 300]
  source = _draft(path, [names, ('[5, 9, 300]', '[5, 9, 301]')])
  with pytest.raises(OriginFileError, match='300 among them'):
    _load(source)


def test_a_file_lists_the_examples_for_test(tmp_path):
  images, labels = _images(20), np.arange(20) % 2
  path = tmp_path / 'set.npz'
  synthetic.write(path, {'images': images, 'labels': labels})
  (tmp_path / 'test.txt').write_text('1\n4\n\n19\n10\n')
  listed = "list = { path = 'test.txt' }, test_counts = 2"
  source = _draft(path, [('first = 3', listed)], first=3)
  with pytest.raises(OriginFileError, match='no hash of it is declared'):
    _load(source)
  chosen = [1, 4, 10, 19]
  expected = {'train': np.delete(images, chosen, 0), 'test': images[chosen]}
  for split, pixels in expected.items():
    read = _load(source, split, allow_unverified=True)
    np.testing.assert_array_equal(read.images, pixels)
  (tmp_path / 'test.txt').write_text('1\n4\n19\n10\n20\n')
  with pytest.raises(OriginFileError, match=r'paths of pictures, found 20$'):
    _load(source, allow_unverified=True)


# Tables ----------------------------------------------------------------------


def test_a_table_of_thousands_of_rows(tmp_path):
  images = np.tile(_images(42), (100, 1, 1))
  labels = np.arange(4200) % 2 + 1
  names = ['label', *synthetic.PIXELS]
  packed = gzip.compress(synthetic.table(labels, images, names), 1)
  path = synthetic.write(tmp_path / 'set.csv.gz', packed)
  _assert_read(_draft(path, first=5), images[10:], labels[10:])


@pytest.mark.parametrize(
  ('row', 'fault'),
  [
    ('0' + ',256' * 784, "invalid value '256'"),
    ('0' + ',1' * 783, 'Expected 785 columns, got 784'),
    ('bird' + ',1' * 784, "row 20: .* of a class, found 'bird'"),
    ('0' + ',x' * 784, "invalid value 'x'"),
    ('0' + ',1_0' * 784, "invalid value '1_0'"),
    ('0' + ',\u0663' * 784, 'invalid value'),
    ('7' + ',1' * 784, '7 among them'),
  ],
)
def test_a_row_that_is_wrong(tmp_path, row, fault):
  rows = [f'{n % 2}{",100" * 784}' for n in range(20)]
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
  parts = {'train': range(8), 'test': range(8, 12)}
  files = {
    f'hasy-data/v2-{n:05d}.png': png(np.repeat(255 - image[..., None], 3, 2))
    for n, image in enumerate(images)
  }
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
  for split, numbers in parts.items():
    member = f'classification-task/fold-1/{split}.csv'
    rows = [f'../../hasy-data/v2-{n:05d}.png,{labels[n]},x,16' for n in numbers]
    files[member] = '\n'.join(['path,symbol_id,latex,id', *rows]).encode()
    text += f"""
    [source.{split}]
    num_examples = {len(numbers)}
    class_counts = {len(numbers) // 2}
    files = [{{ path = '{split}.csv', member = '{member}' }}]
    """
  synthetic.write(tmp_path / 'hasy.tar.bz2', files)
  (tmp_path / 'xy.toml').write_text(text)
  source = _parse(tmp_path / 'xy.toml')
  for split, numbers in parts.items():
    read = _load(source, split, allow_unverified=True)
    expected = [_mean_by_area(images[n]) for n in numbers]
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
  expected = 255 - images[:, 5:33, 1:29].swapaxes(1, 2)
  found = convert(images, [(5, 1, 28, 28), 'transpose', 'invert'])
  np.testing.assert_array_equal(found, expected)


# Large sources -------------------------------------------------------------------

_COUNTS = {'ant': 1500, 'bee': 4, 'cat': 1100, 'dog': 40, 'eel': 2000}
_FIRST = 3


@pytest.fixture
def declared(tmp_path, monkeypatch, empty_cache):
  """Declares '1-Xy', with a file for each class, by their images."""
  monkeypatch.setenv('CMNIST_SOURCES', str(tmp_path / 'animals.toml'))

  def declare(images, first=_FIRST):
    files = {f'{name}.npy': array for name, array in images.items()}
    folder = synthetic.write(tmp_path / 'animals', files)
    text = draft.draft(folder, key='Xy', title='Animals', first=first)
    (tmp_path / 'animals.toml').write_text(text, 'utf-8')
    return images

  return declare


def test_a_changed_file_is_refused_before_any_of_it_is_used(declared, tmp_path):
  pixels = declared({name: _images(count) for name, count in _COUNTS.items()})
  np.save(tmp_path / 'animals/dog.npy', pixels['dog'] ^ 1)
  with pytest.raises(OriginFileError, match=r'dog\.npy'):
    cmnist_tfds.load_data('1-Xy', data_dir=tmp_path)
  np.save(tmp_path / 'animals/dog.npy', pixels['dog'])
  (x, _), _ = cmnist_tfds.load_data('1-Xy', data_dir=tmp_path)
  expected = np.concatenate([images[_FIRST:] for images in pixels.values()])
  sums = (np.sort(i.sum((1, 2), np.int64)) for i in (x, expected))
  np.testing.assert_array_equal(*sums)


_READ_IN_LITTLE_MEMORY = """
import resource, sys
from cmnist_tfds.origin import Locations, load_split
from cmnist_tfds.sources import source
xy = source('Xy')
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
chunks = load_split.load_pieces(xy, 'train', Locations())
count = sum(len(chunk.images) for chunk in chunks)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert count == 200_000 - 20, count
# All images have 150 MiB.
assert after - before < 80 << 10, after - before
"""


def test_files_of_classes_are_read_in_little_memory(declared):
  image = np.full((10_000, 28, 28), 99, np.uint8)
  declared(dict.fromkeys(range(20), image), first=1)
  running.works('-c', _READ_IN_LITTLE_MEMORY)


def test_what_nobody_needs_of_an_archive_is_not_kept():
  data = synthetic.tarred({'0.bin': bytes(1 << 20)}, 'w:gz')
  files = picture_files.open_archive(data, '.', 'zeros.tar.gz')
  assert (files.names, [*files.readers]) == ([], ['0.bin'])
  with pytest.raises(OriginFileError, match=r'0\.bin: expected a file that'):
    files.read('0.bin')

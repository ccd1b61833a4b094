# SPDX-License-Identifier: Apache-2.0
"""`cmnist source`, and the way from a user's own files to a dataset."""

import csv
import json
import os
import pathlib
import re

import numpy as np
import pytest
import running
from command_line import run as _run
from synthetic import PIXELS, pictures, png, table, write, zipped

import cmnist_tfds
from cmnist_tfds import subsets

pytest.importorskip('PIL')
pytest.importorskip('pyarrow')

# A few images of three classes.
_X = np.random.default_rng(0).integers(0, 200, (30, 28, 28), np.uint8)
_Y = np.arange(30) % 3


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
  """Runs in a folder of its own."""
  monkeypatch.chdir(tmp_path)


def _new(capsys, path, *options):
  return _run(capsys, 'source', 'new', path, '--key', 'Xy', *options)


def _load(capsys, monkeypatch, name, *options):
  """Drafts and loads a source; returns its arrays."""
  monkeypatch.delenv('CMNIST_SOURCES', raising=False)
  status, _, err = _new(capsys, name, *options)
  assert status == 0, err
  monkeypatch.setenv('CMNIST_SOURCES', f'{name.partition(".")[0]}.toml')
  return cmnist_tfds.load_data('1-Xy', data_dir='data')


def _named(arrays, classes=None):
  """The pixels of images, sorted, with the names of their classes."""
  images, labels = arrays
  names = classes or [c.name for c in subsets.subset('1-Xy').classes]
  return sorted(
    (image.tobytes(), names[label])
    for image, label in zip(images, labels, strict=True)
  )


def _csv(labels=_Y, names=(), images=_X, **options):
  return table(labels, images, names, **options)


# What is drafted -------------------------------------------------------------


def _pictures(folders, inside=''):
  """Pictures of each class, in folders of these names."""
  return pictures({f: _X[n::3] for n, f in enumerate(folders)}, inside)


_NAMES = ['a, "b"', '1', '9']
_PAIR = {'x_train': _X, 'y_train': _Y}
_TEST = {'x_test': _X // 2, 'y_test': _Y}
_VAL = {'x_val': _X[:9], 'y_val': _Y[:9]}
_ROWS = _X.reshape(30, -1)
_ABC = _pictures('abc')
# A name in a zip file says its code page only if it is UTF-8.
_SHIFT_JIS = zipped(_pictures(['a', 'zz'])).replace(b'zz/', b'\x82\xa0/')
_TWICE = zipped({f'{n}.npy': b'' for n in 'xyz'}).replace(b'z.npy', b'y.npy')
_TABLE = _csv(names=['label', *PIXELS])
_TRAIN, _TESTS = (
  f'{split}: 30 images, x_{split} and y_{split}' for split in ('train', 'test')
)
_NO_VAL = 'left out: 9 images, x_val and y_val'
_WHOLE = 'examples: 30 images, x and y'
_FIRST, _FIRST_2 = (f'for test: the first {n} of each class' for n in (1, 2))
_ABC_OF = '30 images, folders in s/{}: a, b, c'
_TABLE_OF = '{}: 30 images, {}, labels in column label'


@pytest.mark.parametrize(
  ('name', 'files', 'options', 'classes'),
  [
    ('s.csv', _csv(quoting=csv.QUOTE_ALL), '--label_column 0', '012'),
    ('s.csv', _csv(names=['label', *range(784)]), '', '012'),
    ('s.csv', _csv() + b'\n' * 5000, '--label_column 0', '012'),
    ('s.csv', _csv(last=True), '--label_column 784', '012'),
    ('s.csv', _csv(names=[*PIXELS, 'digit'], last=True), '--label_column digit', '012'),
    ('s.csv', _csv(np.take(_NAMES, _Y), ['Class', *PIXELS]), '', _NAMES),
    ('s.csv', _csv(_Y / 1, ['Class', *PIXELS]), '', '012'),
    ('s.parquet', {**dict(zip(PIXELS, _ROWS.T, strict=True)), 'y': _Y / 1}, '', '012'),
    ('s', {f'class_{n}.npy': _X[n == _Y] for n in range(3)} | {'README': b''}, '',
     ['class_0', 'class_1', 'class_2']),
    ('s', {'x.npy': _X, 'y.npy': _Y, 'mean.npy': _X[0]}, '', '012'),
    ('s.parquet', {'id': _Y, 'image': [*_ROWS], 'label': _Y}, '', '012'),
    ('s.parquet', {'image': [*_ROWS], 'image2': [*_ROWS], 'a': _Y},
     '--images image --label_column a', '012'),
    ('s.parquet', {'image': [*map(png, _X)], 'label': _Y}, '', '012'),
    ('s.parquet', {'image': [{'bytes': png(i), 'path': None} for i in _X],
                   'label': np.take(['2', '10', '7'], _Y)}, '', ['2', '10', '7']),
    ('s.npz', {'x': _X, 'y': _Y[:, None]}, '', '012'),
    ('s.npz', {'x': _X, 'y': np.stack([_Y, -_Y], 1)}, '--label_column 0', '012'),
    ('s.npz', {**_PAIR, 'fine_labels_train': -_Y}, '--labels y_train', '012'),
    ('s.npz', {**_PAIR, 'x_raw_train': 255 - _X}, '--images x_train', '012'),
    ('s.npz', {'a': _X, 'b': _Y}, '--images a --labels b --label_column 0', '012'),
    # Files 9 and 10 have the images of the first two.
    ('s', {f'{n}.npy': _X[n % 3 == _Y] for n in (9, 10, 2)}, '', ['9', '10', '2']),
    ('s', {f'{n}.npy': _ROWS[i == _Y] for i, n in enumerate('wxy')}, '', 'wxy'),
    ('s', _pictures(['10', '9', '1 a']), '', ['10', '9', '1 a']),
    ('s.tar', _pictures('abc', '/home/me/set/'), '', 'abc'),
    ('s.zip', _pictures('abc', 'set/'), '', 'abc'),
  ],
)  # fmt: skip
def test_new_reads_what_others_write(
  capsys, monkeypatch, name, files, options, classes
):
  write(name, files)
  options = ['--first', '2', *options.split()]
  train, test = _load(capsys, monkeypatch, name, *options)
  both = [np.concatenate(arrays) for arrays in zip(train, test, strict=True)]
  assert _named(both) == _named((_X, _Y), classes)


@pytest.mark.parametrize(
  ('name', 'files', 'options', 'said'),
  [
    ('s.npz', {**_PAIR, **_TEST, **_VAL, 'mean': _X[0]}, '',
     [_TRAIN, _TESTS, 'left out: mean', _NO_VAL]),
    ('s.npz', {**_PAIR, **_VAL}, '--test val',
     [_TRAIN, 'test: 9 images, x_val and y_val']),
    ('s.npz', {**_PAIR, 'x_test': _X, **_VAL}, '--first 2',
     [_TRAIN.replace('train', 'examples', 1), _FIRST_2, 'left out: x_test', _NO_VAL]),
    ('s.npz', {'x_train': _X, 'y_train': _Y % 2, **_TEST}, '',
     [_TRAIN, _TESTS, 'not in train: 2']),
    *(('s.npz', {'x': _X // n, 'y': _Y}, '',
       [_WHOLE, _FIRST, f'brightest pixel: {199 // n} of 255; see --scale'])
      for n in (2, 11, 200)),
    ('s.npz', {'x_train': _X, 'y_train': _Y, 'dev_x': _X, 'dev_y': _Y}, '--test val',
     [_TRAIN, 'test: 30 images, dev_x and dev_y']),
    ('s.parquet', {'id': _Y, 'image': [*_ROWS], 'label': _Y}, '',
     [_TABLE_OF.format('examples', 's.parquet'), _FIRST, 'left out: columns: id']),
    ('s', {'train.csv': _TABLE, 'test.csv': _csv(names=['id', *PIXELS]), 'y.csv': b'id,y'},
     '', [_TABLE_OF.format('examples', 'train.csv'), _FIRST,
          *(f'left out: {n}.csv, without column label' for n in ('test', 'y'))]),
    ('s.npz', {'x': 255 - _X // 200, 'y': _Y}, '', [_WHOLE, _FIRST, 'converted: ["invert"]']),
    ('s.npz', {'x': _X % 17, 'y': _Y}, '--scale 16',
     [_WHOLE, _FIRST, 'converted: [{ scale = 16 }]']),
    ('s', {**_pictures('abc', 'Training/'), **_pictures('abc', 'test/'),
           **_pictures('a', 'valid/'), 'test/a/x.svg': b'', 'test/b/.x.png': b'',
           'train.png': b''}, '',
     [f'train: {_ABC_OF.format("Training")}', f'test: {_ABC_OF.format("test")}',
      'left out: files .svg: 1, in test/a', 'left out: files .png: 2, in test/b, .',
      'left out: 10 images, folders in s/valid: a']),
    ('s', {**_pictures(['10', '9', '1']), 'd': {}, 'e/x.svg': b'', '9/f': {}}, '',
     ['examples: 30 images, folders in s: 1, 9, 10', _FIRST,
      'left out: empty folders: 2, in 9/f, d', 'left out: files .svg: 1, in e']),
    ('s', {'a.npy': _X[:20], 'b.npy': _X[:0], 'c.npy': _X[:9]}, '--min_examples 9',
     ['examples: 29 images, 3 files', _FIRST, 'left out: images of b: 0']),
    ('s.zip', {**_ABC, 'a/b/1.png': png(_X[0]), 'd/': b'', 'e/x.svg': b''}, '',
     [f'examples: {_ABC_OF.format("")}'.replace('s/', 's.zip.examples'), _FIRST,
      'left out: files .png: 1, in a/b', 'left out: empty folders: 1, in d',
      'left out: files .svg: 1, in e']),
    ('s', {**_pictures('ab'), 'few/1.png': png(_X[0])}, '--min_examples 2',
     ['examples: 20 images, folders in s: a, b', _FIRST, 'left out: files .png: 1, in few']),
    ('s', {**{f'train-{n}-of-2.csv': _TABLE for n in '12'},
           'test.csv': _TABLE, 'sample.csv': b'a,b\n', '.DS_Store': b''}, '',
     [_TABLE_OF.format('train', 'train-1-of-2.csv, train-2-of-2.csv').replace('30', '60'),
      _TABLE_OF.format('test', 'test.csv'), 'left out: .DS_Store',
      'left out: sample.csv, without column label']),
  ],
)  # fmt: skip
def test_new_says_what_was_taken_and_what_was_left_out(
  capsys, name, files, options, said
):
  write(name, files)
  status, out, err = _new(capsys, name, *options.split())
  assert (status, err) == (0, '')
  _, *lines, command = out.splitlines()
  assert sorted(lines) == sorted(said)
  assert command.startswith('Now set CMNIST_SOURCES=')


@pytest.mark.parametrize(
  ('name', 'files', 'options', 'fault'),
  [
    ('s.csv', _csv(last=True), '', 'of 785 .* has the labels: found 0, 1.*--label_column'),
    ('s.csv', _csv(names=range(785)), '', 'found 0, 1, 2.*--label_column'),
    ('s.csv', _csv(names=['label', 'class', *PIXELS[1:]]), '', 'label, class'),
    ('s.csv', _csv(), '--label_column x', 'of 785 .* has the labels: found 0, 1, 2'),
    ('s.csv', b'', '', 'found s.csv: $'),
    ('s.csv', _csv(delimiter=';'), '', 'CSV with commas .* found s.csv: 0'),
    ('s.csv', _csv(['', *_Y[1:]], ['label', *PIXELS]), '', "or a name, found ''"),
    ('s.csv', _csv(names=['label', *PIXELS, 'id'], images=_ROWS[:, [*range(784), 0]]), '',
     r'square number of pixels, found \[785\]'),
    ('s', {'a.csv': _TABLE, 'b.parquet': {'image': [*_ROWS], 'label': _Y}}, '', 'found a.csv, b.parquet: '),
    ('s', {'train.npy': _X, 'test.npy': _X}, '', 'found test.npy, train.npy'),
    ('s', {'labels.csv': b'', **_pictures(['images'])}, '', 'classes, found images'),
    ('s', {**_pictures('ab', 'fold1/'), **_pictures('ab', 'fold2/')}, '',
     'found files .png: 40, in fold1/a, fold1/b, fold2/a'),
    ('s', {**_pictures('ab', 'train/'), **_pictures('ab', 'dev/')}, '', '--test val or --first'),
    ('s.csv', _csv(_Y - 1), '--label_column 0', 'labels'),
    ('s.csv', _csv(images=_X // 80), '--label_column 0', '--scale'),
    ('s.npz', {**_PAIR, **_VAL}, '', 'no split for test; give --test val .*--first N'),
    ('s.npz', _PAIR, '--test val', 'no split for val'),
    ('s.npz', {**_PAIR, 'fine_labels_train': _Y}, '', '--labels'),
    ('s.npz', {'a': _X, 'b': _Y}, '', 'images and labels, .* found a, b'),
    ('s.npz', {'x': _X, 'y': np.eye(14, dtype=int)[_Y]}, '', r'rows of \(14,\).*argmax'),
    ('s.npz', {'x': _X, 'y': _Y[1:]}, '', r'found \(30, 28, 28\) and 29 labels'),
    ('s.npz', {'x': _X % 2, 'y': _Y}, '', 'pixel is 1; --scale N'),
    ('s.npz', {'x': _X % 17, 'y': _Y}, '--scale 15', 'pixel is 16; --scale'),
    ('s.npz', {'x': _X / 255, 'y': _Y}, '', 's.npz x: .*type float64; scale'),
    ('s.npz', {'x': _X[:, None], 'y': _Y}, '', r'expected \[height.* found \[1, 28, 28\]'),
    ('s.npz', {'x': _X[:0], 'y': _Y[:0]}, '', r'found \(0, 28, 28\)'),
    ('s.npz', {'x': _X, 'y': _Y.astype(str)}, '', 'found values of type <U'),
    ('s.npz', {'x': _X, 'y': np.arange(30)}, '', 'too few images'),
    ('s', {'a.npy': _X, 'b.npy': _X[:, 1:]}, '', 'of one shape'),
    ('s', {'a.npy': _X}, '--min_examples 31', 'classes, found none'),
    ('s', _ABC, '--min_examples 31', 'found files .png: 30, in a, b, c'),
    ('s', {'b': {}, b'caf\xe9/1.png': png(_X[0])}, '', 'is not UTF-8; rename'),
    ('s.tar', {'a/1.png': png(_X[0]), 'caf\udce9/1.png': b''}, '', 'not UTF-8; rename'),
    ('s', {b'caf\xe9.npy': _X, 'b.npy': _X}, '', r'caf\\udce9.*not UTF-8; rename'),
    ('caf\udce9.npz', {'x': _X, 'y': _Y}, '', r'caf\\udce9.*not UTF-8; rename'),
    ('s.zip', _SHIFT_JIS, '', r'\\udc82\\udca0/0.* not UTF-8; rename'),
    ('s.zip', {'a/1.png': b'', './a/1.png': b''}, '', r's\.zip: .* a/1\.png appears twice'),
    ('s.zip', {'../a/1.png': b'', '../b/1.png': b''}, '', r'files \.png: 2, in \.\./a, '),
    ('s', {'a.mat': b'', 'b.pkl': b''}, '', 'found a.mat, b.pkl.*loadmat.*add_source'),
    ('s', _pictures('ab', 'deep/'), '', 'run: cmnist source new .*/s/deep/'),
    ('s.parquet', {'image': _Y, 'label': _Y}, '', r'expected images \(n, h.*found \(30,\)'),
    ('s.parquet', {'a': list(_ROWS), 'label': _Y}, '', 'found a, label.*--images'),
    ('s.parquet', {'image': list(_X[:, 0] / 9), 'label': _Y}, '', 'whole numbers'),
    ('s.parquet', {'image': ['a.png'] * 30, 'label': _Y}, '', 'row 1: is not a picture'),
    ('s.npz', {'x': _X, 'y': _Y[:, None, None]}, '--label_column 0', r'found rows of \(1, 1\)'),
    ('s.parquet', {'image': [{'bytes': None}] * 30, 'label': _Y}, '', 'None'),
    ('s.parquet', {'image': list(_ROWS), 'label': [None] * 30}, '', 'found None'),
    ('s.parquet', b'PAR1', '', 's.parquet: cannot be read'),
    ('s.tar', b'x', '', 's.tar: cannot be read'),
    ('s\x1b[31m.npz', b'x', '', r's\\x1b\[31m.npz: cannot be read'),
    *((f's.{e}', {'a/1.png': bytes(1 + (1 << 25))}, '', 'a/1.png: pictures of 33,554,433')
      for e in ('zip', 'tar.gz')),
    ('s.npz', b'x', '', 's.npz: cannot be read'),
    ('s.npz', _TWICE, '', 'member y.npy appears twice'),
    ('s', {}, '', 'found nothing'),
    ('s.npz', {**_PAIR, **_TEST}, '--first 2', '--first is not for files'),
    ('s.csv', b'label,a\n0,1\n', '--images a', '--images is for idx'),
    ('s.npz', _PAIR, '--min_examples 2', '--min_examples is for folder'),
    ('s', _ABC, '--label_column 0', '--label_column is for'),
    ('s', _ABC, '--labels y', '--labels is for idx npz'),
    ('s', _ABC, '--key xy', 's, source xy: key'),
    ('s', _ABC, '--key Mn', "the key 'Mn' is already that of MNIST"),
    ('s.txt', b'x', '', 'found s.txt'),
  ],
)  # fmt: skip
def test_new_refuses_what_is_not_clear(capsys, name, files, options, fault):
  write(name, files)
  os.makedirs('s', exist_ok=True)
  before = sorted(os.listdir())
  status, out, err = _new(capsys, name, *options.split())
  assert (status, out) == (1, '')
  assert re.search(fault, err)
  assert len(err.splitlines()) == 1
  assert 'draft' not in err.replace(os.getcwd(), '')
  assert sorted(os.listdir()) == before


# From files to a dataset ------------------------------------------------------

_TFDS = """
import json
import tensorflow_datasets as tfds
import cmnist_tfds
ds, info = tfds.load('cmnist/1-Xy', data_dir='data', with_info=True,
                     split='train', batch_size=-1)
mean = float(ds['image'].numpy().mean())
print(json.dumps([info.features['label'].names, mean]))
"""


def _tfds():
  """The names of the classes and the mean of the pixels by tfds.load."""
  return json.loads(running.works('-c', _TFDS))


@pytest.mark.slow
def test_a_declaration_is_followed_as_it_changes_and_outlived(
  capsys, monkeypatch
):
  write('s', _ABC)
  (x, _), _ = _load(capsys, monkeypatch, 's')
  assert _tfds() == [['a', 'b', 'c'], pytest.approx(x.mean())]
  declared = pathlib.Path('s.toml')
  text = declared.read_text('utf-8').replace(
    '["a", "b", "c"]', '["a", "b", "d"]\nfolders = ["a", "b", "c"]'
  )
  declared.write_text(f'convert = ["invert"]\n{text}', 'utf-8')
  (inverted, _), _ = cmnist_tfds.load_data('1-Xy', data_dir='data')
  np.testing.assert_array_equal(inverted, 255 - x)
  after = _tfds()
  assert after == [['a', 'b', 'd'], pytest.approx(255 - x.mean())]
  monkeypatch.delenv('CMNIST_SOURCES')
  declared.unlink()
  assert _tfds() == after


def test_links_are_followed_and_hidden_files_left_alone(capsys, monkeypatch):
  write('s', _ABC)
  os.rename('s/a', 'elsewhere')
  os.symlink('../elsewhere', 's/a')
  os.symlink('.', 's/round')
  os.symlink('nowhere', 's/.lock')
  for hidden in ('.thumbnails', 'b/.ipynb_checkpoints'):
    os.mkdir(f's/{hidden}')
    os.link('elsewhere/00.png', f's/{hidden}/00.png')
  (_, y_train), (_, y_test) = _load(capsys, monkeypatch, 's')
  assert np.bincount(y_train).tolist() == [9] * 3
  assert np.bincount(y_test).tolist() == [1] * 3
  os.mkfifo('pipe')
  os.mkfifo('s.csv')
  assert _new(capsys, 's.csv')[0] == 1
  for place in ('nowhere.png', '/dev/zero', '../../pipe'):
    os.symlink(place, 's/b/99.png')
    status, _, err = _new(capsys, 's', '--key', 'Xz', '-o', 'o.toml')
    assert status == 1
    assert re.search('s/b/99.png: (cannot be read|expected a file)', err)
    os.remove('s/b/99.png')


def test_folders_are_found_in_any_unicode_form(capsys, monkeypatch):
  write('s', _pictures(['e\u0301', 'f']))
  (before, _), _ = _load(capsys, monkeypatch, 's')
  text = pathlib.Path('s.toml').read_text('utf-8')
  pathlib.Path('s.toml').write_text(text.replace('e\u0301', '\u00e9'), 'utf-8')
  (after, _), _ = cmnist_tfds.load_data('1-Xy', data_dir='data')
  np.testing.assert_array_equal(before, after)


def test_a_mirror_takes_a_file_once_and_archives_whole(capsys, monkeypatch):
  for name, files, status in (
    ('a.npz', {**_PAIR, **_TEST}, 0),
    ('b.zip', _pictures('abc', 'set/'), 0),
    ('c', _ABC, 1),
  ):
    write(name, files)
    _load(capsys, monkeypatch, name)
    found, out, err = _run(capsys, 'mirror', 'mirror', '1-Xy')
    assert found == status
    mirrored = pathlib.Path('mirror', name)
    assert status or mirrored.read_bytes() == pathlib.Path(name).read_bytes()
  assert 'published nowhere' in ' '.join((out + err).split())
  assert sorted(os.listdir('mirror')) == ['a.npz', 'b.zip']


def test_arrays_become_a_source(tmp_path, monkeypatch, caplog):
  monkeypatch.setenv('CMNIST_SOURCES', '')
  classes, tests = ['a', 'b', 'none', 'c'], (_X // 2, np.take([0, 1, 3], _Y))
  # What it has written, it replaces. SciPy and pandas give other types.
  for train in (255 - _X // 4, _X.astype(float)):
    declared = cmnist_tfds.add_source('Xy', classes, (train, _Y), tests)
  assert declared == tmp_path / 'xy/source.toml'
  lines = declared.read_text('utf-8').splitlines()
  assert lines[1] == '# not in train: 3'
  said = [record.getMessage() for record in caplog.records]
  assert ['"invert"' in line for line in said] == [True, False]
  start = f'Wrote {tmp_path / "xy"}: train:'
  assert all(line.startswith(start) for line in said)
  assert [c.name for c in subsets.subset('1-Xy').classes] == classes
  for split, (images, labels) in {'train': (_X, _Y), 'test': tests}.items():
    x, y = cmnist_tfds.load_data('1-Xy', split=split, data_dir='data')
    assert _named((x, y)) == _named((images, labels), classes)


@pytest.mark.parametrize(
  ('key', 'classes', 'train', 'options', 'fault'),
  [
    ('Xy', 'abc', (_X / 255, _Y), {}, '^Xy: x_train: .*type float64; scale'),
    ('Xy', 'abc', (_X > 9, _Y), {}, '^Xy: the brightest pixel is 1; scale=N'),
    ('Xy', 'ab', (_X, _Y), {}, 'labels from 0 to 1, found 2'),
    ('Xy', 'abb', (_X, _Y), {}, "'b' appears twice"),
    ('Mn', 'abc', (_X, _Y), {}, 'already that of'),
    ('Xy', 'abc', (_X, [print] * 30), {}, 'never loaded'),
    ('Xy', 'abc', (_X, _Y), {'folder': 's'}, 'is in the way|holds'),
  ],
)
def test_arrays_that_are_wrong_write_nothing(
  monkeypatch, key, classes, train, options, fault
):
  monkeypatch.setenv('CMNIST_SOURCES', '')
  write('s', {'mine': b''})
  with pytest.raises(cmnist_tfds.CmnistError, match=fault):
    cmnist_tfds.add_source(key, list(classes), train, **options)
  assert sorted(os.listdir()) == ['s']
  assert os.listdir('s') == ['mine']


def test_a_class_that_test_alone_has_is_scored(capsys, monkeypatch):
  monkeypatch.setenv('TFDS_DATA_DIR', 'data')
  noise = np.random.default_rng(1).integers(0, 200, _X.shape, np.uint8)
  tests = {'x_test': _X // 2 + noise // 2, 'y_test': _Y}
  write('s.npz', {'x_train': _X, 'y_train': _Y % 2, **tests})
  _load(capsys, monkeypatch, 's.npz')
  status, out, err = _run(
    capsys, 'baseline', 'knn', '1-Xy', '-k', 1, '-o', 'results'
  )
  assert status == 0, err
  apart = tests['x_test'].astype(int)[:, None] - _X
  nearest = (apart**2).sum((2, 3)).argmin(1)
  assert f'{(_Y[nearest] % 2 == _Y).mean():.4f}' in out


# The commands -----------------------------------------------------------------


def test_new_proposes_a_key_and_check_checks_it(capsys):
  write('mnist', _ABC)
  status, out, err = _run(capsys, 'source', 'new', 'mnist', '--first', 3)
  assert (status, err) == (0, '')
  declared = pathlib.Path('mnist.toml').absolute()
  summary = f'{declared}: Mni (mnist), 3 classes, 21 train, 9 test'
  assert out.splitlines()[0] == summary
  assert f'CMNIST_SOURCES={declared} and run: cmnist build 1-Mni' in out
  status, out, err = _run(capsys, 'source', 'check', declared)
  assert (status, out, err) == (0, f'{summary}\n', '')
  text = declared.read_text('utf-8').replace('"Mni"', '"Mn"')
  declared.write_text(text, 'utf-8')
  status, out, err = _run(capsys, 'source', 'check', 'mnist.toml')
  assert (status, out) == (1, '')
  fault = "key 'Mn' is already that of a source declared by cmnist"
  assert 'mnist.toml' in err and fault in err


@pytest.mark.parametrize(
  ('path', 'output', 'status'),
  [
    ('../x/s', '../x/b.toml', 0),
    ('link/s', '../x/b.toml', 0),
    ('../x/s', 'link/b.toml', 0),
    ('../x/s/a/..', '../x/b.toml', 0),
    ('../x/s', 'b.toml', 2),
    ('../x/s', '../x/there.toml', 1),
  ],
)
def test_new_writes_where_files_are_by_any_path(
  capsys, monkeypatch, path, output, status
):
  write('x/s', _ABC)
  pathlib.Path('x/there.toml').write_text('mine')
  os.mkdir('y')
  monkeypatch.chdir('y')
  os.symlink('../x', 'link')
  found, _, err = _new(capsys, path, '-o', output)
  assert found == status, err
  assert os.path.exists('../x/b.toml') == (status == 0)
  assert pathlib.Path('../x/there.toml').read_text() == 'mine'
  assert os.listdir() == ['link']


def test_list_shows_sources_with_their_owners(capsys, monkeypatch):
  write('s', _ABC)
  assert _new(capsys, 's')[0] == 0
  monkeypatch.setenv('CMNIST_SOURCES', f's.toml{os.pathsep}no.toml')
  status, out, err = _run(capsys, 'source', 'list')
  assert status == 1
  assert 'no.toml: cannot be read: No such file' in err
  rows = {line.split()[0]: line for line in out.splitlines()}
  assert len(rows) == 1 + 11 + 9 + 1
  assert 'the paper' in rows['K49']
  assert 'cmnist_tfds (mnist.toml)' in rows['Mn']
  assert str(pathlib.Path('s.toml').absolute()) in rows['Xy']
  assert rows['Dg'].split()[:4] == ['Dg', '10', '-', '10,240']

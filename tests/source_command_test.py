# SPDX-License-Identifier: Apache-2.0
"""`cmnist source`, and the way from a user's own files to a dataset."""

from __future__ import annotations

import csv
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile

import numpy as np
import pytest

import cmnist_tfds
from cmnist_tfds import cli, subsets
from cmnist_tfds.cache.prepared import find_prepared
from cmnist_tfds.export import hub

Image = pytest.importorskip('PIL.Image')

_PACKAGE = pathlib.Path(cmnist_tfds.__file__).parent.parent


@pytest.fixture
def letters(tmp_path, monkeypatch):
  """A folder of pictures, which is in the current folder."""
  random = np.random.default_rng(0)
  for name in ('alpha', 'beta', 'gamma'):
    folder = tmp_path / 'letters' / name
    folder.mkdir(parents=True)
    for number in range(14):
      pixels = random.integers(0, 100, (28, 28), np.uint8)
      Image.fromarray(pixels).save(folder / f'{number:02d}.png')
  monkeypatch.chdir(tmp_path)
  monkeypatch.delenv('CMNIST_SOURCES', raising=False)
  return tmp_path


def _run(capsys, *argv):
  status = cli.main([str(arg) for arg in argv])
  printed = capsys.readouterr()
  assert 'Traceback' not in printed.err
  return status, printed.out, printed.err


def _arrays(name, data_dir):
  """The examples of a dataset, sorted, as tfds.load gives them."""
  code = f"""
import cmnist_tfds, json, sys
import tensorflow_datasets as tfds
ds, info = tfds.load('cmnist/{name}', data_dir={str(data_dir)!r}, with_info=True,
                     split='train', batch_size=-1)
print(json.dumps({{
  'names': info.features['label'].names,
  'labels': ds['label'].numpy().tolist(),
  'means': [float(i.mean()) for i in ds['image'].numpy()],
}}))
"""
  done = subprocess.run(
    [sys.executable, '-c', code],
    check=False,
    capture_output=True,
    text=True,
    env={**os.environ, 'PYTHONPATH': str(_PACKAGE)},
  )
  assert done.returncode == 0, done.stderr
  return json.loads(done.stdout)


def test_from_a_folder_of_pictures_to_a_dataset(letters, capsys, monkeypatch):
  status, out, err = _run(capsys, 'source', 'new', 'letters', '--key', 'Xy')
  assert (status, err) == (0, '')
  declared = letters / 'letters.toml'
  assert f'{declared}: Xy (letters), 3 classes, 36 train, 6 test' in out
  assert f'CMNIST_SOURCES={declared}' in out
  status, out, err = _run(capsys, 'source', 'check', 'letters.toml')
  assert (status, err) == (0, '')
  assert 'letters.toml: Xy (letters), 3 classes, 36 train, 6 test' in out
  monkeypatch.setenv('CMNIST_SOURCES', 'letters.toml')
  status, out, err = _run(
    capsys, 'build', '2-DgXy', '--data_dir', 'data',
    '--manual_dir', _write_dig(letters), '--allow_unverified',
  )  # fmt: skip
  assert status == 0, err
  found = _arrays('1-Xy', letters / 'data')
  assert found['names'] == ['alpha', 'beta', 'gamma']
  assert np.bincount(found['labels']).tolist() == [12] * 3
  said = hub.licenses([subsets.subset('1-Xy')]).splitlines()[-1]
  assert said.startswith(
    '- letters: None stated. To share its images, you need'
  )


def _write_dig(folder):
  """Writes a few examples in the place of Dig-MNIST."""
  files = folder / 'manual/kannada_mnist'
  files.mkdir(parents=True)
  images = np.zeros((20, 28, 28), np.uint8)
  np.savez(files / 'X_dig_MNIST.npz', images)
  np.savez(files / 'y_dig_MNIST.npz', np.arange(20, dtype=np.uint8) % 10)
  return folder / 'manual'


def _new_and_build(capsys, monkeypatch, name):
  monkeypatch.delenv('CMNIST_SOURCES', raising=False)
  status, _, err = _run(capsys, 'source', 'new', name, '--key', 'Xy')
  assert status == 0, err
  declared = f'{name.partition(".")[0]}.toml'
  monkeypatch.setenv('CMNIST_SOURCES', declared)
  status, _, err = _run(capsys, 'build', '1-Xy', '--data_dir', 'data')
  assert status == 0, err
  return cmnist_tfds.load_data('1-Xy', data_dir='data')


def test_links_are_followed_and_hidden_files_left_alone(
  letters, capsys, monkeypatch
):
  os.rename('letters/alpha', 'elsewhere')
  os.symlink('../elsewhere', 'letters/alpha')
  os.symlink('.', 'letters/round')
  os.symlink('nowhere', 'letters/.lock')
  for hidden in ('.thumbnails', 'beta/.ipynb_checkpoints'):
    os.mkdir(f'letters/{hidden}')
    os.link('elsewhere/00.png', f'letters/{hidden}/00.png')
  (_, y_train), (_, y_test) = _new_and_build(capsys, monkeypatch, 'letters')
  assert np.bincount(y_train).tolist() == [12] * 3
  assert np.bincount(y_test).tolist() == [2] * 3
  os.symlink('nowhere.png', 'letters/beta/99.png')
  os.remove('letters.toml')
  status, _, err = _run(capsys, 'source', 'new', 'letters')
  assert status == 1
  assert 'letters/beta/99.png: cannot be read' in err


def test_folders_of_splits_have_other_names_too(letters, capsys, monkeypatch):
  os.makedirs('set/Training')
  os.makedirs('set/valid')
  os.rename('letters/alpha', 'set/Training/alpha')
  os.rename('letters/beta', 'set/Training/beta')
  # A class may be in one split alone.
  os.rename('letters/gamma', 'set/valid/gamma')
  (_, y_train), (_, y_test) = _new_and_build(capsys, monkeypatch, 'set')
  assert np.bincount(y_train).tolist() == [14, 14]
  assert y_test.tolist() == [2] * 14
  os.makedirs('around')
  os.rename('set', 'around/set')
  status, _, err = _run(capsys, 'source', 'new', 'around')
  assert status == 1
  assert f'run: cmnist source new {letters}/around/set' in err


@pytest.mark.parametrize(
  ('data', 'fault'), [(b'', 'it is empty'), (b'x', 'no format of pictures')]
)
def test_what_is_no_picture_is_named(letters, capsys, data, fault):
  (letters / 'letters/beta/99.png').write_bytes(data)
  status, _, err = _run(capsys, 'source', 'new', 'letters')
  assert status == 1
  assert 'letters/beta/99.png: is no picture: it ' in err
  assert fault in err


def test_a_tar_archive_may_have_absolute_names(letters, capsys, monkeypatch):
  with tarfile.open('all.tar', 'w') as archive:
    for path in (letters / 'letters').rglob('*.png'):
      info = archive.gettarinfo(str(path))
      info.name = str(path)
      archive.addfile(info, io.BytesIO(path.read_bytes()))
  (_, y), _ = _new_and_build(capsys, monkeypatch, 'all.tar')
  assert np.bincount(y).tolist() == [12] * 3


def test_folders_are_found_in_any_unicode_form(letters, capsys, monkeypatch):
  os.rename('letters/alpha', 'letters/\u0065\u0301')
  before = _new_and_build(capsys, monkeypatch, 'letters')
  declared = letters / 'letters.toml'
  text = declared.read_text('utf-8')
  declared.write_text(text.replace('\u0065\u0301', '\u00e9'), 'utf-8')
  after = cmnist_tfds.load_data('1-Xy', data_dir='data')
  np.testing.assert_array_equal(before[0][0], after[0][0])


def test_pictures_are_upright(letters, capsys, monkeypatch):
  pixels = np.zeros((28, 28), np.uint8)
  pixels[:, :9] = 99
  turned = Image.Exif()
  turned[0x112] = 6
  for number in range(14):
    Image.fromarray(pixels).save(f'letters/beta/{number:02d}.png', exif=turned)
  (x, y), _ = _new_and_build(capsys, monkeypatch, 'letters')
  np.testing.assert_array_equal(x[y == 1][0], np.rot90(pixels, -1))


_X = np.random.default_rng(0).integers(0, 200, (30, 28, 28), np.uint8)
_Y = np.arange(30) % 3


def _table(labels=_Y, header=(), **options):
  """A CSV file of `_X`."""
  text = io.StringIO()
  writer = csv.writer(text, **options)
  if header:
    writer.writerow(['label', *header])
  writer.writerows(
    [label, *x.ravel()] for label, x in zip(labels, _X, strict=True)
  )
  return text.getvalue()


def _npz(**arrays):
  buffer = io.BytesIO()
  np.savez(buffer, **arrays)
  return buffer.getvalue()


_PAIR = {'x_train': _X, 'y_train': _Y}


@pytest.mark.parametrize(
  ('name', 'data', 'classes'),
  [
    ('a.csv', _table(quoting=csv.QUOTE_ALL), '012'),
    ('a.csv', _table(header=range(784)), '012'),
    ('a.csv', _table(lineterminator='\r'), '012'),
    ('a.csv', _table() + '\n' * 5000, '012'),
    ('a.csv', _table(np.take(['a, "b"', '1', '9'], _Y)), ['a, "b"', '1', '9']),
    ('a.npz', _npz(**_PAIR), '012'),
    ('a.npz', _npz(my_images=_X, my_labels=_Y), '012'),
    ('a.npz', _npz(**_PAIR, x_test=_X, x_valid=_X, y_valid=2 - _Y), '012'),
  ],
)
def test_new_reads_what_others_write(
  tmp_path, capsys, monkeypatch, name, data, classes
):
  monkeypatch.chdir(tmp_path)
  path = tmp_path / name
  path.write_bytes(data if isinstance(data, bytes) else data.encode())
  (x, y), _ = _new_and_build(capsys, monkeypatch, name)
  named = [c.name for c in subsets.subset('1-Xy').classes]
  assert sorted(named) == sorted(classes)
  written = {x.tobytes(): classes[y] for x, y in zip(_X, _Y, strict=True)}
  assert [named[label] for label in y] == [written[i.tobytes()] for i in x]


def test_what_to_do_about_missing_files_is_said_once(
  tmp_path, capsys, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  os.mkdir('arrays')
  for name in ('x_train', 'y_train', 'x_test', 'y_test'):
    np.save(f'arrays/{name}.npy', _X if name[0] == 'x' else _Y)
  _new_and_build(capsys, monkeypatch, 'arrays')
  shutil.rmtree('arrays')
  status, out, _ = _run(capsys, 'verify', '1-Xy', '--data_dir', 'none')
  assert status == 1
  assert out.count('put each at') == 1
  assert f'{tmp_path}/arrays/<name>' in ''.join(out.split())


def test_a_file_for_each_letter_is_no_pair(tmp_path, capsys, monkeypatch):
  monkeypatch.chdir(tmp_path)
  os.mkdir('letters')
  for number, name in enumerate('wxyz'):
    np.save(f'letters/{name}.npy', _X[number % 3 == _Y])
  (_, y), _ = _new_and_build(capsys, monkeypatch, 'letters')
  assert np.bincount(y).tolist() == [9] * 4


def test_arrays_of_one_file_are_one_file(tmp_path, capsys, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'a.npz').write_bytes(_npz(**_PAIR, x_test=_X // 2, y_test=_Y))
  _new_and_build(capsys, monkeypatch, 'a.npz')
  status, out, _ = _run(capsys, 'verify', '1-Xy', '--data_dir', 'data')
  assert status == 0
  assert 'a.npz x_test ' in out
  (tmp_path / 'mirror').mkdir()
  status, out, _ = _run(capsys, 'mirror', 'mirror', '1-Xy')
  assert (status, len(out.splitlines())) == (0, 1)
  assert (tmp_path / 'mirror/a.npz').read_bytes() == (
    tmp_path / 'a.npz'
  ).read_bytes()


def test_new_reads_arrays_and_tables_in_a_folder(tmp_path, capsys, monkeypatch):
  monkeypatch.chdir(tmp_path)
  os.mkdir('arrays')
  np.save('arrays/X_train.npy', _X)
  np.save('arrays/y_train.npy', _Y)
  np.save('arrays/X_test.npy', _X // 2)
  np.save('arrays/y_test.npy', _Y)
  train, test = _new_and_build(capsys, monkeypatch, 'arrays')
  assert _pairs(*train) == _pairs(_X, _Y)
  assert _pairs(*test) == _pairs(_X // 2, _Y)
  os.mkdir('tables')
  for split in ('train-1-of-2', 'train-2-of-2', 'test', 'sample_submission'):
    pathlib.Path(f'tables/{split}.csv').write_text(_table())
  train, test = _new_and_build(capsys, monkeypatch, 'tables')
  assert _pairs(*train) == sorted(2 * _pairs(_X, _Y))
  assert _pairs(*test) == _pairs(_X, _Y)


def _pairs(images, labels):
  pixels = (image.tobytes() for image in images)
  return sorted(zip(pixels, labels.tolist(), strict=True))


@pytest.mark.parametrize(
  ('name', 'data', 'fault'),
  [
    ('a.csv', '', 'found one column; commas separate columns'),
    ('a.csv', _table(delimiter=';'), 'found one column'),
    ('a.csv', _table() + '1,2\n', 'line 31: expected a label and'),
    ('a.csv', _table().replace(',199', ',256'), 'from 0 to 256'),
    ('a.csv', _table() + '"' + '1' * 200_000, 'field limit'),
    ('a.csv', _table(_Y - 1), 'labels of at least 0, found -1'),
    ('a.npz', _npz(**_PAIR | {'x_train': _X / 255}), "of type '<f8'"),
    ('a.npz', _npz(**_PAIR | {'x_train': _X[:, None]}), '1 or 3 channels at'),
    ('a.npz', _npz(x=_X[:0], y=_Y[:0]), 'found (0, 28, 28)'),
    ('a.npz', _npz(x=_X, y=_Y.astype(str)), 'whole numbers, found values of'),
    ('a.npz', _npz(x=_X, y=np.eye(3, dtype=int)[_Y]), 'labels.argmax(1)'),
  ],
)
def test_new_refuses_other_arrays_and_tables(
  tmp_path, capsys, name, data, fault
):
  path = tmp_path / name
  path.write_bytes(data if isinstance(data, bytes) else data.encode())
  status, out, err = _run(capsys, 'source', 'new', path, '--key', 'Xy')
  assert (status, out) == (1, '')
  assert fault in err
  assert len(err.splitlines()) == 1
  assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize(
  ('columns', 'fault'),
  [
    ({'image': list(_X.reshape(30, -1) / 255)}, 'row 0: .* found fractions'),
    ({'image': [{'bytes': None}] * 30}, 'row 0: expected a picture'),
    ({'label': [None, *_Y[1:].tolist()]}, "names in 'label', found None"),
    ({'label': _Y / 1}, "names in 'label', found 0.0"),
    ({'image': _Y}, 'one of pictures or lists of pixels; found id, image'),
  ],
)
def test_new_refuses_other_parquet(tmp_path, capsys, columns, fault):
  pa = pytest.importorskip('pyarrow')
  pq = pytest.importorskip('pyarrow.parquet')
  right = {'id': range(30), 'image': list(_X.reshape(30, -1)), 'label': _Y}
  path = tmp_path / 'a.parquet'
  pq.write_table(pa.table(right), path)
  assert _run(capsys, 'source', 'new', path, '--key', 'Xy')[0] == 0
  os.remove(tmp_path / 'a.toml')
  pq.write_table(pa.table(right | columns), path)
  status, _, err = _run(capsys, 'source', 'new', path, '--key', 'Xy')
  assert status == 1
  assert re.search(fault, err)


def test_numbers_as_text_are_raw_labels(tmp_path, capsys, monkeypatch):
  pa = pytest.importorskip('pyarrow')
  pq = pytest.importorskip('pyarrow.parquet')
  monkeypatch.chdir(tmp_path)
  classes = np.array(['2', '10', '9'])
  columns = {'image': list(_X.reshape(30, -1)), 'label': classes[_Y]}
  pq.write_table(pa.table(columns), 'a.parquet')
  (x, y), _ = _new_and_build(capsys, monkeypatch, 'a.parquet')
  named = [c.name for c in subsets.subset('1-Xy').classes]
  written = {x.tobytes(): classes[y] for x, y in zip(_X, _Y, strict=True)}
  assert [named[label] for label in y] == [written[i.tobytes()] for i in x]


def test_verify_reads_pictures(letters, capsys, monkeypatch):
  _run(capsys, 'source', 'new', 'letters', '--key', 'Xy')
  monkeypatch.setenv('CMNIST_SOURCES', 'letters.toml')
  status, out, _ = _run(capsys, 'verify', '1-Xy', '--data_dir', 'data')
  assert status == 0
  assert '1 of 1 files are right' in out
  assert 'fingerprint' in out
  assert str(letters / 'letters') in out
  (letters / 'letters/beta/03.png').unlink()
  status, out, _ = _run(capsys, 'verify', '1-Xy', '--data_dir', 'data')
  assert status == 1
  assert 'its files are not the declared ones' in ' '.join(out.split())


def test_hundreds_of_classes(tmp_path, capsys, monkeypatch):
  labels = np.arange(900) % 300
  images = np.zeros((900, 28, 28), np.uint8)
  images[:, 0, 0], images[:, 0, 1] = labels % 256, labels // 256
  np.savez(tmp_path / 'many.npz', images=images, labels=labels)
  status, _, err = _run(
    capsys, 'source', 'new', tmp_path / 'many.npz', '--key', 'Xy'
  )
  assert status == 0, err
  monkeypatch.setenv('CMNIST_SOURCES', str(tmp_path / 'many.toml'))
  where = ('--data_dir', tmp_path)
  assert _run(capsys, 'build', '1-Xy', *where)[0] == 0
  (x, y), _ = cmnist_tfds.load_data('1-Xy', data_dir=tmp_path)
  np.testing.assert_array_equal(
    x[:, 0, 0].astype(np.int64) + 256 * x[:, 0, 1].astype(np.int64), y
  )
  assert np.bincount(y).tolist() == [2] * 300
  idx = ('export', '1-Xy', '--format', 'idx', '-o', tmp_path / 'idx', *where)
  assert _run(capsys, *idx)[0] == 0
  data = (tmp_path / 'idx/train-labels-idx1-ubyte').read_bytes()
  # Labels over 255 need a type of more than one byte.
  assert data[:8] == bytes([0, 0, 12, 1, 0, 0, 2, 88])
  np.testing.assert_array_equal(np.frombuffer(data, '>i4', offset=8), y)


def test_a_changed_declaration_makes_the_data_anew(
  letters, capsys, monkeypatch
):
  _run(capsys, 'source', 'new', 'letters', '--key', 'Xy')
  monkeypatch.setenv('CMNIST_SOURCES', 'letters.toml')
  data_dir = letters / 'data'
  before = _arrays('1-Xy', data_dir)
  path = letters / 'letters.toml'
  text = path.read_text('utf-8')
  path.write_text(
    text.replace('"gamma"]', '"delta"]\nfolders = ["alpha", "beta", "gamma"]')
    + '\n',
    'utf-8',
  )
  path.write_text(
    path.read_text('utf-8').replace(
      'layout = "folder"', 'layout = "folder"\nconvert = ["invert"]'
    ),
    'utf-8',
  )
  for after in (
    _arrays('1-Xy', data_dir),
    # What was made anew is there to stay.
    _arrays('1-Xy', data_dir),
  ):
    assert after['names'] == ['alpha', 'beta', 'delta']
    assert after['means'] == pytest.approx([255 - m for m in before['means']])
  subset = subsets.subset('1-Xy')
  metadata = find_prepared(subset, data_dir=data_dir).metadata
  assert metadata['sources'][0]['declaration'] == subset.sources[0].digest
  (x, _), _ = cmnist_tfds.load_data('1-Xy', data_dir=data_dir)
  assert x.mean() == pytest.approx(np.mean(after['means']))
  # `load_data` makes data anew, too.
  path.write_text(text, 'utf-8')
  (x, _), _ = cmnist_tfds.load_data('1-Xy', data_dir=data_dir)
  assert x.mean() == pytest.approx(np.mean(before['means']))


def test_prepared_data_open_without_the_declaration(
  letters, capsys, monkeypatch
):
  _run(capsys, 'source', 'new', 'letters', '--key', 'Xy')
  monkeypatch.setenv('CMNIST_SOURCES', 'letters.toml')
  before = _arrays('1-Xy', letters / 'data')
  monkeypatch.delenv('CMNIST_SOURCES')
  (letters / 'letters.toml').unlink()
  assert _arrays('1-Xy', letters / 'data') == before


def test_check_tells_all_that_is_wrong(letters, capsys):
  _run(capsys, 'source', 'new', 'letters', '--key', 'Xy')
  path = letters / 'letters.toml'
  text = path.read_text('utf-8')
  path.write_text(
    text.replace('"Xy"', '"xy"').replace(
      'class_counts = 14', 'class_counts = 13'
    )
  )
  status, out, err = _run(capsys, 'source', 'check', 'letters.toml')
  assert (status, out) == (1, '')
  lines = path.read_text('utf-8').splitlines()
  key, counts = (
    next(n for n, line in enumerate(lines, 1) if line.startswith(start))
    for start in ('key', 'class_counts')
  )
  told = err.splitlines()
  assert len(told) == 2
  assert told[0].startswith(
    f'cmnist: letters.toml, line {key}, source xy: key: '
  )
  assert told[1].startswith(f'cmnist: letters.toml, line {counts}, source xy: ')


def test_check_refuses_a_key_that_exists(letters, capsys):
  _run(capsys, 'source', 'new', 'letters', '--key', 'Xy')
  path = letters / 'letters.toml'
  path.write_text(path.read_text('utf-8').replace('"Xy"', '"Mn"'))
  status, _, err = _run(capsys, 'source', 'check', path)
  assert status == 1
  assert "the key 'Mn' is already that of a source declared by cmnist" in err


def test_new_takes_a_path_in_any_form(letters, capsys, monkeypatch):
  monkeypatch.chdir('letters')
  assert _run(capsys, 'source', 'new', 'alpha/..')[0] == 0
  os.rename('../letters.toml', '../other.toml')
  assert _run(capsys, 'source', 'new', '.')[0] == 0
  assert (letters / 'letters.toml').read_text() == (
    letters / 'other.toml'
  ).read_text()


def test_new_proposes_a_key_that_is_free(letters, capsys):
  os.rename('letters', 'mnist')
  assert _run(capsys, 'source', 'new', 'mnist')[0] == 0
  assert 'key = "Mni"' in (letters / 'mnist.toml').read_text('utf-8')


@pytest.mark.parametrize(
  ('key', 'fault'),
  [
    ('xy', "key: expected a capital letter, then letters or digits"),
    ('Mn', "the key 'Mn' is already that of MNIST"),
  ],
)  # fmt: skip
def test_new_writes_no_wrong_draft(letters, capsys, key, fault):
  status, out, err = _run(capsys, 'source', 'new', 'letters', '--key', key)
  assert (status, out) == (1, '')
  assert fault in err
  assert os.listdir(letters) == ['letters']


def test_new_overwrites_nothing(letters, capsys):
  (letters / 'letters.toml').write_text('mine')
  status, _, err = _run(capsys, 'source', 'new', 'letters')
  assert status == 1
  assert 'letters.toml exists already' in err
  assert (letters / 'letters.toml').read_text() == 'mine'
  status, _, err = _run(
    capsys, 'source', 'new', 'letters', '-o', 'other/x.toml'
  )
  assert status == 2
  assert 'because paths in a declaration start beside it' in err


@pytest.mark.parametrize(
  ('make', 'fault'),
  [
    (lambda path: None, 'there is no such file or folder'),
    (lambda path: path.mkdir(), 'expected folders of pictures, or IDX'),
    (lambda path: path.write_text('x'), 'expected a folder, an archive'),
  ],
)
def test_new_says_what_it_cannot_draft(letters, capsys, make, fault):
  make(letters / 'what')
  status, out, err = _run(capsys, 'source', 'new', 'what')
  assert (status, out) == (1, '')
  assert fault in err
  assert len(err.splitlines()) == 1


def test_list_shows_sources_with_their_owners(letters, capsys, monkeypatch):
  _run(capsys, 'source', 'new', 'letters', '--key', 'Xy')
  monkeypatch.setenv('CMNIST_SOURCES', f'letters.toml{os.pathsep}no.toml')
  status, out, err = _run(capsys, 'source', 'list')
  assert status == 1
  assert 'no.toml: cannot be read: No such file' in err
  rows = {line.split()[0]: line for line in out.splitlines()}
  assert len(rows) == 1 + 11 + 9 + 1
  assert 'the paper' in rows['K49']
  assert 'cmnist_tfds (mnist.toml)' in rows['Mn']
  assert str(letters / 'letters.toml') in rows['Xy']
  assert rows['Dg'].split()[:4] == ['Dg', '10', '-', '10,240']

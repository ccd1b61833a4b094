# SPDX-License-Identifier: Apache-2.0
"""`cmnist source`, and the way from a user's own files to a dataset."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import cmnist_tfds
from cmnist_tfds import cli, subsets
from cmnist_tfds.export import hub
from cmnist_tfds.load.prepared import find_prepared

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
  said = hub.licences([subsets.subset('1-Xy')]).splitlines()[-1]
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


def test_verify_reads_pictures(letters, capsys, monkeypatch):
  _run(capsys, 'source', 'new', 'letters', '--key', 'Xy')
  monkeypatch.setenv('CMNIST_SOURCES', 'letters.toml')
  status, out, _ = _run(capsys, 'verify', '1-Xy', '--data_dir', 'data')
  assert status == 0
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


def test_new_proposes_a_key_that_is_free(letters, capsys):
  os.rename('letters', 'mnist')
  assert _run(capsys, 'source', 'new', 'mnist')[0] == 0
  assert 'key = "Mni"' in (letters / 'mnist.toml').read_text('utf-8')


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
  assert len(rows) == 1 + 11 + 8 + 1
  assert 'the paper' in rows['K49']
  assert 'cmnist_tfds (mnist.toml)' in rows['Mn']
  assert str(letters / 'letters.toml') in rows['Xy']
  assert rows['Dg'].split()[:4] == ['Dg', '10', '-', '10,240']

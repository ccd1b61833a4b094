# SPDX-License-Identifier: Apache-2.0
"""Other programs read the examples from exported files."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image

import cmnist_tfds
from cmnist_tfds import cli
from cmnist_tfds.cache.prepared import find_prepared

NAMES = [c.name for c in cmnist_tfds.subset('X-12').classes]


@pytest.fixture
def export(sample_dir, tmp_path):
  def run(file_format, *, folder=None, status=0):
    folder = tmp_path / 'made' / (folder or file_format)
    folder.parent.mkdir(parents=True, exist_ok=True)
    assert status == cli.main(
      [
        *('export', 'X-12', '--sample', '--data_dir', str(sample_dir)),
        *('--format', file_format, '-o', str(folder)),
      ]
    )
    return folder

  return run


@pytest.fixture
def splits(sample_dir):
  train, test = cmnist_tfds.load_data(
    'X-12',
    features=('image', 'label', 'source'),
    data_dir=sample_dir,
    sample=True,
  )
  return {'train': train, 'test': test}


def test_png_is_laid_out_as_imagenet(export, splits):
  folder = export('png')
  assert sorted(p.name for p in folder.iterdir()) == [
    *('.cmnist_tfds.json', 'classes.txt', 'test', 'train')
  ]
  assert (folder / 'classes.txt').read_text('utf-8').split('\n')[:-1] == NAMES
  for split, (images, labels, _) in splits.items():
    classes = sorted((folder / split).iterdir())
    assert len(classes) == 12
    count = 0
    for label, of_class in enumerate(classes):
      for path in of_class.iterdir():
        number = int(path.stem)
        assert labels[number] == label
        np.testing.assert_array_equal(Image.open(path), images[number])
        count += 1
    assert count == len(labels)


@pytest.mark.parametrize('split', ['train', 'test'])
def test_idx_is_read_as_mnist(export, splits, split):
  mnist = pytest.importorskip('mnist', reason='python-mnist is not installed')
  images, labels = getattr(
    mnist.MNIST(str(export('idx')), return_type='numpy'),
    {'train': 'load_training', 'test': 'load_testing'}[split],
  )()
  expected = splits[split]
  np.testing.assert_array_equal(images.reshape(-1, 28, 28), expected[0])
  np.testing.assert_array_equal(labels, expected[1])


@pytest.mark.parametrize('split', ['train', 'test'])
def test_torchvision_reads_idx_as_mnist(export, splits, tmp_path, split):
  datasets = pytest.importorskip(
    'torchvision.datasets', reason='torchvision is not installed'
  )
  export('idx', folder='MNIST/raw')
  mnist = datasets.MNIST(tmp_path / 'made', train=split == 'train')
  images, labels, _ = splits[split]
  np.testing.assert_array_equal(mnist.data, images)
  np.testing.assert_array_equal(mnist.targets, labels)
  image, label = mnist[0]
  np.testing.assert_array_equal(image, images[0])
  assert label == labels[0]


def test_idx_has_the_bytes_of_the_format(export, splits):
  folder = export('idx')
  for split, name in (('train', 'train'), ('test', 't10k')):
    images, labels, _ = splits[split]
    count = len(labels).to_bytes(4, 'big')
    data = (folder / f'{name}-labels-idx1-ubyte').read_bytes()
    assert data == b'\0\0\x08\x01' + count + bytes(labels.tolist())
    data = (folder / f'{name}-images-idx3-ubyte').read_bytes()
    shape = b'\0\0\x08\x03' + count + b'\0\0\0\x1c' * 2
    assert data == shape + images.tobytes()


def test_npz_is_that_of_keras(export, splits):
  with np.load(
    export('npz') / 'cmnist_sample-X-12.npz', allow_pickle=False
  ) as file:
    assert file['class_names'].tolist() == NAMES
    for split, (images, labels, _) in splits.items():
      np.testing.assert_array_equal(file[f'x_{split}'], images)
      np.testing.assert_array_equal(file[f'y_{split}'], labels)


def test_csv_is_that_of_the_generator(export, splits):
  folder = export('csv')
  keys = [source.key for source in cmnist_tfds.subset('X-12').sources]
  for split, (images, labels, sources) in splits.items():
    with (folder / f'{split}.csv').open(encoding='utf-8', newline='') as file:
      head, *rows = csv.reader(file)
    assert head == ['file', 'label', 'decoded_label', 'source']
    for row, image, label, source in zip(
      rows, images, labels, sources, strict=True
    ):
      np.testing.assert_array_equal(Image.open(folder / row[0]), image)
      assert row[1:] == [str(label), NAMES[label], keys[source]]


def test_an_empty_folder_is_filled_a_full_one_kept(export, tmp_path, capsys):
  folder = tmp_path / 'made/npz'
  folder.mkdir(parents=True)
  export('npz')
  names = ['.cmnist_tfds.json', 'cmnist_sample-X-12.npz']
  assert sorted(p.name for p in folder.iterdir()) == names
  assert 'X-12' in capsys.readouterr().out
  (folder / '.cmnist_tfds.json').unlink()
  export('npz', status=1)
  assert 'not empty' in capsys.readouterr().err
  # Nothing else was left behind.
  assert list(folder.parent.iterdir()) == [folder]


def test_an_export_replaces_an_earlier_one_of_its_kind_alone(export, capsys):
  folder = export('idx')
  before = {path: path.stat().st_ino for path in folder.glob('*-idx*')}
  (folder / 'notes.txt').write_text('mine')
  export('idx')
  after = {path: path.stat().st_ino for path in folder.glob('*-idx*')}
  assert len(before) == 4 and before.keys() == after.keys()
  assert not set(before.values()) & set(after.values())
  assert (folder / 'notes.txt').read_text() == 'mine'
  export('npz', folder='idx', status=1)
  assert 'export of cmnist_sample/X-12 as idx' in capsys.readouterr().err


def test_a_failed_export_leaves_nothing(export, tmp_path, monkeypatch, capsys):
  def fail(*_, **__):
    raise OSError(28, 'No space left on device')

  monkeypatch.setattr(np.lib.format, 'write_array', fail)
  export('npz', status=1)
  assert 'No space left' in capsys.readouterr().err
  assert list((tmp_path / 'made').iterdir()) == []


@pytest.mark.usefixtures('empty_cache')
def test_a_subset_that_is_not_prepared_cannot_be_exported(tmp_path, capsys):
  arguments = ['export', '2-FKd', '--data_dir', str(tmp_path)]
  assert cli.main([*arguments, '--format', 'npz', '-o', str(tmp_path)]) == 1
  assert 'Run: cmnist build 2-FKd' in capsys.readouterr().err
  subset = cmnist_tfds.subset('2-FKd')
  assert find_prepared(subset, data_dir=tmp_path) is None

# SPDX-License-Identifier: Apache-2.0
"""Other programs read the examples from exported files."""

from __future__ import annotations

import csv
import gzip

import command_line
import numpy as np
import pytest
from PIL import Image

import cmnist_tfds

NAMES = [c.name for c in cmnist_tfds.subset('X-12').classes]


@pytest.fixture
def export(sample_dir, tmp_path, capsys):
  def run(file_format, *, folder=None, status=0):
    folder = tmp_path / 'made' / (folder or file_format)
    argv = ('export', 'X-12', '--sample', '--data_dir', sample_dir)
    options = ('--format', file_format, '-o', folder)
    found, _, err = command_line.run(capsys, *argv, *options)
    assert found == status
    if not status:
      assert (folder / 'classes.txt').read_text('utf-8').splitlines() == NAMES
    return err or folder

  return run


@pytest.fixture
def splits(sample_dir):
  features = ('image', 'label', 'source')
  train, test = cmnist_tfds.load_data(
    'X-12', features=features, data_dir=sample_dir, sample=True
  )
  return {'train': train, 'test': test}


def test_png_is_laid_out_as_imagenet(export, splits):
  folder = export('png')
  lists = {f'{split}.txt' for split in splits}
  names = {p.name for p in folder.iterdir()}
  assert names == {'.cmnist_tfds.json', 'classes.txt', *lists, *splits}
  for split, (images, labels, _) in splits.items():
    classes = sorted((folder / split).iterdir())
    listed = (folder / f'{split}.txt').read_text('utf-8').splitlines()
    for line, image, label in zip(listed, images, labels, strict=True):
      path, _, number = line.rpartition(' ')
      assert number == str(label)
      np.testing.assert_array_equal(Image.open(folder / path), image)
    assert len(classes) == 12
    for label, of_class in enumerate(classes):
      numbers = [int(path.stem) for path in of_class.iterdir()]
      assert sorted(numbers) == np.flatnonzero(labels == label).tolist()
      for path in of_class.iterdir():
        np.testing.assert_array_equal(Image.open(path), images[int(path.stem)])


@pytest.mark.parametrize('reader', ['MNIST', 'FashionMNIST'])
def test_torchvision_reads_idx_as_mnist(export, splits, tmp_path, reader):
  datasets = pytest.importorskip('torchvision.datasets')
  export('idx', folder=f'{reader}/raw')
  for split, (images, labels, _) in splits.items():
    kwargs = {'train': split == 'train', 'download': False}
    read = getattr(datasets, reader)(tmp_path / 'made', **kwargs)
    np.testing.assert_array_equal(read.data, images)
    np.testing.assert_array_equal(read.targets, labels)


def test_idx_has_the_bytes_of_the_format(export, splits):
  folder = export('idx')
  for split, name in (('train', 'train'), ('test', 't10k')):
    images, labels, _ = splits[split]
    count = len(labels).to_bytes(4, 'big')
    shape = b'\0\0\x08\x03' + count + b'\0\0\0\x1c' * 2
    for part, expected in (
      ('labels-idx1', b'\0\0\x08\x01' + count + bytes(labels.tolist())),
      ('images-idx3', shape + images.tobytes()),
    ):
      path = folder / f'{name}-{part}-ubyte'
      assert path.read_bytes() == expected
      # Fashion-MNIST's own reader, mnist_reader, opens these.
      packed = path.with_name(f'{path.name}.gz').read_bytes()
      assert gzip.decompress(packed) == expected


def test_npz_is_that_of_keras(export, splits):
  path = export('npz') / 'cmnist_sample-X-12.npz'
  with np.load(path, allow_pickle=False) as file:
    assert file['class_names'].tolist() == NAMES
    for split, (images, labels, sources) in splits.items():
      np.testing.assert_array_equal(file[f'x_{split}'], images)
      np.testing.assert_array_equal(file[f'y_{split}'], labels)
      np.testing.assert_array_equal(file[f'source_{split}'], sources)
      rows = [*zip(sources, file[f'row_{split}'], strict=True)]
      assert len({*rows}) == len(rows)
      assert set(file[f'writer_{split}']) == {-1}
    assert file['source_keys'].tolist() == ['E', 'El', 'F', 'Kd', 'Km', 'N']


def test_csv_is_that_of_the_generator(export, splits):
  folder = export('csv')
  keys = [source.key for source in cmnist_tfds.subset('X-12').sources]
  for split, (images, labels, sources) in splits.items():
    with (folder / f'{split}.csv').open(encoding='utf-8', newline='') as file:
      head, *rows = csv.reader(file)
    assert head == ['file', 'label', 'decoded_label', 'source']
    for row, image in zip(rows, images, strict=True):
      np.testing.assert_array_equal(Image.open(folder / row[0]), image)
    for row, label, source in zip(rows, labels, sources, strict=True):
      assert row[1:] == [str(label), NAMES[label], keys[source]]


def test_csv_of_pixels_is_that_of_kaggle(export, splits):
  folder = export('csv-pixels')
  for split, (images, labels, _) in splits.items():
    with (folder / f'{split}.csv').open(newline='') as file:
      head, *rows = csv.reader(file)
    assert head == ['label', *(f'pixel{n}' for n in range(784))]
    table = np.array(rows, int)
    np.testing.assert_array_equal(table[:, 0], labels)
    np.testing.assert_array_equal(table[:, 1:].reshape(-1, 28, 28), images)


def test_an_export_replaces_an_earlier_one_of_its_kind_alone(export):
  folder = export('idx')
  export('idx')
  err = export('npz', folder='idx', status=1)
  assert 'export of cmnist_sample/X-12 as idx' in err
  assert len(list(folder.glob('*-idx*'))) == 8

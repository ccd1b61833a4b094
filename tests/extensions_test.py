# SPDX-License-Identifier: Apache-2.0
"""The extensions of the package: real files pixel for pixel, and figures."""

import dataclasses
import gzip

import numpy as np
import pytest
import synthetic

import cmnist_tfds
from cmnist_tfds import subsets
from cmnist_tfds.origin import Locations, Proof, audit, load_split
from cmnist_tfds.sources import SOURCES, licenses, registry, source
from cmnist_tfds.system.errors import OriginFileError

_KEYS = ['Bn', 'Dv', 'Te', 'Dg', 'Hy', 'Kk', 'Mn', 'Qm', 'Qd']
_REAL = ['Bn', 'Dg', 'Dv', 'Mn', 'Te']


def test_the_package_has_these():
  found, faults = registry.registry()
  assert [s.key for s in found if s.owner.startswith('cmnist_tfds ')] == _KEYS
  assert not faults


def test_every_source_states_whose_data_it_is():
  for record in (*SOURCES, *map(source, _KEYS)):
    assert record.collection and record.biases and record.social_impact
    assert record.personal_information and record.synthetic is not None
    assert licenses.find(record.license).sharing in ('yes', 'no')


@pytest.mark.parametrize('key', _KEYS)
def test_something_proves_every_file(key):
  record = source(key)
  assert record.digest
  for file in record.origin_files:
    published = file.archive or file
    assert published.urls
    # Nobody has published a hash of one archive, and its source says so.
    proved = published.sha256 or published.md5
    assert bool(proved) == (key != 'Kk')
    assert proved or 'No hash' in record.known_issues[0]


def test_figures_agree():
  record = source('Qd')
  whole = record.splits['train'].whole
  assert len(record.class_names) == 345
  assert sum(part.size for part in whole.parts) == 39_534_220_144
  for part, count in zip(whole.parts, whole.class_counts, strict=True):
    assert part.size == 80 + 784 * count
  record = source('Hy')
  assert len(record.class_names) == 369
  assert record.class_names[record.class_numbers[31]] == 'A'
  assert (min(record.raw_labels), max(record.raw_labels)) == (31, 1400)


def test_kuzushiji_kanji_is_read_from_its_archive(tmp_path):
  record = source('Kk')
  whole = record.splits['train'].whole
  assert len(record.class_names) == 1_080
  assert min(whole.class_counts) == 20
  assert record.splits['test'].class_counts == (5,) * 1_080
  names = enumerate(record.class_names)
  folders = {f'U+{ord(name):04X}': number for number, name in names}
  # 突 has a second code point, which the origin uses for most of its pictures.
  folders['U+FA55'] = folders.pop('U+7A81')
  images = {
    folder: np.full((6, 64, 64), number % 256, np.uint8)
    for folder, number in {**folders, 'U+3007': 0}.items()
  }
  files = synthetic.pictures(images, 'kkanji2/')
  synthetic.write(tmp_path / 'kuzushiji_kanji/kkanji.tar', files)
  locations = Locations(manual_dir=tmp_path)
  unverified = dataclasses.replace(locations, allow_unverified=True)
  with pytest.raises(OriginFileError, match='no hash'):
    load_split.load_split(record, 'test', locations)
  read = load_split.load_split(record, 'test', unverified)
  numbers = np.arange(1_080).repeat(5)
  np.testing.assert_array_equal(read.labels, numbers)
  assert read.images.shape == (len(numbers), 28, 28)
  assert (read.images == (numbers % 256)[:, None, None]).all()


# Real files ------------------------------------------------------------------


@pytest.fixture
def build(origin_files, tmp_path, empty_cache):
  """Builds a dataset from the real files, with a cache of its own."""
  import tensorflow_datasets as tfds

  def build(subset):
    name = f'cmnist/{subset.name}'
    config = tfds.download.DownloadConfig(manual_dir=origin_files)
    builder = tfds.builder(name, data_dir=tmp_path)
    builder.download_and_prepare(download_config=config)
    return tfds.builder_from_directory(builder.data_path).info

  return build


def _arrays(folder, key, split):
  """Reads the real files with NumPy alone, and converts them the slow way."""
  if key == 'Mn':
    name = {'train': 'train', 'test': 't10k'}[split]
    images, labels = (
      gzip.decompress((folder / f'mnist/{name}-{part}').read_bytes())
      for part in ('images-idx3-ubyte.gz', 'labels-idx1-ubyte.gz')
    )
    return (
      np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28),
      np.frombuffer(labels, np.uint8, offset=8),
    )
  if key == 'Dg':
    files = (folder / f'kannada_mnist/{part}_dig_MNIST.npz' for part in 'Xy')
    return [np.load(file)['arr_0'] for file in files]
  script = {'Bn': 'bangla', 'Dv': 'devanagari', 'Te': 'telugu'}[key]
  name = {'train': 'training', 'test': 'testing'}[split]
  file = np.load(folder / f'cmaterdb/{script}-numerals-{name}-images.npz')
  images, labels = file['images'], file['labels']
  assert (images == images[..., :1]).all()
  # 32 x 32 pixels become 224 x 224 small squares, and these 28 x 28 pixels.
  fine = (255 - images[..., 0]).repeat(7, 1).repeat(7, 2)
  sums = fine.reshape(-1, 28, 8, 28, 8).sum((2, 4), np.int64)
  return (sums + 32) // 64, labels


@pytest.mark.parametrize('key', _REAL)
def test_origin_files_pixel_for_pixel(origin_files, key):
  record, where = source(key), Locations(manual_dir=origin_files)
  for split in record.splits:
    read = load_split.load_split(record, split, where)
    images, labels = _arrays(origin_files, key, split)
    np.testing.assert_array_equal(read.images, images)
    np.testing.assert_array_equal(read.labels, labels)
    assert set(read.proofs.values()) == {Proof.SHA256}
  for finding in audit.audit([record], where, hashes=True):
    assert finding.fault == ''
    assert finding.fingerprint == finding.file.fingerprint


@pytest.mark.slow
def test_the_showpiece_is_built(build):
  subset = subsets.subset('6-BnDvFKdMnTe-r-5')
  info = build(subset)
  assert info.features['label'].names == [c.name for c in subset.classes]
  assert info.splits['train'].num_examples == 60 * 5
  assert info.splits['test'].num_examples == 32_000
  for row, record in zip(info.metadata['sources'], subset.sources, strict=True):
    assert row.get('declaration', '') == record.digest
    assert set(row['verified'].values()) == {'sha256'}


def test_a_test_set_alone(build, tmp_path):
  assert list(build(subsets.subset('1-Dg')).splits) == ['test']
  (x, y), (x_test, y_test) = cmnist_tfds.load_data('1-Dg', data_dir=tmp_path)
  assert (x.shape, y.shape) == ((0, 28, 28), (0,))
  assert x_test.shape == (10_240, 28, 28)
  assert np.bincount(y_test).tolist() == [1_024] * 10

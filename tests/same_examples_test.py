# SPDX-License-Identifier: Apache-2.0
"""Every way to read a subset gives the same examples in the same order."""

from __future__ import annotations

import dataclasses
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds

import cmnist_tfds
from cmnist_tfds.cache.prepared import SAMPLE
from cmnist_tfds.datasets.get_builder import get_builder
from cmnist_tfds.export import files
from cmnist_tfds.load.open_subset import open_subset
from cmnist_tfds.sources import SPLITS


@dataclasses.dataclass(frozen=True)
class _Subset:
  """A prepared subset, twice: as TFRecord and as ArrayRecord."""

  name: str
  dataset: str
  data_dir: pathlib.Path
  array_record_dir: pathlib.Path

  @property
  def where(self):
    return {
      'data_dir': self.data_dir,
      'sample': self.dataset == SAMPLE,
    }


@pytest.fixture(scope='module', params=['sample', 'real'])
def subset(request, tmp_path_factory):
  sample = request.param == 'sample'
  name = 'X-12' if sample else '2-FKd'
  config = tfds.download.DownloadConfig(
    manual_dir=None if sample else request.getfixturevalue('origin_files')
  )
  folders = []
  for file_format in ('tfrecord', 'array_record'):
    folders.append(tmp_path_factory.mktemp(file_format))
    builder = get_builder(
      cmnist_tfds.subset(name), data_dir=folders[-1], sample=sample
    )
    builder.download_and_prepare(
      file_format=file_format, download_config=config
    )
  return _Subset(name, builder.name, *folders)


def _together(batches):
  images, labels = zip(*batches, strict=True)
  return np.concatenate(images), np.concatenate(labels)


def _by_tfds(subset, split, tmp_path):
  del tmp_path
  batches = tfds.load(
    f'{subset.dataset}/{subset.name}',
    split=split,
    data_dir=subset.data_dir,
    as_supervised=True,
  ).batch(1024)
  return _together(batches.as_numpy_iterator())


def _by_data_source(subset, split, tmp_path):
  del tmp_path
  pytest.importorskip('PIL', reason='Pillow is not installed')
  source = tfds.data_source(
    f'{subset.dataset}/{subset.name}',
    split=split,
    data_dir=subset.array_record_dir,
    builder_kwargs={'file_format': 'array_record'},
  )
  examples = [source[number] for number in range(len(source))]
  return (
    np.stack([e['image'] for e in examples]),
    np.array([e['label'] for e in examples]),
  )


def _by_shards(folder):
  def run(subset, split, tmp_path):
    # What says of which sources they were built decides where they are read.
    copy = shutil.copytree(getattr(subset, folder), tmp_path / 'data')
    (metadata,) = copy.glob(f'*/{subset.name}/*/metadata.json')
    metadata.unlink()
    where = {**subset.where, 'data_dir': copy}
    return cmnist_tfds.load_data(subset.name, split=split, **where)

  return run


def _by_origin_files(subset, split, tmp_path):
  where = {**subset.where, 'data_dir': tmp_path / 'data'}
  found = cmnist_tfds.load_data(subset.name, split=split, **where)
  assert not (tmp_path / 'data').exists()
  return found


def _by_npz(subset, split, tmp_path):
  found = open_subset(cmnist_tfds.subset(subset.name), **subset.where)
  folder = files.export_files(found, 'npz', tmp_path / 'npz')
  (path,) = folder.glob('*.npz')
  with np.load(path) as file:
    return file[f'x_{split}'], file[f'y_{split}']


_WAYS = {
  'tfds.load': _by_tfds,
  'tfds.data_source': _by_data_source,
  'load_data of TFRecord': _by_shards('data_dir'),
  'load_data of ArrayRecord': _by_shards('array_record_dir'),
  'load_data without shards': _by_origin_files,
  'export': _by_npz,
}


# A data source gives some 3,000 examples a second: a part has to do.
_PARTS = {'tfds.data_source': '[:10%]'}


@pytest.mark.parametrize(
  ('way', 'split'),
  [(way, split + _PARTS.get(way, '')) for way in _WAYS for split in SPLITS],
)
def test_same_examples(subset, way, split, tmp_path):
  images, labels = cmnist_tfds.load_data(
    subset.name, split=split, **subset.where
  )
  others = _WAYS[way](subset, split, tmp_path)
  np.testing.assert_array_equal(others[0].reshape(images.shape), images)
  np.testing.assert_array_equal(others[1], labels)

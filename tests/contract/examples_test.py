# SPDX-License-Identifier: Apache-2.0
"""Examples: the same pixels, labels and bytes in the same order, always."""

from __future__ import annotations

import hashlib
import pathlib

import numpy as np
import pytest
import tensorflow_datasets as tfds
from zlib_ng import zlib_ng

import cmnist_tfds
from contract.datasets import digest, shards

_FEATURES = ('image', 'label', 'source', 'source_label')

# Of the sample: digests of the examples, and of the shards.
_SAMPLE = {
  'X-12': (
    '85c9be63e5fd5bd5d8bd13a45462b231f5b97cd52bac2186ec085e0d3ce7ddcc',
    '7a7cb260e5f04b22cf088b764fb8d2c78f333aefe4c6b2eef5690eacb7b36264',
  ),
  'X-24': (
    '502fd6e2c87fcff00deb95b339bf7bcfebc3be0ac5e707b81e145d949ed4fbd8',
    '669267e4783ecb6422e401ead72d11ac8d08bbe82d22e69f97c4d67ceb2ca9bb',
  ),
  '3-EElKm': (
    '9e37d7f1eee6c8194742118000c0e1fd5436bc7ff3aa06782676a75abb2efb57',
    'b166f3da3bdb48effe0ce8824228fc3c3c1078e911b3b581223718d45e9f2092',
  ),
  '2-FKd-r-10': (
    '2152a87303cd46fb3f24e784d777bfc82a2ad4bcaec39a6e7ce81304a9613cb1',
    '21cde864de24ba6473584a772f9d75a732ff4f1a5b00e49d6d8efc1a44f0d3d5',
  ),
  '2-EcF': (
    '05890c8a7f04decec1961d846f818d9219c6ef444e298c24dabcb9c5d6b7a76b',
    '0e0e7d6625c7c52e98fff4aba6a3bc3e7ece873bbebd2520d14de9211e252140',
  ),
  '1-Km-r-7': (
    '1c644020b52912aad092c3f092a829bfb98a1c72ca942e5386053738275e90c5',
    '0f00cd4ac188f5a9cae7bf343621799da8f8be31a72880787c30b0786239c05d',
  ),
}
# Of CMNIST itself.
_REAL = {
  '2-FKd': (
    'f4f3e2508f947797f5dedf8c33372c6e021f693b9db2060871a3a4f99e386112',
    '7a6c278b37112cb462c0e4bcee90b073fd138c4d15be98f5448e591a897bcbb8',
  ),
  '2-FKd-r-10': (
    'c15ded79317507b0786c33f80bd558a46a2f59a727fb241b90bb81c87c7395af',
    '450d1ade6a17d906b28f21be126b82867b484a0a4838abd448c27f35b6d409c6',
  ),
}
# Another release of zlib-ng may make other bytes of the same pixels. This is
# the digest of what the one makes with which the shards were written.
_COMPRESSED = '21e6a6714557a1cdda9038d8a34f9b6f29977d9203aa21261a510050b09b0126'


def _check_shards(folder: pathlib.Path, expected: str) -> None:
  found = shards(folder)
  assert [name.split('-')[1].split('.')[0] for name in found] == [
    'test',
    'train',
  ]
  data = bytes(n * n % 251 for n in range(784))
  compressed = hashlib.sha256(zlib_ng.compress(data, 1)).hexdigest()
  if compressed == _COMPRESSED:
    joined = b''.join(found.values())
    assert hashlib.sha256(joined).hexdigest() == expected


def _digest(name: str, **where: object) -> str:
  splits = cmnist_tfds.load_data(name, features=_FEATURES, **where)
  return digest(*(array for arrays in splits for array in arrays))


@pytest.mark.parametrize('name', _SAMPLE)
def test_examples_of_the_sample(name, cmnist, tmp_path):
  where = {'data_dir': tmp_path, 'sample': True}
  examples, written = _SAMPLE[name]
  assert _digest(name, **where) == examples
  cmnist.works('build', name, '--sample', '--data_dir', tmp_path)
  assert _digest(name, **where) == examples
  _check_shards(tmp_path / 'cmnist_sample' / name / '1.0.0', written)


@pytest.mark.parametrize('name', _REAL)
def test_examples_of_real_files(name, cmnist, origin_files, tmp_path):
  examples, written = _REAL[name]
  where = ('--data_dir', tmp_path, '--manual_dir', origin_files)
  cmnist.works('build', name, *where)
  assert _digest(name, data_dir=tmp_path) == examples
  _check_shards(tmp_path / 'cmnist' / name / '1.0.0', written)


def _examples(name, split, **where):
  """Returns the examples of `tfds.load` as arrays, by feature."""
  in_order = tfds.ReadConfig(interleave_cycle_length=1)
  dataset = tfds.load(name, split=split, read_config=in_order, **where)
  examples = list(tfds.as_numpy(dataset))
  return {name: np.stack([e[name] for e in examples]) for name in examples[0]}


def test_features_have_their_shapes_and_types(data_dir):
  info = tfds.builder('cmnist_sample/X-12', data_dir=data_dir).info
  features = info.features
  assert list(features) == ['image', 'label', 'source', 'source_label']
  assert features['image'].shape == (28, 28, 1)
  assert features['image'].np_dtype == np.uint8
  subset = cmnist_tfds.subset('X-12')
  assert features['label'].names == [c.name for c in subset.classes]
  assert features['source'].names == [s.key for s in subset.sources]
  assert features['source_label'].np_dtype == np.int64
  assert info.supervised_keys == ('image', 'label')
  assert list(info.splits) == ['train', 'test']
  found = _examples('cmnist_sample/X-12', 'train', data_dir=data_dir)
  assert {n: (a.dtype.name, a.shape[1:]) for n, a in found.items()} == {
    'image': ('uint8', (28, 28, 1)),
    'label': ('int64', ()),
    'source': ('int64', ()),
    'source_label': ('int64', ()),
  }
  for number, source, raw in zip(
    found['label'], found['source'], found['source_label'], strict=True
  ):
    of_label = subset.classes[number]
    assert subset.sources[source] == of_label.source
    assert raw == of_label.raw_label


@pytest.mark.parametrize('split', ['train', 'test'])
def test_tfds_and_load_data_give_the_same_examples(data_dir, split):
  by_tfds = _examples('cmnist_sample/X-12', split, data_dir=data_dir)
  arrays = cmnist_tfds.load_data(
    'X-12', split=split, features=_FEATURES, data_dir=data_dir, sample=True
  )
  for name, array in zip(_FEATURES, arrays, strict=True):
    np.testing.assert_array_equal(array, by_tfds[name].reshape(array.shape))


def _limited(folder):
  """A limit above all examples changes nothing."""
  config = tfds.download.DownloadConfig(max_examples_per_split=10**9)
  builder = tfds.builder('cmnist_sample/3-EElKm-r-5', data_dir=folder)
  builder.download_and_prepare(download_config=config)


def _beam(folder):
  pytest.importorskip('apache_beam')
  from apache_beam.options.pipeline_options import PipelineOptions

  options = PipelineOptions(['--runner=DirectRunner'])
  config = tfds.download.DownloadConfig(beam_options=options, num_shards=3)
  builder = tfds.builder('cmnist_sample/3-EElKm-r-5', data_dir=folder)
  builder.download_and_prepare(download_config=config)


@pytest.mark.parametrize('build', [_limited, _beam])
def test_every_way_to_build_gives_the_same_examples(build, tmp_path):
  build(tmp_path / 'other')
  name = 'cmnist_sample/3-EElKm-r-5'
  tfds.load(name, data_dir=tmp_path / 'fast')
  for split in ('train', 'test'):
    found, expected = (
      _examples(name, split, data_dir=tmp_path / way)
      for way in ('other', 'fast')
    )
    assert found.keys() == expected.keys()
    for feature, array in expected.items():
      np.testing.assert_array_equal(found[feature], array)


def test_a_dataset_says_what_it_is(cmnist, origin_files, tmp_path):
  cmnist.works(
    *('build', '2-FKd-r-1', '--data_dir', tmp_path),
    *('--manual_dir', origin_files),
  )
  info = tfds.builder('cmnist/2-FKd-r-1', data_dir=tmp_path).info
  assert 'Fashion-MNIST' in info.description
  assert info.homepage.startswith('https://')
  assert 'wenkel2019cmnist' in info.citation
  assert 'MIT' in str(info.redistribution_info.license)
  metadata = info.metadata
  assert metadata['balanced'] is True
  for source in metadata['sources']:
    assert set(source['verified'].values()) == {'sha256'}
  assert len(metadata['classes']) == 20

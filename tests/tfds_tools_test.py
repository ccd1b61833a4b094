# SPDX-License-Identifier: Apache-2.0
"""TFDS's own tools work with this package as with a dataset of TFDS."""

import collections

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

import cmnist_tfds
from cmnist_tfds.system.errors import SplitError

_NAME = 'cmnist_sample/X-12'

_Pair = collections.namedtuple('_Pair', ['first', 'second'])


# Splits ----------------------------------------------------------------------

_READ, _EVEN = tfds.core.ReadInstruction, tfds.even_splits
_DROPPING = _READ('train', to=7, unit='%', rounding='pct1_dropremainder')

_SPLITS = {
  'numpy string': np.str_('test'),
  'instruction with bounds': _READ('train', from_=3, to=9, unit='abs'),
  'instruction in percent': _READ('train', from_=10, to=25, unit='%'),
  'instruction to drop a remainder': _DROPPING,
  'sum of instructions': _READ('test', to=3, unit='abs') + _READ('train', 98),
  'instruction and string': _READ('test', to=3, unit='abs') + 'train[:2]',
  'one of even splits of even splits': _EVEN(_EVEN('train', 3)[1], 2)[1],
  'even splits without remainder': _EVEN('train', 7, drop_remainder=True)[6],
  'split of a process of JAX': tfds.split_for_jax_process(
    'train', process_index=1, process_count=4
  ),
  'empty list': [],
  'list with instructions': ['train[:3]', _READ('test', to=2, unit='abs')],
  'all even splits': _EVEN('test', 3),
  'named tuple': _Pair('train[:3]', 'test'),
  'nested': {'a': ['train[:4]', ('test', 'test[:1]')], 'b': {'c': 'test'}},
}


# Otherwise TFDS mixes the examples of several files.
_IN_ORDER = tfds.ReadConfig(interleave_cycle_length=1)


def _arrays(batches):
  """Returns the images and labels of batches."""
  images, labels = zip(*tfds.as_numpy(batches), strict=True)
  return np.concatenate(images)[..., 0], np.concatenate(labels)


def _assert_same(found, expected):
  tf.nest.assert_same_structure(found, expected)
  flat = map(tf.nest.flatten, (found, expected))
  for ours, theirs in zip(*flat, strict=True):
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize('case', _SPLITS)
def test_splits_are_those_of_tfds(sample_dir, case):
  split = _SPLITS[case]
  options = {'data_dir': sample_dir, 'sample': True}
  how = {'as_supervised': True, 'batch_size': 64, 'read_config': _IN_ORDER}
  stock = tfds.builder_from_directory(sample_dir / _NAME / '1.0.0')
  loaded = stock.as_dataset(split=split, **how)
  expected = tf.nest.map_structure(_arrays, loaded)
  _assert_same(cmnist_tfds.load_data('X-12', split=split, **options), expected)
  found = cmnist_tfds.as_batches('X-12', split, 64, **options)
  _assert_same(tf.nest.map_structure(_arrays, found), expected)


_WRONG = {
  'instruction beyond the end': _READ('train', to=10**6, unit='abs'),
  'instruction with fractions': _READ('train', from_=0.5, unit='abs'),
  'too few to drop a remainder': _DROPPING + _READ('nothing'),
  'even splits of an unknown split': _EVEN('dev', 2)[0],
  'even splits of nonsense': _EVEN('train[', 2)[0],
  'number': 5,
  'bytes': b'train',
  'set': {'train'},
  'slice': slice(5),
  'None in a list': ['train', None],
  'number in a dictionary': {'a': 5},
  'wrong one in a list': ['train', 'dev'],
}


@pytest.mark.parametrize('case', _WRONG)
def test_wrong_split(sample_dir, case):
  options = {'data_dir': sample_dir, 'sample': True}
  with pytest.raises(SplitError) as of_load_data:
    cmnist_tfds.load_data('X-12', split=_WRONG[case], **options)
  with pytest.raises(SplitError):
    cmnist_tfds.as_batches('X-12', _WRONG[case], 64, **options)
  assert '\n' not in str(of_load_data.value)


# tfds.testing.mock_data -------------------------------------------------------

_POLICY = tfds.testing.MockPolicy


def _files(folder):
  return {(path, path.stat().st_mtime_ns) for path in folder.rglob('*')}


@pytest.fixture
def nothing_is_written(tmp_path, monkeypatch):
  """Asserts that neither home nor working directory has changed."""
  for name in ('home', 'work'):
    (tmp_path / name).mkdir()
  monkeypatch.setenv('HOME', str(tmp_path / 'home'))
  monkeypatch.chdir(tmp_path / 'work')
  before = _files(tmp_path)
  yield
  assert _files(tmp_path) == before


@pytest.mark.parametrize(
  'name', ['cmnist', 'cmnist/3-EEIKm', 'cmnist_sample/2-FKd-r-7']
)
@pytest.mark.parametrize(
  'arguments',
  [
    {'split': 'train'},
    {'split': 'train[:10%]', 'as_supervised': True},
    {'split': ['train', 'test'], 'with_info': True},
    {'split': 'test', 'data_dir': 'data', 'shuffle_files': True},
  ],
  ids=['split', 'supervised', 'list', 'data_dir'],
)
@pytest.mark.usefixtures('nothing_is_written')
def test_mocked_load(name, arguments):
  with tfds.testing.mock_data(num_examples=3):
    loaded = tfds.load(name, **arguments)
  if arguments.get('with_info'):
    loaded, info = loaded
    assert info.features['image'].shape == (28, 28, 1)
  for dataset in loaded if isinstance(loaded, list) else [loaded]:
    assert len(list(tfds.as_numpy(dataset))) == 3


@pytest.mark.parametrize('policy', [_POLICY.AUTO, _POLICY.USE_FILES])
@pytest.mark.usefixtures('nothing_is_written')
def test_mocked_load_from_metadata(policy, sample_dir):
  with tfds.testing.mock_data(2, policy=policy, data_dir=str(sample_dir)):
    loaded, info = tfds.load(_NAME, with_info=True)
  assert info.splits['train'].num_examples > 2
  assert len(list(tfds.as_numpy(loaded['test']))) == 2


@pytest.mark.usefixtures('nothing_is_written')
def test_mocked_data_source():
  with tfds.testing.mock_data(num_examples=3):
    source = tfds.data_source(_NAME, split='train')
    assert len(source) == 3
    assert source[0]['image'].shape == (28, 28, 1)


def test_build_after_mock(tmp_path):
  with tfds.testing.mock_data():
    tfds.load(_NAME, split='train', data_dir=tmp_path)
  assert list(tmp_path.iterdir()) == []
  loaded = tfds.load(_NAME, split='train', data_dir=tmp_path)
  assert len(loaded) > 1

# SPDX-License-Identifier: Apache-2.0
"""The PyTorch dataset gives the examples, alone and in batches."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest
import running

import cmnist_tfds
from cmnist_tfds.cache import store
from cmnist_tfds.system.errors import PreparationError

torch = pytest.importorskip('torch', reason='PyTorch is not installed')

from torch.utils.data import (  # noqa: E402
  BatchSampler,
  ConcatDataset,
  DataLoader,
  RandomSampler,
  SequentialSampler,
  Subset,
  default_collate,
)

from cmnist_tfds.load.torch_dataset import CMNIST  # noqa: E402


@pytest.fixture
def train(sample_dir):
  return CMNIST('X-12', 'train', data_dir=sample_dir, sample=True)


@pytest.fixture
def scaled(sample_dir):
  """With transforms of single images, as torchvision calls them."""

  def transform(image):
    assert (image.mode, image.size) == ('L', (28, 28))
    return torch.from_numpy(np.array(image)).float()[None] / 255

  return CMNIST(
    'X-12',
    'train',
    transform=transform,
    target_transform=lambda label: label + 100,
    data_dir=sample_dir,
    sample=True,
  )


def together(loader):
  images, labels = zip(*loader, strict=True)
  return torch.cat(images), torch.cat(labels)


def assert_equal(batch, expected):
  for tensor, other in zip(batch, expected, strict=True):
    assert tensor.dtype == other.dtype
    assert torch.equal(tensor, other)


def test_attributes(train, sample_dir):
  names = [c.name for c in cmnist_tfds.subset('X-12').classes]
  assert train.classes == names
  assert [train.class_to_idx[name] for name in names] == list(range(12))
  arrays = cmnist_tfds.load_data(
    'X-12',
    split='train',
    features=('image', 'label', 'source', 'row', 'writer'),
    data_dir=sample_dir,
    sample=True,
  )
  identity = train.rows, train.writers
  found = (train.data, train.targets, train.sources, *identity)
  assert_equal(found, map(torch.from_numpy, arrays))
  assert len(train) == len(arrays[1])
  for split, is_train in {'fit': True, 'test': False, 'all': False}.items():
    other = CMNIST('X-12', split, data_dir=sample_dir, sample=True)
    assert other.train is is_train


@pytest.mark.parametrize('in_memory', [False, True])
def test_samples_are_plain_tuples(train, in_memory):
  if in_memory:
    train.data = train.data.flip(1)
  for index in (0, 5, -1, np.int64(3), torch.tensor(4)):
    image, label = train[index]
    assert (image.dtype, image.shape) == (torch.uint8, (1, 28, 28))
    assert type(label) is int
    assert label == train.targets[index]
    assert type(train[index]) is tuple
    (one,) = train.__getitems__([index])
    assert type(one) is tuple and one[1] == label
    assert torch.equal(one[0], image)
    image[:] = 0  # Whoever changes a sample changes only that.
    assert torch.equal(train[index][0], one[0])
  assert torch.equal(train[7][0][0], train.data[7])
  for index in (len(train), -len(train) - 1):
    for indices in (index, [0, index]):
      with pytest.raises(IndexError):
        train[indices]


def test_other_libraries_see_two_leaves(train):
  jax = pytest.importorskip('jax')
  grain = pytest.importorskip('grain')
  samples = [train[n] for n in range(4)]
  assert len(jax.tree.leaves(samples[0])) == 2
  images, labels = grain.MapDataset.source(train).batch(4)[0]
  assert np.shape(images) == (4, 1, 28, 28)
  assert list(labels) == train.targets[:4].tolist()

  # Both are in tutorials of JAX.
  def collate(batch):
    return jax.tree.map(np.asarray, default_collate(batch))

  def collate_by_hand(batch):
    if isinstance(batch[0], tuple | list):
      return [*map(collate_by_hand, zip(*batch, strict=True))]
    return np.array(batch)

  def longest_first(batch):
    return default_collate(sorted(batch, key=lambda sample: -sample[1]))

  for collate_fn in (collate, collate_by_hand, longest_first):
    images, labels = next(iter(DataLoader(train, 4, collate_fn=collate_fn)))
    assert np.shape(images) == (4, 1, 28, 28)
    assert sorted(labels) == sorted(train.targets[:4])


def test_transforms_of_torchvision(train):
  v2 = pytest.importorskip('torchvision.transforms.v2')
  image, _ = v2.ToDtype(torch.float32, scale=True)(train[0])
  torch.testing.assert_close(image, train[0][0] / 255)


@pytest.mark.parametrize('num_workers', [0, 2])
def test_loaders(train, scaled, num_workers):
  images, labels = train.data[:, None], train.targets
  batches = BatchSampler(SequentialSampler(train), 50, drop_last=False)
  for options in (
    {'batch_size': 50},
    {'batch_size': 1},
    {'batch_size': None, 'sampler': batches},
  ):
    loader = DataLoader(train, num_workers=num_workers, **options)
    assert_equal(together(loader), (images, labels))
  loader = DataLoader(scaled, 50, num_workers=num_workers)
  assert_equal(together(loader), (images / 255, labels + 100))
  generator = torch.Generator().manual_seed(0)
  shuffled = BatchSampler(
    RandomSampler(train, generator=generator), 50, drop_last=False
  )
  loader = DataLoader(train, sampler=shuffled, batch_size=None)
  first, second = (together(loader)[1] for _ in range(2))
  assert not torch.equal(first, second)
  assert torch.equal(first.sort().values, second.sort().values)


@pytest.mark.parametrize('make', [list, np.array, torch.tensor])
def test_batches_of_indices(train, scaled, make):
  for indices in ([3, 1, 2], [-1, 0, 0], range(0, 1440, 7)):
    images, labels = train[make([*indices])]
    assert_equal(
      (images, labels), (train.data[indices][:, None], train.targets[indices])
    )
    assert_equal(scaled[make([*indices])], (images / 255, labels + 100))
  where = np.flatnonzero(train.targets == 3)
  assert_equal(train[train.targets == 3], train[where])
  assert_equal(train[1:9:4], train[[1, 5]])


def test_parts_of_it_load_too(train):
  for indices in ([5, 3, 1], [0, -1]):
    assert_equal(
      together(DataLoader(Subset(train, indices), 2)), train[indices]
    )
  joined = ConcatDataset([train, train])
  twice = train[[*range(len(train))] * 2]
  assert_equal(together(DataLoader(joined, 50)), twice)


def test_arguments_of_torchvision(sample_dir):
  for split, is_train in (('train', True), ('test', False)):
    named = CMNIST('X-12', root=sample_dir, train=is_train, sample=True)
    found = CMNIST('X-12', split, data_dir=sample_dir, sample=True)
    assert torch.equal(named.data, found.data)
    assert named.train is found.train is is_train


@pytest.mark.parametrize(
  'arguments',
  [
    {},
    {'split': 'train', 'train': True},
    {'train': 'test'},
    {'train': True, 'root': 'a', 'data_dir': 'b'},
  ],
)
def test_one_of_two_names_is_given(arguments):
  with pytest.raises(TypeError, match='CMNIST takes either'):
    CMNIST('X-12', **arguments, sample=True)


def test_nothing_is_fetched_without_download(tmp_path, empty_cache):
  with pytest.raises(PreparationError, match='download=True'):
    CMNIST('X-12', root=tmp_path, train=True, download=False)
  assert not list(tmp_path.iterdir())
  CMNIST('X-12', root=tmp_path, train=True, download=False, sample=True)


@pytest.mark.parametrize('split', ['train', 'validation'])
def test_a_pickled_dataset_is_the_same_elsewhere(
  split, tmp_path, empty_cache, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  found = CMNIST('X-12', split, root='data', download=False, sample=True)
  assert found.root == tmp_path / 'data'
  pickled = pickle.dumps(found)
  assert len(pickled) < 100_000
  (tmp_path / 'elsewhere').mkdir()
  os.chdir('elsewhere')
  again = pickle.loads(pickled)
  assert_equal(
    (again.data, again.targets, again.sources),
    (found.data, found.targets, found.sources),
  )
  store.clear()
  with pytest.raises(PreparationError, match=r'cannot use .* of the cache'):
    pickle.loads(pickled)
  assert not store.entries()


def test_started_processes_read_it(tmp_path):
  program = tmp_path / 'program.py'
  program.write_text("""
import os
import sys

import joblib
import torch
from torch.utils.data import DataLoader

from cmnist_tfds.load.torch_dataset import CMNIST

if __name__ == '__main__':
  os.chdir(sys.argv[1])
  train = CMNIST('X-12', 'train', root='data', sample=True)
  os.chdir('/')
  loader = DataLoader(
    train, 500, num_workers=2, multiprocessing_context='spawn'
  )
  images = torch.cat([images for images, _ in loader])
  assert torch.equal(images[:, 0], train.data)
  with joblib.parallel_config('loky', n_jobs=2):
    rows = joblib.Parallel()(
      joblib.delayed(train.__getitem__)(n) for n in (3, 8)
    )
  assert [label for _, label in rows] == train.targets[[3, 8]].tolist()
""")
  pytest.importorskip('joblib')
  running.works(program, tmp_path)


def test_it_is_printed_like_datasets_of_torchvision(sample_dir):
  data = CMNIST(
    'X-12', 'train[:10%]', root=sample_dir, transform=np.array, sample=True
  )
  assert repr(data).splitlines() == [
    'Dataset CMNIST',
    '    Number of datapoints: 144',
    f'    Root location: {sample_dir}',
    '    Subset: X-12 (12 classes)',
    '    Split: train[:10%]',
    f'    Transform: {np.array!r}',
  ]

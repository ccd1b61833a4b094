# SPDX-License-Identifier: Apache-2.0
"""The PyTorch dataset gives the examples, alone and in batches."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import cmnist_tfds
from cmnist_tfds.system.errors import PreparationError

torch = pytest.importorskip('torch', reason='PyTorch is not installed')

from torch.utils.data import DataLoader, Subset  # noqa: E402

from cmnist_tfds.load.torch_dataset import CMNIST  # noqa: E402


@pytest.fixture
def train(sample_dir):
  return CMNIST('X-12', 'train', data_dir=sample_dir, sample=True)


@pytest.fixture
def arrays(sample_dir):
  return cmnist_tfds.load_data(
    'X-12', split='train', data_dir=sample_dir, sample=True
  )


def together(loader):
  images, labels = zip(*loader, strict=True)
  return torch.cat(images), torch.cat(labels)


def test_attributes_are_those_of_torchvision(train, arrays):
  names = [c.name for c in cmnist_tfds.subset('X-12').classes]
  assert train.classes == names
  assert [train.class_to_idx[name] for name in names] == list(range(12))
  np.testing.assert_array_equal(train.data.numpy(), arrays[0])
  np.testing.assert_array_equal(train.targets.numpy(), arrays[1])
  assert len(train) == len(arrays[1])


def test_samples(train, arrays):
  for index in (0, 5, -1):
    image, label = train[index]
    assert (image.dtype, image.shape) == (torch.uint8, (1, 28, 28))
    np.testing.assert_array_equal(image[0].numpy(), arrays[0][index])
    assert isinstance(label, int)
    assert label == arrays[1][index]
    assert type(train[index]) is tuple
  with pytest.raises(IndexError):
    train[len(train)]


@pytest.mark.parametrize('num_workers', [0, 2])
@pytest.mark.parametrize('batch_size', [1, 50])
def test_loader(train, arrays, num_workers, batch_size):
  images, labels = together(
    DataLoader(train, batch_size, num_workers=num_workers)
  )
  assert (images.dtype, labels.dtype) == (torch.uint8, torch.int64)
  np.testing.assert_array_equal(images[:, 0].numpy(), arrays[0])
  np.testing.assert_array_equal(labels.numpy(), arrays[1])


def test_loader_shuffles(train):
  generator = torch.Generator().manual_seed(0)
  loader = DataLoader(train, 32, shuffle=True, generator=generator)
  _, first = together(loader)
  _, second = together(loader)
  assert not torch.equal(first, second)
  assert torch.equal(first.sort().values, second.sort().values)


def test_batches_are_those_of_single_samples(train):
  class OneByOne(torch.utils.data.Dataset):
    def __len__(self):
      return len(train)

    def __getitem__(self, index):
      image, label = train[index]
      return image, label

  for batch, expected in zip(
    DataLoader(train, 50), DataLoader(OneByOne(), 50), strict=True
  ):
    assert type(batch) is type(expected)
    for tensor, other in zip(batch, expected, strict=True):
      assert tensor.dtype == other.dtype
      assert torch.equal(tensor, other)


def test_a_collate_function_of_the_user_gets_samples(train):
  def collate(samples):
    first, *rest = samples
    assert len(rest) == len(samples) - 1
    assert samples[1:3][0][1] == samples[1][1]
    return first[0].shape, [label for _, label in samples]

  shape, labels = next(iter(DataLoader(train, 5, collate_fn=collate)))
  assert shape == (1, 28, 28)
  assert labels == train.targets[:5].tolist()


def test_parts_of_it_load_too(train):
  for indices in ([5, 3, 1], [0, -1]):
    images, labels = together(DataLoader(Subset(train, indices), 2))
    assert torch.equal(images[:, 0], train.data[indices])
    assert torch.equal(labels, train.targets[indices])
  for index in (len(train), -len(train) - 1):
    with pytest.raises(IndexError):
      next(iter(DataLoader(Subset(train, [0, index]), 2)))
  joined = torch.utils.data.ConcatDataset([train, train])
  images, _ = together(DataLoader(joined, 50))
  assert torch.equal(images[:, 0], torch.cat([train.data, train.data]))


def test_transforms_get_what_torchvision_gives(sample_dir, train):
  def transform(image):
    assert (image.mode, image.size) == ('L', (28, 28))
    return torch.from_numpy(np.array(image)).float()[None] / 255

  scaled = CMNIST(
    'X-12',
    'train',
    transform=transform,
    target_transform=lambda label: label + 100,
    data_dir=sample_dir,
    sample=True,
  )
  images, labels = together(DataLoader(scaled, 50))
  assert torch.equal(images, train.data[:, None] / 255)
  assert torch.equal(labels, train.targets + 100)


@pytest.mark.parametrize('split', ['train', 'test'])
def test_arguments_of_torchvision(sample_dir, split):
  named = CMNIST('X-12', root=sample_dir, train=split == 'train', sample=True)
  found = CMNIST('X-12', split, data_dir=sample_dir, sample=True)
  assert torch.equal(named.data, found.data)


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


def test_it_is_pickled_without_its_images(train):
  data = pickle.dumps(train)
  assert len(data) < 100_000
  again = pickle.loads(data)
  assert torch.equal(again.data, train.data)
  assert torch.equal(again.targets, train.targets)


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

# SPDX-License-Identifier: Apache-2.0
"""Loads subsets as map-style datasets of PyTorch."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cmnist_tfds import schema, subsets
from cmnist_tfds.cache.prepared import dataset_dir
from cmnist_tfds.load import split_spec
from cmnist_tfds.load.open_subset import open_or_prepare, open_subset
from cmnist_tfds.system.errors import PreparationError
from cmnist_tfds.system.extras import missing_extra
from cmnist_tfds.system.paths import data_root

try:
  import torch
  from torch.utils.data import _utils, default_collate
except ImportError as error:
  raise missing_extra('The PyTorch dataset', error, 'torch') from error


class CMNIST(torch.utils.data.Dataset):
  """A split of a subset, with the attributes of torchvision's datasets.

  A sample is an image, uint8 tensor (1, 28, 28), and its label, an int. As in
  torchvision, `transform` gets the image as a PIL image in mode L, and
  `target_transform` gets the label.

  Without these transforms, a `DataLoader` gets whole batches, uint8
  (n, 1, 28, 28) and int64 (n,), which is much faster. Transforms that accept
  batches, such as those of torchvision's v2, are best applied to these batches.

  Images are taken from mapped files. They do not use the memory of the process,
  and workers share them.

  Attributes:
    classes: Class names, by label.
    class_to_idx: Labels, by class name.
    targets: The labels, int64 tensor (n,).
    transform: The transform of each image; None for none.
    target_transform: The transform of each label; None for none.
  """

  def __init__(
    self,
    name: str,
    split: split_spec.Split | None = None,
    *,
    root: str | os.PathLike[str] | None = None,
    train: bool | None = None,
    download: bool = True,
    transform: Callable[[Any], Any] | None = None,
    target_transform: Callable[[int], Any] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    sample: bool = False,
    draw: int = 0,
  ):
    """Opens the split like `cmnist_tfds.load_data`.

    Args:
      name: Name of a subset.
      split: A split, as `tfds.load` accepts it: 'train', 'train[:10%]', a
        `tfds.core.ReadInstruction` or one of `tfds.even_splits`. 'validation'
        and 'fit' are parts of the training set, as in `load_data`.
      root: What torchvision calls `data_dir`.
      train: In place of `split`, as in torchvision: True for 'train', False for
        'test'.
      download: Whether to fetch origin files that are needed. Unlike in
        torchvision, it is by default.
      transform: Transforms each image, which it gets as a PIL image.
      target_transform: Transforms each label, which it gets as an int.
      data_dir: Where prepared datasets are; TFDS's default if None.
      sample: Whether to load the synthetic sample instead of CMNIST.
      draw: The number of the training set of a reduced subset, as in
        `load_data`.

    Raises:
      CmnistError: In the same cases as `cmnist_tfds.load_data`, or if the
        subset is not here and `download` is False.
      TypeError: If not one of `split` and `train` is given, `train` is neither
        True nor False, or both `root` and `data_dir` are given.
    """
    if (split is None) == (train is None) or train not in (True, False, None):
      raise TypeError(
        "CMNIST takes either a split, such as 'train[:10%]', or train=True or"
        f' train=False; found split={split!r} and train={train!r}'
      )
    if root is not None and data_dir is not None:
      raise TypeError(
        'CMNIST takes either root or data_dir, two names of the same folder;'
        f' found root={root!r} and data_dir={data_dir!r}'
      )
    if split is None:
      split = 'train' if train else 'test'
    where = data_dir if root is None else root
    self._opening = subsets.subset(name), split, where, sample, draw
    self.transform = transform
    self.target_transform = target_transform
    self._data: torch.Tensor | None = None
    self._open(download=download)
    self.classes = [c.name for c in self._opening[0].classes]
    self.class_to_idx = {name: i for i, name in enumerate(self.classes)}
    self.targets = torch.from_numpy(self._view.labels)

  def _open(self, *, download: bool = True) -> None:
    subset, split, data_dir, sample, draw = self._opening
    find = open_or_prepare if download else open_subset
    opened = find(subset, data_dir=data_dir, sample=sample, draw=draw)
    if opened is None:
      folder = dataset_dir(subset, data_dir=data_dir, sample=sample)
      raise PreparationError(
        f'{subset.title} is neither prepared in {folder} nor in the cache. Use'
        ' download=True to fetch its files.'
      )
    self._view = opened.split(split)

  def __getstate__(self) -> dict[str, Any]:
    # Pickle would copy the mapped arrays, so they are mapped again instead.
    return {k: v for k, v in vars(self).items() if k != '_view'}

  def __setstate__(self, state: dict[str, Any]) -> None:
    self.__dict__.update(state)
    self._open()

  @property
  def data(self) -> torch.Tensor:
    """All images, uint8 (n, 28, 28), read into memory at the first use.

    Samples are then taken from this tensor, so changes to it take effect.
    """
    if self._data is None:
      images = self._view.read([schema.IMAGE.name])[schema.IMAGE.name]
      self._data = torch.from_numpy(images)
    return self._data

  @data.setter
  def data(self, images: torch.Tensor) -> None:
    self._data = images

  def __len__(self) -> int:
    return len(self.targets)

  def __repr__(self) -> str:
    subset, split, data_dir, *_ = self._opening
    rows = [
      f'Number of datapoints: {len(self)}',
      f'Root location: {data_root(data_dir)}',
      f'Subset: {subset.name} ({len(self.classes)} classes)',
      f'Split: {split}',
    ]
    # torchvision leaves out transforms that are not there, too.
    if self.transform is not None:
      rows.append(f'Transform: {self.transform!r}')
    if self.target_transform is not None:
      rows.append(f'Target transform: {self.target_transform!r}')
    return '\n'.join(['Dataset CMNIST', *(f'    {row}' for row in rows)])

  def __getitem__(self, index: int) -> tuple[Any, Any]:
    label = int(self.targets[index])
    image = self._images(np.array([range(len(self))[index]]))
    if self.transform is None:
      image = image.reshape(1, *image.shape[-2:])
    else:
      from PIL import Image

      image = self.transform(Image.fromarray(image[0].numpy()))
    if self.target_transform is not None:
      label = self.target_transform(label)
    return image, label

  def __getitems__(self, indices: Sequence[int]) -> Sequence[tuple[Any, Any]]:
    if self.transform or self.target_transform:
      return [self[index] for index in indices]
    which = np.asarray(indices)
    which = np.where(which >= 0, which, which + len(self))
    # `self.targets[which]` would be many times slower.
    labels = self.targets.index_select(0, torch.from_numpy(which))
    return _Samples(self._images(which)[:, None], labels)

  def _images(self, which: np.ndarray) -> torch.Tensor:
    """Returns the images of some samples, uint8 (m, 28, 28)."""
    if self._data is not None:
      at = torch.from_numpy(which).to(self._data.device)
      return self._data.index_select(0, at)
    taken = self._view.take(which, [schema.IMAGE.name])
    return torch.from_numpy(taken[schema.IMAGE.name])


class _Sample(tuple[Any, Any]):
  """A sample of a batch, by which `default_collate` finds our `_collate`."""

  __slots__ = ()


class _Samples(Sequence[Any]):
  """A batch that behaves like a sequence of samples."""

  def __init__(self, images: torch.Tensor, labels: torch.Tensor):
    self.batch = [images, labels]

  def __len__(self) -> int:
    return len(self.batch[1])

  def __getitem__(self, index: Any) -> Any:
    images, labels = self.batch
    if isinstance(index, slice):
      return _Samples(images[index], labels[index])
    return _Sample((images[index], int(labels[index])))


def _collate(samples: Sequence[_Sample], *, collate_fn_map: Any) -> list[Any]:
  """Returns the batch of some samples, like `default_collate`."""
  if isinstance(samples, _Samples):
    return samples.batch
  return default_collate([tuple(sample) for sample in samples])


# The documentation of `default_collate` says to register types here.
_utils.collate.default_collate_fn_map[_Sample] = _collate

# SPDX-License-Identifier: Apache-2.0
"""Loads subsets as map-style datasets of PyTorch."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cmnist_tfds import schema, subsets
from cmnist_tfds.cache.prepared import dataset_dir, sample_hint
from cmnist_tfds.load import split_spec
from cmnist_tfds.load.open_subset import open_or_prepare, open_subset
from cmnist_tfds.system.errors import PreparationError
from cmnist_tfds.system.extras import needs_extra
from cmnist_tfds.system.paths import data_root

with needs_extra('The PyTorch dataset', 'torch'):
  import torch
  from torch.utils.data import default_collate


def _column(feature: schema.Feature) -> functools.cached_property[torch.Tensor]:
  """Returns the attribute that is a feature of all samples."""
  return functools.cached_property(
    lambda self: torch.from_numpy(self._view.read([feature.name])[feature.name])
  )


class CMNIST(torch.utils.data.Dataset):
  """A split of a subset, with the attributes of torchvision's datasets.

  A sample is a tuple of an image, uint8 tensor (1, 28, 28), and its label, an
  int. As in torchvision, `transform` gets the image as a PIL image in mode L,
  and `target_transform` gets the label.

  `dataset[[3, 1, 2]]` is a batch, uint8 (n, 1, 28, 28) and int64 (n,). That is
  the fastest way to read:

      batches = BatchSampler(RandomSampler(dataset), 256, drop_last=False)
      DataLoader(dataset, sampler=batches, batch_size=None)

  Transforms that accept batches, such as those of torchvision's v2, are best
  applied to these.

  Images are taken from mapped files of the cache. They do not use the memory of
  the process, and workers share them. A pickled dataset names these files, so
  it has the same samples in another process, which must see the cache.

  Attributes:
    classes: Class names, by label.
    class_to_idx: Labels, by class name.
    targets: The labels, int64 tensor (n,).
    sources: The number of the source of each sample in the subset, int64 tensor
      (n,).
    rows, writers: The features 'row' and 'writer' of `load_data`, int64 tensors
      (n,).
    train: Whether all samples are of the training set.
    root: The folder of prepared datasets, an absolute path.
    transform: The transform of each image; None for none.
    target_transform: The transform of each label; None for none.
  """

  rows = _column(schema.ROW)
  writers = _column(schema.WRITER)

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
    subset = subsets.subset(name)
    # An absolute path names the same place from every working directory.
    self.root = data_root(data_dir if root is None else root)
    find = open_or_prepare if download else open_subset
    sample = sample or subsets.names_sample(name)
    opened = find(subset, data_dir=self.root, sample=sample, draw=draw)
    if opened is None:
      folder = dataset_dir(subset, data_dir=self.root, sample=sample)
      raise PreparationError(
        f'{subset.title} is neither prepared in {folder} nor in the cache. Use'
        f' download=True to fetch its files.{sample_hint(subset, self.root)}'
      )
    # Pickled, it is the names of the mapped files.
    self._view = opened.part(split)
    self._title = f'{subset.name} ({subset.num_classes} classes)', str(split)
    self._data: torch.Tensor | None = None
    self.transform = transform
    self.target_transform = target_transform
    self.train = all(part == 'train' for part, _ in opened.rows(split))
    self.classes = list(subset.class_names)
    self.class_to_idx = {name: i for i, name in enumerate(self.classes)}
    taken = self._view.read([schema.LABEL.name, schema.SOURCE.name])
    self.targets, self.sources = map(torch.from_numpy, taken.values())

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
    subset, split = self._title
    rows = [f'Number of datapoints: {len(self)}', f'Root location: {self.root}']
    rows += [f'Subset: {subset}', f'Split: {split}']
    # torchvision leaves out transforms that are not there, too.
    if self.transform is not None:
      rows.append(f'Transform: {self.transform!r}')
    if self.target_transform is not None:
      rows.append(f'Target transform: {self.target_transform!r}')
    return '\n'.join(['Dataset CMNIST', *(f'    {row}' for row in rows)])

  def __getitem__(self, index: Any) -> tuple[Any, Any]:
    """Returns a sample, or the batch of several.

    Args:
      index: The number of the sample; or several as a list, array, tensor or
        slice, whose samples are collated to tensors.
    """
    if not isinstance(index, int):
      which = _range(len(self))[index]
      if which.ndim:
        if self.transform or self.target_transform:
          images, labels = default_collate(self.__getitems__(which.tolist()))
          return images, labels
        return self._batch(which)
      index = int(which)
    label = int(self.targets[index])
    pixels = self._view.image(index) if self._data is None else None
    if self.transform is not None:
      import PIL.Image  # It takes 0.1 us when it is imported already.

      if pixels is None:
        pixels = self.data[index].numpy()
      image = self.transform(PIL.Image.fromarray(pixels))
    elif pixels is None:
      image = self.data[index].clone()[None]
    else:
      image = torch.from_numpy(pixels[None].copy())
    if self.target_transform is not None:
      label = self.target_transform(label)
    return image, label

  def __getitems__(self, indices: Sequence[int]) -> list[tuple[Any, Any]]:
    if self.transform or self.target_transform:
      return [self[index] for index in indices]
    images, labels = self._batch(_range(len(self))[indices])
    return list(zip(images.unbind(), labels.tolist(), strict=True))

  def _batch(self, which: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the images and labels of some samples."""
    at = torch.from_numpy(which)
    # `self.targets[at]` would be many times slower.
    labels = self.targets.index_select(0, at)
    if self._data is not None:
      images = self._data.index_select(0, at.to(self._data.device))
    else:
      taken = self._view.take(which, [schema.IMAGE.name])
      images = torch.from_numpy(taken[schema.IMAGE.name])
    return images[:, None], labels


@functools.lru_cache(maxsize=8)
def _range(count: int) -> np.ndarray:
  """Returns 0, 1, ..., which turns whatever indexes an array into numbers."""
  return np.arange(count)

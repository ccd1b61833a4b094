# SPDX-License-Identifier: Apache-2.0
"""Prepared subsets as map-style datasets of PyTorch."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import _utils, default_collate

from cmnist_tfds.load import numpy_arrays, open_subset


class CMNIST(torch.utils.data.Dataset):
  """A split of a subset in memory, with the attributes torchvision's have.

  A sample is an image, uint8 tensor (1, 28, 28), and its label, an int. Where
  transforms are given, the image goes to `transform` as a PIL image in mode L,
  as in torchvision, and the label to `target_transform`.

  Without transforms, a `DataLoader` gets whole batches, uint8 (n, 1, 28, 28)
  and int64 (n,), with no sample handled on its own; a transform of batches, as
  torchvision's v2 ones are, is best applied to those.

  Attributes:
    classes: Class names, by label.
    class_to_idx: Labels, by class name.
    data: uint8 tensor (n, 28, 28).
    targets: int64 tensor (n,).
    transform: What is done to each image, None for nothing.
    target_transform: What is done to each label, None for nothing.
  """

  def __init__(
    self,
    name: str,
    split: str,
    *,
    transform: Callable[[Any], Any] | None = None,
    target_transform: Callable[[int], Any] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    sample: bool = False,
  ):
    """Reads the split, from where `cmnist_tfds.load_data` would read it.

    Args:
      name: Name of a subset.
      split: The split, as TFDS writes it: 'train', 'train[:10%]'.
      transform: What to do to each image; a PIL image comes in.
      target_transform: What to do to each label; an int comes in.
      data_dir: Where prepared datasets are; TFDS's default if None.
      sample: Whether to take the synthetic sample in place of CMNIST.

    Raises:
      CmnistError: As `cmnist_tfds.load_data` does.
    """
    found = open_subset.find_or_prepare(name, data_dir=data_dir, sample=sample)
    (examples,) = numpy_arrays.read(found, split)
    self.classes = list(found.class_names)
    self.class_to_idx = {name: i for i, name in enumerate(self.classes)}
    self.data = torch.from_numpy(examples.images)
    self.targets = torch.from_numpy(examples.labels)
    self.transform = transform
    self.target_transform = target_transform

  def __len__(self) -> int:
    return len(self.targets)

  def __getitem__(self, index: int) -> tuple[Any, Any]:
    image, label = self.data[index], int(self.targets[index])
    if self.transform is None:
      image = image[None]
    else:
      from PIL import Image

      image = self.transform(Image.fromarray(image.numpy()))
    if self.target_transform is not None:
      label = self.target_transform(label)
    return _Sample((image, label))

  def __getitems__(self, indices: Sequence[int]) -> Sequence[tuple[Any, Any]]:
    if self.transform or self.target_transform:
      return [self[index] for index in indices]
    # By way of NumPy, and not by `self.data[which]`: each is many times faster.
    which = torch.from_numpy(np.asarray(indices))
    which = which.where(which >= 0, which + len(self))
    images = self.data.index_select(0, which.to(self.data.device))
    return _Samples(images[:, None], self.targets[which])


class _Sample(tuple):
  """A sample; its type tells `default_collate` who puts it into batches."""

  __slots__ = ()


class _Samples(Sequence):
  """Samples that are a batch already; each is made when it is asked for."""

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
  """Puts samples into a batch, as `default_collate` does."""
  if isinstance(samples, _Samples):
    return samples.batch
  return default_collate([tuple(sample) for sample in samples])


# The way `default_collate` documents to teach it a type.
_utils.collate.default_collate_fn_map[_Sample] = _collate

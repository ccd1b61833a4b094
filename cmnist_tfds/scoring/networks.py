# SPDX-License-Identifier: Apache-2.0
"""The networks of the baselines and how they are trained, in PyTorch.

LeNet and the CNN are here, the others are torchvision's, so the ImageNet weights
of these fit.
Images are float (n, 1, 28, 28); networks that were made for colors get the one
channel three times.
"""

from __future__ import annotations

import copy
import hashlib
import math
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from cmnist_tfds.load.open_subset import Opened
from cmnist_tfds.scoring.predictions import reading
from cmnist_tfds.scoring.protocols import Distortion, Protocol
from cmnist_tfds.system import streams
from cmnist_tfds.system.errors import PreparationError
from cmnist_tfds.system.extras import needs_extra

with needs_extra('A baseline of networks', 'torch'):
  import torch
  from torch import nn
  from torch.optim import AdamW, Optimizer

# Names and values of the parameters and the running means of a network.
Weights = dict[str, Any]

# Images, float (n, 1, 28, 28), and their labels, int64 (n,).
_Batch = tuple[torch.Tensor, torch.Tensor]

# How many learning rates the range test tries, each for a step.
_RANGE_STEPS = 100
# The range test ends early where the loss is this many times the lowest.
_DIVERGED = 4
# How far the guard lets the learning rate go from the fallback.
_FACTOR = 3
# How much earlier losses count in the mean that the range test looks at.
_SMOOTHING = 0.9
# How many test images are predicted at once.
_TESTED = 2000


class LeNet(nn.Module):
  """LeNet-5 with rectified units and maximum pooling."""

  def __init__(self, classes: int):
    super().__init__()
    self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
    self.conv2 = nn.Conv2d(6, 16, 5)
    self.fc1 = nn.Linear(400, 120)
    self.fc2 = nn.Linear(120, 84)
    self.fc3 = nn.Linear(84, classes)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Returns the scores of the classes, float (n, classes)."""
    x = nn.functional.max_pool2d(self.conv1(x).relu(), 2)
    x = nn.functional.max_pool2d(self.conv2(x).relu(), 2)
    return self.fc3(self.fc2(self.fc1(x.flatten(1)).relu()).relu())


def _cnn(classes: int) -> nn.Module:
  """Returns a network of 81,220 parameters, if there are 20 classes."""
  layers: list[nn.Module] = []
  for before, after in ((1, 16), (16, 32), (32, 32), (32, 64), (64, 64)):
    layers.append(nn.Conv2d(before, after, 3, padding=1, bias=False))
    layers.append(nn.BatchNorm2d(after))
    if before in (1, after):
      # Pooling first gives the same, and leaves less to rectify.
      layers.append(nn.MaxPool2d(2))
    layers.append(nn.ReLU())
  made = nn.Sequential(*layers, nn.Flatten(), nn.Linear(576, classes))
  # A CPU takes a quarter less time with channels that are last.
  return made.to(memory_format=torch.channels_last)


def make_network(
  name: str, classes: int, weights: Weights | None = None
) -> nn.Module:
  """Returns a network with random weights.

  Args:
    name: A key of `protocols.NETWORKS`.
    classes: How many classes it tells apart.
    weights: What `read_weights` returned, to begin with; the last layer stays
      random.

  Raises:
    MissingExtraError: If the network is torchvision's, which cannot be imported.
  """
  if name == 'lenet':
    made: nn.Module = LeNet(classes)
  elif name == 'cnn':
    made = _cnn(classes)
  else:
    with needs_extra(f'The network {name}', 'torch'):
      from torchvision import models
    model = 'squeezenet1_1' if name == 'squeezenet' else name
    made = models.get_model(model, num_classes=classes)
    made.register_forward_pre_hook(lambda _, x: x[0].expand(-1, 3, -1, -1))
  if weights is not None:
    made.load_state_dict(weights, strict=False)
  return made


def read_weights(path: pathlib.Path, name: str) -> tuple[Weights, str]:
  """Reads ImageNet weights, in the form of torchvision's state dictionaries.

  Nothing in the file is executed.

  Args:
    path: The file.
    name: A key of `protocols.NETWORKS`.

  Returns:
    The weights without the last layer; and the name of the file with the start
    of its SHA-256, as torchvision writes it into the names of its files.

  Raises:
    MissingExtraError: If the network is torchvision's, which cannot be imported.
    PreparationError: If the file cannot be read or is for another network.
  """
  expected = f'a state_dict of {name} with 1,000 classes, as torchvision has it'
  with reading(path, expected, 'Name another file.', PreparationError):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    weights = torch.load(path, map_location='cpu', weights_only=True)
    make_network(name, 1000).load_state_dict(weights)
  last = f'{_last_layer(weights)}.'
  kept = {key: w for key, w in weights.items() if not key.startswith(last)}
  return kept, f'{path.name}, SHA-256 {digest}'


def _last_layer(weights: Weights) -> str:
  return [*weights][-1].rpartition('.')[0]


def predict(
  opened: Opened,
  name: str,
  protocol: Protocol,
  seed: int,
  weights: Weights | None = None,
) -> tuple[np.ndarray, float]:
  """Trains a network and predicts the test set.

  On a CPU, a seed gives the same predictions again on the same machine with the
  same PyTorch. Other machines round differently.

  Args:
    opened: The subset, with the training set of the wanted draw.
    name: A key of `protocols.NETWORKS`.
    protocol: How it is trained.
    seed: The random seed.
    weights: Pre-trained weights to begin with.

  Returns:
    int64 (n,), the predicted labels, in the prepared order; and the highest
    learning rate.

  Raises:
    PreparationError: If the training set is too small for the protocol.
  """
  paper = protocol.steps is None
  device = 'cuda' if torch.cuda.is_available() else 'cpu'
  train = opened.split('train').read(['image', 'label'])
  images = torch.from_numpy(train['image'])[:, None]
  labels = torch.from_numpy(train['label'])
  steps = protocol.training_steps(opened.subset, len(labels))
  torch.manual_seed(seed)
  used = torch.randperm(len(labels))[: protocol.count_used(len(labels))]
  images, labels = images[used].to(device), labels[used].to(device)
  # From how often each gray level occurs, so that no float copy of all
  # images is made.
  levels = torch.arange(256.0)
  share = torch.bincount(images.flatten(), minlength=256).cpu() / images.numel()
  mean = (share @ levels).item()
  scale = math.sqrt(max((share @ (levels - mean) ** 2).item(), 1))
  network = make_network(name, opened.subset.num_classes, weights)
  if paper and weights is not None:
    # All layers but the last one and batch normalization are left as they are.
    last = _last_layer(network.state_dict())
    for key, module in network.named_modules():
      if key != last and not isinstance(module, nn.BatchNorm2d):
        for parameter in module.parameters(recurse=False):
          parameter.requires_grad = False
  network = network.to(device)

  def batches() -> Iterator[_Batch]:
    # Shuffle after shuffle; the paper drops what is left of each.
    left = torch.empty(0, dtype=torch.int64)
    while True:
      left = torch.cat([left[len(left) * paper :], torch.randperm(len(labels))])
      while len(left) >= protocol.batch:
        at, left = left.split([protocol.batch, len(left) - protocol.batch])
        batch = (images[at.to(device)].float() - mean) / scale
        if protocol.distortion:
          batch = _distorted(batch, protocol.distortion)
        yield batch, labels[at.to(device)]

  rate, highest = protocol.rates
  if rate < highest:
    rate = _find_rate(copy.deepcopy(network), batches(), protocol)
  optimizer = _optimizer(network, rate)
  schedule = torch.optim.lr_scheduler.OneCycleLR(
    optimizer, rate, steps, base_momentum=0.85, max_momentum=0.95
  )
  network.train()
  title = f'{opened.subset.name}, seed {seed}'
  bar = streams.progress_bar(range(steps), desc=title)
  for _, batch in zip(bar, batches(), strict=False):
    _step(network, optimizer, batch, protocol.smoothing)
    schedule.step()
  network.eval()
  test = torch.from_numpy(opened.split('test').read(['image'])['image'])
  with torch.no_grad():
    predicted = [
      network((part[:, None].to(device).float() - mean) / scale).argmax(1)
      for part in test.split(_TESTED)
    ]
  return torch.cat(predicted).cpu().numpy(), rate


def _distorted(batch: torch.Tensor, how: Distortion) -> torch.Tensor:
  """Returns distorted images."""

  def uniform(low: float, high: float, unchanged: float = 0) -> torch.Tensor:
    drawn = torch.empty(len(batch)).uniform_(low, high)
    drawn[torch.rand(len(batch)) >= how.share] = unchanged
    return drawn

  angle, slope = uniform(-how.turn, how.turn), uniform(-how.shear, how.shear)
  factor = uniform(*how.zoom, unchanged=1)
  cos, sin = angle.cos() / factor, angle.sin() / factor
  right, down = (uniform(-how.shift, how.shift) for _ in range(2))
  rows = [
    torch.stack([cos, slope * cos - sin, right], 1),
    torch.stack([sin, slope * sin + cos, down], 1),
  ]
  turned = torch.stack(rows, 1).to(batch.device)
  grid = nn.functional.affine_grid(turned, batch.shape, align_corners=False)
  batch = nn.functional.grid_sample(
    batch, grid, padding_mode='reflection', align_corners=False
  )
  bright = uniform(*how.light, unchanged=1)[:, None, None, None]
  return batch * bright.to(batch.device)


def _optimizer(network: nn.Module, rate: float) -> Optimizer:
  trained = [p for p in network.parameters() if p.requires_grad]
  return AdamW(trained, rate, (0.95, 0.99), weight_decay=0.01)


def _step(
  network: nn.Module, optimizer: Optimizer, batch: _Batch, smoothing: float = 0
) -> float:
  """Trains on one batch; returns its loss."""
  images, labels = batch
  loss = nn.functional.cross_entropy(
    network(images), labels, label_smoothing=smoothing
  )
  optimizer.zero_grad()
  loss.backward()
  optimizer.step()
  return loss.item()


def _find_rate(
  network: nn.Module, batches: Iterator[_Batch], protocol: Protocol
) -> float:
  """Returns the learning rate at which the loss falls steepest.

  Args:
    network: The network, which is spoiled.
    batches: Endless batches.
    protocol: The range of rates, and the guard.
  """
  rates = np.geomspace(*protocol.rates, _RANGE_STEPS).tolist()
  optimizer = _optimizer(network, rates[0])
  network.train()
  losses: list[float] = []
  mean = 0.0
  tried = streams.progress_bar(rates, desc='Learning rate')
  for step, (rate, batch) in enumerate(zip(tried, batches, strict=False), 1):
    optimizer.param_groups[0]['lr'] = rate
    loss = _step(network, optimizer, batch)
    mean = _SMOOTHING * mean + (1 - _SMOOTHING) * loss
    smooth = mean / (1 - _SMOOTHING**step)
    if not smooth < _DIVERGED * min([*losses, smooth]):
      break
    losses.append(smooth)
  lowest = losses.index(min(losses)) if losses else 0
  if lowest == 0:
    # The loss never fell, so that no rate is better than the lowest.
    return protocol.fallback or protocol.rates[0]
  found = rates[int(np.argmin(np.gradient(losses[: lowest + 1])))]
  guard = protocol.fallback or found
  return min(max(found, guard / _FACTOR), guard * _FACTOR)

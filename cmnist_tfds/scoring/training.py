# SPDX-License-Identifier: Apache-2.0
"""Trains the networks of the baselines."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from cmnist_tfds.load.open_subset import Opened
from cmnist_tfds.scoring import networks
from cmnist_tfds.scoring.networks import Weights
from cmnist_tfds.scoring.protocols import Protocol
from cmnist_tfds.system import streams

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


def predict(
  opened: Opened,
  name: str,
  protocol: Protocol,
  seed: int,
  weights: Weights | None = None,
) -> np.ndarray:
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
    int64 (n,), the predicted labels, in the prepared order.

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
  network = networks.make_network(name, opened.subset.num_classes, weights)
  if paper and weights is not None:
    _freeze(network, networks.LAST_LAYERS[name])
  network = network.to(device)

  def batches() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for at in _batches(len(labels), protocol.batch, paper):
      chosen = at.to(device)
      batch = (images[chosen].float() - mean) / scale
      yield _augmented(batch) if paper else batch, labels[chosen]

  rate = _find_rate(copy.deepcopy(network), batches(), protocol)
  optimizer = _optimizer(network, rate)
  schedule = torch.optim.lr_scheduler.OneCycleLR(
    optimizer, rate, steps, base_momentum=0.85, max_momentum=0.95
  )
  network.train()
  for batch, truth in streams.progress_bar(
    itertools.islice(batches(), steps),
    total=steps,
    desc=f'{opened.subset.name}, seed {seed}',
    leave=False,
  ):
    _step(network, optimizer, batch, truth)
    schedule.step()
  network.eval()
  test = torch.from_numpy(opened.split('test').read(['image'])['image'])
  with torch.no_grad():
    predicted = [
      network((part[:, None].to(device).float() - mean) / scale).argmax(1)
      for part in test.split(_TESTED)
    ]
  return torch.cat(predicted).cpu().numpy()


def _freeze(network: nn.Module, last: str) -> None:
  """Freezes all layers but the last one and batch normalization."""
  for name, module in network.named_modules():
    if name != last and not isinstance(module, nn.BatchNorm2d):
      for parameter in module.parameters(recurse=False):
        parameter.requires_grad = False


def _batches(count: int, size: int, drops_last: bool) -> Iterator[torch.Tensor]:
  """Yields the numbers of the images of batches, shuffle after shuffle."""
  left = torch.empty(0, dtype=torch.int64)
  while True:
    left = torch.cat([left, torch.randperm(count)])
    while len(left) >= size:
      yield left[:size]
      left = left[size:]
    if drops_last:
      left = left[:0]


def _augmented(batch: torch.Tensor) -> torch.Tensor:
  """Turns by up to 10 degrees, enlarges by up to 1.1, changes the light.

  Each happens to an image with probability 0.75, as in fastai v1.
  """
  count = len(batch)

  def uniform(low: float, high: float, unchanged: float) -> torch.Tensor:
    drawn = torch.empty(count).uniform_(low, high)
    happens = torch.rand(count) < 0.75
    return torch.where(happens, drawn, torch.tensor(unchanged))

  angle = uniform(-math.pi / 18, math.pi / 18, 0.0)
  zoom = uniform(1.0, 1.1, 1.0)
  cos, sin = angle.cos() / zoom, angle.sin() / zoom
  zero = torch.zeros(count)
  rows = [torch.stack([cos, -sin, zero], 1), torch.stack([sin, cos, zero], 1)]
  turned = torch.stack(rows, 1).to(batch.device)
  grid = nn.functional.affine_grid(turned, batch.shape, align_corners=False)
  batch = nn.functional.grid_sample(
    batch, grid, padding_mode='reflection', align_corners=False
  )
  light = uniform(0.8, 1.25, 1.0)[:, None, None, None]
  return batch * light.to(batch.device)


def _optimizer(network: nn.Module, rate: float) -> torch.optim.Optimizer:
  trained = [p for p in network.parameters() if p.requires_grad]
  return torch.optim.AdamW(trained, rate, (0.95, 0.99), weight_decay=0.01)


def _step(
  network: nn.Module,
  optimizer: torch.optim.Optimizer,
  batch: torch.Tensor,
  labels: torch.Tensor,
) -> float:
  """Trains on one batch; returns its loss."""
  loss = nn.functional.cross_entropy(network(batch), labels)
  optimizer.zero_grad()
  loss.backward()
  optimizer.step()
  return loss.item()


def _find_rate(
  network: nn.Module,
  batches: Iterator[tuple[torch.Tensor, torch.Tensor]],
  protocol: Protocol,
) -> float:
  """Returns the learning rate at which the loss falls steepest.

  Args:
    network: The network, which is spoiled.
    batches: Endless batches.
    protocol: The range of rates, and the guard.
  """
  rates = np.geomspace(*protocol.rates, _RANGE_STEPS)
  optimizer = _optimizer(network, float(rates[0]))
  network.train()
  losses: list[float] = []
  mean = 0.0
  for step, (rate, batch) in enumerate(zip(rates, batches, strict=False), 1):
    for group in optimizer.param_groups:
      group['lr'] = float(rate)
    loss = _step(network, optimizer, *batch)
    mean = _SMOOTHING * mean + (1 - _SMOOTHING) * loss
    smooth = mean / (1 - _SMOOTHING**step)
    if not smooth < _DIVERGED * min([*losses, smooth]):
      break
    losses.append(smooth)
  lowest = int(np.argmin(losses)) if losses else 0
  if lowest == 0:
    # The loss never fell, so that no rate is better than the lowest.
    return protocol.fallback or protocol.rates[0]
  falls = np.gradient(losses[: lowest + 1])
  found = float(rates[int(np.argmin(falls))])
  if protocol.fallback is None:
    return found
  low, high = protocol.fallback / _FACTOR, protocol.fallback * _FACTOR
  return min(max(found, low), high)

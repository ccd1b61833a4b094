# SPDX-License-Identifier: Apache-2.0
"""The networks of the baselines, in PyTorch.

Parameters have the names and shapes of torchvision's models, so the ImageNet
weights of these fit. Images are float (n, 1, 28, 28); networks that were made
for colours get the one channel three times.
"""

from __future__ import annotations

import hashlib
import pathlib
from collections.abc import Callable
from typing import Any

from cmnist_tfds.system.disk_errors import disk_errors
from cmnist_tfds.system.errors import PreparationError
from cmnist_tfds.system.extras import missing_extra

try:
  import torch
  from torch import nn
except ImportError as error:
  raise missing_extra('A baseline of networks', error, 'torch') from error

# Names and values of the parameters and the running means of a network.
Weights = dict[str, Any]


class LeNet(nn.Module):
  """LeNet-5 with rectified units and maximum pooling."""

  last = 'fc3'

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


class _Fire(nn.Module):
  def __init__(self, inputs: int, squeezed: int, expanded: int):
    super().__init__()
    self.squeeze = nn.Conv2d(inputs, squeezed, 1)
    self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
    self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    x = self.squeeze(x).relu()
    return torch.cat([self.expand1x1(x), self.expand3x3(x)], 1).relu()


class SqueezeNet(nn.Module):
  """SqueezeNet v1.1."""

  last = 'classifier.1'

  def __init__(self, classes: int):
    super().__init__()

    def pool() -> nn.Module:
      return nn.MaxPool2d(3, 2, ceil_mode=True)

    self.features = nn.Sequential(
      *(nn.Conv2d(3, 64, 3, stride=2), nn.ReLU(), pool()),
      *(_Fire(64, 16, 64), _Fire(128, 16, 64), pool()),
      *(_Fire(128, 32, 128), _Fire(256, 32, 128), pool()),
      *(_Fire(256, 48, 192), _Fire(384, 48, 192)),
      *(_Fire(384, 64, 256), _Fire(512, 64, 256)),
    )
    self.classifier = nn.Sequential(
      nn.Dropout(),
      nn.Conv2d(512, classes, 1),
      nn.ReLU(),
      nn.AdaptiveAvgPool2d(1),
    )
    # With PyTorch's own start, signals fade on their way through the layers.
    for module in self.modules():
      if isinstance(module, nn.Conv2d):
        nn.init.kaiming_uniform_(module.weight)
        nn.init.zeros_(module.bias)
    nn.init.normal_(self.classifier[1].weight, std=0.01)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Returns the scores of the classes, float (n, classes)."""
    x = self.features(x.expand(-1, 3, -1, -1))
    return self.classifier(x).flatten(1)


class _Block(nn.Module):
  """A residual block of ResNet18, or of ResNet50 if it has a bottleneck."""

  def __init__(self, inputs: int, width: int, stride: int, bottleneck: bool):
    super().__init__()
    outputs = width * 4 if bottleneck else width
    # Kernels and strides of the convolutions, and the channels after each.
    shapes = (
      [(1, 1, width), (3, stride, width), (1, 1, outputs)]
      if bottleneck
      else [(3, stride, width), (3, 1, width)]
    )
    self.depth = len(shapes)
    before = inputs
    for n, (kernel, step, after) in enumerate(shapes, 1):
      conv = _conv(before, after, kernel, step)
      self.add_module(f'conv{n}', conv)
      self.add_module(f'bn{n}', nn.BatchNorm2d(after))
      before = after
    self.downsample = (
      nn.Sequential(_conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
      if stride > 1 or inputs != outputs
      else None
    )

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    y = x
    for n in range(1, self.depth + 1):
      y = getattr(self, f'bn{n}')(getattr(self, f'conv{n}')(y))
      if n < self.depth:
        y = y.relu()
    return (y + (x if self.downsample is None else self.downsample(x))).relu()


class ResNet(nn.Module):
  """ResNet18, or ResNet50 with bottlenecks."""

  last = 'fc'

  def __init__(self, classes: int, depths: tuple[int, ...], bottleneck: bool):
    super().__init__()
    self.conv1 = _conv(3, 64, 7, 2)
    self.bn1 = nn.BatchNorm2d(64)
    inputs = 64
    for n, depth in enumerate(depths):
      width = 64 << n
      blocks = []
      for at in range(depth):
        stride = 2 if n and not at else 1
        blocks.append(_Block(inputs, width, stride, bottleneck))
        inputs = width * 4 if bottleneck else width
      self.add_module(f'layer{n + 1}', nn.Sequential(*blocks))
    self.fc = nn.Linear(inputs, classes)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Returns the scores of the classes, float (n, classes)."""
    x = self.bn1(self.conv1(x.expand(-1, 3, -1, -1))).relu()
    x = nn.functional.max_pool2d(x, 3, 2, padding=1)
    x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
    return self.fc(x.mean((2, 3)))


def _conv(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Module:
  return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)


def make_network(
  name: str, classes: int, weights: Weights | None = None
) -> nn.Module:
  """Returns a network with random weights.

  Args:
    name: A key of `protocols.NETWORKS`.
    classes: How many classes it tells apart.
    weights: What `read_weights` returned, to begin with; the last layer stays
      random.
  """
  makers: dict[str, Callable[[], nn.Module]] = {
    'lenet': lambda: LeNet(classes),
    'squeezenet': lambda: SqueezeNet(classes),
    'resnet18': lambda: ResNet(classes, (2, 2, 2, 2), bottleneck=False),
    'resnet50': lambda: ResNet(classes, (3, 4, 6, 3), bottleneck=True),
  }
  made = makers[name]()
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
    PreparationError: If the file cannot be read or is of another network.
  """
  with disk_errors(path, 'read', alternative='name another file'):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    try:
      found = torch.load(path, map_location='cpu', weights_only=True)
    except OSError:
      raise
    except Exception as error:  # Foreign bytes make it raise any.
      raise PreparationError(
        f'{path} is no file of weights that torch.save wrote:'
        f' {str(error).strip().partition(chr(10))[0]}'
      ) from error
  network = make_network(name, 1000)
  expected = {k: v.shape for k, v in network.state_dict().items()}
  given = (
    {k: getattr(v, 'shape', None) for k, v in found.items()}
    if isinstance(found, dict)
    else {}
  )
  # Files from before PyTorch 0.4.1 do not count batches.
  wrong = [
    key
    for key in expected.keys() | given.keys()
    if expected.get(key) != given.get(key)
    and not str(key).endswith('num_batches_tracked')
  ]
  if wrong:
    raise PreparationError(
      f'{path}: expected the state_dict of {name} with 1,000 classes, as'
      f' torchvision has it, found another {min(map(str, wrong))!r}. Name the'
      f' weights of {name}.'
    )
  return {
    key: value
    for key, value in found.items()
    if not key.startswith(f'{network.last}.')
  }, f'{path.name}, SHA-256 {digest}'

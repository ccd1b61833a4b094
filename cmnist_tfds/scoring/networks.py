# SPDX-License-Identifier: Apache-2.0
"""The networks of the baselines, in PyTorch.

LeNet is here, the others are torchvision's, so the ImageNet weights of these fit.
Images are float (n, 1, 28, 28); networks that were made for colors get the one
channel three times.
"""

from __future__ import annotations

import functools
import hashlib
import pathlib
from typing import Any

from cmnist_tfds.scoring.predictions import reading
from cmnist_tfds.system.errors import PreparationError
from cmnist_tfds.system.extras import missing_extra

try:
  import torch
  from torch import nn
except ImportError as error:
  raise missing_extra('A baseline of networks', error, 'torch') from error

# Names and values of the parameters and the running means of a network.
Weights = dict[str, Any]

# The last layer of each network, by the key of `protocols.NETWORKS`.
LAST_LAYERS = {
  'lenet': 'fc3',
  'squeezenet': 'classifier.1',
  'resnet18': 'fc',
  'resnet50': 'fc',
}


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
  else:
    try:
      from torchvision import models
    # The second where it was built for another PyTorch.
    except (ImportError, RuntimeError) as error:
      raise missing_extra(
        f'The network {name}',
        ImportError(*error.args, name='torchvision'),
        'torchvision',
      ) from error
    model = 'squeezenet1_1' if name == 'squeezenet' else name
    made = models.get_model(model, num_classes=classes)
    made.register_forward_pre_hook(
      lambda network, args: args[0].expand(-1, 3, -1, -1)
    )
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
  checked = functools.partial(
    reading,
    path,
    f'a state_dict of {name} with 1,000 classes, as torchvision publishes it',
    'Name another file.',
    PreparationError,
  )
  with checked():
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    weights = torch.load(path, map_location='cpu', weights_only=True)
  network = make_network(name, 1000)
  with checked():
    network.load_state_dict(weights)
  last = f'{LAST_LAYERS[name]}.'
  return {
    key: value for key, value in weights.items() if not key.startswith(last)
  }, f'{path.name}, SHA-256 {digest}'

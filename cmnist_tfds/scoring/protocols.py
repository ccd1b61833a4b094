# SPDX-License-Identifier: Apache-2.0
"""How the baselines of networks are trained, without PyTorch."""

from __future__ import annotations

from typing import NamedTuple

from cmnist_tfds.subsets import Subset
from cmnist_tfds.system.errors import PreparationError

# The networks, as results name and describe them.
NETWORKS = {
  'lenet': 'LeNet',
  'squeezenet': 'SqueezeNet v1.1',
  'resnet18': 'ResNet18',
  'resnet50': 'ResNet50',
}

# How often the authors' code sees every image.
EPOCHS = 20


class Protocol(NamedTuple):
  """How a network is trained.

  Every protocol trains with Adam and decoupled weight decay, in one cycle up to
  a learning rate that a range test on the training images finds.

  Attributes:
    name: What the command calls it.
    batch: How many images a batch has.
    rates: The lowest and the highest learning rate of the range test.
    steps: The steps of training on a reduced training set and on a full one.
      None for what the authors' code does: it sees every image in `EPOCHS`
      epochs, but leaves a fifth of them out, and the last, incomplete batch of
      each epoch; it turns, enlarges and brightens images at random; and it
      leaves pre-trained layers as they are, but for batch normalization and the
      last one.
    fallback: The learning rate to take where the loss of the range test falls
      nowhere. The one found is taken to within a factor of three of it. None to
      take what the test says.
  """

  name: str
  batch: int
  rates: tuple[float, float]
  steps: tuple[int, int] | None = None
  fallback: float | None = None

  def training_steps(self, subset: Subset, examples: int) -> int:
    """Returns how many steps the training takes.

    Args:
      subset: The subset.
      examples: The size of its training set.

    Raises:
      PreparationError: If the training set has no whole batch.
    """
    if self.steps is not None:
      return self.steps[subset.per_class is None]
    used = self.count_used(examples)
    if used < self.batch:
      raise PreparationError(
        f'The protocol {self.name!r} needs {self.batch:,} training images for'
        f' one batch. {subset.title} has {examples:,}, of which {used:,} remain'
        ' after the hold-out. Take --protocol steps or a larger subset.'
      )
    return EPOCHS * (used // self.batch)

  def count_used(self, examples: int) -> int:
    """Returns how many training images are not held out."""
    return examples - (round(examples / 5) if self.steps is None else 0)


STEPS = Protocol('steps', 64, (1e-5, 1), steps=(300, 3000), fallback=3e-3)
PAPER = Protocol('paper', 1024, (1e-6, 10))
PROTOCOLS = {protocol.name: protocol for protocol in (PAPER, STEPS)}


def describe(
  network: str, protocol: Protocol, subset: Subset, weights: str | None
) -> dict[str, str]:
  """Returns what results say of their method.

  Args:
    network: A key of `NETWORKS`.
    protocol: The protocol.
    subset: The subset.
    weights: Which pre-trained weights it begins with; None for random ones.
  """
  method = NETWORKS[network] + f', pre-trained ({weights})' * bool(weights)
  if protocol.steps is None:
    # How it differs from what the paper prints.
    method += (
      f', {EPOCHS} epochs in batches of {protocol.batch:,}; settings of'
      ' the paper, except: a fifth of train is held out and unused (as in the'
      " authors' code, which sets no seed for it; here the seed of the run); the"
      ' last batch of an epoch is dropped (as in their code); images are turned,'
      ' enlarged and brightened, not warped; one new last layer in place of the'
      ' two of fastai; PyTorch in place of fastai v1; '
    )
    method += 'LeNet is not in the paper; ' * (network == 'lenet')
    method += (
      'the body is never unfrozen (as in their code)'
      if weights
      else 'no ImageNet weights, so all layers are trained'
    )
  else:
    steps = protocol.training_steps(subset, 0)
    method += f', {steps:,} steps of {protocol.batch}'
  return {
    'method': method,
    'code': f'cmnist baseline net --net {network} --protocol {protocol.name}',
    'pretraining': f'ImageNet, {weights}' if weights else 'none',
    'validation': 'none; the learning rate is found on training images',
  }

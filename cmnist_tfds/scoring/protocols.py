# SPDX-License-Identifier: Apache-2.0
"""How the baselines of networks are trained, without PyTorch."""

from __future__ import annotations

import math
from typing import NamedTuple

from cmnist_tfds.subsets import Subset
from cmnist_tfds.system.errors import PreparationError

# The networks, as results name and describe them.
NETWORKS = {
  'lenet': 'LeNet',
  'cnn': 'CNN of five convolutions with batch normalization',
  'squeezenet': 'SqueezeNet v1.1',
  'resnet18': 'ResNet18',
  'resnet50': 'ResNet50',
}

# How often the authors' code sees every image.
EPOCHS = 20


class Distortion(NamedTuple):
  """How far training images are changed at random, each time they are taken.

  Attributes:
    turn: The angle in radians.
    zoom: The lowest and the highest factor.
    light: The lowest and the highest factor of what lies above the mean.
    shear: The tangent.
    shift: The way, where half the edge of an image is 1.
    share: How many images each of these happens to.
  """

  turn: float
  zoom: tuple[float, float]
  light: tuple[float, float] = (1, 1)
  shear: float = 0
  shift: float = 0
  share: float = 1


class Protocol(NamedTuple):
  """How a network is trained.

  Every protocol trains with Adam and decoupled weight decay, in one cycle up to
  the learning rate.

  Attributes:
    name: What the command calls it.
    batch: How many images a batch has.
    rates: The lowest and the highest learning rate of the range test, which
      finds one on the training images. The one to take, where they are equal.
    steps: The steps of training on a reduced training set and on a full one.
      None for what the authors' code does: it sees every image in `EPOCHS`
      epochs, but leaves a fifth of them out, and the last, incomplete batch of
      each epoch; and it leaves pre-trained layers as they are, but for batch
      normalization and the last one.
    fallback: The learning rate to take where the loss of the range test falls
      nowhere. The one found is taken to within a factor of three of it. None to
      take what the test says.
    distortion: What happens to training images; None if nothing does.
    smoothing: The share of each label that is spread over all classes.
  """

  name: str
  batch: int
  rates: tuple[float, float]
  steps: tuple[int, int] | None = None
  fallback: float | None = None
  distortion: Distortion | None = None
  smoothing: float = 0

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
# That of fastai v1, but for the perspective.
PAPER = Protocol(
  *('paper', 1024, (1e-6, 10)),
  distortion=Distortion(
    math.pi / 18, zoom=(1, 1.1), light=(0.8, 1.25), share=0.75
  ),
)
# Chosen on `validation`; `describe` says of which subsets.
AUGMENTED = Protocol(
  *('augmented', 64, (1e-2, 1e-2)),
  steps=(600, 8000),
  distortion=Distortion(
    math.pi / 48, zoom=(0.95, 1.05), shear=0.05, shift=1 / 14
  ),
  smoothing=0.1,
)
PROTOCOLS = {p.name: p for p in (PAPER, STEPS, AUGMENTED)}


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
    of_paper = network not in ('lenet', 'cnn')
    method += f'{NETWORKS[network]} is not in the paper; ' * (not of_paper)
    method += (
      'the body is never unfrozen (as in their code)'
      if weights
      else 'no ImageNet weights, so all layers are trained'
    )
  else:
    steps = protocol.training_steps(subset, 0)
    method += f', {steps:,} steps of {protocol.batch}'
    method += ', distorted images' * bool(protocol.distortion)
  chosen = 'none; the learning rate is found on training images'
  if protocol.rates[0] == protocol.rates[1]:
    chosen = (
      'settings chosen on `validation` of 2-FKd, its reduced forms and 1-F'
    )
  return {
    'method': method,
    'code': f'cmnist baseline net --net {network} --protocol {protocol.name}',
    'pretraining': f'ImageNet, {weights}' if weights else 'none',
    'validation': chosen,
  }

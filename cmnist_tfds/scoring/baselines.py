# SPDX-License-Identifier: Apache-2.0
"""The baselines, as methods that results are computed of."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np

from cmnist_tfds.scoring import protocols
from cmnist_tfds.scoring.nearest_neighbors import Neighbors, vote
from cmnist_tfds.scoring.results import Method, Result, Wanted, complete
from cmnist_tfds.subsets import Subset

# Labels, and fields of `results.RUN`.
_Predicted = tuple[np.ndarray, dict[str, str]]


def _about(title: str, command: str, validation: str) -> dict[str, str]:
  about = {'method': title, 'code': f'cmnist baseline {command}'}
  return about | {'pretraining': 'none', 'validation': validation}


def classical_results(
  wanted: Wanted, name: str, seeds: int = 1
) -> Iterator[Result]:
  """Computes and writes results of a classical model, as `complete` does.

  Args:
    wanted: Which results are wanted.
    name: A key of `classical_models.MODELS`.
    seeds: How many runs each training set gets on which chance plays a part, with
      the seeds from 1.

  Returns:
    The results, each as soon as all its runs are written.

  Raises:
    MissingExtraError: If a library of the extra `scoring` is not installed.
  """
  from cmnist_tfds.scoring import classical_models

  model = classical_models.MODELS[name]
  about = _about(model.title, name, model.validation)

  @functools.lru_cache(2)
  def features(subset: Subset, draw: int, split: str) -> np.ndarray:
    # The runs on a training set share it, and all those of a subset their test.
    images = wanted.open_(subset, draw=draw).split(split).read(['image'])
    return model.describe(images['image'])

  def predict(subset: Subset, draw: int, seed: int | None) -> _Predicted:
    labels = wanted.open_(subset, draw=draw).split('train').labels
    test = features(subset.full, 0, 'test')
    train = features(subset, draw, 'train')
    return model.make(train, seed or 0).fit(train, labels).predict(test), {}

  def all_seeds(subset: Subset) -> Sequence[int | None]:
    count = len(wanted.open_(subset).split('train'))
    by_chance = model.exact is not None and count > model.exact
    return range(1, seeds + 1) if by_chance else (None,)

  return complete(wanted, [Method(name, lambda _: about, predict, all_seeds)])


def neighbor_results(wanted: Wanted, ks: Sequence[int]) -> Iterator[Result]:
  """Computes and writes results of nearest neighbors, as `complete` does.

  Args:
    wanted: Which results are wanted.
    ks: How many neighbors vote. Each gives a result 'knn-<k>'.

  Returns:
    The results, each as soon as all its runs are written.
  """
  neighbors = Neighbors(wanted.open_, max(ks))

  # The votes of all k follow from one search, whose time is that of each.
  search = functools.lru_cache(wanted.draws + 1)(neighbors.nearest_labels)

  def method(k: int) -> Method:
    title = f'{k} nearest neighbor{"s" if k > 1 else ""}, raw pixels'
    about = _about(title, 'knn', 'none')

    def predict(subset: Subset, draw: int, _: int | None) -> _Predicted:
      nearest, seconds = search(subset, draw)
      return vote(nearest[:, :k]), {'time': f'{seconds:.2f} s'}

    return Method(f'knn-{k}', lambda _: about, predict)

  return complete(wanted, [*map(method, ks)])


def network_results(
  wanted: Wanted,
  network: str,
  protocol: protocols.Protocol,
  seeds: int,
  weights: pathlib.Path | None = None,
) -> Iterator[Result]:
  """Computes and writes results of a network, as `complete` does.

  Args:
    wanted: Which results are wanted.
    network: A key of `protocols.NETWORKS`.
    protocol: How it is trained.
    seeds: How many runs each training set gets, with the seeds from 1.
    weights: A file of ImageNet weights to begin with.

  Returns:
    The results, each as soon as all its runs are written.

  Raises:
    MissingExtraError: If PyTorch or torchvision cannot be imported.
    PreparationError: If the file of weights does not fit, or a training set is
      too small for the protocol.
  """
  # Only networks need PyTorch.
  from cmnist_tfds.scoring import networks

  read = networks.read_weights(weights, network) if weights else (None, None)
  start, origin = read

  def about(subset: Subset) -> dict[str, str]:
    # It raises where there are too few examples.
    protocol.training_steps(subset, len(wanted.open_(subset).split('train')))
    return protocols.describe(network, protocol, subset, origin)

  def predict(subset: Subset, draw: int, seed: int | None) -> _Predicted:
    opened = wanted.open_(subset, draw=draw)
    how = network, protocol, seed or 0, start
    predicted, rate = networks.predict(opened, *how)
    return predicted, {'learning_rate': f'{rate:.3g}'}

  name = f'{network}-{protocol.name}' + '-pretrained' * bool(weights)
  method = Method(name, about, predict, lambda _: range(1, seeds + 1))
  return complete(wanted, [method])

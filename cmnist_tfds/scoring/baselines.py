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
from cmnist_tfds.sources import SPLITS
from cmnist_tfds.subsets import Subset


def _about(title: str, command: str, validation: str) -> dict[str, str]:
  about = {'method': title, 'code': f'cmnist baseline {command}'}
  return about | {'pretraining': 'none', 'validation': validation}


def linear_results(wanted: Wanted) -> Iterator[Result]:
  """Computes and writes results of logistic regression.

  Args:
    wanted: Which results are wanted.

  Returns:
    The results, each as soon as all its runs are written.

  Raises:
    MissingExtraError: If a library of the extra `scoring` is not installed.
  """
  from cmnist_tfds.scoring import classical_models

  chosen = "none; the penalty is scikit-learn's default"
  about = _about('logistic regression, pixels', 'linear', chosen)

  def predict(
    subset: Subset, draw: int, _: int | None
  ) -> tuple[np.ndarray, dict[str, str]]:
    opened = wanted.open_(subset, draw=draw)
    train, test = (opened.split(s).read(['image', 'label']) for s in SPLITS)
    data = *train.values(), test['image']
    return classical_models.predict_linear(*data), {}

  return complete(wanted, [Method('linear', lambda _: about, predict)])


def kernel_results(wanted: Wanted, seeds: int) -> Iterator[Result]:
  """Computes and writes results of a kernel machine on oriented gradients.

  Args:
    wanted: Which results are wanted.
    seeds: How many runs each training set gets that is too large for the exact
      kernel, with the seeds from 1.

  Returns:
    The results, each as soon as all its runs are written.

  Raises:
    MissingExtraError: If a library of the extra `scoring` is not installed.
  """
  from cmnist_tfds.scoring import classical_models as models

  title = 'HOG, least-squares SVM with a Gaussian kernel'
  about = _about(title, 'hog-svm', protocols.CHOSEN)

  @functools.lru_cache(2)
  def described(subset: Subset, draw: int, split: str) -> np.ndarray:
    # The runs on a training set share it, and all those of a subset their test.
    images = wanted.open_(subset, draw=draw).split(split).read(['image'])
    return models.oriented_gradients(images['image'])

  def predict(
    subset: Subset, draw: int, seed: int | None
  ) -> tuple[np.ndarray, dict[str, str]]:
    labels = wanted.open_(subset, draw=draw).split('train').labels
    test = described(subset.full, 0, 'test')
    train = described(subset, draw, 'train')
    return models.predict_kernel(train, labels, test, seed or 0), {}

  def all_seeds(subset: Subset) -> Sequence[int | None]:
    count = len(wanted.open_(subset).split('train'))
    return range(1, seeds + 1) if count > models.MOST_CENTERS else (None,)

  return complete(
    wanted, [Method('hog-svm', lambda _: about, predict, all_seeds)]
  )


def neighbor_results(wanted: Wanted, ks: Sequence[int]) -> Iterator[Result]:
  """Computes and writes results of nearest neighbors, as `results.complete` does.

  Args:
    wanted: Which results are wanted.
    ks: How many neighbors vote. Each gives a result 'knn-<k>'.

  Returns:
    The results, each as soon as all its runs are written.
  """
  # The votes of all k follow from one search.
  neighbors = Neighbors(wanted.open_, max(ks))
  nearest = functools.lru_cache(wanted.draws + 1)(neighbors.nearest_labels)

  def method(k: int) -> Method:
    # Results that were published have this spelling.
    title = f'{k} nearest neighbour{"s" if k > 1 else ""}, raw pixels'
    about = _about(title, 'knn', 'none')
    return Method(
      f'knn-{k}',
      lambda _: about,
      lambda subset, draw, _: (vote(nearest(subset, draw)[:, :k]), {}),
    )

  return complete(wanted, [*map(method, ks)])


def network_results(
  wanted: Wanted,
  network: str,
  protocol: protocols.Protocol,
  seeds: int,
  weights: pathlib.Path | None = None,
) -> Iterator[Result]:
  """Computes and writes results of a network, as `results.complete` does.

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

  def predict(
    subset: Subset, draw: int, seed: int | None
  ) -> tuple[np.ndarray, dict[str, str]]:
    opened = wanted.open_(subset, draw=draw)
    how = network, protocol, seed or 0, start
    predicted, rate = networks.predict(opened, *how)
    return predicted, {'learning_rate': f'{rate:.3g}'}

  method = Method(
    f'{network}-{protocol.name}' + '-pretrained' * bool(weights),
    about,
    predict,
    lambda _: range(1, seeds + 1),
  )
  return complete(wanted, [method])

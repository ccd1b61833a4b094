# SPDX-License-Identifier: Apache-2.0
"""Confidence intervals of accuracies, and the test for paired predictions.

All intervals have 95 % confidence. They say how much a figure would vary with
the choice of the test images of the same writers. They say nothing about other
writers, seeds or training sets.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from typing import Any

import numpy as np

from cmnist_tfds.subsets import Subset

CONFIDENCE = 0.95

# The quantile of the normal distribution that belongs to the confidence.
_Z = 1.959963984540054

_BISECTIONS = 80


class Record:
  """A record of figures, which JSON can hold.

  Its fields are the attributes. A record within it is an object too, a subset is
  its name, an array is a list.
  """

  def to_dict(self) -> dict[str, Any]:
    """Returns it as dictionaries, lists, texts and numbers."""
    return dict(json.loads(json.dumps(self, default=_plain)))


def _plain(value: Any) -> Any:
  if isinstance(value, Subset):
    return value.name
  return value.tolist() if isinstance(value, np.ndarray) else vars(value)


@dataclasses.dataclass(frozen=True)
class Estimate:
  """A figure and the limits of its interval."""

  value: float
  low: float
  high: float


def wilson(right: float, total: int) -> Estimate:
  """Returns a share with its Wilson interval.

  Args:
    right: How many examples were recognized. It may be a mean over runs.
    total: How many examples there are, at least 1.
  """
  share = right / total
  center = (share + _Z**2 / (2 * total)) / (1 + _Z**2 / total)
  half = (_Z / (1 + _Z**2 / total)) * math.sqrt(
    share * (1 - share) / total + _Z**2 / (4 * total**2)
  )
  # Rounding must not put the limits on the wrong side of 0, 1 and the share.
  return Estimate(
    share,
    min(max(center - half, 0.0), share),
    max(min(center + half, 1.0), share),
  )


def mean_of_shares(
  right: np.ndarray, total: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Returns the mean of the shares of several classes, with its interval.

  The interval is the score interval of a stratified sample. It is the set of
  means that a score test does not reject, where the shares of the classes are
  the most likely ones with that mean. For one class it is Wilson's interval.

  Args:
    right: (..., classes), how many examples of each class were recognized.
    total: (classes,), how many examples each class has, at least 1.

  Returns:
    The mean and its lower and upper limit, each of shape (...).
  """
  shares = right / total
  low = _lower_limit(shares, total)
  return shares.mean(axis=-1), low, 1 - _lower_limit(1 - shares, total)


def _lower_limit(shares: np.ndarray, total: np.ndarray) -> np.ndarray:
  """Returns the lower limit of `mean_of_shares`.

  The most likely shares with a given mean solve, with a multiplier m,
  total * (share - p) = m / classes * p * (1 - p) for each class. Then the
  observed mean exceeds the mean of p by m * variance(p), which is the quantile
  times the standard deviation where m * sqrt(variance(p)) is the quantile.
  """
  weight = 1 / shares.shape[-1]

  def most_likely(multiplier: np.ndarray) -> np.ndarray:
    pull = multiplier[..., None] * weight
    linear = pull + total
    # This form of the root of the quadratic equation loses no digits.
    root = np.sqrt(np.maximum(linear**2 - 4 * pull * total * shares, 0))
    return np.minimum(2 * total * shares / (linear + root), 1)

  # The multiplier is searched on a logarithmic scale.
  low = np.full(shares.shape[:-1], -40.0)
  high = np.full(shares.shape[:-1], 80.0)
  for _ in range(_BISECTIONS):
    middle = (low + high) / 2
    multiplier = np.exp(middle)
    p = most_likely(multiplier)
    variance = (weight**2 * p * (1 - p) / total).sum(axis=-1)
    too_far = multiplier * np.sqrt(variance) > _Z
    low = np.where(too_far, low, middle)
    high = np.where(too_far, middle, high)
  return most_likely(np.exp(low)).mean(axis=-1)


def mcnemar(only_first: int, only_second: int) -> float:
  """Returns the two-sided p of McNemar's exact test.

  Args:
    only_first: How many examples the first of two models alone recognizes.
    only_second: How many the second alone recognizes.
  """
  count, fewer = only_first + only_second, min(only_first, only_second)
  coefficients = itertools.accumulate(
    range(fewer), lambda c, k: c * (count - k) // (k + 1), initial=1
  )
  return min(2 * sum(coefficients) / 2**count, 1.0)


def paired_difference(differences: np.ndarray) -> Estimate:
  """Returns the difference of two accuracies on the same examples.

  The interval is that of Bonett and Price (2012), Wald's after one example has
  been added to those that either model alone recognizes. It is applied to means
  over runs as well.

  Args:
    differences: (n,), for each example, the share of runs of the first model
      that recognize it minus the share of runs of the second: -1, 0 or 1 for
      single runs.
  """
  added = np.append(differences, [1, -1])
  mean = float(added.mean())
  half = _Z * float(added.std()) / math.sqrt(len(added))
  return Estimate(
    float(differences.mean()), max(mean - half, -1.0), min(mean + half, 1.0)
  )

# SPDX-License-Identifier: Apache-2.0
"""Confidence intervals of accuracies, and the test for paired predictions.

All intervals have 95 % confidence. They say how much a figure would vary with
the choice of the test images of the same writers. Only `from_parts` says more: how
much it would with whatever its parts are variances of, such as writers or runs.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cmnist_tfds.subsets import Subset

CONFIDENCE = 0.95

# The quantile of the normal distribution that belongs to the confidence.
_Z = 1.959963984540054


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
  variance = share * (1 - share) / total + _Z**2 / (4 * total**2)
  half = (_Z / (1 + _Z**2 / total)) * math.sqrt(variance)
  # Rounding must not put the limits on the wrong side of 0, 1 and the share.
  low, high = max(center - half, 0.0), min(center + half, 1.0)
  return Estimate(share, min(low, share), max(high, share))


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
  for _ in range(80):
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


def from_parts(
  value: float, variances: np.ndarray, degrees: np.ndarray, least: float = -1
) -> Estimate:
  """Returns a figure whose variance is a sum of independent estimates.

  The interval is Student's, with the degrees of freedom of Satterthwaite: for
  the variances of two means it is Welch's.

  Args:
    value: The figure, a share or the difference of two.
    variances: (parts,), what its variance is the sum of.
    degrees: (parts,), the degrees of freedom of each.
    least: The smallest figure that there can be; the largest is 1.
  """
  if half := math.sqrt(variances.sum()):
    shares = variances / variances.sum()
    half *= _student(1 / float((shares**2 / degrees).sum()))
  return Estimate(value, max(value - half, least), min(value + half, 1.0))


def _student(degrees: float) -> float:
  """Returns the quantile of Student's distribution for the confidence.

  With t = sqrt(degrees) * tan(angle), the density of the angle is in proportion
  to cos(angle) ** (degrees - 1). It is summed here, as NumPy has no quantiles.
  """
  # Beyond 20 standard deviations there is nothing.
  end = math.atan(20 / math.sqrt(degrees)) if degrees > 30 else math.pi / 2
  edges = np.linspace(0, end, 100_001)
  mass = np.cumsum(np.cos((edges[1:] + edges[:-1]) / 2) ** (degrees - 1))
  angle = np.interp(CONFIDENCE, mass / mass[-1], edges[1:])
  return math.sqrt(degrees) * math.tan(angle)


def mean_variance(
  values: np.ndarray, cluster: np.ndarray, stratum: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Returns the variance of a mean over examples that were drawn in clusters.

  Args:
    values: (n,), a value of each example.
    cluster: (n,), the number of its cluster, all of whose examples have one
      stratum.
    stratum: (n,), the number of its stratum, of which a fixed number of
      clusters was drawn.

  Returns:
    (strata,), the part of each stratum in the variance, and (strata,), the
    degrees of freedom of each.
  """
  _, cluster_number = np.unique(cluster, return_inverse=True)
  _, group = np.unique(stratum, return_inverse=True)
  cluster_group = np.empty(cluster_number.max() + 1, int)
  cluster_group[cluster_number] = group
  clusters = np.bincount(cluster_group)
  # A single cluster says nothing of others, and adds nothing here.
  degrees = np.maximum(clusters - 1, 1)
  means = np.bincount(group, values) / np.bincount(group)
  sums = np.bincount(cluster_number, values - means[group])
  squares = np.bincount(cluster_group, sums**2)
  return squares * clusters / degrees / len(values) ** 2, degrees


def over_runs(
  samples: Sequence[np.ndarray], cluster: np.ndarray, stratum: np.ndarray
) -> Estimate:
  """Returns a sum of means over runs and examples, both of which are sampled.

  Its variance is that between runs on these examples and that between examples.
  What runs do to single examples is in both: the interval is rather too wide.

  Args:
    samples: Each (runs, n), independent runs: the difference of two methods in
      each run; or what one method recognizes, and minus what the other does. A
      single run says nothing of others, and adds nothing to the variance.
    cluster: As for `mean_variance`.
    stratum: Likewise.
  """
  mean = np.sum([sample.mean(axis=0) for sample in samples], axis=0)
  images, degrees = mean_variance(mean, cluster, stratum)
  several = [s.mean(axis=1) for s in samples if len(s) > 1]
  runs = [means.var(ddof=1) / len(means) for means in several]
  # As by Bonett and Price, each method alone recognizes one more example.
  images += 2 / len(mean) ** 2 / len(images)
  variances = np.array([*runs, *images])
  degrees = np.array([*(len(means) - 1 for means in several), *degrees])
  return from_parts(float(mean.mean()), variances, degrees)

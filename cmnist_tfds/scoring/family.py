# SPDX-License-Identifier: Apache-2.0
"""Compares two methods over several subsets, by a hierarchical bootstrap.

Subsets share test sets, and sources share origins, so neither are independent
examples of what two methods do. Origins are taken as they are, and what varies
within them is drawn again: the runs, and the test images or their writers.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from cmnist_tfds.scoring import comparison, writers
from cmnist_tfds.scoring.evaluation import File
from cmnist_tfds.scoring.intervals import Estimate, Record
from cmnist_tfds.sources import Source
from cmnist_tfds.system.errors import PredictionsError

# Sources of one origin, by its title. Others are origins of their own.
_ORIGINS = {
  'NIST': ('E', 'Ed', 'El', 'Eb', 'Em', 'Ec', 'Mn', 'Qm'),
  'Kannada-MNIST': ('Kd', 'Dg'),
  'Kuzushiji': ('Km', 'K49', 'Kk'),
  'CMATERdb': ('Bn', 'Dv', 'Te'),
}

# How often everything is drawn.
_TIMES = 2000


@dataclasses.dataclass(frozen=True)
class Family(Record):
  """Two methods on several subsets.

  Attributes:
    subsets: The comparison on each.
    origins: For each origin, the accuracy of the first method minus that of the
      second on its test images, a mean over subsets and sources, with an
      interval over runs, and over images or writers.
    difference: The mean over these origins, each of which counts the same, with
      such an interval. It says nothing of other origins.
  """

  subsets: tuple[comparison.Comparison, ...]
  origins: dict[str, Estimate]
  difference: Estimate


def compare_family(
  pairs: Iterable[tuple[str, File, File]], **where: Any
) -> Family:
  """Compares two methods over several subsets.

      names = ['1-F', '1-Kd']
      pairs = [(name, f'{name}/svm.npz', f'{name}/knn.npz') for name in names]
      cmnist_tfds.compare_family(pairs).difference  # Estimate(value=..., ...)

  Args:
    pairs: What `compare` takes for each subset: its name, and both methods.
    **where: What else `compare` takes, such as `data_dir`.

  Returns:
    The comparison. The same arguments give the same one.

  Raises:
    CmnistError: In the same cases as `compare`.
  """
  read = [comparison.read_pair(*pair, **where) for pair in pairs]
  if not read or any(a.split != 'test' for _, a, _ in read):
    raise PredictionsError(
      'Name subsets, and predictions for the whole test set.'
    )
  rng = np.random.default_rng(0)
  # For each source and each subset with it: what the runs recognize, the weights
  # of the runs each time, and which test images were drawn together.
  parts = collections.defaultdict[Source, list[Any]](list)
  for subset, a, b in read:
    samples, _ = comparison.run_samples(a, b)
    weights = [np.stack([*_weights(rng, len(runs))]) for runs in samples]
    units, numbers = writers.units(a), writers.source_numbers(subset, a.labels)
    for number, source in enumerate(subset.sources):
      own = numbers == number
      parts[source].append(([s[:, own] for s in samples], weights, units[own]))
  of_origin = collections.defaultdict[str, list[np.ndarray]](list)
  for source, of_source in parts.items():
    titles = [o for o, keys in _ORIGINS.items() if source.key in keys]
    of_origin[(*titles, source.title)[0]] += _draw(rng, of_source)
  means = {title: np.mean(drawn, axis=0) for title, drawn in of_origin.items()}
  return Family(
    subsets=tuple(comparison.of_pair(*pair) for pair in read),
    origins={title: _estimate(drawn) for title, drawn in means.items()},
    difference=_estimate(np.mean([*means.values()], axis=0)),
  )


def _weights(rng: np.random.Generator, count: int) -> Iterator[np.ndarray]:
  """Yields weights whose sum is 1: equal ones, and what is drawn each time.

  One less is drawn than there are, so that the variance of a mean has no bias.
  """
  yield np.full(count, 1 / count)
  for _ in range(_TIMES):
    drawn = rng.integers(count, size=(size := max(count - 1, 1)))
    yield np.bincount(drawn, minlength=count) / size


def _draw(rng: np.random.Generator, of_source: list[Any]) -> list[np.ndarray]:
  """Returns the differences on a source in each subset: as it is, and drawn."""
  known = np.unique(np.concatenate([units for _, _, units in of_source]))
  places = [np.searchsorted(known, units) for _, _, units in of_source]
  found = np.empty((len(of_source), _TIMES + 1))
  for time, weight in enumerate(_weights(rng, len(known))):
    for row, (samples, weights, _) in enumerate(of_source):
      images = weight[places[row]]
      runs = zip(weights, samples, strict=True)
      right = sum(w[time] @ (sample @ images) for w, sample in runs)
      found[row, time] = right / images.sum()
  return [*found]


def _estimate(drawn: np.ndarray) -> Estimate:
  low, high = np.quantile(drawn[1:], [0.025, 0.975]).tolist()
  return Estimate(float(drawn[0]), low, high)

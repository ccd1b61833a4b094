# SPDX-License-Identifier: Apache-2.0
"""Compares two methods over several subsets, by a hierarchical bootstrap.

Subsets share test sets, and sources share origins, so neither are independent
examples of what two methods do. Origins are taken as they are, and what varies
within them is drawn again: the runs, and the test images or their writers.
"""

from __future__ import annotations

import collections
import dataclasses
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from cmnist_tfds.scoring import comparison, writers
from cmnist_tfds.scoring.evaluation import File
from cmnist_tfds.scoring.intervals import Estimate, Record
from cmnist_tfds.scoring.predictions import Predictions
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
TIMES = 2000


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
  _, *both = zip(*read, strict=True)
  first, second = draw(both)
  drawn = {title: first[title] - second[title] for title in first}
  return Family(
    subsets=tuple(comparison.of_pair(*pair) for pair in read),
    origins={title: estimate(values) for title, values in drawn.items()},
    difference=estimate(np.mean([*drawn.values()], axis=0)),
  )


def draw(
  methods: Sequence[Sequence[Predictions]],
) -> list[dict[str, np.ndarray]]:
  """Returns the accuracy of methods on each origin, as it is and drawn again.

  What is drawn is the same for all methods: the images always, and the runs where
  two methods have the same ones. So differences between them are paired.

  Args:
    methods: The predictions of each method, for the test sets of the same subsets.

  Returns:
    For each method, by the title of the origin, float (1 + `TIMES`,), first as it
    is: means over sources and over subsets with them.
  """
  # For each source: the number of a method, and what its runs on a subset
  # recognize, the weights of these runs, and which images belong together.
  parts = collections.defaultdict[Source, list[Any]](list)
  for method, found in enumerate(methods):
    for each in found:
      by, keys, rows = comparison.independent_runs(each)
      # Of runs that nobody can tell apart, none are the same.
      facts = each.subset.full.name, by, keys or method
      weights = np.stack([*_weights(len(rows), facts)])
      units = writers.units(each)
      numbers = writers.source_numbers(each.subset, each.labels)
      for number, source in enumerate(each.subset.sources):
        own = numbers == number
        parts[source].append((method, rows[:, own], weights, units[own]))
  origins: Any = [collections.defaultdict(list) for _ in methods]
  for source, of_source in parts.items():
    titles = [o for o, keys_ in _ORIGINS.items() if source.key in keys_]
    for method, values in _draw(source.key, of_source):
      origins[method][(*titles, source.title)[0]].append(values)
  return [
    {title: np.mean(values, axis=0) for title, values in each.items()}
    for each in origins
  ]


def _weights(count: int, facts: object) -> Iterator[np.ndarray]:
  """Yields weights whose sum is 1: equal ones, and what is drawn each time.

  One less is drawn than there are, so that the variance of a mean has no bias.
  The same facts give the same draws.
  """
  rng = np.random.default_rng(zlib.crc32(repr(facts).encode()))
  yield np.full(count, 1 / count)
  for _ in range(TIMES):
    drawn = rng.integers(count, size=(size := max(count - 1, 1)))
    yield np.bincount(drawn, minlength=count) / size


def _draw(
  key: str, of_source: Sequence[Any]
) -> Iterator[tuple[int, np.ndarray]]:
  """Yields the accuracies on a source, each with the number of its method."""
  known = np.unique(np.concatenate([units for *_, units in of_source]))
  sums, sizes = [], []
  for _, rows, _, units in of_source:
    place = np.searchsorted(known, units)
    sums.append(np.stack([np.bincount(place, r, len(known)) for r in rows]))
    sizes.append(np.bincount(place, minlength=len(known)))
  drawn = np.empty((len(of_source), 1 + TIMES))
  for time, images in enumerate(_weights(len(known), key)):
    for number, (_, _, weights, _) in enumerate(of_source):
      right = weights[time] @ (sums[number] @ images)
      drawn[number, time] = right / (sizes[number] @ images)
  yield from zip((method for method, *_ in of_source), drawn, strict=True)


def estimate(drawn: np.ndarray) -> Estimate:
  """Returns a value that `draw` returns, with the interval of what was drawn."""
  low, high = np.quantile(drawn[1:], [0.025, 0.975]).tolist()
  return Estimate(float(drawn[0]), low, high)

# SPDX-License-Identifier: Apache-2.0
"""A hierarchical bootstrap: what a method's accuracy on each origin would be.

Subsets share test sets, and sources share origins. Origins are therefore taken as
they are, and what varies within them is drawn again: the runs of a method, and
the test images or their writers.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from cmnist_tfds.cache.shuffle_order import shuffle_order
from cmnist_tfds.scoring import writers
from cmnist_tfds.scoring.predictions import Predictions

# Sources of one origin. Others are origins of their own.
_ORIGINS = {
  'NIST': 'E Ed El Eb Em Ec Mn Qm',
  'Kannada-MNIST': 'Kd Dg',
  'Kuzushiji': 'Km K49 Kk',
  'CMATERdb': 'Bn Dv Te',
}
_ORIGIN = {key: o for o, keys in _ORIGINS.items() for key in keys.split()}

# How often everything is drawn, and how much of it at once.
TIMES = 2000
_AT_ONCE = 100


def drawn(found: Sequence[Predictions]) -> dict[str, np.ndarray]:
  """Returns the accuracy of a method on each origin, as it is and drawn again.

  Every source of an origin counts the same, and so does every subset with it. What
  is drawn is the same for all methods, so the values of two methods on the same
  subsets are paired: by images, and by runs where both have the same ones.

  Args:
    found: Predictions of the method for the test sets of several subsets.

  Returns:
    By the title of each origin, float (1 + `TIMES`,), first as it is.
  """
  of_source: dict[str, list[np.ndarray]] = {}
  titles = {}
  for each in found:
    number = writers.source_numbers(each.subset, each.labels)
    right = _of_units(each)
    runs = _run_weights(each, len(right))
    cluster = writers.clusters(each)
    in_files = np.argsort(shuffle_order('test', len(number)))
    for position, source in enumerate(each.subset.sources):
      # In an order that is the same in all subsets.
      own = in_files[number[in_files] == position]
      values = _draw(source.key, right[:, own], runs, cluster[own])
      of_source.setdefault(source.key, []).append(values)
      titles[source.key] = _ORIGIN.get(source.key, source.title)
  return {
    title: np.mean(
      [np.mean(of_source[k], axis=0) for k in titles if titles[k] == title],
      axis=0,
    )
    for title in dict.fromkeys(titles.values())
  }


def _of_units(found: Predictions) -> np.ndarray:
  """Returns what independent runs recognize, float32 (units, n).

  Runs on one draw of the training set are a unit if there are several draws.
  """
  right = (found.predicted == found.labels).astype(np.float32)
  draws, of_run = np.unique([d or 0 for d in found.draws], return_inverse=True)
  if len(draws) == 1:
    return right
  return np.stack([right[of_run == u].mean(axis=0) for u in range(len(draws))])


def _run_weights(found: Predictions, count: int) -> np.ndarray:
  """Returns the weights of units as they are, and each time: (1 + TIMES, units).

  One less is drawn than there are, so that the variance has no bias.
  """
  if count == 1:
    return np.ones((1 + TIMES, 1))
  rng = _generator(
    found.subset.name, sorted(map(str, found.draws)), found.seeds
  )
  drawn = rng.multinomial(count - 1, [1 / count] * count, TIMES) / (count - 1)
  return np.vstack([np.full(count, 1 / count), drawn])


def _draw(
  key: str, right: np.ndarray, runs: np.ndarray, cluster: np.ndarray
) -> np.ndarray:
  """Returns the accuracy on one source as it is, and each time it is drawn."""
  _, first, place = np.unique(cluster, return_index=True, return_inverse=True)
  place = np.argsort(np.argsort(first))[place]
  sizes = np.bincount(place)
  sums = np.stack([np.bincount(place, run, len(sizes)) for run in right])
  rng, count = _generator(key, len(sizes)), len(sizes)
  values = [runs[:1] @ sums.sum(axis=1) / sizes.sum()]
  for start in range(0, TIMES, _AT_ONCE):
    # As for runs, one less is drawn than there are.
    picked = rng.integers(count, size=(_AT_ONCE, max(count - 1, 1)))
    often = np.stack([np.bincount(p, minlength=count) for p in picked])
    weights = runs[1 + start :][:_AT_ONCE]
    values.append(((often @ sums.T) * weights).sum(axis=1) / (often @ sizes))
  return np.concatenate(values)


def _generator(*facts: object) -> np.random.Generator:
  """Returns random numbers that are the same for the same facts."""
  return np.random.default_rng(zlib.crc32(repr(facts).encode()))

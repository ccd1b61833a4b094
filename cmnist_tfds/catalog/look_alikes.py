# SPDX-License-Identifier: Apache-2.0
"""Which classes of each subset look alike, as its page shows them."""

from __future__ import annotations

import base64
import dataclasses
import heapq
import itertools
from collections.abc import Sequence

import numpy as np

from cmnist_tfds import subsets
from cmnist_tfds.catalog.gallery import Seen
from cmnist_tfds.figures.confusable import Pair, pairs
from cmnist_tfds.formats import png
from cmnist_tfds.subsets import Subset, SubsetClass

# So many pairs a page shows.
PAIRS = 12


@dataclasses.dataclass(frozen=True)
class Shown:
  """A pair of classes.

  Attributes:
    likeness: That of `figures.confusable.Pair`.
    members: Each class, and its picture as a `data:` address.
  """

  likeness: float
  members: tuple[tuple[SubsetClass, str], tuple[SubsetClass, str]]


def of_all(looked: Seen) -> dict[str, list[Shown]]:
  """Returns the look-alikes of each subset by its name, the most alike first.

  Subsets with a source that has not been seen are left out.
  """
  found: dict[str, list[Pair]] = {}
  for subset in subsets.published():
    if not all(map(looked.has_pictures_of, subset.sources)):
      continue
    is_whole = subset.members == subsets.combine(subset.sources).members
    if is_whole and len(subset.sources) > 2:
      found[subset.name] = _merged(subset, found)
    else:
      found[subset.name] = pairs(subset, looked.images_of(subset), PAIRS)
  return {name: _shown(alike) for name, alike in found.items()}


def _merged(subset: Subset, found: dict[str, list[Pair]]) -> list[Pair]:
  """Returns the pairs of whole sources, from those of each two of them."""
  twos = itertools.combinations(subset.sources, 2)
  merged = heapq.merge(
    *(found[subsets.combine(two).name] for two in twos),
    key=lambda pair: -pair.likeness,
  )
  return list(itertools.islice(merged, PAIRS))


def _shown(alike: Sequence[Pair]) -> list[Shown]:
  images = [image for pair in alike for image in pair.images]
  addresses = [
    f'data:image/png;base64,{base64.b64encode(encoded).decode()}'
    for encoded in png.encode(np.array(images))
  ]
  return [
    Shown(
      pair.likeness,
      (
        (pair.classes[0], addresses[2 * i]),
        (pair.classes[1], addresses[2 * i + 1]),
      ),
    )
    for i, pair in enumerate(alike)
  ]

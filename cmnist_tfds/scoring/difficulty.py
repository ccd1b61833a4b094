# SPDX-License-Identifier: Apache-2.0
"""How difficult subsets are, where it was measured.

The measure is the accuracy of the nearest neighbor (k = 1) on the test set, by
`cmnist baseline knn`.
"""

from __future__ import annotations

import functools
import pathlib

from cmnist_tfds.subsets import Subset

# Made by scripts/write_derived_files.py from the results.
TABLE = pathlib.Path(__file__).with_name('difficulty.tsv')
# Its columns.
HEADER = ('subset', 'nearest_neighbor')


def nearest_neighbor(subset: Subset) -> float | None:
  """Returns the accuracy of the nearest neighbor; None if not measured."""
  return _figures().get(subset.name)


@functools.cache
def _figures() -> dict[str, float]:
  _, *rows = TABLE.read_text('utf-8').splitlines()
  return {name: float(figure) for name, figure in map(str.split, rows)}

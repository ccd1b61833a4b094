# SPDX-License-Identifier: Apache-2.0
"""Reports on a dataset that has been built, for its metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cmnist_tfds.cache import split_sources
from cmnist_tfds.cache.split_sources import SplitSource
from cmnist_tfds.datasets import config
from cmnist_tfds.subsets import Subset


def report(
  subset: Subset,
  sources: Mapping[str, Sequence[SplitSource]],
  num_examples: Mapping[str, int],
) -> dict[str, Any]:
  """Returns the metadata of a dataset that has been built.

  Args:
    subset: The subset.
    sources: For each split, the examples of each source.
    num_examples: For each split, the number of examples that were written from
      the start of the concatenation of the sources.

  Returns:
    `classes`, the table of classes with the numbers of written examples;
    `balanced`, whether all classes have equally many training examples;
    `sources`, the table of sources with the proof of each origin file;
    `digests`, a hash for each split. Splits with equal digests have equal
    examples.
  """
  classes = config.class_table(subset)
  rows = config.source_table(subset)
  digests = {}
  for split, opened in sources.items():
    labels = np.concatenate([source.labels() for source in opened])
    written = labels[: num_examples[split]]
    counts = np.bincount(written, minlength=len(classes))
    for row, count in zip(classes, counts.tolist(), strict=True):
      row[split] = count
    for row, source in zip(rows, opened, strict=True):
      row['verified'] |= source.proofs
    digests[split] = split_sources.digest(opened, num_examples[split])
  return {
    'classes': classes,
    'balanced': len({row['train'] for row in classes}) == 1,
    'sources': rows,
    'digests': digests,
  }

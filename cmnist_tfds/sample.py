# SPDX-License-Identifier: Apache-2.0
"""What the synthetic sample holds of a subset: its sizes and its license."""

from __future__ import annotations

import dataclasses
import functools

import msgspec
import numpy as np

from cmnist_tfds import origin
from cmnist_tfds.origin import load_split
from cmnist_tfds.sources import Source
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system import paths
from cmnist_tfds.system.errors import PreparationError

LICENSE = 'Apache-2.0'
NOTICE = (
  'A synthetic sample, not CMNIST: a result on it says nothing about the'
  ' benchmark.'
)

# What stands in place of the facts of a source for responsible AI.
_FACTS = 'collection', 'biases', 'personal_information', 'social_impact'
_DRAWN = 'A program drew it from open fonts. It tells nothing of persons.'


def locations(subset: Subset | None = None) -> origin.Locations:
  """Returns the locations of the files of the sample, in the package.

  Args:
    subset: The subset that is to be read, if it is known.

  Raises:
    PreparationError: If the subset has extensions; the sample lacks their files.
  """
  if subset and subset.declarations:
    raise PreparationError(
      f'The sample has no files of {", ".join(subset.declarations)}. Build'
      f' cmnist/{subset.name} instead.'
    )
  # No hash can prove synthetic files, whose places are known.
  folder = paths.package_folder('dummy_data')
  return origin.Locations(
    manual_dir=folder, allow_unverified=True, any_packing=False
  )


def sample_of(subset: Subset) -> Subset:
  """Returns a description of what the sample has of a subset.

  Args:
    subset: The subset. The sample has no files of extensions, which stay as
      they are.

  Returns:
    The same classes, with the numbers of examples and the license of the
    sample, and with sources that are called synthetic. It is for descriptions:
    no name stands for it.
  """
  members = tuple((_sample(source), raw) for source, raw in subset.members)
  return dataclasses.replace(subset, members=members)


@functools.cache
def _sample(source: Source) -> Source:
  if source.digest:
    return source
  splits = {}
  for name, split in source.splits.items():
    labels = load_split.load_split(source, name, locations()).labels
    counts = np.bincount(labels)[list(source.raw_labels)].tolist()
    splits[name] = msgspec.structs.replace(
      split, num_examples=len(labels), class_counts=tuple(counts)
    )
  return msgspec.structs.replace(
    source,
    title=f'synthetic {source.title}',
    **splits,
    homepage='drawn from the fonts that dummy_data/README.md lists',
    license=LICENSE,
    license_note=None,
    known_issues=(),
    synthetic=True,
    **dict.fromkeys(_FACTS, (_DRAWN,)),
  )

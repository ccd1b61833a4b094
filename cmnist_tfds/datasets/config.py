# SPDX-License-Identifier: Apache-2.0
"""What TFDS is told of a subset: its config, its features, its metadata."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import tensorflow_datasets.public_api as tfds

from cmnist_tfds import subsets
from cmnist_tfds.sources import IMAGE_SIZE
from cmnist_tfds.subsets import Subset

RELEASE_NOTES = {'1.0.0': 'The 134 subsets of the paper and reduced forms.'}

_DEFAULT = subsets.subset(subsets.DEFAULT)


@dataclasses.dataclass(eq=False)
class CmnistConfig(tfds.core.BuilderConfig):
  """Config of one subset.

  Attributes:
    subset: The subset's record.
  """

  # TFDS's own fields have defaults, so this one must: the default config's.
  subset: Subset = _DEFAULT

  def __reduce__(self) -> tuple[Any, ...]:
    # TFDS takes no config but the very object it knows by that name.
    return config, (self.name,)


@functools.cache
def _config_of(subset: Subset) -> CmnistConfig:
  return CmnistConfig(
    name=subset.name, description=subset.description, subset=subset
  )


def config(name: str) -> CmnistConfig:
  """Returns the one config of a subset.

  Args:
    name: Any spelling of the subset's name.

  Returns:
    The config; the same object for all spellings.

  Raises:
    SubsetNameError: If there is no such subset.
  """
  return _config_of(subsets.subset(name))


def declared() -> list[CmnistConfig]:
  """Returns the configs of the 134 subsets, then of their reduced forms."""
  return [_config_of(subset) for subset in subsets.declared()]


def info(builder: tfds.core.DatasetBuilder) -> tfds.core.DatasetInfo:
  """Returns what a builder is to tell of its subset.

  Args:
    builder: A builder whose config is a `CmnistConfig`.

  Returns:
    Description, features, citation, licence; metadata with the table of classes
    (label, name, source, raw label, counts in train and test, None where nobody
    has published them), whether they are balanced, and the sources.
  """
  subset = builder.builder_config.subset
  return tfds.core.DatasetInfo(
    builder=builder,
    description=builder.get_metadata().description,
    features=tfds.features.FeaturesDict(
      {
        'image': tfds.features.Image(
          shape=(IMAGE_SIZE, IMAGE_SIZE, 1),
          dtype=np.uint8,
          encoding_format='png',
        ),
        'label': tfds.features.ClassLabel(
          names=[c.name for c in subset.classes]
        ),
        'source': tfds.features.ClassLabel(
          names=[s.key for s in subset.sources]
        ),
        'source_label': np.int64,
      }
    ),
    supervised_keys=('image', 'label'),
    homepage=subsets.HOMEPAGE,
    citation=subset.citation,
    license=subset.license,
    metadata=tfds.core.MetadataDict(
      {
        'subset': subset.name,
        'balanced': subset.balanced,
        'per_class': subset.per_class,
        'classes': _class_table(subset),
        'sources': [{'key': s.key, 'title': s.title} for s in subset.sources],
      }
    ),
  )


def _class_table(subset: Subset) -> list[dict[str, Any]]:
  return [
    {
      'label': c.label,
      'name': c.name,
      'source': c.source.key,
      'source_label': c.raw_label,
      'train': c.train,
      'test': c.test,
    }
    for c in subset.classes
  ]

# SPDX-License-Identifier: Apache-2.0
"""Configs and the `DatasetInfo` of subsets, as TFDS takes them."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import tensorflow_datasets.public_api as tfds

from cmnist_tfds import schema, subsets
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
    # TFDS accepts only the very object that it knows by that name.
    return config_of, (self.subset,)


@functools.cache
def config_of(subset: Subset) -> CmnistConfig:
  """Returns the config of a subset; the same object at each call."""
  return CmnistConfig(
    name=subset.name, description=subset.description, subset=subset
  )


def declared_configs() -> list[CmnistConfig]:
  """Returns the configs of the 134 subsets, then of their reduced forms."""
  return [config_of(subset) for subset in subsets.declared()]


def dataset_info(builder: tfds.core.DatasetBuilder) -> tfds.core.DatasetInfo:
  """Returns the description of the subset that a builder builds.

  Args:
    builder: A builder whose config is a `CmnistConfig`.

  Returns:
    Description, features, citation and licence. The metadata has the table of
    classes (label, name, source, raw label, counts in train and test, None
    where nobody has published them), whether they are balanced, and the
    sources.
  """
  subset = builder.builder_config.subset
  return tfds.core.DatasetInfo(
    builder=builder,
    description=builder.get_metadata().description,
    features=tfds.features.FeaturesDict(
      {feature.name: _feature(feature, subset) for feature in schema.FEATURES}
    ),
    supervised_keys=(schema.IMAGE.name, schema.LABEL.name),
    homepage=subsets.HOMEPAGE,
    citation=subset.citation,
    license=subset.license,
    metadata=tfds.core.MetadataDict(
      {
        'subset': subset.name,
        'balanced': subset.balanced,
        'per_class': subset.per_class,
        'classes': class_table(subset),
        'sources': source_table(subset),
      }
    ),
  )


def _feature(
  feature: schema.Feature, subset: Subset
) -> tfds.features.FeatureConnector:
  """Returns a feature as TFDS declares it."""
  if not isinstance(feature, schema.ClassFeature):
    return tfds.features.Image(
      shape=feature.shape,
      dtype=np.dtype(feature.dtype),
      encoding_format='png',
      doc=feature.description,
    )
  if feature.names:
    return tfds.features.ClassLabel(
      names=feature.names(subset), doc=feature.description
    )
  return tfds.features.Scalar(
    dtype=np.dtype(feature.dtype), doc=feature.description
  )


def source_table(subset: Subset) -> list[dict[str, Any]]:
  """Returns the sources of a subset; no file of theirs is verified yet."""
  return [
    {'key': s.key, 'title': s.title, 'verified': {}} for s in subset.sources
  ]


def class_table(subset: Subset) -> list[dict[str, Any]]:
  """Returns the classes of a subset with their published counts."""
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

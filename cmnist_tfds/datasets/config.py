# SPDX-License-Identifier: Apache-2.0
"""The configs and the `DatasetInfo` of subsets."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets.public_api as tfds
from etils import epath

from cmnist_tfds import schema, subsets
from cmnist_tfds.cache import prepared, split_sources
from cmnist_tfds.cache.split_sources import SplitSource
from cmnist_tfds.sample import LICENSE, NOTICE
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system import paths
from cmnist_tfds.system.errors import PreparationError, SubsetNameError


@functools.cache
def config_of(
  subset: Subset, *, sample: bool = False
) -> tfds.core.BuilderConfig:
  """Returns the config of a subset, the same object at each call.

  Args:
    subset: The subset.
    sample: Whether it is that of the synthetic sample.
  """
  return tfds.core.BuilderConfig(
    name=subset.name,
    # The sizes of the sample would have to be read from its files.
    description=f'The classes of {subset.title}. {NOTICE}'
    if sample
    else subset.description,
  )


class Configs(dict[str, tfds.core.BuilderConfig]):
  """The declared configs by name; `in` is true for every other valid name too.

  TFDS uses `in` to ask whether a builder has a config. If this were false for a
  prepared `-r-7`, TFDS would return a builder that can only read.
  """

  def __contains__(self, name: object) -> bool:
    try:
      return isinstance(name, str) and bool(subsets.subset(name))
    except SubsetNameError:
      return False


def declared_configs(*, sample: bool = False) -> Configs:
  """Returns the configs of the 134 subsets, then of their reduced forms."""
  return Configs(
    {s.name: config_of(s, sample=sample) for s in subsets.declared()}
  )


class CheckedInfo(tfds.core.DatasetInfo):
  """A `DatasetInfo` that can be constructed for a damaged dataset.

  Only a builder can replace a dataset. So constructing one must not fail if the
  dataset is damaged; using the splits does.

  Attributes:
    found: The dataset that was read, if it is a local one.
    fault: What is wrong with it; None if nothing is.
  """

  found: prepared.Prepared | None = None
  fault: PreparationError | None = None

  def initialize_from_bucket(self) -> None:
    """Does nothing. TFDS would ask its bucket for a description."""

  def set_file_format(self, file_format: Any, **options: Any) -> None:
    """Sets the format of the shards, unless they are prepared.

    Args:
      file_format: The format. `tfds.data_source` gives the one below, though
        prepared shards may have any.
      **options: As in TFDS.
    """
    given = getattr(file_format, 'value', file_format)
    if self.found and given == tfds.core.FileFormat.ARRAY_RECORD.value:
      file_format = None
    super().set_file_format(file_format, **options)

  @property
  def splits(self) -> tfds.core.splits.SplitDict:
    """The splits that are prepared.

    Raises:
      PreparationError: If the dataset is damaged.
    """
    if self.fault:
      raise self.fault
    return super().splits

  def read_from_directory(self, dataset_info_dir: epath.PathLike) -> None:
    """Reads what describes a prepared dataset, and notes if it is damaged.

    Args:
      dataset_info_dir: The folder of the dataset.
    """
    self.found = self.fault = None
    folder = pathlib.Path(dataset_info_dir)
    try:
      if not paths.is_remote(dataset_info_dir):
        subset = subsets.subset(self.config_name)
        self.found = prepared.read_prepared(subset, folder)
        if not self.found.is_current:
          raise PreparationError(
            f'{folder} was built when {", ".join(subset.declarations)} was'
            f' declared differently. {prepared.remedy(folder)}'
          )
        self.found.check_shards()
      with prepared.parsing(folder / prepared.INFO):
        super().read_from_directory(dataset_info_dir)
    except PreparationError as error:
      self.fault = error


def dataset_info(
  builder: tfds.core.DatasetBuilder, subset: Subset, *, sample: bool
) -> CheckedInfo:
  """Returns the `DatasetInfo` of the subset that a builder builds.

  Args:
    builder: The builder.
    subset: What is described: its subset, or what the sample has of it.
    sample: Whether it builds the synthetic sample.

  Returns:
    Description, features, citation and license. The metadata has the table of
    classes (label, name, source, raw label, counts in train and test, None for
    counts that nobody has published). It also says whether the classes are
    balanced, and lists the sources.
  """
  return CheckedInfo(
    builder=builder,
    description=builder.get_metadata().description,
    features=tfds.features.FeaturesDict(
      {feature.name: _feature(feature, subset) for feature in schema.FEATURES},
      doc='one image and what it shows',
    ),
    supervised_keys=(schema.IMAGE.name, schema.LABEL.name),
    homepage=subsets.HOMEPAGE,
    citation=subset.citation,
    license=LICENSE if sample else subset.license,
    metadata=tfds.core.MetadataDict(
      {
        'subset': subset.name,
        'balanced': subset.balanced,
        'per_class': subset.per_class,
        'classes': [
          {'label': c.label, 'name': c.name, 'source': c.source.key}
          | {'source_label': c.raw_label, 'train': c.train, 'test': c.test}
          for c in subset.classes
        ],
        # Extensions have the digest of their declaration, which may change.
        'sources': [
          {'key': s.key, 'title': s.title, 'verified': {}}
          | ({'declaration': s.digest} if s.digest else {})
          for s in subset.sources
        ],
      }
    ),
  )


def _feature(
  feature: schema.Feature, subset: Subset
) -> tfds.features.FeatureConnector:
  """Returns the TFDS feature of a feature in the schema."""
  doc = feature.description
  if not isinstance(feature, schema.ClassFeature):
    return tfds.features.Image(
      shape=feature.shape,
      dtype=np.dtype(feature.dtype),
      encoding_format='png',
      doc=doc,
    )
  if feature.names:
    return tfds.features.ClassLabel(names=feature.names(subset), doc=doc)
  return tfds.features.Scalar(dtype=np.dtype(feature.dtype), doc=doc)


def complete_metadata(
  metadata: dict[str, Any],
  sources: Mapping[str, Sequence[SplitSource]],
  num_examples: Mapping[str, int],
) -> None:
  """Adds what is known of a dataset when it is built.

  Args:
    metadata: That of `dataset_info`. It gets the numbers of written examples,
      the proof of each origin file, and `digests`, a hash for each split.
      Splits with equal digests have equal examples.
    sources: For each split, the examples of each source.
    num_examples: For each split that is not empty, the number of examples that
      were written from the start of the concatenation of the sources.
  """
  classes, metadata['digests'] = metadata['classes'], {}
  for split, opened in sources.items():
    count = num_examples.get(split, 0)
    labels = np.concatenate([source.labels() for source in opened])[:count]
    counts = np.bincount(labels, minlength=len(classes)).tolist()
    for row, number in zip(classes, counts, strict=True):
      row[split] = number
    for row, source in zip(metadata['sources'], opened, strict=True):
      row['verified'] |= source.entry.note['proofs']
    metadata['digests'][split] = split_sources.digest(opened, count)
  metadata['balanced'] = len({row['train'] for row in classes}) == 1

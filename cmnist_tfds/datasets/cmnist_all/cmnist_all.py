# SPDX-License-Identifier: Apache-2.0
"""The collection `cmnist_all`, which has the 134 subsets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cmnist_tfds import subsets
from cmnist_tfds.datasets import tfds_internals
from cmnist_tfds.datasets.cmnist import cmnist_dataset_builder
from cmnist_tfds.sources import SOURCES


class CmnistAll(tfds_internals.DatasetCollection):
  """All subsets of the paper, by name."""

  @property
  def info(self) -> tfds_internals.DatasetCollectionInfo:
    """The description of the collection."""
    builder = cmnist_dataset_builder.Builder
    return tfds_internals.DatasetCollectionInfo.from_cls(
      dataset_collection_class=type(self),
      description=builder.get_metadata().description,
      release_notes=builder.RELEASE_NOTES,
      citation=subsets.citations(SOURCES),
      homepage=subsets.HOMEPAGE,
    )

  @property
  def datasets(self) -> Mapping[str, Mapping[str, Any]]:
    """The subsets, in the order of the paper."""
    names = [s.name for s in subsets.published()]
    return {
      subsets.VERSION: tfds_internals.references_for(
        {name: f'cmnist/{name}:{subsets.VERSION}' for name in names}
      )
    }

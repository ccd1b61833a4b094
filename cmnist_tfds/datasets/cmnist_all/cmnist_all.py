# Copyright 2026 The cmnist_tfds Authors.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""The collection `cmnist_all`: the 134 subsets under one name."""

from __future__ import annotations

from collections.abc import Mapping

from tensorflow_datasets.core import dataset_collection_builder, naming

from cmnist_tfds import subsets
from cmnist_tfds.datasets.cmnist import cmnist_dataset_builder
from cmnist_tfds.sources import SOURCES


class CmnistAll(dataset_collection_builder.DatasetCollection):
  """Every subset of the paper, by its name."""

  @property
  def info(self) -> dataset_collection_builder.DatasetCollectionInfo:
    """What the collection is."""
    builder = cmnist_dataset_builder.Builder
    return dataset_collection_builder.DatasetCollectionInfo.from_cls(
      dataset_collection_class=type(self),
      description=builder.get_metadata().description,
      release_notes=builder.RELEASE_NOTES,
      citation=subsets.citations(SOURCES),
      homepage=subsets.HOMEPAGE,
    )

  @property
  def datasets(self) -> Mapping[str, Mapping[str, naming.DatasetReference]]:
    """The subsets, in the paper's order."""
    builder = cmnist_dataset_builder.Builder
    version = str(builder.VERSION)
    return {
      version: {
        s.name: naming.DatasetReference(
          dataset_name=builder.name, config=s.name, version=version
        )
        for s in subsets.published()
      }
    }

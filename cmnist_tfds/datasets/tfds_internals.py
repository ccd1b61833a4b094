# SPDX-License-Identifier: Apache-2.0
"""The private names of TensorFlow Datasets that the package imports.

No other module imports private names. A new minor version of TFDS may change
them, so the package depends on one minor version.
"""

from tensorflow_datasets.core import (
  constants,
  dataset_builder,
  dataset_collection_builder,
  naming,
  registered,
)
from tensorflow_datasets.core.data_sources import base
from tensorflow_datasets.core.download import checksums
from tensorflow_datasets.core.utils import shard_utils

INCOMPLETE_PREFIX = constants.INCOMPLETE_PREFIX
BaseDataSource = base.BaseDataSource
DatasetCollection = dataset_collection_builder.DatasetCollection
DatasetCollectionInfo = dataset_collection_builder.DatasetCollectionInfo
FileReaderBuilder = dataset_builder.FileReaderBuilder
DATASETS = registered._DATASET_REGISTRY
UrlInfo = checksums.UrlInfo
references_for = naming.references_for
get_shard_boundaries = shard_utils.get_shard_boundaries

# SPDX-License-Identifier: Apache-2.0
"""The private names of TensorFlow Datasets that the package imports.

No other module imports private names. A new minor version of TFDS may change
them, so the package depends on one minor version.
"""

from tensorflow_datasets.core.constants import INCOMPLETE_PREFIX
from tensorflow_datasets.core.data_sources.base import BaseDataSource
from tensorflow_datasets.core.dataset_builder import FileReaderBuilder
from tensorflow_datasets.core.dataset_collection_builder import (
  DatasetCollection,
  DatasetCollectionInfo,
)
from tensorflow_datasets.core.download.checksums import UrlInfo
from tensorflow_datasets.core.naming import references_for
from tensorflow_datasets.core.registered import _DATASET_REGISTRY as DATASETS
from tensorflow_datasets.core.utils.shard_utils import get_shard_boundaries

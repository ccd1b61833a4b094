# SPDX-License-Identifier: Apache-2.0
"""Tests of the dataset builder, on small synthetic files."""

from __future__ import annotations

from unittest import mock

import tensorflow_datasets.public_api as tfds
from tensorflow_datasets.datasets.cmnist import (
  cmnist_dataset_builder,
  sources,
)


class _CmnistTestCase(tfds.testing.DatasetBuilderTestCase):
  DATASET_CLASS = cmnist_dataset_builder.Builder
  DL_DOWNLOAD_RESULT = {
    path: path
    for path in {
      cmnist_dataset_builder.fetched(file).path
      for source in sources.SOURCES
      for file in source.origin_files
    }
  }

  def setUp(self) -> None:
    super().setUp()
    # The synthetic files are not the ones whose MD5 is known.
    self.enter_context(mock.patch.object(cmnist_dataset_builder, 'check_md5'))


class MixedTest(_CmnistTestCase):
  """Hand-listed classes of six sources."""

  BUILDER_CONFIG_NAMES_TO_TEST = ['X-12']
  # That of notMNIST's training images is still to be registered.
  SKIP_CHECKSUMS = True
  SPLITS = {'train': 1440, 'test': 288}


class ConcatenatedTest(_CmnistTestCase):
  """Three whole sources."""

  BUILDER_CONFIG_NAMES_TO_TEST = ['3-EElKm']
  SPLITS = {'train': 5520, 'test': 1104}


class UnbalancedTest(_CmnistTestCase):
  """Two sources with classes of different sizes."""

  BUILDER_CONFIG_NAMES_TO_TEST = ['2-EcK49']
  # Those of Kuzushiji-49's images are still to be registered.
  SKIP_CHECKSUMS = True
  SPLITS = {'train': 3322, 'test': 632}


class ReducedTest(_CmnistTestCase):
  """The first training examples of each class."""

  BUILDER_CONFIG_NAMES_TO_TEST = ['3-EElKm-r-10']
  SPLITS = {'train': 460, 'test': 1104}


del _CmnistTestCase  # So that it is not run itself.


if __name__ == '__main__':
  tfds.testing.test_main()

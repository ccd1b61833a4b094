# SPDX-License-Identifier: Apache-2.0
"""Tests of the dataset builder, on small synthetic files."""

from unittest import mock

from tensorflow_datasets import testing
from tensorflow_datasets.datasets.cmnist import cmnist_dataset_builder

_URLS = {
    file.partition('#')[0]
    for source in cmnist_dataset_builder.SOURCES
    for split in ('train', 'test')
    for file in source.files(split)
}
# Where each file lies in dummy_data: the folder of its dataset and its name.
_FOLDERS = {
    'EMNIST': 'emnist',
    'fashion-mnist': 'fashion_mnist',
    'Kannada_MNIST': 'kannada_mnist',
    '/kmnist-': 'kmnist',
    '/k49/': 'kuzushiji49',
    'notMNIST-to-MNIST': 'notmnist',
}


def _dummy_file(url: str) -> str:
  (folder,) = [f for part, f in _FOLDERS.items() if part in url]
  return f"{folder}/{url.rpartition('/')[2]}"


class _CmnistTestCase(testing.DatasetBuilderTestCase):
  DATASET_CLASS = cmnist_dataset_builder.Builder
  DL_DOWNLOAD_RESULT = {url: _dummy_file(url) for url in _URLS}

  def setUp(self):
    super().setUp()
    # The synthetic files are not the ones whose MD5 is known.
    self.enter_context(mock.patch.object(cmnist_dataset_builder, 'check_md5'))


class MixedTest(_CmnistTestCase):
  """Some classes of six sources."""

  BUILDER_CONFIG_NAMES_TO_TEST = ['X-12']
  SPLITS = {'train': 1440, 'test': 288}

  def _test_checksums(self):
    # One file is checked by its MD5 instead.
    self._download_urls -= cmnist_dataset_builder.UNREGISTERED.keys()
    super()._test_checksums()

  def test_checksums_are_those_of_the_files(self):
    registered = cmnist_dataset_builder.Builder.url_infos.keys()
    self.assertEqual(
        _URLS, registered | cmnist_dataset_builder.UNREGISTERED.keys()
    )

  def test_has_the_published_configs_and_their_reduced_forms(self):
    self.assertLen(cmnist_dataset_builder.Builder.BUILDER_CONFIGS, 134)
    self.assertLen(cmnist_dataset_builder.Builder.builder_configs, 804)


class ConcatenatedTest(_CmnistTestCase):
  """Three whole sources."""

  BUILDER_CONFIG_NAMES_TO_TEST = ['3-EElKm']
  SPLITS = {'train': 5520, 'test': 1104}


class UnbalancedTest(_CmnistTestCase):
  """Two sources with classes of different sizes."""

  BUILDER_CONFIG_NAMES_TO_TEST = ['2-EcK49']
  SPLITS = {'train': 3322, 'test': 632}


class ReducedTest(_CmnistTestCase):
  """The first training examples of each class."""

  BUILDER_CONFIG_NAMES_TO_TEST = ['3-EElKm-r-10']
  SPLITS = {'train': 460, 'test': 1104}


del _CmnistTestCase  # So that it is not run itself.


if __name__ == '__main__':
  testing.test_main()

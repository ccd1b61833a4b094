# SPDX-License-Identifier: Apache-2.0
# coding=utf-8
# Copyright 2026 The TensorFlow Datasets Authors.
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

"""Tests of the dataset builder, on five random images of each class."""

import gzip
import pathlib
from unittest import mock
import zipfile

import numpy as np
from tensorflow_datasets import testing
from tensorflow_datasets.datasets.cmnist import cmnist_dataset_builder


def _file_name(url: str) -> str:
  return '-'.join(url.split('/')[-2:])


def _write(url: str, array: np.ndarray, folder: str) -> None:
  """Writes an array as the file at a URL has it."""
  archive, _, member = url.partition('#')
  path = pathlib.Path(folder, _file_name(archive))
  if url.endswith('.npz'):
    np.savez(path, array)
    return
  shape = np.array(array.shape, '>u4').tobytes()
  packed = gzip.compress(bytes([0, 0, 8, array.ndim]) + shape + array.tobytes())
  if member:
    with zipfile.ZipFile(path, 'a') as file:
      file.writestr(member, packed)
  else:
    path.write_bytes(packed)


class _CmnistTestCase(testing.DatasetBuilderTestCase):
  DATASET_CLASS = cmnist_dataset_builder.Builder
  DL_DOWNLOAD_RESULT = {
      url: _file_name(url)
      for source in cmnist_dataset_builder.SOURCES
      for split in ('train', 'test')
      for url, _, _ in (f.partition('#') for f in source.files(split))
  }

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.EXAMPLE_DIR = testing.make_tmp_dir()
    cls.addClassCleanup(testing.rm_tmp_dir, cls.EXAMPLE_DIR)
    rng = np.random.default_rng(0)
    for source in cmnist_dataset_builder.SOURCES:
      labels = np.repeat(np.array(source.all_labels, np.uint8), 5)
      for split in ('train', 'test'):
        images = rng.integers(0, 256, (len(labels), 28, 28), np.uint8)
        for url, array in zip(source.files(split), (images, labels)):
          _write(url, array, cls.EXAMPLE_DIR)

  def setUp(self):
    super().setUp()
    # The random images are not the ones whose MD5 is known.
    self.enter_context(mock.patch.object(cmnist_dataset_builder, 'check_md5'))


class MixedTest(_CmnistTestCase):
  """Some classes of six sources."""

  BUILDER_CONFIG_NAMES_TO_TEST = ['X-12']
  SPLITS = {'train': 60, 'test': 60}

  def _test_checksums(self):
    # One file is checked by its MD5 instead.
    self._download_urls -= cmnist_dataset_builder.UNREGISTERED.keys()
    super()._test_checksums()

  def test_has_the_published_configs_and_their_reduced_forms(self):
    self.assertLen(cmnist_dataset_builder.Builder.BUILDER_CONFIGS, 134)
    self.assertLen(cmnist_dataset_builder.Builder.builder_configs, 804)


class ConcatenatedTest(_CmnistTestCase):
  """Three whole sources, in IDX files of an archive and in NPZ files."""

  BUILDER_CONFIG_NAMES_TO_TEST = ['3-EElKm']
  SPLITS = {'train': 230, 'test': 230}


class ReducedTest(_CmnistTestCase):
  """The first training example of each class."""

  BUILDER_CONFIG_NAMES_TO_TEST = ['3-EElKm-r-1']
  SPLITS = {'train': 46, 'test': 230}


del _CmnistTestCase  # So that it is not run itself.


if __name__ == '__main__':
  testing.test_main()

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


"""Prepares subsets of the sample in several ways."""

from __future__ import annotations

import tensorflow_datasets as tfds

from cmnist_tfds import read


def prepare(
  data_dir, name='X-12', *, file_format=None, num_shards=None, stock=False
):
  """Prepares a subset of the sample; returns its folder."""
  builder = read.builder_of(name, data_dir=data_dir, sample=True)
  config = tfds.download.DownloadConfig(
    num_shards=num_shards,
    # More than there are; TFDS's own path takes over.
    max_examples_per_split=10**6 if stock else None,
  )
  builder.download_and_prepare(file_format=file_format, download_config=config)
  return builder.data_path

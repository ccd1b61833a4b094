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

"""The dataset `cmnist_sample`: CMNIST's shape on small synthetic images."""

from __future__ import annotations

from typing import Any

import tensorflow_datasets.public_api as tfds

from cmnist_tfds import acquire, downloads, resources
from cmnist_tfds.datasets import dataset_builder


class Builder(dataset_builder.CmnistBuilder):
  """Synthetic stand-in with CMNIST's configs, built without a network."""

  def __init__(self, *, allow_unverified: bool = True, **kwargs: Any):
    del allow_unverified  # The files are no origin's: no hash can prove them.
    super().__init__(allow_unverified=True, **kwargs)

  def _places(
    self,
    dl_manager: downloads.OriginDownloadManager,
    download_config: tfds.download.DownloadConfig,
  ) -> acquire.Places:
    """The files that travel with the package."""
    del dl_manager, download_config
    return acquire.Places(manual_dir=resources.folder('dummy_data'))

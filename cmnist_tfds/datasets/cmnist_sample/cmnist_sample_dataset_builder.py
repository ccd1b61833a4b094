# SPDX-License-Identifier: Apache-2.0
"""The dataset `cmnist_sample`, a small synthetic stand-in for CMNIST."""

from __future__ import annotations

from typing import Any, ClassVar

from cmnist_tfds import origin, sample
from cmnist_tfds.datasets import (
  config,
  dataset_builder,
  download_manager,
  tfds_internals,
)


class Builder(dataset_builder.CmnistBuilder, skip_registration=True):  # type: ignore[call-arg]
  """Builds a synthetic stand-in with the configs of CMNIST, offline."""

  BUILDER_CONFIGS: ClassVar[list[config.CmnistConfig]] = (
    config.declared_configs(sample=True)
  )
  is_sample = True

  def __init__(self, *, allow_unverified: bool = True, **kwargs: Any):
    del allow_unverified  # No hash can prove synthetic files.
    super().__init__(allow_unverified=True, **kwargs)

  def _locations(
    self, dl_manager: download_manager.OriginDownloadManager
  ) -> origin.Locations:
    """Returns the location of the files in the package.

    Raises:
      PreparationError: If the subset has extensions, of which there are none.
    """
    del dl_manager
    return sample.locations(self.subset)


tfds_internals.register(Builder)

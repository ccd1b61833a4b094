# SPDX-License-Identifier: Apache-2.0
"""The dataset `cmnist_sample`, a small synthetic stand-in for CMNIST."""

from __future__ import annotations

from typing import Any, ClassVar

from cmnist_tfds import origin, sample
from cmnist_tfds.datasets import config, dataset_builder


class Builder(dataset_builder.CmnistBuilder):
  """Builds a synthetic stand-in with the configs of CMNIST, offline."""

  BUILDER_CONFIGS: ClassVar[list[config.CmnistConfig]] = (
    config.declared_configs(sample=True)
  )
  is_sample = True

  def __init__(self, **kwargs: Any):
    # No hash can prove synthetic files.
    super().__init__(**{**kwargs, 'allow_unverified': True})

  def _find_locations(self, *_: Any) -> origin.Locations:
    return sample.locations(self.subset)

# SPDX-License-Identifier: Apache-2.0
"""The dataset `cmnist_sample`, a small synthetic stand-in for CMNIST."""

from cmnist_tfds.datasets import config, dataset_builder


class Builder(dataset_builder.CmnistBuilder):
  """Builds a synthetic stand-in with the configs of CMNIST, offline."""

  builder_configs = config.declared_configs(sample=True)
  BUILDER_CONFIGS = tuple(builder_configs.values())
  is_sample = True

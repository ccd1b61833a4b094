# SPDX-License-Identifier: Apache-2.0
"""The dataset `cmnist`, built from the origin files."""

from cmnist_tfds.datasets import dataset_builder


class Builder(dataset_builder.CmnistBuilder):
  """Builds CMNIST from the files that its sources publish."""

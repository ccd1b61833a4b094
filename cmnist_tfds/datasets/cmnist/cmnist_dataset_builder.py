# SPDX-License-Identifier: Apache-2.0
"""The dataset `cmnist`: CMNIST from its origin files."""

from __future__ import annotations

from cmnist_tfds.datasets import dataset_builder


class Builder(dataset_builder.CmnistBuilder):
  """CMNIST, built from the files its sources publish."""

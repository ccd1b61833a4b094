# SPDX-License-Identifier: Apache-2.0
"""Returns the TFDS builder of a subset."""

from __future__ import annotations

import os
from typing import Any

from cmnist_tfds.datasets.cmnist import cmnist_dataset_builder
from cmnist_tfds.datasets.cmnist_sample import cmnist_sample_dataset_builder
from cmnist_tfds.datasets.dataset_builder import CmnistBuilder
from cmnist_tfds.subsets import Subset


def get_builder(
  subset: Subset,
  *,
  data_dir: str | os.PathLike[str] | None = None,
  sample: bool = False,
  **kwargs: Any,
) -> CmnistBuilder:
  """Returns the TFDS builder of a subset.

  Args:
    subset: The subset.
    data_dir: Where prepared datasets are; TFDS's default if None.
    sample: Whether to build `cmnist_sample` instead of `cmnist`.
    **kwargs: Other arguments of the builder.

  Returns:
    The builder.
  """
  module = cmnist_sample_dataset_builder if sample else cmnist_dataset_builder
  return module.Builder(data_dir=data_dir, config=subset.name, **kwargs)

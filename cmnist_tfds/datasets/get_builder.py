# SPDX-License-Identifier: Apache-2.0
"""The TFDS builder of a subset."""

from __future__ import annotations

import os
from typing import Any

from cmnist_tfds.datasets.dataset_builder import CmnistBuilder
from cmnist_tfds.load import prepared
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
    data_dir: The folder of prepared datasets; TFDS's default if None.
    sample: Whether to build `cmnist_sample` instead of `cmnist`.
    **kwargs: Further arguments of the builder.
  """
  return prepared.get_builder(
    subset.name, data_dir=data_dir, sample=sample, **kwargs
  )

# SPDX-License-Identifier: Apache-2.0
"""The `DatasetInfo` of our builders."""

from __future__ import annotations

import pathlib

import tensorflow_datasets.public_api as tfds
from etils import epath

from cmnist_tfds import subsets
from cmnist_tfds.cache.prepared import (
  INFO,
  Prepared,
  parsing,
  read_prepared,
  remedy,
)
from cmnist_tfds.system import paths
from cmnist_tfds.system.errors import PreparationError


class CheckedInfo(tfds.core.DatasetInfo):
  """A `DatasetInfo` that can be constructed for a damaged dataset.

  Only a builder can replace a dataset. So constructing one must not fail if the
  dataset is damaged; using the splits does.

  Attributes:
    prepared: The dataset that was read, if it is a local one.
    fault: What is wrong with it; None if nothing is.
  """

  prepared: Prepared | None = None
  fault: PreparationError | None = None

  def initialize_from_bucket(self) -> None:
    """Does nothing. TFDS would ask its bucket for a description."""

  @property
  def splits(self) -> tfds.core.splits.SplitDict:
    """The splits that are prepared.

    Raises:
      PreparationError: If the dataset is damaged.
    """
    if self.fault:
      raise self.fault
    return super().splits

  def read_from_directory(self, dataset_info_dir: epath.PathLike) -> None:
    """Reads what describes a prepared dataset, and notes if it is damaged.

    Args:
      dataset_info_dir: The folder of the dataset.
    """
    self.prepared = self.fault = None
    folder = pathlib.Path(dataset_info_dir)
    try:
      if not paths.is_remote(dataset_info_dir):
        subset = subsets.subset(self.config_name)
        self.prepared = read_prepared(subset, folder)
        if not self.prepared.is_current:
          raise PreparationError(
            f'{folder} was built when {", ".join(subset.declarations)} was'
            f' declared differently. {remedy(folder)}'
          )
        self.prepared.check_shards()
      with parsing(folder / INFO):
        super().read_from_directory(dataset_info_dir)
    except PreparationError as error:
      self.fault = error

# SPDX-License-Identifier: Apache-2.0
"""The `DatasetInfo` of our builders."""

from __future__ import annotations

import pathlib

import tensorflow_datasets.public_api as tfds
from etils import epath

from cmnist_tfds import subsets
from cmnist_tfds.cache.prepared import Prepared, read_prepared, remedy
from cmnist_tfds.system import paths
from cmnist_tfds.system.errors import PreparationError


class CheckedInfo(tfds.core.DatasetInfo):
  """A `DatasetInfo` that can be constructed for a damaged dataset.

  Only a builder can replace a dataset. So constructing one must not fail if the
  dataset is damaged; using the splits does.

  Attributes:
    prepared: The dataset that was read, if it is a local one.
    is_outdated: Whether an extension in it is declared differently now.
    fault: What is wrong with it; None if nothing is.
  """

  prepared: Prepared | None = None
  is_outdated = False
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
    self.fault = None
    folder = pathlib.Path(dataset_info_dir)
    try:
      if not paths.is_remote(dataset_info_dir):
        subset = subsets.subset(self.config_name)
        self.prepared = read_prepared(subset, folder)
        self.is_outdated = not subset.is_described_by(self.prepared.metadata)
        if self.is_outdated:
          raise PreparationError(
            f'{folder} was built when {", ".join(subset.declarations)} was'
            f' declared differently. {remedy(folder)}'
          )
        self.prepared.check_shards()
      super().read_from_directory(dataset_info_dir)
    # TFDS and protocol buffers raise many classes of errors.
    except Exception as error:
      if not isinstance(error, PreparationError):
        error = PreparationError(
          f'{folder} is damaged: {" ".join(str(error).split())}. Build it again'
          ' with `cmnist build --overwrite`.'
        )
      self.fault = error

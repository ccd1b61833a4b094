# SPDX-License-Identifier: Apache-2.0
"""The `DatasetInfo` of our builders."""

from __future__ import annotations

import pathlib
import textwrap
from typing import TYPE_CHECKING, Any

import tensorflow_datasets.public_api as tfds
from etils import epath

from cmnist_tfds.cache import prepared
from cmnist_tfds.system import paths
from cmnist_tfds.system.atomic import sync_tree
from cmnist_tfds.system.errors import PreparationError

if TYPE_CHECKING:
  from cmnist_tfds.datasets.dataset_builder import CmnistBuilder

# Number of characters of TFDS's reason that an error quotes.
_LONGEST_REASON = 200


class CheckedInfo(tfds.core.DatasetInfo):
  """A `DatasetInfo` that checks what it reads and syncs what it writes.

  Constructing a builder reads the dataset. It must not fail if the dataset is
  damaged, because only a builder can replace the dataset. So reading keeps the
  error, and using the splits raises it.

  Attributes:
    fault: What is wrong with the dataset that was read; None if nothing is.
  """

  fault: PreparationError | None = None

  def __init__(self, *, builder: CmnistBuilder, **kwargs: Any):
    """Constructs the info.

    Args:
      builder: The builder.
      **kwargs: Arguments of `tfds.core.DatasetInfo`.
    """
    super().__init__(builder=builder, **kwargs)
    self._subset = builder.subset

  def initialize_from_bucket(self) -> None:
    """Does nothing. TFDS would ask its bucket, and leave a temporary folder."""

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
    """Reads splits, counts and metadata from a prepared dataset.

    Args:
      dataset_info_dir: The folder of the dataset.
    """
    self.fault = None
    if paths.is_remote(dataset_info_dir):
      super().read_from_directory(dataset_info_dir)
      return
    try:
      self._read_local(pathlib.Path(dataset_info_dir))
    except PreparationError as error:
      self.fault = error

  def _read_local(self, folder: pathlib.Path) -> None:
    found = prepared.read_prepared(self._subset, folder)
    if found is None:
      return
    for split in found.shard_lengths:
      found.shards(split)
    try:
      super().read_from_directory(folder)
    # TFDS and protocol buffers raise many classes of errors.
    except Exception as error:
      reason = textwrap.shorten(str(error), _LONGEST_REASON)
      raise PreparationError(
        f'{folder / "dataset_info.json"} is damaged: TFDS cannot read it:'
        f' {reason}. '
      ) from error
    if found.metadata:
      # TFDS loads it at the first use of [], but not of .get().
      self.metadata.load_metadata(folder)

  def write_to_directory(
    self, dataset_info_dir: epath.PathLike, all_metadata: bool = True
  ) -> None:
    """Writes the files that describe the dataset, and syncs the whole folder.

    TFDS calls it last. It then renames the folder, which must be on disk.

    Args:
      dataset_info_dir: The folder of the dataset.
      all_metadata: As for `tfds.core.DatasetInfo`.

    Raises:
      PreparationError: If a file cannot be synced.
    """
    super().write_to_directory(dataset_info_dir, all_metadata)
    if not paths.is_remote(dataset_info_dir):
      sync_tree(pathlib.Path(dataset_info_dir))

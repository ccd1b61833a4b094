# SPDX-License-Identifier: Apache-2.0
"""TFDS's download manager, which says where origin files are looked for."""

from __future__ import annotations

from typing import Any

import tensorflow_datasets.public_api as tfds
from etils import epath

from cmnist_tfds import origin
from cmnist_tfds.datasets import tfds_internals
from cmnist_tfds.system import paths
from cmnist_tfds.system.disk_errors import disk_errors


class OriginDownloadManager(tfds.download.DownloadManager):
  """A download manager for the origin files of sources."""

  def __init__(
    self,
    *,
    download_dir: epath.PathLike,
    manual_dir: epath.PathLike | None = None,
    mirror: str | None = None,
    timeout: float | None = None,
    **kwargs: Any,
  ) -> None:
    """Constructs the download manager.

    Args:
      download_dir: Folder for downloads.
      manual_dir: Folder in which the user has put files; `manual` in
        `download_dir` by default.
      mirror: Folder or HTTP base URL of the user's mirror.
      timeout: Seconds after which a host is given up.
      **kwargs: Arguments of `tfds.download.DownloadManager`.

    Raises:
      PreparationError: If the folder for downloads cannot be made.
      TfdsVersionError: If this version of TFDS lacks an attribute we use.
    """
    download_dir = epath.Path(paths.expanded(download_dir))
    with disk_errors(download_dir, alternative='choose another download_dir'):
      super().__init__(
        download_dir=download_dir,
        manual_dir=manual_dir or download_dir / 'manual',
        **kwargs,
      )
    tfds_internals.check_instance(self)
    self.locations = origin.default_locations(
      download_dir=download_dir,
      manual_dir=manual_dir,
      mirror=mirror,
      timeout=timeout,
    )

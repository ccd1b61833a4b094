# SPDX-License-Identifier: Apache-2.0
"""TFDS's download manager, with transfers that give up on dead hosts.

Cache, progress bars and DownloadConfig remain those of TFDS. New is how bytes
come over the wire (`acquire.transfer`), that the same bytes are never fetched
twice, whichever of their homes or whichever of TFDS's datasets fetched them
first, and that one process at a time fetches a file.
"""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import filelock
import promise
import tensorflow_datasets.public_api as tfds
from etils import epath
from tensorflow_datasets.core import units
from tensorflow_datasets.core.download import checksums as checksums_lib
from tensorflow_datasets.core.download import downloader as downloader_lib
from tensorflow_datasets.core.download import resource as resource_lib

from cmnist_tfds import origin
from cmnist_tfds.errors import OriginFileError
from cmnist_tfds.origin import locations as locations_lib
from cmnist_tfds.sources import SOURCES, OriginFile, Source

# Imported where something is fetched: it brings an HTTP library.
if TYPE_CHECKING:
  from cmnist_tfds.origin import http_client

# Folders of a download_dir: of this package's dataset, and of TFDS's own that
# fetch some of the same files. Older versions of TFDS had no such folders.
_FOLDERS = ('cmnist', 'emnist', 'fashion_mnist', 'kmnist', '')


def cached_file(
  download_dir: epath.PathLike, file: OriginFile, mirror: str | None = None
) -> epath.Path | None:
  """Returns a file that has been downloaded before.

  Args:
    download_dir: TFDS's folder for downloads.
    file: The file; not looked for in its archive, nor in another form.
    mirror: The user's mirror, which it may have come from.

  Returns:
    Its path, None if it is not there or has been cut short since.
  """
  for home, url in locations_lib.urls(file, mirror):
    if home == file:
      name = resource_lib.get_dl_fname(url, file.sha256)
      for folder in _FOLDERS:
        path = epath.Path(download_dir) / folder / name
        if resource_lib.is_locally_cached(path) and path.stat().length == (
          file.size or downloader_lib.read_url_info(path).size
        ):
          return path
  return None


class OriginDownloadManager(tfds.download.DownloadManager):
  """A download manager for the URLs of `acquire.places.urls`.

  Made by `adopt`.
  """

  _homes: dict[str, OriginFile]
  _mirror: str | None
  _limits: http_client.Limits | None

  @functools.cached_property
  def _downloader(self) -> downloader_lib._Downloader:
    from cmnist_tfds.origin import http_client

    return _Downloader(
      self._homes,
      http_client.Client(self._limits, verify_ssl=self._verify_ssl),
      max_simultaneous_downloads=self._max_simultaneous_downloads,
    )

  @property
  def locations(self) -> origin.Locations:
    """Where origin files are looked for."""
    manual_dir = self._manual_dir or epath.Path(self._download_dir) / 'manual'
    return origin.Locations(
      manual_dir=pathlib.Path(manual_dir).expanduser(),
      mirror=self._mirror,
      cached=self.cached,
      download=self.download,
    )

  def cached(self, file: OriginFile) -> epath.Path | None:
    """Returns a file that has been downloaded before and may be used again."""
    if self._force_download:
      return None
    return cached_file(self._download_dir, file, self._mirror)

  def _get_checksum_dl_result(
    self, resource: tfds.download.Resource, legacy_mode: bool = False
  ) -> downloader_lib.DownloadResult | None:
    """Returns the file if it was downloaded, from whichever of its homes."""
    path = self.cached(self._homes[resource.url])
    return path and downloader_lib.DownloadResult(
      path=path, url_info=downloader_lib.read_url_info(path)
    )

  def _download(
    self, resource: tfds.download.Resource
  ) -> promise.Promise[epath.Path]:
    """Fetches a file, one process at a time."""
    from cmnist_tfds.origin import http_client

    file = self._homes[resource.url]
    url_path = self._get_dl_path(resource)
    folder = url_path.parent
    with http_client.disk_errors(pathlib.Path(folder)):
      folder.mkdir(parents=True, exist_ok=True)
      with filelock.FileLock(_beside(folder, file, 'lock')):
        # Another process may have fetched it in the meantime.
        path = self.cached(file)
        if path is None:
          # What killed processes have left.
          for stale in folder.glob(f'{url_path.name}.tmp.*'):
            stale.rmtree()
          path = super()._download(resource).get()
    return promise.Promise.resolve(path)

  def __getstate__(self) -> dict[str, Any]:
    """Returns the state without what cannot be pickled."""
    state = super().__getstate__()
    state.pop('_downloader', None)
    return state


class _Downloader(downloader_lib._Downloader):
  """TFDS's downloader, with the transfers of `acquire.transfer`."""

  def __init__(
    self,
    homes: dict[str, OriginFile],
    client: http_client.Client,
    max_simultaneous_downloads: int | None,
  ) -> None:
    super().__init__(max_simultaneous_downloads)
    self._homes = homes
    self._client = client

  def _sync_download(
    self, url: str, destination_path: epath.Path, verify: bool = True
  ) -> downloader_lib.DownloadResult:
    """Fetches a file into a folder that TFDS has made for it alone."""
    del verify  # The client knows.
    file = self._homes[url]
    path = destination_path / file.name
    self._pbar_dl_size.update_total((file.size or 0) // units.MiB)
    received = 0

    def advance(count: int) -> None:
      nonlocal received
      before, received = received, received + count
      self._pbar_dl_size.update(received // units.MiB - before // units.MiB)

    try:
      self._client.fetch(
        file,
        url,
        pathlib.Path(path),
        # Outside of the folder, so that a later process can continue it.
        part=_beside(destination_path.parent, file, 'part'),
        advance=advance,
      )
    except OriginFileError:
      destination_path.rmdir()
      raise
    self._pbar_url.update(1)
    return downloader_lib.DownloadResult(
      path=path, url_info=checksums_lib.compute_url_info(path)
    )


def adopt(
  manager: tfds.download.DownloadManager,
  *,
  mirror: str | None = None,
  sources: Iterable[Source] = SOURCES,
  limits: http_client.Limits | None = None,
) -> OriginDownloadManager:
  """Returns a download manager that does the work of a stock one.

  Args:
    manager: The stock manager, as a builder has made it; not used afterwards.
    mirror: The user's mirror; only an HTTP base counts.
    sources: The sources whose files are fetched.
    limits: When a host is given up.

  Returns:
    The manager.
  """
  adopted = OriginDownloadManager.__new__(OriginDownloadManager)
  adopted.__dict__.update(manager.__dict__)
  adopted._homes = {
    url: file
    for source in sources
    for wanted in source.origin_files
    for file, url in locations_lib.urls(wanted, mirror)
  }
  adopted._mirror = mirror
  adopted._limits = limits
  # TFDS names files it knows the SHA-256 of by that, and checks them. Without a
  # file name it does not look for them in the manual folder, which has been
  # done, and where the wrong file may lie.
  adopted._url_infos = manager._url_infos | {
    url: checksums_lib.UrlInfo(
      size=tfds.core.utils.Size(file.size),
      checksum=file.sha256,
      filename=None,
    )
    for url, file in adopted._homes.items()
    if file.sha256 is not None
  }
  return adopted


def _beside(folder: epath.Path, file: OriginFile, suffix: str) -> pathlib.Path:
  return pathlib.Path(folder, f'{file.path.replace("/", "-")}.{suffix}')

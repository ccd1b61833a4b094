# SPDX-License-Identifier: Apache-2.0
"""TFDS's download manager, with the HTTP client of `cmnist_tfds.origin`.

The cache of downloads, progress bars and `DownloadConfig` are TFDS's. The
differences are:

- The client gives up on dead hosts quickly and continues interrupted downloads.
- A file is not fetched again if it was fetched from any of its URLs, by this
  dataset or by a dataset of TFDS that uses the same file.
- One process at a time fetches a file.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import promise
import tensorflow_datasets.public_api as tfds
from etils import epath

from cmnist_tfds import origin
from cmnist_tfds.cache import store
from cmnist_tfds.datasets import tfds_internals
from cmnist_tfds.origin import locations as locations_lib
from cmnist_tfds.origin import named_places, packings, recreation
from cmnist_tfds.origin.limits import Limits
from cmnist_tfds.sources import SOURCES, OriginFile, Source
from cmnist_tfds.system import paths
from cmnist_tfds.system.disk_errors import disk_errors
from cmnist_tfds.system.errors import OriginFileError
from cmnist_tfds.system.locks import lock

# Importing it imports an HTTP library, so it is imported to fetch a file.
if TYPE_CHECKING:
  from cmnist_tfds.origin import http_client

# Folders in a download_dir, named after datasets: ours, and those of TFDS that
# fetch some of the same files. Old versions of TFDS had no such folders.
_FOLDERS = ('cmnist', 'emnist', 'fashion_mnist', 'kmnist', '')

_MIB = 1 << 20


def cached_file(
  download_dir: epath.PathLike, file: OriginFile, mirror: str | None = None
) -> epath.Path | None:
  """Finds a file that was downloaded before.

  Args:
    download_dir: TFDS's folder for downloads.
    file: The file. Its archive and its equivalents do not count.
    mirror: The user's mirror, from which the file may have been fetched.

  Returns:
    The path of the file, or None if it is not there or has another size than
    expected.
  """
  for fetched, url in locations_lib.urls(file, mirror):
    if fetched != file:
      continue
    name = tfds_internals.get_dl_fname(url, file.sha256)
    for folder in _FOLDERS:
      path = epath.Path(download_dir) / folder / name
      if tfds_internals.is_locally_cached(path) and path.stat().length == (
        file.size or tfds_internals.read_url_info(path).size
      ):
        return path
  return None


def locations_on_disk(
  download_dir: epath.PathLike,
  manual_dir: epath.PathLike | None,
  mirror: str | None,
) -> origin.Locations:
  """Returns the locations that a build searches before it downloads.

  Args:
    download_dir: TFDS's folder for downloads.
    manual_dir: Folder in which the user has put files; `manual` in
      `download_dir` by default.
    mirror: Folder or HTTP address of the user's mirror.
  """
  folder = paths.expanded(download_dir)
  return origin.Locations(
    manual_dir=paths.expanded(manual_dir or folder / 'manual'),
    mirror=mirror,
    cached=lambda file: cached_file(folder, file, mirror),
    known_caches=packings.known_caches(folder),
    learnt=store.cache_dir() / recreation.LEARNT,
  )


class OriginDownloadManager(tfds.download.DownloadManager):
  """A download manager for the origin files of sources."""

  _url_infos: dict[str, tfds_internals.UrlInfo]

  def __init__(
    self,
    *,
    download_dir: epath.PathLike,
    manual_dir: epath.PathLike | None = None,
    mirror: str | None = None,
    sources: Iterable[Source] = SOURCES,
    limits: Limits | None = None,
    **kwargs: Any,
  ) -> None:
    """Constructs the download manager.

    Args:
      download_dir: Folder for downloads.
      manual_dir: Folder in which the user has put files; `manual` in
        `download_dir` by default.
      mirror: Folder or HTTP base URL of the user's mirror.
      sources: The sources whose files can be fetched.
      limits: The limits at which the client gives up; the user's if None.
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
    self._given_manual_dir = manual_dir
    self._mirror = mirror
    self._limits = limits
    self._files = {
      url: file
      for source in sources
      for wanted in source.origin_files
      for file, url in locations_lib.urls(wanted, mirror)
    }
    # TFDS names and checks files by the SHA-256 in this table. Without a file
    # name, it does not look in the manual folder, which may have a wrong file.
    # The table is copied because all managers share the table of TFDS.
    self._url_infos = self._url_infos | {
      url: tfds_internals.UrlInfo(
        size=tfds.core.utils.Size(file.size),
        checksum=file.sha256,
        filename=None,
      )
      for url, file in self._files.items()
      if file.sha256 is not None
    }
    # It is made at the first download, on each worker of a Beam pipeline.
    self._origin_downloader: _Downloader | None = None
    self._clear_remains()

  def __getstate__(self) -> dict[str, Any]:
    """Returns the state without the downloader, which cannot be pickled."""
    return {**super().__getstate__(), '_origin_downloader': None}

  @property
  def locations(self) -> origin.Locations:
    """The locations of origin files, to which this manager downloads."""
    manual_dir = self._given_manual_dir or self.download_dir / 'manual'
    return origin.Locations(
      manual_dir=paths.expanded(manual_dir),
      mirror=self._mirror,
      cached=self.cached,
      download=self.download,
      # To download again means not to use what is there already.
      known_caches=()
      if self._force_download
      else packings.known_caches(pathlib.Path(self.download_dir)),
      learnt=store.cache_dir() / recreation.LEARNT,
    )

  def check_named_places(self, sources: Iterable[Source]) -> None:
    """Checks the folders that the user has named.

    Args:
      sources: Sources whose files are of use, besides those of the paper.

    Raises:
      OriginFileError: If one does not exist or holds no origin file.
    """
    manual_dir = self._given_manual_dir
    named_places.check(
      os.fspath(manual_dir) if manual_dir else None, self._mirror, sources
    )

  def cached(self, file: OriginFile) -> epath.Path | None:
    """Finds a file that was downloaded before and may be used again."""
    if self._force_download:
      return None
    return cached_file(self._download_dir, file, self._mirror)

  def _clear_remains(self) -> None:
    """Removes what killed processes have left of files that are at hand.

    What a file begins with is kept as long as the file is missing, so that its
    download can be continued.
    """
    for url, file in self._files.items():
      path = self._get_dl_path(tfds.download.Resource(url=url))
      folder = path.parent
      if not folder.exists():
        return
      part = _path_beside(folder, file, 'part')
      stale = list(folder.glob(f'{path.name}.tmp.*'))
      if not stale and not part.exists():
        continue
      with lock(_path_beside(folder, file, 'lock'), wait=False) as is_free:
        if not is_free:
          continue
        for remains in stale:
          remains.rmtree()
        if any(locations_lib.copies_on_disk(file, self.locations)):
          part.unlink(missing_ok=True)

  @property
  def _downloader(self) -> _Downloader:
    if self._origin_downloader is None:
      from cmnist_tfds.origin import http_client

      self._origin_downloader = _Downloader(
        self._files,
        http_client.Client(
          self._limits, verify_ssl=self._verify_ssl, mirror=self._mirror
        ),
        max_simultaneous_downloads=self._max_simultaneous_downloads,
      )
    return self._origin_downloader

  def _get_checksum_dl_result(
    self, resource: tfds.download.Resource, legacy_mode: bool = False
  ) -> tfds_internals.DownloadResult | None:
    """Returns a file that was downloaded earlier, from any of its URLs."""
    path = self.cached(self._files[resource.url])
    return path and tfds_internals.DownloadResult(
      path=path, url_info=tfds_internals.read_url_info(path)
    )

  def _download(
    self, resource: tfds.download.Resource
  ) -> promise.Promise[epath.Path]:
    """Fetches a file while no other process fetches it."""
    file = self._files[resource.url]
    folder = self._get_dl_path(resource).parent
    with (
      lock(_path_beside(folder, file, 'lock')),
      disk_errors(folder, error=OriginFileError),
    ):
      # Another process may have fetched it while this one waited.
      path = self.cached(file)
      if path is None:
        path = super()._download(resource).get()
    return promise.Promise.resolve(path)


class _Downloader(tfds_internals.Downloader):
  """TFDS's downloader, with the HTTP client of `cmnist_tfds.origin`."""

  def __init__(
    self,
    files: Mapping[str, OriginFile],
    client: http_client.Client,
    max_simultaneous_downloads: int | None,
  ) -> None:
    """Constructs the downloader.

    Args:
      files: The files that can be fetched, by URL.
      client: The HTTP client.
      max_simultaneous_downloads: As for TFDS's downloader.
    """
    super().__init__(max_simultaneous_downloads)
    self._files = files
    self._client = client

  def _sync_download(
    self, url: str, destination_path: epath.Path, verify: bool = True
  ) -> tfds_internals.DownloadResult:
    """Fetches a file into a folder that TFDS made for it."""
    del verify  # The constructor of the client got it.
    file = self._files[url]
    path = destination_path / file.name
    self._pbar_dl_size.update_total((file.size or 0) // _MIB)
    received = 0

    def advance(count: int) -> None:
      nonlocal received
      before, received = received, received + count
      self._pbar_dl_size.update(received // _MIB - before // _MIB)

    try:
      self._client.fetch(
        file,
        url,
        pathlib.Path(path),
        # It is outside the folder, so that a later process can continue it.
        part=_path_beside(destination_path.parent, file, 'part'),
        advance=advance,
      )
    except OriginFileError:
      destination_path.rmdir()
      raise
    self._pbar_url.update(1)
    return tfds_internals.DownloadResult(
      path=path, url_info=tfds_internals.compute_url_info(path)
    )


def _path_beside(
  folder: epath.Path, file: OriginFile, suffix: str
) -> pathlib.Path:
  return pathlib.Path(folder, f'{file.path.replace("/", "-")}.{suffix}')

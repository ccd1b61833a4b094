# SPDX-License-Identifier: Apache-2.0
"""The locations of copies of an origin file, in the order they are tried.

Folders come first: the manual folder, then the user's mirror. Downloaded files
come next. The network comes last: the user's mirror, then the origins.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import urllib.parse
from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

from cmnist_tfds.formats import idx_npz
from cmnist_tfds.origin import mirror_address, verification
from cmnist_tfds.sources import OriginFile
from cmnist_tfds.system.errors import OriginFileError

# Environment variable that holds the user's mirror.
MIRROR_VARIABLE = 'CMNIST_MIRROR'


@dataclasses.dataclass(frozen=True)
class Locations:
  """The locations in which origin files are looked for.

  Attributes:
    manual_dir: Folder in which the user has put files, each at
      `<folder>/<file name>`.
    mirror: Folder or HTTP base URL that holds files in the same layout.
    cached: Returns the local path of a file that was downloaded before, or None
      if it was not.
    download: Fetches a file from one of the URLs that `urls` yields and returns
      its local path. Raises OriginFileError if it cannot. With None nothing is
      downloaded.
    known_caches: Folders in which other programs keep the same files.
    learnt: JSON file for what `recreation` learns; None keeps nothing.
  """

  manual_dir: pathlib.Path | None = None
  mirror: str | None = None
  cached: Callable[[OriginFile], os.PathLike[str] | None] = lambda file: None
  download: Callable[[str], os.PathLike[str]] | None = None
  known_caches: tuple[pathlib.Path, ...] = ()
  learnt: pathlib.Path | None = None

  @property
  def folders(self) -> list[pathlib.Path]:
    """The folders, in the order they are tried."""
    folders = [self.manual_dir] if self.manual_dir else []
    mirror = mirror_address.parse(self.mirror) if self.mirror else None
    if isinstance(mirror, pathlib.Path):
      folders.append(mirror)
    return folders


@dataclasses.dataclass(frozen=True)
class Copy:
  """A file on disk that may be a copy of an origin file.

  Attributes:
    file: The origin file. It may be an equivalent of the one that is wanted.
    path: The path of the copy, or of the zip file that contains it.
    member: The name of the copy in the zip file, empty if it is not in one.
    cached: Whether it was downloaded.
  """

  file: OriginFile
  path: pathlib.Path
  member: str = ''
  cached: bool = False

  def __str__(self) -> str:
    """Returns the path and the member, for messages."""
    return f'{self.path}' + (f', member {self.member}' if self.member else '')

  @contextlib.contextmanager
  def open(self) -> Iterator[tuple[BinaryIO, int]]:
    """Opens the copy for reading.

    Yields:
      A seekable stream and the number of bytes in it.

    Raises:
      OriginFileError: If the copy cannot be read, or is not in the zip file.
        The message does not name the copy.
    """
    try:
      with self.path.open('rb') as stream:
        size = os.fstat(stream.fileno()).st_size
        if not self.member:
          yield stream, size
          return
        wrong = verification.recognize_wrong_file(self.file, stream, size)
        if wrong:
          raise OriginFileError(wrong)
        with idx_npz.open_zip(stream) as archive:
          info = idx_npz.find_member(archive, self.member)
          with archive.open(info) as member:
            yield cast(BinaryIO, member), info.file_size
    except idx_npz.DAMAGE as error:
      raise OriginFileError(f'cannot be read: {error}') from error


def mirror_of_user(option: str | None = None) -> str | None:
  """Returns the user's mirror.

  Args:
    option: The mirror given as an option, if any.

  Returns:
    The option, else the value of CMNIST_MIRROR, else None.
  """
  return option or os.environ.get(MIRROR_VARIABLE) or None


def folders(file: OriginFile, locations: Locations) -> list[pathlib.Path]:
  """Returns the folders that may hold a file, in the order they are tried.

  The folder of a user's declaration comes last.
  """
  return [*locations.folders, *([file.beside] if file.beside else [])]


def copies_on_disk(file: OriginFile, locations: Locations) -> Iterator[Copy]:
  """Yields the copies of a file on disk, in the order they are tried.

  Args:
    file: The file that is wanted. Copies of its equivalents count too.
    locations: The locations to look in.

  Yields:
    Copies that exist. They are not verified.
  """
  forms = (file, *file.equivalents)
  for folder in folders(file, locations):
    for form in forms:
      if (folder / form.path).is_file():
        yield Copy(form, folder / form.path)
      if form.archive and (folder / form.archive.path).is_file():
        yield Copy(form, folder / form.archive.path, form.member)
  for form in forms:
    if path := locations.cached(form):
      yield Copy(form, pathlib.Path(path), cached=True)
    if form.archive and (path := locations.cached(form.archive)):
      yield Copy(form, pathlib.Path(path), form.member, cached=True)


def urls(
  file: OriginFile, mirror: str | None = None
) -> Iterator[tuple[OriginFile, str]]:
  """Yields the URLs of a file, in the order they are tried.

  Args:
    file: The file that is wanted.
    mirror: The user's mirror. It has no URLs if it is a folder.

  Yields:
    The file at the URL and the URL. The file is `file`, an equivalent of it, or
    the archive of one of them. No URL has the mirror's password. A URL
    `<archive>#<member>` stands for the member
    alone, for servers that send parts of files.
  """
  forms = (file, *file.equivalents)
  base = mirror_address.parse(mirror) if mirror else None
  if isinstance(base, str):
    # Files of users may be called with characters that addresses reserve.
    for form in forms:
      yield form, f'{base}/{urllib.parse.quote(form.path)}'
      if form.archive:
        path = urllib.parse.quote(form.archive.path)
        yield from _urls_in_archive(form, f'{base}/{path}')
  for form in forms:
    archives = form.archive.urls if form.archive else ()
    # The whole archive, which is far larger, comes after every home of the
    # member on its own.
    for url in archives:
      yield form, f'{url}#{form.member}'
    for url in form.urls:
      yield form, url
    for url in archives:
      assert form.archive is not None
      yield form.archive, url


def how_to_get(file: OriginFile, folder: pathlib.Path | None) -> str:
  """Describes how a user gets a file and where to put it.

  Args:
    file: The file.
    folder: The manual folder, or None if it is not known.

  Returns:
    The end of a sentence: `get it from <URL> and put it at <path>.`
  """
  published = file.archive or file
  source = f'get it from {published.urls[0]} and ' if published.urls else ''
  beside = (
    f' or {file.beside / published.path}, or declare the file that you have'
    if file.beside
    else ''
  )
  return (
    f'{source}put it at {folder or "<manual_dir>"}/{published.path}{beside}.'
  )


def _urls_in_archive(
  form: OriginFile, url: str
) -> Iterator[tuple[OriginFile, str]]:
  """Yields the URL of a member of an archive, then that of the archive."""
  assert form.archive is not None
  yield form, f'{url}#{form.member}'
  yield form.archive, url

# SPDX-License-Identifier: Apache-2.0
"""Where copies of an origin file may be, in the order they are tried."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import zipfile
from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

from cmnist_tfds.errors import OriginFileError
from cmnist_tfds.formats import idx_npz
from cmnist_tfds.origin import impostors
from cmnist_tfds.sources import OriginFile

# Environment variable that holds the user's mirror.
MIRROR_VARIABLE = 'CMNIST_MIRROR'


@dataclasses.dataclass(frozen=True)
class Locations:
  """The locations origin files are looked for in, in this order.

  Attributes:
    manual_dir: Folder the user has put files in, as `<folder>/<file name>`.
    mirror: Folder or HTTP base that holds them in the same layout.
    cached: Returns the local path of a file that was downloaded before, None if
      it was not.
    download: Fetches one of `urls` and returns the local path; raises
      OriginFileError if it cannot. None stays off the network.
  """

  manual_dir: pathlib.Path | None = None
  mirror: str | None = None
  cached: Callable[[OriginFile], os.PathLike[str] | None] = lambda file: None
  download: Callable[[str], os.PathLike[str]] | None = None

  @property
  def folders(self) -> list[pathlib.Path]:
    """The folders, in order."""
    folders = [self.manual_dir] if self.manual_dir else []
    if self.mirror and not _is_url(self.mirror):
      folders.append(pathlib.Path(self.mirror).expanduser())
    return folders


@dataclasses.dataclass(frozen=True)
class Copy:
  """A copy of an origin file, or of one that holds the same array.

  Attributes:
    file: The file it should be.
    path: Where it is on disk.
    member: Its name in the zip file at `path`, empty if it lies there itself.
    cached: Whether it was downloaded.
  """

  file: OriginFile
  path: pathlib.Path
  member: str = ''
  cached: bool = False

  def __str__(self) -> str:
    """Says where it is, for people."""
    return f'{self.path}' + (f', member {self.member}' if self.member else '')

  @contextlib.contextmanager
  def open(self) -> Iterator[tuple[BinaryIO, int]]:
    """Opens it for reading.

    Yields:
      A seekable stream and how many bytes it has.

    Raises:
      OriginFileError: If it cannot be read, or the zip file lacks it; the
        message does not say which file it is.
    """
    try:
      with self.path.open('rb') as stream:
        size = os.fstat(stream.fileno()).st_size
        if not self.member:
          yield stream, size
          return
        wrong = impostors.recognize(self.file, stream, size)
        if wrong:
          raise OriginFileError(wrong)
        with zipfile.ZipFile(stream) as archive:
          if self.member not in archive.namelist():
            raise OriginFileError(
              f'expected a member {self.member}, found none'
            )
          with archive.open(self.member) as member:
            size = archive.getinfo(self.member).file_size
            yield cast(BinaryIO, member), size
    except idx_npz.DAMAGE as error:
      raise OriginFileError(f'cannot be read: {error}') from error


def mirror_of_user(option: str | None = None) -> str | None:
  """Returns the user's mirror: the option, else the environment variable."""
  return option or os.environ.get(MIRROR_VARIABLE) or None


def copies_on_disk(file: OriginFile, locations: Locations) -> Iterator[Copy]:
  """Yields the copies of a file in the folders, in the order they are tried.

  Args:
    file: The file wanted.
    locations: Where to look.

  Yields:
    Copies that exist, whether they are right or not.
  """
  forms = (file, *file.equivalents)
  for folder in locations.folders:
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
  """Yields where on the network a file may be fetched from, in order.

  Args:
    file: The file wanted.
    mirror: The user's mirror; only an HTTP base counts.

  Yields:
    What is fetched, which is `file`, an equivalent, or the archive of either,
    and its URL. A URL `<archive>#<member>` means the member alone, read from
    the archive where the server sends parts of files.
  """
  forms = (file, *file.equivalents)
  if mirror and _is_url(mirror):
    base = mirror.rstrip('/')
    for form in forms:
      yield form, f'{base}/{form.path}'
      if form.archive:
        yield from _of_archive(form, f'{base}/{form.archive.path}')
  for form in forms:
    for url in form.urls:
      yield form, url
    for url in form.archive.urls if form.archive else ():
      yield from _of_archive(form, url)


def say_how_to_get(file: OriginFile, folder: pathlib.Path | None) -> str:
  """Says where a file is published, and where a user may put it.

  Args:
    file: The file.
    folder: The manual folder, None if it is not known.

  Returns:
    Half a sentence.
  """
  published = file.archive or file
  return (
    f'get it from {published.urls[0]} and put it at'
    f' {folder or "<manual_dir>"}/{published.path}.'
  )


def _of_archive(form: OriginFile, url: str) -> Iterator[tuple[OriginFile, str]]:
  assert form.archive is not None
  yield form, f'{url}#{form.member}'
  yield form.archive, url


def _is_url(place: str) -> bool:
  return place.startswith(('http://', 'https://'))

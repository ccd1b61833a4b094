# Copyright 2026 The cmnist_tfds Authors.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Where copies of an origin file may be, in the order they are tried."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import zipfile
from collections.abc import Callable, Iterator
from typing import BinaryIO

from cmnist_tfds.acquire import formats
from cmnist_tfds.errors import OriginFileError
from cmnist_tfds.sources import OriginFile


@dataclasses.dataclass(frozen=True)
class Places:
  """The places origin files are looked for in, in this order.

  Attributes:
    manual_dir: Folder the user has put files in, as `<folder>/<file name>`.
    mirror: Folder or HTTP base that holds them in the same layout.
    download: Fetches a URL and returns the local path; raises OriginFileError
      if it cannot. None stays off the network.
  """

  manual_dir: pathlib.Path | None = None
  mirror: str | None = None
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
    url: Where it was downloaded from, empty if it was not.
  """

  file: OriginFile
  path: pathlib.Path
  member: str = ''
  url: str = ''

  def __str__(self) -> str:
    """Says where it is, for people."""
    where = f'{self.path}, member {self.member}' if self.member else self.path
    return f'{where} (from {self.url})' if self.url else str(where)

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
      with contextlib.ExitStack() as stack:
        stream = stack.enter_context(self.path.open('rb'))
        if not self.member:
          yield stream, os.fstat(stream.fileno()).st_size
          return
        archive = stack.enter_context(zipfile.ZipFile(stream))
        if self.member not in archive.namelist():
          raise OriginFileError(f'expected a member {self.member}, found none')
        size = archive.getinfo(self.member).file_size
        member = formats.open_member(archive, self.member)
        yield stack.enter_context(member), size
    except (OSError, zipfile.BadZipFile) as error:
      raise OriginFileError(f'cannot be read: {error}') from error


def copies_on_disk(file: OriginFile, places: Places) -> Iterator[Copy]:
  """Yields the copies of a file in the folders, the likeliest first.

  Args:
    file: The file wanted.
    places: Where to look.

  Yields:
    Copies that exist, whether they are right or not.
  """
  for folder in places.folders:
    for form in (file, *file.equivalents):
      if (folder / form.path).is_file():
        yield Copy(form, folder / form.path)
      if form.archive and (folder / form.archive.path).is_file():
        yield Copy(form, folder / form.archive.path, form.member)


def urls(file: OriginFile, places: Places) -> Iterator[tuple[OriginFile, str]]:
  """Yields where on the network a file may be downloaded from, in order.

  Args:
    file: The file wanted.
    places: Whether there is a mirror.

  Yields:
    What is to be downloaded, which is `file`, an equivalent, or the archive of
    either; and its URL.
  """
  forms = (file, *file.equivalents)
  if places.mirror and _is_url(places.mirror):
    for form in forms:
      yield form, f'{places.mirror.rstrip("/")}/{form.path}'
      if form.archive:
        yield (
          form.archive,
          f'{places.mirror.rstrip("/")}/{form.archive.path}',
        )
  for form in forms:
    published = form.archive or form
    for url in published.urls:
      yield published, url


def _is_url(place: str) -> bool:
  return place.startswith(('http://', 'https://'))

# SPDX-License-Identifier: Apache-2.0
"""Reads the files below a folder, or in a folder of an archive: pictures mostly."""

from __future__ import annotations

import functools
import hashlib
import io
import os
import pathlib
import posixpath
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from cmnist_tfds.formats import idx_npz, picture
from cmnist_tfds.origin import conversion
from cmnist_tfds.system.errors import OriginFileError

# What is kept in memory of an archive that cannot be read twice.
_USED = (*picture.ENDINGS, '.csv', '.csv.gz')

# Largest picture file in an archive, in bytes.
_LARGEST_FILE = 1 << 26


_Reader = Callable[[], bytes]


class PictureFiles:
  """The files below a folder, or in a folder of an archive.

  Attributes:
    where: The folder, for messages.
    others: The paths of the files that are not pictures, sorted.
    names: The paths of the pictures, relative to the folder, sorted.
  """

  def __init__(self, where: str, readers: Mapping[str, _Reader | None]):
    """Constructs the files.

    Args:
      where: The folder, for messages.
      readers: A function that reads the file, by its path; None for files that
        are neither pictures nor tables.

    Raises:
      OriginFileError: If the name of a picture is not UTF-8.
    """
    self.where = where
    self._readers = readers
    self.names = sorted(filter(is_picture, readers))
    self.others = sorted(readers.keys() - set(self.names))
    self._hashes: dict[str, str] = {}
    for name in self.names:
      if any('\ud800' <= character <= '\udfff' for character in name):
        raise OriginFileError(
          f'{where}: the name of {name!a} is not UTF-8; rename it'
        )

  def read(self, name: str) -> bytes:
    """Returns the bytes of a file.

    Raises:
      OriginFileError: If there is no such file or it cannot be read.
    """
    reader = self._readers.get(name)
    if reader is None:
      raise OriginFileError(f'{self.where}: has no picture or table {name}')
    try:
      data = reader()
    # Archives that are damaged raise errors of many kinds.
    except Exception as error:
      raise OriginFileError(
        f'{self.where}/{name}: cannot be read: {error}'
      ) from error
    self._hashes[name] = hashlib.sha256(data).hexdigest()
    return data

  def fingerprint(self, inside: str = '') -> str:
    """Returns a hash of the files that were read, with their names.

    Args:
      inside: A path that their names begin with, and that does not count.

    Returns:
      The SHA-256 of what `sha256sum` prints for the files, sorted by path.
    """
    digest = hashlib.sha256()
    for name in sorted(self._hashes):
      path = name.removeprefix(inside)
      digest.update(f'{self._hashes[name]}  {path}\n'.encode())
    return digest.hexdigest()


def is_picture(name: str) -> bool:
  """Returns whether a file is a picture, by its name.

  Args:
    name: Its path. Hidden files are none, nor those in hidden folders below the
      first, which may be that of a class.
  """
  first, *further = name.split('/')
  hidden = any(part.startswith('.') for part in further or [first])
  return name.lower().endswith(picture.ENDINGS) and not hidden


def open_folder(folder: pathlib.Path) -> PictureFiles:
  """Opens the files below a folder.

  Raises:
    OriginFileError: If the folder cannot be read.
  """
  try:
    readers = {n: (folder / n).read_bytes for n in _files_below(folder)}
  except OSError as error:
    raise OriginFileError(
      f'{error.filename or folder}: cannot be read: {error.strerror}'
    ) from error
  return PictureFiles(str(folder), readers)


def _files_below(folder: pathlib.Path) -> Iterator[str]:
  """Yields the paths of the files below a folder, relative to it.

  Links to folders are followed, each folder once. Links that lead nowhere are
  among the files, so that who needs one is told.
  """

  def fail(error: OSError) -> None:
    raise error

  seen = set()
  for parent, folders, names in os.walk(folder, onerror=fail, followlinks=True):
    if (here := os.path.realpath(parent)) in seen:
      folders.clear()
      continue
    seen.add(here)
    folders.sort()
    for path in (pathlib.Path(parent, name) for name in names):
      # Opening a pipe would wait for a writer.
      if path.is_file() or not path.exists():
        yield path.relative_to(folder).as_posix()


def open_archive(data: bytes, member: str, where: str) -> PictureFiles:
  """Opens the files of a folder in a zip or tar archive.

  Args:
    data: The archive.
    member: The folder; '.' for all.
    where: The path of the archive, for messages.

  Raises:
    OriginFileError: If it is no such archive, or damaged.
  """
  prefix = '' if member == '.' else member.strip('/') + '/'
  where = f'{where}, folder {member}' if prefix else where
  opened = _zipped if data.startswith(idx_npz.ZIP_MAGIC) else _untarred
  try:
    readers = {
      name.removeprefix(prefix): read
      for name, read in opened(io.BytesIO(data), prefix)
    }
  except Exception as error:
    raise OriginFileError(
      f'{where}: expected a zip or tar archive that is whole: {error}'
    ) from error
  return PictureFiles(where, readers)


def _zipped(
  stream: io.BytesIO, prefix: str
) -> Iterator[tuple[str, _Reader | None]]:
  archive = zipfile.ZipFile(stream)
  for info in archive.infolist():
    name = info.filename
    # Without this flag it is in some other code page, or in UTF-8 all the same.
    if not info.flag_bits & 0x800:
      name = name.encode('cp437').decode('utf-8', 'surrogateescape')
    name = posixpath.normpath(name).lstrip('/')
    if name.startswith(prefix) and not info.is_dir():
      _check_size(name, info.file_size)
      yield name, functools.partial(archive.read, info)


def _untarred(
  stream: io.BytesIO, prefix: str
) -> Iterator[tuple[str, _Reader | None]]:
  # Packed archives can be read in order alone.
  with tarfile.open(fileobj=stream, mode='r:*') as archive:
    for info in archive:
      name = posixpath.normpath(info.name).lstrip('/')
      if info.isreg() and name.startswith(prefix):
        used = name.lower().endswith(_USED)
        _check_size(name, info.size if used else 0)
        file = archive.extractfile(info) if used else None
        yield name, functools.partial(bytes, file.read()) if file else None


def _check_size(name: str, size: int) -> None:
  if size > _LARGEST_FILE:
    raise ValueError(f'{name!a} has more than {_LARGEST_FILE:,} bytes')


def decode(
  data: bytes, name: str, *, shape: tuple[int, ...] | None, gray: bool
) -> np.ndarray:
  """Decodes a picture.

  Args:
    data: The file.
    name: Its name, for messages.
    shape: The shape that the picture must have, (height, width) or
      (height, width, 3); None for any size.
    gray: Whether to turn colors to gray; else they are refused, unless `shape`
      has them.

  Returns:
    uint8 (height, width), or (height, width, 3) if `shape` says so. What is
    transparent is white.

  Raises:
    OriginFileError: If it is not a picture, or of another size, or has colors
      that nobody asked for.
    MissingExtraError: If Pillow is not installed.
  """
  pixels = picture.decode(data, name)
  if shape is not None and pixels.shape[:2] != shape[:2]:
    found = 'x'.join(map(str, pixels.shape[:2]))
    raise OriginFileError(
      f'{name}: expected a picture of {shape[0]}x{shape[1]} pixels, found'
      f" {found}. If pictures have different sizes, add 'resize' to `convert` of"
      ' the declaration and leave out `shape`'
    )
  if shape is not None and shape[2:] == (3,):
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, 2)
  if not gray and has_colors(pixels):
    raise OriginFileError(
      f"{name}: expected a gray picture, found colors. Add 'grey' to `convert` of"
      ' the declaration'
    )
  return conversion.to_gray(pixels[None])[0]


def has_colors(pixels: np.ndarray) -> bool:
  """Returns whether a picture has pixels that are not gray."""
  return pixels.ndim == 3 and bool((pixels != pixels[..., :1]).any())

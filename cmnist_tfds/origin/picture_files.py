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
from cmnist_tfds.system.errors import OriginFileError, read_errors

# Only these are kept in memory of a tar archive, which cannot be read twice.
_USED = (*picture.ENDINGS, '.csv', '.csv.gz')

# What an archive of a few bytes unpacks to may fill memory.
_LARGEST = 1 << 25

_Reader = Callable[[], bytes] | None


def check_name(name: str) -> None:
  """Raises OriginFileError if the name of a file is not UTF-8."""
  try:
    name.encode()
  except UnicodeEncodeError:
    raise OriginFileError(f'{name!a}: is not UTF-8; rename it') from None


class PictureFiles:
  """The files below a folder, or in a folder of an archive.

  Attributes:
    where: The folder, for messages.
    readers: The paths of all files, with what reads them.
    names: The paths of the pictures, relative to the folder, sorted.
  """

  def __init__(self, where: str, readers: Mapping[str, _Reader]):
    """Constructs the files.

    Args:
      where: The folder, for messages.
      readers: A function that reads the file, by its path; None for what is not
        read: empty folders, pipes and devices, and in a tar archive files that
        are neither pictures nor tables.
    """
    self.where = where
    self.readers = readers
    self.names = sorted(filter(_is_picture, readers))
    self._hashes: dict[str, str] = {}

  def below(self, folder: str) -> PictureFiles:
    """Returns the files in a folder of these; '' or '.' stands for all."""
    prefix = posixpath.normpath(folder) + '/' if folder.strip('./') else ''
    below = (name for name in self.readers if name.startswith(prefix))
    readers = {name[len(prefix) :]: self.readers[name] for name in below}
    return PictureFiles(f'{self.where}/{prefix}'.rstrip('/'), readers)

  def read(self, name: str) -> bytes:
    """Returns the bytes of a file.

    Raises:
      OriginFileError: If there is no such file, its name is not UTF-8, or it
        cannot be read.
    """
    check_name(f'{self.where}/{name}')
    reader = self.readers.get(name)
    if reader is None:
      fault = 'expected a file that is a picture or a table'
      raise OriginFileError(f'{self.where}/{name}: {fault}')
    with read_errors(f'{self.where}/{name}'):
      data = reader()
    self._hashes[name] = hashlib.sha256(data).hexdigest()
    return data

  def fingerprint(self) -> str:
    """Returns a hash of the files that were read, with their names.

    Returns:
      The SHA-256 of what `sha256sum` prints for the files, sorted by path.
    """
    lines = (f'{self._hashes[name]}  {name}\n' for name in sorted(self._hashes))
    return hashlib.sha256(''.join(lines).encode()).hexdigest()


def _is_picture(name: str) -> bool:
  """Returns whether a path is that of a picture that is not hidden."""
  hidden = any(part.startswith('.') for part in name.split('/'))
  return name.lower().endswith(picture.ENDINGS) and not hidden


def open_folder(folder: pathlib.Path) -> PictureFiles:
  """Opens the files below a folder.

  Links are followed, each folder once. Links that lead nowhere are among the
  files, so that reading them fails.

  Raises:
    OriginFileError: If the folder cannot be read.
  """

  def fail(error: OSError) -> None:
    fault = f'{error.filename}: cannot be read: {error.strerror}'
    raise OriginFileError(fault) from error

  readers: dict[str, _Reader] = {}
  seen = set()
  for parent, folders, names in os.walk(folder, onerror=fail, followlinks=True):
    if (here := os.path.realpath(parent)) in seen:
      folders.clear()
      continue
    seen.add(here)
    folders.sort()
    base = pathlib.Path(parent)
    if not names and not folders:
      readers[f'{base.relative_to(folder).as_posix()}/'] = None
    for path in map(base.joinpath, names):
      # Opening a pipe would wait for a writer.
      regular = path.is_file() or not path.exists()
      name = path.relative_to(folder).as_posix()
      readers[name] = path.read_bytes if regular else None
  return PictureFiles(str(folder), readers)


def open_archive(data: bytes, member: str, where: str) -> PictureFiles:
  """Opens the files of a folder in a zip or tar archive.

  Args:
    data: The archive.
    member: The folder; '.' for all.
    where: The path of the archive, for messages.

  Raises:
    OriginFileError: If it is not such an archive, or is damaged.
  """
  opened = _zipped if data.startswith(idx_npz.ZIP_MAGIC) else _untarred
  readers: dict[str, _Reader] = {}
  with read_errors(where):
    for name, read in opened(io.BytesIO(data)):
      path = posixpath.normpath(name).lstrip('/') + '/' * (name[-1:] == '/')
      if path in readers and read:
        raise ValueError(f'{path} appears twice')
      readers[path] = read
  # Of folders, only those that are empty.
  full = {posixpath.dirname(name.rstrip('/')) + '/' for name in readers}
  readers = {name: read for name, read in readers.items() if name not in full}
  return PictureFiles(where, readers).below(member)


def _zipped(stream: io.BytesIO) -> Iterator[tuple[str, _Reader]]:
  archive = zipfile.ZipFile(stream)
  for info in archive.infolist():
    name = info.filename
    # Without this flag it is in some other code page, or in UTF-8 all the same.
    if not info.flag_bits & 0x800:
      name = name.encode('cp437').decode('utf-8', 'surrogateescape')
    _check_size(name, info.file_size)
    read = functools.partial(archive.read, info)
    yield name, None if info.is_dir() else read


def _untarred(stream: io.BytesIO) -> Iterator[tuple[str, _Reader]]:
  with tarfile.open(fileobj=stream) as archive:
    for info in archive:
      used = info.isreg() and info.name.lower().endswith(_USED)
      _check_size(info.name, info.size)
      file = archive.extractfile(info) if used else None
      name = info.name + '/' * info.isdir()
      yield name, functools.partial(bytes, file.read()) if file else None


def _check_size(name: str, size: int) -> None:
  if size > _LARGEST and name.lower().endswith(picture.ENDINGS):
    raise ValueError(f'{name}: pictures of {size:,} bytes are not read')


def decode(
  data: bytes,
  name: str,
  *,
  shape: tuple[int, ...] | None = None,
  gray: bool | None = None,
) -> np.ndarray:
  """Decodes a picture.

  Args:
    data: The file.
    name: Its name, for messages.
    shape: The shape that the picture must have, (height, width) or
      (height, width, 3); None for any size.
    gray: Whether to turn colors to gray. False refuses them, unless `shape` has
      them; None keeps them.

  Returns:
    uint8 (height, width), or (height, width, 3) if `shape` says so or colors are
    kept. What is transparent is white.

  Raises:
    OriginFileError: If it is not a picture, or of another size, or has colors
      that nobody asked for.
    MissingExtraError: If Pillow is not installed.
  """
  pixels = picture.decode(data, name)
  if shape is not None and pixels.shape[:2] != shape[:2]:
    found = 'x'.join(map(str, pixels.shape[:2]))
    fault = f'expected a picture of {shape[0]}x{shape[1]} pixels, found {found}'
    remedy = "If sizes differ, declare 'resize' in `convert`, and no `shape`"
    raise OriginFileError(f'{name}: {fault}. {remedy}')
  if shape is not None and shape[2:] == (3,):
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, 2)
  if pixels.ndim == 2 or (pixels == pixels[..., :1]).all() or gray:
    return conversion.to_gray(pixels[None])[0]
  if gray is None:
    return pixels
  fault = 'expected a gray picture, found colors'
  remedy = "Add 'grey' to `convert` of the declaration"
  raise OriginFileError(f'{name}: {fault}. {remedy}')

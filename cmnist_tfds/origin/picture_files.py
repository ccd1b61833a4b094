# SPDX-License-Identifier: Apache-2.0
"""Reads picture files, from folders and archives, and the tables beside them."""

from __future__ import annotations

import abc
import functools
import hashlib
import io
import os
import pathlib
import posixpath
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import numpy as np
from isal import igzip

from cmnist_tfds.formats import idx_npz
from cmnist_tfds.origin import conversion
from cmnist_tfds.system.errors import OriginFileError
from cmnist_tfds.system.extras import missing_extra

# Endings of the names of pictures. Other files in a folder are no examples.
ENDINGS = (
  *('.png', '.jpg', '.jpeg', '.bmp', '.gif', '.tif', '.tiff', '.webp'),
  *('.pgm', '.ppm', '.pbm'),
)

# Largest picture file in bytes, and largest height and width in pixels.
_LARGEST_FILE = 1 << 26
_LARGEST_SIDE = 4096

# A table that gzip packs may not be larger than this, in bytes.
_LARGEST_TABLE = 1 << 34

# An archive may have some millions of pictures.
_LARGEST_DIRECTORY = 1 << 29
_LARGEST_CONTENT = 1 << 36


class PictureFiles(abc.ABC):
  """The files below a folder, or in a folder of an archive.

  Attributes:
    names: The paths of the pictures, relative to the folder, sorted.
  """

  def __init__(self, names: list[str], where: str):
    """Constructs the files.

    Args:
      names: The paths of all files, relative to the folder.
      where: The folder, for messages.
    """
    self.where = where
    self._all = frozenset(names)
    self.names = sorted(n for n in names if is_picture(n))
    self._hashes: dict[str, str] = {}

  def read(self, name: str) -> bytes:
    """Returns the bytes of a file.

    Raises:
      OriginFileError: If there is no such file or it cannot be read.
    """
    if name not in self._all:
      raise OriginFileError(f'{self.where}: it has no file {name}')
    try:
      data = self._read(name)
    except idx_npz.DAMAGE as error:
      raise OriginFileError(
        f'{self.where}/{name}: cannot be read: {error}'
      ) from error
    self._hashes[name] = hashlib.sha256(data).hexdigest()
    return data

  @abc.abstractmethod
  def _read(self, name: str) -> bytes:
    """Returns the bytes of a file that is there."""

  def fingerprint(self) -> str:
    """Returns a hash of the files that were read, with their names."""
    return fingerprint(self._hashes)


def fingerprint(hashes: Mapping[str, str]) -> str:
  """Returns a hash of files.

  Args:
    hashes: The SHA-256 of each file, by its path relative to their folder.

  Returns:
    The SHA-256 of what `sha256sum` prints for the files, sorted by path.
  """
  digest = hashlib.sha256()
  for name in sorted(hashes):
    digest.update(f'{hashes[name]}  {name}\n'.encode())
  return digest.hexdigest()


def as_text(data: bytes, path: str) -> str:
  """Returns the text of a table, which gzip may pack.

  Raises:
    OriginFileError: If it is not UTF-8, or damaged.
  """
  try:
    if data.startswith(idx_npz.GZIP_MAGIC):
      with igzip.open(io.BytesIO(data)) as unpacked:
        data = unpacked.read(_LARGEST_TABLE + 1)
      if len(data) > _LARGEST_TABLE:
        raise OriginFileError(
          f'{path}: expected at most {_LARGEST_TABLE:,} bytes of text'
        )
    return data.decode('utf-8-sig')
  except idx_npz.DAMAGE as error:
    raise OriginFileError(f'{path}: is no text in UTF-8: {error}') from error


def is_picture(name: str) -> bool:
  """Returns whether a file is a picture, by its name.

  Args:
    name: Its path. Hidden files are none, nor those in hidden folders below the
      first, which may be that of a class.
  """
  first, *further = name.split('/')
  hidden = any(part.startswith('.') for part in further or [first])
  return name.lower().endswith(ENDINGS) and not hidden


class _Folder(PictureFiles):
  def __init__(self, folder: pathlib.Path):
    self._folder = folder
    super().__init__(list(_files_below(folder)), str(folder))

  def _read(self, name: str) -> bytes:
    path = self._folder / name
    if path.stat().st_size > _LARGEST_FILE:
      raise OSError(f'it has more than {_LARGEST_FILE:,} bytes')
    return path.read_bytes()


def _files_below(folder: pathlib.Path) -> Iterator[str]:
  """Yields the paths of the files below a folder, relative to it.

  Links to folders are followed, each folder once. Links that lead nowhere are
  among the files, so that who needs one is told.
  """

  def fail(error: OSError) -> NoReturn:
    raise error

  seen = set()
  for parent, folders, names in os.walk(folder, onerror=fail, followlinks=True):
    if (here := os.path.realpath(parent)) in seen:
      folders.clear()
      continue
    seen.add(here)
    folders.sort()
    for name in names:
      path = pathlib.Path(parent, name)
      if path.is_file() or path.is_symlink():
        yield path.relative_to(folder).as_posix()


class _Loaded(PictureFiles):
  """Files of a tar archive, which is read once, in order."""

  def __init__(self, files: Mapping[str, bytes], where: str):
    super().__init__(list(files), where)
    self._files = files

  def _read(self, name: str) -> bytes:
    return self._files[name]


class _Zipped(PictureFiles):
  def __init__(self, archive: zipfile.ZipFile, prefix: str, where: str):
    self._archive = archive
    self._prefix = prefix
    names = [
      info.filename[len(prefix) :]
      for info in archive.infolist()
      if info.filename.startswith(prefix) and not info.is_dir()
    ]
    super().__init__(names, where)

  def _read(self, name: str) -> bytes:
    info = idx_npz.find_member(self._archive, self._prefix + name)
    if info.file_size > _LARGEST_FILE:
      raise OSError(f'it has more than {_LARGEST_FILE:,} bytes')
    return self._archive.read(info)


def open_folder(folder: pathlib.Path) -> PictureFiles:
  """Opens the files below a folder.

  Raises:
    OriginFileError: If the folder cannot be read.
  """
  try:
    return _Folder(folder)
  except OSError as error:
    raise OriginFileError(
      f'{error.filename or folder}: cannot be read: {error.strerror}'
    ) from error


def open_archive(data: bytes, member: str, where: str) -> PictureFiles:
  """Opens the files of a folder in a zip or tar archive.

  Args:
    data: The archive.
    member: The folder; '.' for all.
    where: The path of the archive, for messages.

  Raises:
    OriginFileError: If it is no such archive, or damaged.
  """
  # Importing it takes a millisecond, and few sources need it.
  import tarfile

  prefix = '' if member == '.' else member.strip('/') + '/'
  where = f'{where}, folder {member}' if prefix else where
  try:
    if data.startswith(idx_npz.ZIP_MAGIC):
      archive = idx_npz.open_zip(
        io.BytesIO(data), largest_directory=_LARGEST_DIRECTORY
      )
      return _Zipped(archive, prefix, where)
    return _Loaded(_untar(data, prefix), where)
  except (*idx_npz.DAMAGE, tarfile.TarError) as error:
    raise OriginFileError(
      f'{where}: expected a zip or tar archive that is whole: {error}'
    ) from error


def _untar(data: bytes, prefix: str) -> dict[str, bytes]:
  import tarfile

  found: dict[str, bytes] = {}
  total = 0
  with tarfile.open(fileobj=io.BytesIO(data), mode='r:*') as archive:
    for info in archive:
      name = posixpath.normpath(info.name).lstrip('/')
      if not info.isreg() or not name.startswith(prefix):
        continue
      total += info.size
      if info.size > _LARGEST_FILE or total > _LARGEST_CONTENT:
        raise OSError(f'{name} makes it larger than is read')
      stream = archive.extractfile(info)
      assert stream is not None, 'it is a regular file'
      found[name[len(prefix) :]] = stream.read()
  return found


@functools.cache
def _pillow() -> Any:
  try:
    import PIL.Image
    import PIL.ImageOps
  except ImportError as error:
    raise missing_extra('Reading pictures', error, 'pictures') from error
  return PIL


def decode(
  data: bytes, name: str, *, shape: tuple[int, ...] | None, grey: bool
) -> np.ndarray:
  """Decodes a picture.

  Args:
    data: The file.
    name: Its name, for messages.
    shape: The shape that the picture must have, (height, width) or
      (height, width, 3); None for any size.
    grey: Whether to turn colours to grey; else they are refused, unless `shape`
      has them.

  Returns:
    uint8 (height, width), or (height, width, 3) if `shape` says so. What is
    transparent is white.

  Raises:
    OriginFileError: If it is no picture, too large, of another size, or has
      colours that nobody asked for.
    PreparationError: If Pillow is not installed.
  """
  pixels = _decode(data, name)
  if shape is not None and pixels.shape[:2] != shape[:2]:
    found = 'x'.join(map(str, pixels.shape[:2]))
    raise OriginFileError(
      f'{name}: expected a picture of {shape[0]}x{shape[1]} pixels, found'
      f" {found}. If pictures have different sizes, add 'resize' to `convert` of"
      ' the declaration and leave out `shape`'
    )
  if shape is not None and shape[2:] == (3,):
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, 2)
  if pixels.ndim == 2:
    return pixels
  if not grey and _has_colours(pixels):
    raise OriginFileError(
      f"{name}: expected a grey picture, found colours. Add 'grey' to `convert`"
      ' of the declaration'
    )
  return conversion.to_grey(pixels[None])[0]


def decode_any(data: bytes, name: str) -> tuple[np.ndarray, bool]:
  """Decodes a picture of which nothing is known.

  Args:
    data: The file.
    name: Its name, for messages.

  Returns:
    uint8 (height, width), its brightness, and whether it has colours.

  Raises:
    OriginFileError: If it is no picture, or too large.
    PreparationError: If Pillow is not installed.
  """
  pixels = _decode(data, name)
  if pixels.ndim == 2:
    return pixels, False
  return conversion.to_grey(pixels[None])[0], _has_colours(pixels)


def _has_colours(pixels: np.ndarray) -> bool:
  return bool((pixels != pixels[..., :1]).any())


def _decode(data: bytes, name: str) -> np.ndarray:
  """Returns uint8 (height, width), or (height, width, 3) in colour modes."""
  pillow = _pillow()
  image = pillow.Image
  try:
    with image.open(io.BytesIO(data)) as opened:
      width, height = opened.size
      if max(width, height) > _LARGEST_SIDE:
        raise OriginFileError(
          f'{name}: expected a picture of at most'
          f' {_LARGEST_SIDE}x{_LARGEST_SIDE} pixels, found {height}x{width}'
        )
      if opened.mode.startswith(('I', 'F')):
        raise OriginFileError(
          f'{name}: expected pixels of 8 bits, found the mode {opened.mode};'
          ' save it with 8 bits'
        )
      # Cameras note how a picture is to be turned.
      picture = pillow.ImageOps.exif_transpose(opened)
      if 'transparency' in picture.info or picture.mode in {'LA', 'PA', 'RGBA'}:
        opaque = picture.convert('RGBA')
        white = image.new('RGBA', opaque.size, 'white')
        picture = image.alpha_composite(white, opaque)
      mode = 'L' if picture.mode in {'1', 'L'} else 'RGB'
      return np.asarray(picture.convert(mode))
  except OriginFileError:
    raise
  except pillow.UnidentifiedImageError as error:
    fault = (
      'it has no format of pictures that is known' if data else 'it is empty'
    )
    raise OriginFileError(f'{name}: is no picture: {fault}') from error
  # Pillow raises errors of many kinds for damaged files.
  except Exception as error:
    raise OriginFileError(f'{name}: is no picture: {error}') from error

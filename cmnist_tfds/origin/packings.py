# SPDX-License-Identifier: Apache-2.0
"""Finds files that may hold the array of an origin file in another packing.

A file counts by what it says of its content, not by its name or folder: an IDX
file, packed by gzip or not, an NPZ or NPY file, or a table of pixels, if it
promises an array of the wanted shape. Only members of a zip file are chosen by
their names. What is found is not proved.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import pathlib
import re
import zipfile
from collections.abc import Callable, Iterator
from typing import BinaryIO

from cmnist_tfds.formats import idx_npz
from cmnist_tfds.origin import locations as locations_lib
from cmnist_tfds.origin import pixel_tables
from cmnist_tfds.origin.locations import Copy, Locations
from cmnist_tfds.sources import OriginFile
from cmnist_tfds.system.errors import OriginFileError, PreparationError

# A folder that the user named may be a home directory.
_MOST_FILES = 20_000
_DEEPEST = 6

# Labels may have eight bytes each.
_LABEL_SIZES = (1, 2, 4, 8)

# The header of an NPY file takes less.
_NPY_HEADER = 1 << 14

# What browsers and file managers add to the name of a second copy.
_SECOND = re.compile(r' ?\(\d+\)|[ _-]copy', re.IGNORECASE)


def known_caches(download_dir: pathlib.Path) -> tuple[pathlib.Path, ...]:
  """Returns the folders in which other programs keep the same files.

  Args:
    download_dir: TFDS's folder for downloads.

  Returns:
    What TFDS has unpacked there, and Keras' folder for datasets.
  """
  home = os.environ.get('KERAS_HOME') or os.path.expanduser('~/.keras')
  return (download_dir / 'extracted', pathlib.Path(home) / 'datasets')


def packed_copies(
  file: OriginFile, shape: tuple[int, ...], locations: Locations
) -> Iterator[Copy]:
  """Yields files that may hold the array of an origin file.

  Args:
    file: The file that is wanted.
    shape: The shape of its array.
    locations: The locations to look in: their folders with all that is below
      them, then those where other programs keep files.

  Yields:
    Copies, those of a similar name first. Files at the places where
    `locations.copies_on_disk` looks are not among them.
  """
  tried = {
    (copy.path.resolve(), copy.member)
    for copy in locations_lib.copies_on_disk(file, locations)
  }
  for root in _roots(file, locations):
    paths = files_below(root)
    paths.sort(key=lambda path: not _is_namesake(path.name, file))
    for path in paths:
      for copy in _copies_in(path, file, shape):
        key = (path.resolve(), copy.member)
        if key not in tried:
          tried.add(key)
          yield copy


def is_namesake(copy: Copy) -> bool:
  """Returns whether the names of a copy say that it is the file.

  Several sources have files of the same name, so the name of the source must be
  in the path as well.

  Args:
    copy: The copy, in whatever packing.
  """
  name = copy.member or copy.path.name
  return _letters(copy.file.path.partition('/')[0]) in _letters(
    f'{copy.path}{copy.member}'
  ) and _is_namesake(name.rpartition('/')[2], copy.file)


def _letters(text: str) -> str:
  return re.sub('[^a-z0-9]', '', text.lower())


def _roots(file: OriginFile, locations: Locations) -> Iterator[pathlib.Path]:
  for folder in locations_lib.folders(file, locations):
    yield folder
    # The user may have named the folder of another source beside it.
    yield folder.parent / file.path.partition('/')[0]
  yield from locations.known_caches


def files_below(root: pathlib.Path) -> list[pathlib.Path]:
  """Returns the files below a folder, in the order of their paths."""
  found: list[pathlib.Path] = []
  seen = set()
  for folder, folders, names in os.walk(root, followlinks=True):
    # Links may lead round.
    if (here := os.path.realpath(folder)) in seen:
      folders.clear()
      continue
    seen.add(here)
    depth = len(pathlib.Path(folder).relative_to(root).parts)
    folders[:] = sorted(folders) if depth < _DEEPEST else []
    found += (pathlib.Path(folder, name) for name in sorted(names))
    if len(found) > _MOST_FILES:
      break
  return found[:_MOST_FILES]


def _copies_in(
  path: pathlib.Path, file: OriginFile, shape: tuple[int, ...]
) -> Iterator[Copy]:
  with contextlib.suppress(OriginFileError, *idx_npz.DAMAGE):
    # Opening a pipe would wait for a writer.
    if not path.is_file():
      return
    if pixel_tables.is_table(path):
      try:
        may_hold = pixel_tables.may_hold(path, shape)
      except PreparationError:
        may_hold = True  # Whoever needs it is told which library is missing.
      if may_hold:
        yield Copy(file, path)
      return
    with path.open('rb') as stream:
      members = _members(stream, file, shape)
    for member in members:
      yield Copy(file, path, member)


def _members(
  stream: BinaryIO, file: OriginFile, shape: tuple[int, ...]
) -> list[str]:
  """Returns the members of a file that may hold the array.

  Returns:
    One empty name if the file itself may hold it.
  """
  size = os.fstat(stream.fileno()).st_size
  head = stream.read(6)
  values = math.prod(shape)
  sizes = [values] if len(shape) > 2 else [n * values for n in _LABEL_SIZES]
  idx_sizes = [4 + 4 * len(shape) + n for n in sizes]

  def is_npy(found: int) -> bool:
    return any(0 < found - n < _NPY_HEADER for n in sizes)

  if head.startswith(b'\0\0'):
    fits = size in idx_sizes
  elif head == idx_npz.NPY_MAGIC:
    fits = is_npy(size)
  elif head.startswith(idx_npz.GZIP_MAGIC):
    # A gzip file ends with the size of its content.
    stream.seek(-4, io.SEEK_END)
    fits = int.from_bytes(stream.read(4), 'little') in idx_sizes
  elif head.startswith(idx_npz.ZIP_MAGIC):
    with idx_npz.open_zip(stream) as archive:
      return _members_of_zip(archive, file, is_npy)
  else:
    fits = False
  return [''] if fits else []


def _members_of_zip(
  archive: zipfile.ZipFile, file: OriginFile, is_npy: Callable[[int], bool]
) -> list[str]:
  infos = archive.infolist()
  array = f'{file.array}.npy'
  if any(info.filename == array and is_npy(info.file_size) for info in infos):
    return ['']
  return [
    info.filename
    for info in infos
    if _is_namesake(info.filename.rpartition('/')[2], file)
    # Keras, for one, calls arrays x_train and the like.
    or (info.filename.endswith('.npy') and is_npy(info.file_size))
  ]


def _is_namesake(name: str, file: OriginFile) -> bool:
  return any(
    _stem(name) == _stem(form.name) for form in (file, *file.equivalents)
  )


def _stem(name: str) -> str:
  """Returns a name without what packing, unpacking and copying change."""
  name = _SECOND.sub('', name)
  for ending in ('.gz', '.npz', '.npy'):
    name = name.removesuffix(ending)
  # MNIST's own files once had a full stop before `idx`.
  return name.replace('.idx', '-idx').lower()

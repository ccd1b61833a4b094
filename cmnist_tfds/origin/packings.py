# SPDX-License-Identifier: Apache-2.0
"""Finds files that may hold the array of an origin file in another packing.

Neither names nor folders matter: an IDX file, packed by gzip or not, an NPZ or
NPY file, a member of a zip file, or a table of pixels is tried. What is found
is not proved.
"""

from __future__ import annotations

import collections
import os
import pathlib
import zipfile
from collections.abc import Iterator

from cmnist_tfds.formats import idx_npz
from cmnist_tfds.origin import locations as locations_lib
from cmnist_tfds.origin import pixel_tables
from cmnist_tfds.origin.locations import Copy, Locations
from cmnist_tfds.sources import OriginFile
from cmnist_tfds.system.errors import MissingExtraError, OriginFileError

# A folder that the user named may be a home directory.
_MOST_FILES = 20_000
_DEEPEST = 6

_DEBIAN = pathlib.Path('/usr/share/dataset-fashion-mnist')

_MAGIC = (idx_npz.GZIP_MAGIC, idx_npz.NPY_MAGIC, b'\0\0')


def packed_copies(
  file: OriginFile, shape: tuple[int, ...], locations: Locations
) -> Iterator[Copy]:
  """Yields files that may hold the array of an origin file.

  Args:
    file: The file that is wanted.
    shape: The shape of its array.
    locations: The locations to look in: their folders with all that is below
      them, what TFDS has downloaded and unpacked, then the places of Keras and
      of Debian.

  Yields:
    Copies, those of a similar name first. They may be among those at the places
    of `locations.copies_on_disk`.
  """
  roots = [*locations_lib.folders(file, locations)]
  if locations.download_dir:
    keras = os.environ.get('KERAS_HOME') or os.path.expanduser('~/.keras')
    roots += [locations.download_dir, pathlib.Path(keras, 'datasets'), _DEBIAN]
  found = dict.fromkeys(path for root in roots for path in _files_below(root))
  for path in sorted(found, key=lambda p: _stem(p.name) != _stem(file.name)):
    try:
      yield from _copies_in(path, file, shape)
    except MissingExtraError:  # Whoever reads it says which library is missing.
      yield Copy(file, path)
    except (OriginFileError, *locations_lib.UNREADABLE):
      continue


def _files_below(root: pathlib.Path) -> Iterator[pathlib.Path]:
  """Yields the files below a folder, those of upper folders first."""
  waiting = collections.deque([(root, 0)])
  seen, count = set(), 0
  while waiting and count < _MOST_FILES:
    folder, depth = waiting.popleft()
    # Links may lead round.
    here = os.path.realpath(folder)
    if here in seen or depth > _DEEPEST or not os.access(here, os.R_OK):
      continue
    seen.add(here)
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
      if path.is_dir():
        waiting.append((path, depth + 1))
      elif path.is_file():
        count += 1
        yield path


def _copies_in(
  path: pathlib.Path, file: OriginFile, shape: tuple[int, ...]
) -> Iterator[Copy]:
  if pixel_tables.is_table(path):
    if pixel_tables.may_hold(path, shape):
      yield Copy(file, path)
    return
  forms = (file, *file.equivalents)
  with path.open('rb') as stream:
    magic = stream.read(6)
  size = path.stat().st_size
  if magic.startswith(idx_npz.ZIP_MAGIC):
    with zipfile.ZipFile(path) as archive:
      members = archive.infolist()
    if f'{file.array}.npy' in (info.filename for info in members):
      yield Copy(_form_of(forms, size), path)
      return
    for info in members:
      name = info.filename.rpartition('/')[2]
      # Keras, for one, calls arrays x_train and the like.
      if name.endswith('.npy') or _stem(name) in map(
        _stem, (f.name for f in forms)
      ):
        yield Copy(_form_of(forms, info.file_size), path, info.filename)
  elif magic.startswith(_MAGIC):
    yield Copy(_form_of(forms, size), path)


def _form_of(forms: tuple[OriginFile, ...], size: int) -> OriginFile:
  """Returns the form of a file that has a size, the first if none has."""
  return next((form for form in forms if form.size == size), forms[0])


def _stem(name: str) -> str:
  """Returns a name without what packing changes."""
  for ending in ('.gz', '.npz', '.npy'):
    name = name.removesuffix(ending)
  # MNIST's own files once had a full stop before `idx`.
  return name.replace('.idx', '-idx').lower()

# SPDX-License-Identifier: Apache-2.0
"""Finds files that may hold the array of an origin file in another packing.

Neither names nor folders matter: an IDX file, packed by gzip or not, an NPZ or
NPY file, a member of a zip file, or a table of pixels is tried. What is found
is not proved.
"""

from __future__ import annotations

import itertools
import os
import pathlib
import zipfile
from collections.abc import Iterator

from cmnist_tfds.formats import idx_npz
from cmnist_tfds.origin import tables
from cmnist_tfds.origin.locations import Copy, Locations
from cmnist_tfds.sources import OriginFile

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
    Copies, those of a similar name first; also those of `copies_on_disk`.
  """
  roots = locations.folders(file)
  if locations.download_dir:
    keras = os.environ.get('KERAS_HOME') or os.path.expanduser('~/.keras')
    roots += [locations.download_dir, pathlib.Path(keras, 'datasets'), _DEBIAN]
  found = dict.fromkeys(path for root in roots for path in _files_below(root))
  for path in sorted(found, key=lambda p: _stem(p.name) != _stem(file.name)):
    try:
      yield from _copies_in(path, file, shape)
    except Exception:  # A file that is damaged is not the one that is wanted.
      continue


def _files_below(root: pathlib.Path) -> Iterator[pathlib.Path]:
  """Yields the files below a folder, those of upper folders first."""
  paths = (p for n in range(_DEEPEST) for p in root.glob('*/' * n + '*'))
  return itertools.islice(filter(os.path.isfile, paths), _MOST_FILES)


def _copies_in(
  path: pathlib.Path, file: OriginFile, shape: tuple[int, ...]
) -> Iterator[Copy]:
  if tables.is_table(path):
    yield Copy(file, path, packed=True)
    return
  forms = (file, *file.equivalents)
  stems = {_stem(form.name) for form in forms}
  with path.open('rb') as stream:
    magic = stream.read(6)
  found = [('', path.stat().st_size)] if magic.startswith(_MAGIC) else []
  if magic.startswith(idx_npz.ZIP_MAGIC):
    with zipfile.ZipFile(path) as archive:
      members = {info.filename: info.file_size for info in archive.infolist()}
    for name, size in members.items():
      if name == f'{file.array}.npy':
        found = [('', path.stat().st_size)]
        break
      # Keras, for one, calls arrays x_train and the like.
      if name.endswith('.npy') or _stem(name.rpartition('/')[2]) in stems:
        found.append((name, size))
  for member, size in found:
    # If its size is that of a form, it may be proved by its hash.
    form = next((form for form in forms if form.size == size), file)
    yield Copy(form, path, member, packed=True)


def _stem(name: str) -> str:
  """Returns a name without what packing changes."""
  for ending in ('.gz', '.npz', '.npy'):
    name = name.removesuffix(ending)
  # MNIST's own files once had a full stop before `idx`.
  return name.replace('.idx', '-idx').lower()

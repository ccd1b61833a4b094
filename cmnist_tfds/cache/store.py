# SPDX-License-Identifier: Apache-2.0
"""The store of encoded sources: each image is encoded once, then joined often.

A cache folder holds files of two kinds: `images-<key>.store`, named by what the
images are, with the PNGs, their checksums and lengths; and
`labels-<key>.store`, named by where the examples come from, with the raw labels
and the key of the images. So sources with equal images share them, and who
knows the origin finds the store without the origin's arrays.

A file is whole or not there, and checked before use. Any may be deleted, and
the folder moved, whenever no build is running.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import logging
import os
import pathlib
from collections.abc import Callable, Iterator

import filelock
import google_crc32c
import numpy as np

from cmnist_tfds import errors, sources
from cmnist_tfds.cache import checked_file
from cmnist_tfds.formats import png
from cmnist_tfds.prefetch import prefetch

# So many bytes may be read past the end of a PNG, be it the last one.
MARGIN = 32

_CACHE_DIR = 'CMNIST_CACHE_DIR'
# Names what the files hold. Change it when that changes: others are made anew.
_IMAGES = 'cmnist_tfds images 3'
_LABELS = 'cmnist_tfds labels 1'
_SUFFIX = '.store'
# Images that are encoded in one go.
_AT_ONCE = 1024

# What is raised for a file in a folder that may not be there either.
_NOT_THERE = (FileNotFoundError, NotADirectoryError)

_PathLike = str | os.PathLike[str]


@dataclasses.dataclass(frozen=True, eq=False)
class Store:
  """The encoded examples of one split of one source.

  Attributes:
    pngs: uint8, the PNGs, one after the other, then `MARGIN` bytes; mapped.
    offsets: int64 (n,), where each PNG begins.
    lengths: uint16 (n,), bytes of each PNG.
    crcs: uint32 (n,), CRC-32C of each PNG.
    labels: uint8 (n,), raw labels.
    note: What `Loaded.note` said when the examples were encoded.
  """

  pngs: np.ndarray
  offsets: np.ndarray
  lengths: np.ndarray
  crcs: np.ndarray
  labels: np.ndarray
  note: dict[str, str]

  def __len__(self) -> int:
    return len(self.labels)

  def png(self, index: int) -> bytes:
    """Returns one image as PNG."""
    start = self.offsets[index]
    return self.pngs[start : start + int(self.lengths[index])].tobytes()

  def images(self, rows: np.ndarray) -> np.ndarray:
    """Decodes images.

    Args:
      rows: Integers (n,), which ones.

    Returns:
      uint8 (n, 28, 28), not contiguous.
    """
    begins = self.offsets[rows]
    return png.decode(self.pngs, begins, begins + self.lengths[rows])


@dataclasses.dataclass(frozen=True, eq=False)
class Loaded:
  """The arrays of one split of one source, to be encoded.

  Attributes:
    images: uint8 (n, 28, 28).
    labels: uint8 (n,), raw labels.
    note: What is to be remembered of them, as how their files were proved.
  """

  images: np.ndarray
  labels: np.ndarray
  note: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Entry:
  """A file in the cache folder.

  Attributes:
    path: The file.
    num_bytes: Its size.
    description: What it holds, in words.
    kind: 'encoded'.
  """

  path: pathlib.Path
  num_bytes: int
  description: str
  kind: str = 'encoded'


def cache_dir() -> pathlib.Path:
  """Returns the cache folder; see `default_cache_dir`."""
  return default_cache_dir()


def default_cache_dir() -> pathlib.Path:
  """Returns the cache folder.

  It is $CMNIST_CACHE_DIR, else `cmnist_tfds` in $XDG_CACHE_HOME or in ~/.cache.
  """
  if os.environ.get(_CACHE_DIR):
    return pathlib.Path(os.environ[_CACHE_DIR]).expanduser()
  caches = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
  return pathlib.Path(caches).expanduser() / 'cmnist_tfds'


def encoded_dir(cache_dir: _PathLike | None = None) -> pathlib.Path:
  """Returns the folder of the stores, in a cache folder or the default one."""
  return pathlib.Path(cache_dir or default_cache_dir()) / 'encoded'


def open_or_encode(
  origin: str,
  load: Callable[[], Loaded],
  cache_dir: _PathLike | None = None,
) -> Store:
  """Returns the store of an origin; encodes what is missing or damaged.

  Args:
    origin: Names the examples for good, as by the hashes of their files: equal
      text means equal arrays. At most 500 characters.
    load: Returns the arrays. Called only where the store is not there.
    cache_dir: The cache folder; `default_cache_dir()` by default.

  Returns:
    The store, checked.

  Raises:
    PreparationError: If the cache folder cannot be written.
  """
  folder = encoded_dir(cache_dir)
  with contextlib.suppress(*_NOT_THERE, checked_file.DamagedError):
    return _open(origin, folder)
  with _blaming(origin, folder):
    folder.mkdir(parents=True, exist_ok=True)
  # One process encodes, the others wait for what it writes.
  with filelock.FileLock(_labels_path(folder, origin).with_suffix('.lock')):
    found = find(origin, cache_dir)
    if found is not None:
      return found
    loaded = load()
    _check(loaded)
    with _blaming(origin, folder):
      _write(folder, origin, loaded)
    # Half a gigabyte at most, and the store about to be mapped is as much.
    del loaded
  written = find(origin, cache_dir)
  if written is None:
    raise errors.PreparationError(
      f'The encoded images of {origin}, just written to {folder}, are gone or'
      ' damaged. Leave that folder alone during a build, and check its disk.'
    )
  return written


@contextlib.contextmanager
def _blaming(origin: str, folder: pathlib.Path) -> Iterator[None]:
  """Turns a fault of the file system into an error that names the folder."""
  try:
    yield
  except OSError as err:
    raise errors.PreparationError(
      f'Cannot write the encoded images of {origin} to {folder}:'
      f' {err.strerror}. Make room there, or name another folder in'
      f' {_CACHE_DIR}.'
    ) from err


def find(origin: str, cache_dir: _PathLike | None = None) -> Store | None:
  """Returns the store of an origin.

  Args:
    origin: As given to `open_or_encode`.
    cache_dir: The cache folder; `default_cache_dir()` by default.

  Returns:
    The store, checked, or None where it is missing or damaged; damage is logged
    as a warning.
  """
  try:
    return _open(origin, encoded_dir(cache_dir))
  except _NOT_THERE:
    return None
  except checked_file.DamagedError as err:
    logging.warning(
      '%s The examples of %s are encoded anew.', err, _shortly(origin)
    )
    return None


def _open(origin: str, folder: pathlib.Path) -> Store:
  labels = _read(
    _labels_path(folder, origin), {'kind': _LABELS, 'origin': origin}
  )
  key = labels.fields['images']
  images = _read(_images_path(folder, key), {'kind': _IMAGES, 'images': key})
  num_images = images.fields['num_images']
  pngs, crcs, lengths = np.split(
    images.body, [-6 * num_images, -2 * num_images]
  )
  lengths = lengths.view('<u2').astype(np.uint16)
  return Store(
    pngs=pngs,
    offsets=np.cumsum(lengths, dtype=np.int64) - lengths,
    lengths=lengths,
    crcs=crcs.view('<u4').astype(np.uint32),
    labels=labels.body,
    note=labels.fields['note'],
  )


def entries(
  cache_dir: _PathLike | None = None, *, kind: str | None = None
) -> list[Entry]:
  """Lists the files in the cache folder, with what killed processes left.

  Args:
    cache_dir: The cache folder; `default_cache_dir()` by default.
    kind: The kind of files to list; all if None.

  Returns:
    The files, by name; their sizes add up to that of the cache.
  """
  folder = encoded_dir(cache_dir)
  listed = []
  for path in sorted(folder.glob(f'*{_SUFFIX}*')):
    # Another process may be at work in the folder.
    with contextlib.suppress(FileNotFoundError):
      listed.append(Entry(path, path.stat().st_size, _describe(path)))
  return [entry for entry in listed if kind in (None, entry.kind)]


def clear(
  cache_dir: _PathLike | None = None, *, kind: str | None = None
) -> list[Entry]:
  """Deletes the files in the cache folder.

  Args:
    cache_dir: The cache folder; `default_cache_dir()` by default.
    kind: The kind of files to delete; all if None.

  Returns:
    What was deleted.
  """
  deleted = entries(cache_dir, kind=kind)
  for entry in deleted:
    entry.path.unlink(missing_ok=True)
  return deleted


def _labels_path(folder: pathlib.Path, origin: str) -> pathlib.Path:
  key = hashlib.sha256(origin.encode()).hexdigest()
  return folder / f'labels-{key[:32]}{_SUFFIX}'


def _images_path(folder: pathlib.Path, key: str) -> pathlib.Path:
  return folder / f'images-{key[:32]}{_SUFFIX}'


def _read(
  path: pathlib.Path, expected: dict[str, str]
) -> checked_file.Contents:
  """Reads a file whose fields must hold what is expected."""
  contents = checked_file.read(path)
  if contents.fields.get('kind') != expected['kind']:
    raise checked_file.DamagedError(
      f'{path} is of another version of this package.'
    )
  if not expected.items() <= contents.fields.items():
    raise checked_file.DamagedError(
      f'{path} holds other things than expected: {contents.fields} and not'
      f' {expected}.'
    )
  return contents


def _describe(path: pathlib.Path) -> str:
  if path.suffix == checked_file.PART_SUFFIX:
    return 'being written, or left behind by a process that was killed'
  try:
    fields = checked_file.read_fields(path)
  except checked_file.DamagedError:
    return 'damaged'
  if fields.get('kind') == _IMAGES:
    return f'{fields["num_images"]} images'
  if fields.get('kind') == _LABELS:
    return f'labels of {_shortly(fields["origin"])}'
  return 'of another version'


def _shortly(origin: str) -> str:
  """Returns an origin for people: what follows the colon are hashes."""
  return origin.partition(':')[0]


def _check(loaded: Loaded) -> None:
  images, labels, size = loaded.images, loaded.labels, sources.IMAGE_SIZE
  if (images.dtype, images.shape[1:]) != (np.uint8, (size, size)) or (
    labels.dtype,
    labels.shape,
  ) != (np.uint8, images.shape[:1]):
    raise ValueError(
      f'Expected images uint8 (n, {size}, {size}) and labels uint8 (n,), found'
      f' {images.dtype} {images.shape} and {labels.dtype} {labels.shape}.'
    )


def _write(folder: pathlib.Path, origin: str, loaded: Loaded) -> None:
  """Writes the files of an origin, but not images that are there already."""
  images = loaded.images
  key = _fingerprint(images)
  path = _images_path(folder, key)
  expected = {'kind': _IMAGES, 'images': key}
  try:
    _read(path, expected)
  except (FileNotFoundError, checked_file.DamagedError):
    fields = {**expected, 'num_images': len(images)}
    checked_file.write(path, fields, _encode(images))
  fields = {
    'kind': _LABELS,
    'origin': origin,
    'images': key,
    'note': loaded.note,
  }
  checked_file.write(
    _labels_path(folder, origin), fields, [loaded.labels.tobytes()]
  )


def _fingerprint(images: np.ndarray) -> str:
  """Returns the SHA-256 of the pixels."""
  digest = hashlib.sha256()
  for batch in _batches(len(images)):
    digest.update(np.ascontiguousarray(images[batch]).data)
  return digest.hexdigest()


def _encode(images: np.ndarray) -> Iterator[bytes]:
  """Yields PNGs, margin, checksums and lengths, as `find` reads them."""
  crcs = []
  lengths = []
  # More threads would gain nothing: they spend their time waiting for the
  # interpreter. Several processes gain: see `cmnist build --jobs`.
  for pngs in prefetch(
    png.encode, (images[batch] for batch in _batches(len(images)))
  ):
    crcs.append(np.fromiter(map(google_crc32c.value, pngs), '<u4'))
    lengths.append(np.fromiter(map(len, pngs), '<u2'))
    yield b''.join(pngs)
  yield bytes(MARGIN)
  yield b''.join(map(np.ndarray.tobytes, crcs))
  yield b''.join(map(np.ndarray.tobytes, lengths))


def _batches(count: int) -> Iterator[slice]:
  for start in range(0, count, _AT_ONCE):
    yield slice(start, start + _AT_ONCE)

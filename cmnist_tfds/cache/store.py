# SPDX-License-Identifier: Apache-2.0
"""The cache folder, which holds named sets of arrays.

    <cache>/<kind>/<name>/<array>.npy    an array that `numpy.load` can map
    <cache>/<kind>/<name>/manifest.json  sizes, CRC-32 and a note

An entry is complete or absent. The cache only saves time: an entry that is
missing, damaged or of another version is made again. If the folder cannot be
written, arrays stay in memory. While no build is running, you may delete any
entry and move the folder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import logging
import os
import pathlib
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from zlib_ng import zlib_ng

from cmnist_tfds import locks
from cmnist_tfds.errors import PreparationError

# The kinds of entries. Older versions of this package wrote files of other
# kinds.
OLDER = 'older'
KINDS = {
  'arrays': 'raw pixels and labels',
  'encoded': 'PNG images',
  'order': 'the order of the examples',
  'neighbors': 'nearest neighbours of test images',
  OLDER: 'files of older versions of this package',
}

CACHE_DIR_VARIABLE = 'CMNIST_CACHE_DIR'

# Change it when the form of an entry changes. Entries of other forms are made
# again.
_FORMAT = 'cmnist_tfds cache 4'
_MANIFEST = 'manifest.json'
_INCOMPLETE = '.incomplete'
_OLDER_PATTERN = 'encoded/*.store*'

_log = logging.getLogger('cmnist_tfds')

# An array, or the chunks along its first axis, of which there is at least one.
Chunks = np.ndarray | Iterable[np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Made:
  """Arrays that the cache should keep.

  Attributes:
    arrays: The arrays by name. They are consumed in this order, so the chunks
      of one array may fill a list that is a later array.
    note: Facts about the arrays, in types that JSON has.
    description: What the arrays are, for people.
  """

  arrays: Mapping[str, Chunks]
  note: Mapping[str, Any]
  description: str


@dataclasses.dataclass(frozen=True, eq=False)
class Kept:
  """Arrays that the cache has.

  Attributes:
    arrays: The arrays by name, mapped and read-only; in memory if the cache
      cannot be written.
    note: `Made.note`.
  """

  arrays: Mapping[str, np.ndarray]
  note: Mapping[str, Any]


# Returns what is wrong with the arrays of an entry; None if they are right.
Check = Callable[[Kept], str | None]


@dataclasses.dataclass(frozen=True)
class CacheEntry:
  """An entry of the cache folder.

  Attributes:
    path: The folder of the entry, or a file of an older version.
    kind: One of `KINDS`.
    num_bytes: Bytes of its files.
    description: What it holds, for people.
  """

  path: pathlib.Path
  kind: str
  num_bytes: int
  description: str


class _UnusableError(Exception):
  """An entry cannot be used; the message says why."""


def cache_dir() -> pathlib.Path:
  """Returns the cache folder.

  It is $CMNIST_CACHE_DIR, else `cmnist_tfds` in $XDG_CACHE_HOME or in ~/.cache.
  """
  if os.environ.get(CACHE_DIR_VARIABLE):
    return pathlib.Path(os.environ[CACHE_DIR_VARIABLE]).expanduser()
  caches = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
  return pathlib.Path(caches).expanduser() / 'cmnist_tfds'


def find_kept(kind: str, name: str, check: Check) -> Kept | None:
  """Returns the arrays of an entry, mapped and checked.

  Args:
    kind: One of `KINDS`.
    name: Name of the entry.
    check: Returns what is wrong with the arrays.

  Returns:
    The arrays; None if they are missing, damaged or of another version. A
    damaged entry and an entry of another version are logged as a warning.
  """
  folder = cache_dir() / kind / name
  try:
    return _open(folder, check)
  except FileNotFoundError:
    return None
  except (_UnusableError, OSError) as error:
    _say_once(f'The cache entry {folder} is not used: {_reason(error)}.')
    return None


def keep(kind: str, name: str, make: Callable[[], Made], check: Check) -> Kept:
  """Returns the arrays of an entry, which it makes if the cache lacks them.

  One process makes an entry while the others wait.

  Args:
    kind: One of `KINDS`.
    name: Name of the entry. Equal names mean equal arrays.
    make: Returns the arrays. It is called only if the cache lacks them, and a
      second time if they could not be written.
    check: Returns what is wrong with the arrays.

  Returns:
    The arrays, checked.
  """
  if (kept := find_kept(kind, name, check)) is not None:
    return kept
  folder = cache_dir() / kind / name
  with contextlib.ExitStack() as held:
    try:
      folder.parent.mkdir(parents=True, exist_ok=True)
      _say_of_older_version()
      held.enter_context(locks.lock(folder.with_name(f'.{name}.lock')))
    except (OSError, PreparationError) as error:
      _say_unwritable(error)
      return _in_memory(make())
    # Another process may have made it in the meantime.
    if (kept := find_kept(kind, name, check)) is not None:
      return kept
    made = make()
    try:
      _write(folder, made)
      # Free the arrays first: a large source takes half a gigabyte.
      del made
      return _open(folder, check)
    except (OSError, _UnusableError) as error:
      _say_unwritable(error)
  return _in_memory(make())


def _in_memory(made: Made) -> Kept:
  return Kept(
    {name: _whole(chunks) for name, chunks in made.arrays.items()}, made.note
  )


def _say_unwritable(error: Exception) -> None:
  _say_once(
    f'The cache folder {cache_dir()} cannot be used ({_reason(error)}), so this'
    ' process keeps arrays in memory. Make the folder writable and free some'
    f' space, or name another folder in {CACHE_DIR_VARIABLE}.'
  )


def entries(kind: str | None = None) -> list[CacheEntry]:
  """Lists the entries of the cache, including remains of killed processes.

  Args:
    kind: One of `KINDS`; all if None.

  Returns:
    The entries, sorted by kind and name.
  """
  found = [
    (each, path)
    for each in KINDS
    for path in sorted((cache_dir() / each).glob('*'))
    if path.is_dir() and (not path.name.startswith('.') or _is_remains(path))
  ]
  found += [(OLDER, path) for path in sorted(cache_dir().glob(_OLDER_PATTERN))]
  return [
    CacheEntry(path, each, _num_bytes(path), _describe(path))
    for each, path in found
    if kind in (None, each)
  ]


def clear(kind: str | None = None) -> list[CacheEntry]:
  """Deletes entries of the cache.

  Args:
    kind: One of `KINDS`; all if None.

  Returns:
    The deleted entries.

  Raises:
    OSError: If the system refuses to delete an entry.
  """
  deleted = entries(kind)
  for entry in deleted:
    if entry.path.is_dir() and not entry.path.is_symlink():
      shutil.rmtree(entry.path)
    else:
      entry.path.unlink(missing_ok=True)
  return deleted


def _write(folder: pathlib.Path, made: Made) -> None:
  """Writes an entry into a temporary folder, which it then renames."""
  for remains in folder.parent.glob(f'.{folder.name}.*{_INCOMPLETE}'):
    shutil.rmtree(remains, ignore_errors=True)
  with tempfile.TemporaryDirectory(
    suffix=_INCOMPLETE,
    prefix=f'.{folder.name}.',
    dir=folder.parent,
    ignore_cleanup_errors=True,
  ) as beside:
    new = pathlib.Path(beside, 'new')
    new.mkdir()
    files = {
      name: _write_array(new / f'{name}.npy', chunks)
      for name, chunks in made.arrays.items()
    }
    contents = {
      'format': _FORMAT,
      'files': files,
      'note': made.note,
      'description': made.description,
    }
    manifest = {**contents, 'crc32': _crc_of_json(contents)}
    (new / _MANIFEST).write_text(json.dumps(manifest), 'utf-8')
    # An unusable entry may be in the way. It may be anything, even a broken
    # link.
    if os.path.lexists(folder):
      folder.rename(pathlib.Path(beside, 'replaced'))
    new.rename(folder)


def _write_array(path: pathlib.Path, chunks: Chunks) -> dict[str, int]:
  """Writes a .npy file; returns its size and CRC-32."""
  length = 0
  with path.open('xb') as file:
    for chunk in [chunks] if isinstance(chunks, np.ndarray) else chunks:
      if not file.tell():
        # NumPy leaves room in the header for the first axis to grow.
        dtype, rest = chunk.dtype, chunk.shape[1:]
        _write_header(file, dtype, (0, *rest))
      file.write(np.ascontiguousarray(chunk).data)
      length += len(chunk)
    file.seek(0)
    _write_header(file, dtype, (length, *rest))
  data = _map_bytes(path)
  return {'size': len(data), 'crc32': zlib_ng.crc32(data)}


def _write_header(
  file: Any, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> None:
  np.lib.format.write_array_header_1_0(
    file,
    {
      'descr': np.lib.format.dtype_to_descr(dtype),
      'fortran_order': False,
      'shape': shape,
    },
  )


def _open(folder: pathlib.Path, check: Check) -> Kept:
  """Maps and checks the arrays of an entry."""
  manifest = _read_manifest(folder)
  arrays = {}
  for name, facts in manifest['files'].items():
    path = folder / f'{name}.npy'
    data = _map_bytes(path)
    found = {'size': len(data), 'crc32': zlib_ng.crc32(data)}
    if found != facts:
      raise _UnusableError(f'{path.name} fails its checksum')
    try:
      mapped = np.lib.format.open_memmap(path, mode='r')
    except ValueError as err:
      raise _UnusableError(f'{path.name} is no .npy file') from err
    # Indexing a plain array is faster than indexing a memmap.
    arrays[name] = mapped.view(np.ndarray)
  kept = Kept(arrays, manifest['note'])
  wrong = check(kept)
  if wrong:
    raise _UnusableError(wrong)
  return kept


def _read_manifest(folder: pathlib.Path) -> dict[str, Any]:
  path = folder / _MANIFEST
  _check_regular(path)
  try:
    manifest = json.loads(path.read_text('utf-8'))
    crc = manifest.pop('crc32')
    version = manifest['format']
    if version == _FORMAT:
      manifest |= {key: dict(manifest[key]) for key in ('files', 'note')}
  except (ValueError, TypeError, KeyError, AttributeError) as err:
    raise _UnusableError(f'{_MANIFEST} is damaged') from err
  if version != _FORMAT:
    raise _UnusableError('it is of another version of this package')
  if crc != _crc_of_json(manifest):
    raise _UnusableError(f'{_MANIFEST} fails its checksum')
  return manifest


def _crc_of_json(contents: Mapping[str, Any]) -> int:
  return zlib_ng.crc32(json.dumps(contents, sort_keys=True).encode())


def _map_bytes(path: pathlib.Path) -> np.ndarray:
  _check_regular(path)
  if not path.stat().st_size:
    raise _UnusableError(f'{path.name} is empty')
  return np.memmap(path, np.uint8, mode='r').view(np.ndarray)


def _check_regular(path: pathlib.Path) -> None:
  """Refuses anything but a file. Opening a pipe would wait for its writer."""
  if not stat.S_ISREG(path.stat().st_mode):
    raise _UnusableError(f'{path.name} is not a regular file')


def _whole(chunks: Chunks) -> np.ndarray:
  """Returns an array that is whole already or comes in chunks."""
  if isinstance(chunks, np.ndarray):
    return chunks
  return np.concatenate(list(chunks))


def _is_remains(path: pathlib.Path) -> bool:
  return path.name.endswith(_INCOMPLETE)


def _num_bytes(path: pathlib.Path) -> int:
  total = 0
  for file in [path, *path.rglob('*')]:
    # Another process may delete files at the same time.
    with contextlib.suppress(FileNotFoundError):
      total += file.stat().st_size if file.is_file() else 0
  return total


def _describe(path: pathlib.Path) -> str:
  if not path.is_dir():
    return 'of an older version'
  if _is_remains(path):
    return 'unfinished: a process is writing it, or was killed'
  try:
    return str(_read_manifest(path)['description'])
  except (_UnusableError, OSError) as error:
    return f'not usable: {error}'


def _say_of_older_version() -> None:
  older = entries(OLDER)
  if older:
    total = sum(entry.num_bytes for entry in older)
    _say_once(
      f'{cache_dir()} holds {total / 1e6:,.0f} MB of an older version of this'
      ' package. This version does not use them, and reads and encodes the'
      f' sources again. Run `cmnist cache clear --kind {OLDER}` to delete the'
      ' old files.'
    )


def _reason(error: Exception) -> str:
  """Returns the reason of an error, without the path that the system adds."""
  return getattr(error, 'strerror', None) or str(error)


@functools.cache
def _say_once(message: str) -> None:
  _log.warning('%s', message)

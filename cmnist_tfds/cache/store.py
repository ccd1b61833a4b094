# SPDX-License-Identifier: Apache-2.0
"""The cache folder: named arrays, each set of them whole or not there.

    <cache>/<kind>/<name>/<array>.npy    as `numpy.load` maps it
    <cache>/<kind>/<name>/manifest.json  sizes, CRC-32 and a note

The cache only speeds things up: what is missing, damaged or of another version
is made anew, and where the folder cannot be written arrays stay in memory. Any
entry may be deleted, and the folder moved, whenever no build is running.
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
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from zlib_ng import zlib_ng

from cmnist_tfds import locks
from cmnist_tfds.errors import PreparationError

# What there may be in the cache. An older version of this package kept files
# of another kind.
OLDER = 'older'
KINDS = {
  'arrays': 'raw pixels and labels',
  'encoded': 'PNG images',
  'order': 'the order of the examples',
  OLDER: 'files of older versions of this package',
}

CACHE_DIR_VARIABLE = 'CMNIST_CACHE_DIR'

# Change it when the files of an entry change: others are made anew.
_FORMAT = 'cmnist_tfds cache 4'
_MANIFEST = 'manifest.json'
_INCOMPLETE = '.incomplete'
_OLDER_PATTERN = 'encoded/*.store*'

_log = logging.getLogger('cmnist_tfds')

# An array, or the chunks along its first axis, of which there is at least one.
Chunks = np.ndarray | Iterable[np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Made:
  """Arrays to be kept.

  Attributes:
    arrays: The arrays by name. They are taken in this order, so that chunks of
      one may fill the list that another one is.
    note: What is to be remembered of them, fit for JSON.
    description: What they are, for people.
  """

  arrays: Mapping[str, Chunks]
  note: Mapping[str, Any]
  description: str


@dataclasses.dataclass(frozen=True, eq=False)
class Kept:
  """Arrays that were kept.

  Attributes:
    arrays: The arrays by name, mapped and read-only, or in memory where the
      cache cannot be written.
    note: `Made.note`.
  """

  arrays: Mapping[str, np.ndarray]
  note: Mapping[str, Any]


# Returns what is wrong with arrays that were kept, None if nothing is.
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
  """An entry that cannot be used; says why."""


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
    check: Says what is wrong with arrays that are not what they should be.

  Returns:
    The arrays; None where they are missing, damaged, or of another version.
    All but the first is logged as a warning.
  """
  folder = cache_dir() / kind / name
  try:
    return _open(folder, check)
  except FileNotFoundError:
    return None
  except (_UnusableError, OSError) as error:
    _say_once(f'{folder} in the cache is not used: {_reason(error)}.')
    return None


def keep(kind: str, name: str, make: Callable[[], Made], check: Check) -> Kept:
  """Returns the arrays of an entry; makes and keeps what is not there.

  One process makes an entry while others wait for it.

  Args:
    kind: One of `KINDS`.
    name: Name of the entry: equal names mean equal arrays.
    make: Returns the arrays. It is called only where they are not there, and a
      second time where the cache turns out not to be writable.
    check: As for `find_kept`.

  Returns:
    The arrays, checked.
  """
  if (kept := find_kept(kind, name, check)) is not None:
    return kept
  folder = cache_dir() / kind / name
  try:
    folder.parent.mkdir(parents=True, exist_ok=True)
    _say_of_older_version()
    with _lock(folder.with_name(f'.{name}.lock')):
      # Another process may have made it in the meantime.
      if (kept := find_kept(kind, name, check)) is not None:
        return kept
      made = make()
      _write(folder, made)
      # A large source takes half a gigabyte, and its map as much again.
      del made
      return _open(folder, check)
  except (_UnusableError, OSError) as error:
    _say_once(
      f'The cache folder {cache_dir()} cannot be used ({_reason(error)}), so this'
      ' process keeps what it needs in memory. Make room there, or name another'
      f' folder in {CACHE_DIR_VARIABLE}.'
    )
  made = make()
  return Kept(
    {name: _whole(chunks) for name, chunks in made.arrays.items()}, made.note
  )


def entries(kind: str | None = None) -> list[CacheEntry]:
  """Lists the entries of the cache, with what killed processes left.

  Args:
    kind: One of `KINDS`; all if None.

  Returns:
    The entries, by kind and name. Their sizes add up to that of the cache.
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
    What was deleted.

  Raises:
    OSError: If the system refuses to delete one.
  """
  deleted = entries(kind)
  for entry in deleted:
    if entry.path.is_dir() and not entry.path.is_symlink():
      shutil.rmtree(entry.path)
    else:
      entry.path.unlink(missing_ok=True)
  return deleted


@contextlib.contextmanager
def _lock(path: pathlib.Path) -> Iterator[None]:
  """Holds a lock; without one the cache is of no use, and no more than that."""
  with contextlib.ExitStack() as held:
    try:
      held.enter_context(locks.lock(path))
    except PreparationError as error:
      # The system's own words, so that one fault is said in one way.
      raise _UnusableError(_reason(error.__cause__ or error)) from error
    yield


def _write(folder: pathlib.Path, made: Made) -> None:
  """Writes an entry beside its place and renames it."""
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
    # What is there cannot be used, or it would not be made anew. It may be
    # anything, even a link that leads nowhere.
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
    # A plain array indexes faster than its subclass.
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
  """Refuses what is no file; to open a pipe would wait for its writer."""
  if not stat.S_ISREG(path.stat().st_mode):
    raise _UnusableError(f'{path.name} is not a regular file')


def _whole(chunks: Chunks) -> np.ndarray:
  """Returns an array that is given whole or in chunks."""
  if isinstance(chunks, np.ndarray):
    return chunks
  return np.concatenate(list(chunks))


def _is_remains(path: pathlib.Path) -> bool:
  return path.name.endswith(_INCOMPLETE)


def _num_bytes(path: pathlib.Path) -> int:
  total = 0
  for file in [path, *path.rglob('*')]:
    # Another process may be at work in the folder.
    with contextlib.suppress(FileNotFoundError):
      total += file.stat().st_size if file.is_file() else 0
  return total


def _describe(path: pathlib.Path) -> str:
  if not path.is_dir():
    return 'of an older version'
  if _is_remains(path):
    return 'being written, or left by a process that was killed'
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
      ' package, which are not used. Sources are read and encoded anew;'
      f' `cmnist cache clear --kind {OLDER}` deletes the old files.'
    )


def _reason(error: BaseException) -> str:
  """Returns what is wrong, without the path that the system adds."""
  return getattr(error, 'strerror', None) or str(error)


@functools.cache
def _say_once(message: str) -> None:
  _log.warning('%s', message)

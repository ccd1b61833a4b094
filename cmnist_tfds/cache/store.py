# SPDX-License-Identifier: Apache-2.0
"""The cache folder, which holds named sets of arrays.

    <cache>/<kind>/<name>/<array>.npy      an array that `numpy.load` can map
    <cache>/<kind>/<name>/manifest-6.jsonl  a note, and facts about each file

The manifest is written last: a folder without one is not an entry. The checksum
of each file is taken when it is written. It is checked again only if the size,
the inode or a time of the file has changed since, which is how Git's index finds
changed files.

The cache only saves time. An entry that is missing, damaged or of another
format is made again, and if the folder cannot be used, arrays stay in memory.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import json
import os
import pathlib
import platform
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from zlib_ng import zlib_ng

from cmnist_tfds.system import paths
from cmnist_tfds.system.errors import PreparationError, what_helps
from cmnist_tfds.system.streams import warn_once

CACHE_DIR_VARIABLE = 'CMNIST_CACHE_DIR'

# The kinds of entries.
KINDS = {
  'arrays': 'raw pixels and labels',
  'encoded': 'PNG images',
  'order': 'the order of the examples',
  'neighbors': 'nearest neighbors of test images',
}

# A line of JSON, and a line with its checksum. Change the number when the form
# of an entry changes.
_MANIFEST = 'manifest-6.jsonl'

# The bytes before the data of a .npy file.
HEADER_SIZE = 128

# How many bytes of a file are checked at a time.
_BLOCK = 2**20

# An array, or the chunks along its first axis, of which there is at least one.
Chunks = np.ndarray | Iterable[np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Entry:
  """Named arrays.

  Attributes:
    arrays: The arrays by name, mapped and read-only; in memory if the cache
      folder cannot be used.
    note: Facts about the arrays, in types that JSON has.
    folder: The folder of the entry; None if the arrays are in memory.
  """

  arrays: Mapping[str, np.ndarray]
  note: Mapping[str, Any]
  folder: pathlib.Path | None = None

  def __reduce__(self) -> tuple[Any, ...]:
    if self.folder is None:
      return Entry, (self.arrays, self.note)
    return _reopen, (self.folder,)  # Other processes map the files too.

  def chunks(self, name: str, length: int) -> Iterator[np.ndarray]:
    """Reads an array of any size in little memory.

    Pages of a map count as memory of the process, so the file is read.

    Args:
      name: Name of the array.
      length: Length of a chunk.

    Yields:
      The chunks along the first axis, at least one. The last one may be
      shorter.
    """
    whole = self.arrays[name]
    for start in range(0, max(len(whole), 1), length):
      chunk = whole[start : start + length]
      if self.folder is not None:
        path = self.folder / f'{name}.npy'
        at = HEADER_SIZE + start * whole[:1].nbytes
        # The map stays when another process deletes or replaces the file.
        with contextlib.suppress(FileNotFoundError):
          own = np.fromfile(path, whole.dtype, chunk.size, offset=at)
          chunk = own.reshape(chunk.shape) if own.size == chunk.size else chunk
      yield chunk


@dataclasses.dataclass(frozen=True)
class ListedEntry:
  """What `cmnist cache` says of an entry.

  Attributes:
    path: The folder of the entry.
    kind: One of `KINDS`.
    num_bytes: Bytes of its files.
    description: What it holds, for people.
    is_damaged: Whether a file of it is missing or fails its checksum.
  """

  path: pathlib.Path
  kind: str
  num_bytes: int
  description: str
  is_damaged: bool


class _DamagedError(Exception):
  """An entry, the first argument, is damaged; the second one says how."""

  def __str__(self) -> str:
    return '{} is damaged: {}'.format(*self.args)


def cache_dir() -> pathlib.Path:
  """Returns the absolute path of the cache folder, which need not exist.

  It is $CMNIST_CACHE_DIR, else `cmnist_tfds` in $XDG_CACHE_HOME or in ~/.cache.
  """
  base = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
  given = os.environ.get(CACHE_DIR_VARIABLE) or f'{base}/cmnist_tfds'
  found = os.path.expanduser(given)
  # Without a home directory on disk there is no such folder.
  missing = found.startswith('~') or paths.is_remote(found)
  return pathlib.Path(os.devnull if missing else '', found).absolute()


def find(kind: str, name: str) -> Entry | None:
  """Returns an entry of the cache.

  Args:
    kind: One of `KINDS`.
    name: Name of the entry.

  Returns:
    The entry; None if it is missing, damaged or of another format, or the cache
    folder cannot be used. A warning tells of damage and of a folder that cannot
    be used.
  """
  folder = cache_dir() / kind / name
  try:
    _check_owner()
    return _open(folder)
  except FileNotFoundError:
    return None
  except _DamagedError as error:
    warn_once(f'{error}. It is made again.')
  except OSError as error:
    _warn_of_folder(error)
  return None


def get_or_create(
  kind: str,
  name: str,
  make: Callable[[], Mapping[str, Chunks]],
  note: Mapping[str, Any],
) -> Entry:
  """Returns an entry, which is made if the cache lacks it.

  One process makes an entry while the others wait.

  Args:
    kind: One of `KINDS`.
    name: Name of the entry. Equal names mean equal arrays.
    make: Returns the arrays by name. They are consumed in this order, so the
      chunks of one array may fill a list that is a later array. It is called
      only if the cache lacks the entry, and again if that cannot be written.
    note: Facts about the arrays, in types that JSON has; 'what' says for people
      what the arrays are. The chunks may add to it.
  """
  if (found := find(kind, name)) is not None:
    return found
  folder = cache_dir() / kind / name
  try:
    folder.parent.mkdir(parents=True, exist_ok=True)
    _check_owner()
    with _lock(folder):
      # Another process may have made it in the meantime.
      if (found := find(kind, name)) is not None:
        return found
      _write(folder, make(), note)
      return _open(folder)
  except (OSError, NotImplementedError) as error:  # The latter: no locks.
    _warn_of_folder(error)
  arrays = {k: np.concatenate([*_parts(v)]) for k, v in make().items()}
  return Entry(arrays, note)


def entries(
  kind: str | None = None, *, thorough: bool = False
) -> list[ListedEntry]:
  """Lists the entries of the cache, including unfinished ones.

  Args:
    kind: One of `KINDS`; all if None.
    thorough: Whether to check every file, instead of those that have changed.

  Returns:
    The entries, sorted by kind and name.

  Raises:
    OSError: If the cache folder cannot be used.
  """
  if not cache_dir().exists():
    return []
  _check_owner()
  found = []
  for path in sorted(cache_dir().glob('*/*')):
    if not path.is_dir() or path.parent.name not in ([kind] if kind else KINDS):
      continue
    is_damaged = False
    try:
      description = _open(path, thorough=thorough).note['what']
    except FileNotFoundError:
      description = 'unfinished, or of another version of this package'
    except _DamagedError as error:
      is_damaged, description = True, str(error)
    # Another process may delete it in the meantime.
    with contextlib.suppress(FileNotFoundError):
      num_bytes = sum(file.stat().st_size for file in path.iterdir())
      found.append(
        ListedEntry(path, path.parent.name, num_bytes, description, is_damaged)
      )
  return found


def clear(kind: str | None = None) -> list[ListedEntry]:
  """Deletes entries of the cache, when no process is making them.

  Args:
    kind: One of `KINDS`; all if None.

  Returns:
    The deleted entries.
  """
  return _deleted(entries(kind))


def check(kind: str | None = None) -> list[ListedEntry]:
  """Checks every file of the cache, and deletes the entries that are damaged.

  Args:
    kind: One of `KINDS`; all if None.

  Returns:
    The deleted entries.
  """
  return _deleted([e for e in entries(kind, thorough=True) if e.is_damaged])


def _deleted(listed: list[ListedEntry]) -> list[ListedEntry]:
  for entry in listed:
    with _lock(entry.path):
      _delete(entry.path)
  return listed


def _reopen(folder: pathlib.Path) -> Entry:
  """Returns an entry that another process has opened."""
  try:
    return _open(folder)
  except (_DamagedError, OSError) as error:
    raise PreparationError(
      f'{platform.node()} cannot use {folder} of the cache: {error}. Every'
      ' process that takes part needs the cache folder of the one that started'
      f' the work under the same path; {CACHE_DIR_VARIABLE} names another.'
    ) from error


def _open(folder: pathlib.Path, *, thorough: bool = False) -> Entry:
  """Maps the arrays of an entry, checking files that have changed, or all."""
  manifest = _read_manifest(folder)
  arrays = {}
  checked = False
  for name, facts in manifest['files'].items():
    path = folder / f'{name}.npy'
    try:
      state = file_state(path)
      if thorough or state != facts['state']:
        if _crc32(path) != facts['crc32']:
          raise _DamagedError(folder, f'{path.name} fails its checksum')
        facts['state'] = state
        checked = True
      # Parsing the header of the file takes longer.
      dtype, shape = np.dtype(facts['dtype']), tuple(facts['shape'])
      mapped = np.memmap(path, dtype, 'r', HEADER_SIZE, shape)
    except FileNotFoundError as error:
      raise _DamagedError(folder, f'{path.name} is missing') from error
    # Indexing a plain array is faster than indexing a memmap.
    arrays[name] = mapped.view(np.ndarray)
  if checked:
    # In a folder that cannot be written, files are checked each time.
    with contextlib.suppress(OSError):
      _write_manifest(folder, manifest)
  return Entry(arrays, manifest['note'], folder)


def _read_manifest(folder: pathlib.Path) -> dict[str, Any]:
  data = (folder / _MANIFEST).read_bytes()
  text, _, crc = data.rpartition(b'\n')
  if crc != b'%d' % zlib_ng.crc32(text):
    raise _DamagedError(folder, f'{_MANIFEST} fails its checksum')
  manifest: dict[str, Any] = json.loads(text)
  return manifest


def _write(
  folder: pathlib.Path, arrays: Mapping[str, Chunks], note: Mapping[str, Any]
) -> None:
  """Writes an entry, whose lock is held."""
  _delete(folder)  # It may be damaged, or what a killed process has left.
  folder.mkdir()
  try:
    files = {}
    for name, chunks in arrays.items():
      path = folder / f'{name}.npy'
      files[name] = {**_write_array(path, chunks), 'state': file_state(path)}
    _write_manifest(folder, {'files': files, 'note': note})
  except BaseException:
    _delete(folder)
    raise


def _write_array(path: pathlib.Path, chunks: Chunks) -> dict[str, Any]:
  """Writes a .npy file; returns its checksum, type and shape."""
  length = crc = 0
  with path.open('xb') as file:
    file.seek(HEADER_SIZE)
    for chunk in _parts(chunks):
      written = np.ascontiguousarray(chunk)
      file.write(written.data)
      crc = zlib_ng.crc32(written, crc)
      length += len(chunk)
    file.seek(0)
    header = np.lib.format.header_data_from_array_1_0(written)
    header['shape'] = (length, *written.shape[1:])
    np.lib.format.write_array_header_1_0(file, header)
    assert file.tell() == HEADER_SIZE
  return {'crc32': crc, 'dtype': header['descr'], 'shape': header['shape']}


def _write_manifest(folder: pathlib.Path, manifest: dict[str, Any]) -> None:
  text = json.dumps(manifest).encode()
  # Threads that write at the same time have manifests of their own.
  new = folder / f'.{os.getpid()}-{id(manifest)}'
  new.write_bytes(b'%b\n%d' % (text, zlib_ng.crc32(text)))
  new.replace(folder / _MANIFEST)


def _parts(chunks: Chunks) -> Iterable[np.ndarray]:
  return [chunks] if isinstance(chunks, np.ndarray) else chunks


def file_state(path: pathlib.Path) -> list[int]:
  """Returns what changes when the content of a file does."""
  found = path.stat()
  return [found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns]


def _crc32(path: pathlib.Path) -> int:
  """Returns the checksum of the data in a .npy file."""
  crc = 0
  with path.open('rb', buffering=0) as file:
    file.seek(HEADER_SIZE)
    for block in iter(functools.partial(file.read, _BLOCK), b''):
      crc = zlib_ng.crc32(block, crc)
  return crc


def _check_owner() -> None:
  """Refuses a folder whose owner could put wrong entries into it."""
  if hasattr(os, 'getuid') and cache_dir().stat().st_uid != os.getuid():
    reason = 'it belongs to another user'
    raise PermissionError(errno.EPERM, reason, str(cache_dir()))


def _lock(folder: pathlib.Path) -> Any:
  """Returns the lock of an entry."""
  import filelock  # Reading needs no lock, and the import takes time.

  return filelock.FileLock(folder.with_name(f'.{folder.name}.lock'))


def _delete(folder: pathlib.Path) -> None:
  if folder.exists():
    # Without a manifest, readers take the entry for missing.
    (folder / _MANIFEST).unlink(missing_ok=True)
    # One that has begun may write the manifest again, and only once.
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
      shutil.rmtree(folder)


def _warn_of_folder(error: Exception) -> None:
  remedy = f'Make it writable and free some space, or set {CACHE_DIR_VARIABLE}'
  warn_once(
    f'The cache folder {cache_dir()} cannot be used, so arrays are kept in'
    f' memory: {what_helps(error, remedy)}'
  )

# SPDX-License-Identifier: Apache-2.0
"""The cache folder, which holds named sets of arrays.

    <cache>/<kind>/<name>/<array>.npy    an array that `numpy.load` can map
    <cache>/<kind>/<name>/manifest.json  a note, and facts about each file

An entry is complete or absent. The checksum of each file is taken when the
entry is written. It is checked again only if the size, the inode or a time of
the file has changed since, which is how Git's index finds changed files.

The cache only saves time. An entry that is missing, damaged or of an older
format is made again, and if the folder cannot be used, arrays stay in memory.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import json
import logging
import math
import os
import pathlib
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np
from zlib_ng import zlib_ng

from cmnist_tfds.system.errors import PreparationError

CACHE_DIR_VARIABLE = 'CMNIST_CACHE_DIR'

# The kinds of entries.
KINDS = {
  'arrays': 'raw pixels and labels',
  'encoded': 'PNG images',
  'order': 'the order of the examples',
  'neighbors': 'nearest neighbors of test images',
}

# Change the number when the form of an entry changes.
_FORMAT_NAME = 'cmnist_tfds cache'
_FORMAT = f'{_FORMAT_NAME} 5'
_MANIFEST = 'manifest.json'
_INCOMPLETE = '.incomplete'

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
    starts = range(0, max(len(whole), 1), length)
    if self.folder is None:
      for start in starts:
        yield whole[start : start + length]
      return
    with (self.folder / f'{name}.npy').open('rb') as file:
      np.lib.format.read_magic(file)
      np.lib.format.read_array_header_1_0(file)
      for start in starts:
        shape = (min(length, len(whole) - start), *whole.shape[1:])
        chunk = np.fromfile(file, whole.dtype, math.prod(shape))
        yield chunk.reshape(shape)


@dataclasses.dataclass(frozen=True)
class ListedEntry:
  """What `cmnist cache` says of an entry.

  Attributes:
    path: The folder of the entry.
    kind: One of `KINDS`.
    num_bytes: Bytes of its files.
    description: What it holds, for people.
  """

  path: pathlib.Path
  kind: str
  num_bytes: int
  description: str


class _DamagedError(Exception):
  """An entry is damaged; the message says how."""


def cache_dir() -> pathlib.Path:
  """Returns the absolute path of the cache folder, which need not exist.

  It is $CMNIST_CACHE_DIR, else `cmnist_tfds` in $XDG_CACHE_HOME or in ~/.cache.
  """
  given = os.environ.get(CACHE_DIR_VARIABLE) or os.path.join(
    os.environ.get('XDG_CACHE_HOME') or '~/.cache', 'cmnist_tfds'
  )
  try:
    return pathlib.Path(given).expanduser().absolute()
  except RuntimeError:  # Without a home directory there is no such folder.
    return pathlib.Path(os.devnull, 'cmnist_tfds')


def find(kind: str, name: str) -> Entry | None:
  """Returns an entry of the cache.

  Args:
    kind: One of `KINDS`.
    name: Name of the entry.

  Returns:
    The entry; None if it is missing, damaged or of an older format, or the
    cache folder cannot be used. A warning tells of damage and of a folder that
    cannot be used.
  """
  root = cache_dir()
  try:
    _check_owner(root)
    return _open(root / kind / name)
  except FileNotFoundError:
    return None
  except _DamagedError as error:
    warn_once(f'{root / kind / name} is damaged ({error}). It is made again.')
  except OSError as error:
    _warn_of_folder(root, error)
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
  root = cache_dir()
  folder = root / kind / name
  try:
    folder.parent.mkdir(parents=True, exist_ok=True)
    _check_owner(root)
    _remove_remains(root)
    with _lock(folder):
      # Another process may have made it in the meantime.
      if (found := find(kind, name)) is not None:
        return found
      _write(folder, make(), note)
      return _open(folder)
  except (OSError, NotImplementedError) as error:  # The latter: no locks.
    _warn_of_folder(root, error)
  arrays = {name: _whole(chunks) for name, chunks in make().items()}
  return Entry(arrays, note)


def reopen(folder: pathlib.Path) -> Entry:
  """Returns an entry that another process has found or made.

  Args:
    folder: `Entry.folder` in the other process.

  Raises:
    PreparationError: If this process does not find it there.
  """
  try:
    return _open(folder)
  except (_DamagedError, OSError) as error:
    raise PreparationError(
      f'{platform.node()} cannot use {folder} of the cache ({_reason(error)}).'
      ' Every machine that takes part must see the cache folder of the process'
      ' that started the build under the same path. Name such a folder in'
      f' {CACHE_DIR_VARIABLE}, and build again.'
    ) from error


def entries(kind: str | None = None) -> list[ListedEntry]:
  """Lists the entries of the cache.

  Args:
    kind: One of `KINDS`; all if None.

  Returns:
    The entries, sorted by kind and name. Entries that a process is making are
    among them.
  """
  root = cache_dir()
  try:
    _check_owner(root)
  except FileNotFoundError:
    return []
  except OSError as error:
    _warn_of_folder(root, error)
    return []
  _remove_remains(root)
  return [
    ListedEntry(path, each, _num_bytes(path), _describe(path))
    for each in ([kind] if kind else KINDS)
    for path in sorted((root / each).glob('*'))
    if path.is_dir() and (path.name[0] != '.' or _is_incomplete(path))
  ]


def clear(kind: str | None = None) -> list[ListedEntry]:
  """Deletes entries of the cache, when no process is making them.

  Args:
    kind: One of `KINDS`; all if None.

  Returns:
    The deleted entries.
  """
  deleted = entries(kind)
  for entry in deleted:
    with _lock(entry.path):
      _delete(entry.path)
  return deleted


def check(kind: str | None = None) -> list[ListedEntry]:
  """Checks every file of the cache, and deletes the entries that are damaged.

  Args:
    kind: One of `KINDS`; all if None.

  Returns:
    The deleted entries.
  """
  damaged = []
  for entry in entries(kind):
    try:
      with contextlib.suppress(FileNotFoundError):  # Deleted meanwhile.
        _open(entry.path, thorough=True)
    except _DamagedError:
      damaged.append(entry)
      with _lock(entry.path):
        _delete(entry.path)
  return damaged


def _open(folder: pathlib.Path, *, thorough: bool = False) -> Entry:
  """Maps the arrays of an entry, checking files that have changed, or all."""
  contents = _read_manifest(folder)
  arrays = {}
  rewrite = False
  for name, facts in contents['files'].items():
    path = folder / f'{name}.npy'
    try:
      state = _state(path)
      if thorough or state != facts['state']:
        if _crc32(path) != facts['crc32']:
          raise _DamagedError(f'{path.name} fails its checksum')
        facts['state'] = state
        rewrite = True
      mapped = np.lib.format.open_memmap(path, mode='r')
    except FileNotFoundError as error:
      raise _DamagedError(f'{path.name} is missing') from error
    # Indexing a plain array is faster than indexing a memmap.
    arrays[name] = mapped.view(np.ndarray)
  if rewrite:
    # In a folder that cannot be written, files are checked each time.
    with contextlib.suppress(OSError):
      _write_manifest(folder, contents)
  return Entry(arrays, contents['note'], folder)


def _read_manifest(folder: pathlib.Path) -> dict[str, Any]:
  text = (folder / _MANIFEST).read_bytes()
  try:
    contents: dict[str, Any] = json.loads(text)
    crc = contents.pop('crc32')
    if contents['format'] != _FORMAT:
      raise FileNotFoundError(errno.ENOENT, 'It is of another format')
  except (ValueError, TypeError, KeyError, AttributeError) as error:
    raise _DamagedError(f'{_MANIFEST} cannot be read') from error
  if crc != _crc32_of_json(contents):
    raise _DamagedError(f'{_MANIFEST} fails its checksum')
  return contents


def _write(
  folder: pathlib.Path, arrays: Mapping[str, Chunks], note: Mapping[str, Any]
) -> None:
  """Writes an entry into a temporary folder, which it then renames."""
  new = pathlib.Path(
    tempfile.mkdtemp(_INCOMPLETE, f'.{folder.name}.', folder.parent)
  )
  try:
    files = {}
    for name, chunks in arrays.items():
      path = new / f'{name}.npy'
      _write_array(path, chunks)
      files[name] = {'crc32': _crc32(path), 'state': _state(path)}
    contents = {'format': _FORMAT, 'files': files, 'note': note}
    _write_manifest(new, contents)
    _delete(folder)  # It may be damaged, or of an older format.
    new.rename(folder)
  finally:
    shutil.rmtree(new, ignore_errors=True)


def _write_array(path: pathlib.Path, chunks: Chunks) -> None:
  """Writes a .npy file."""
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


def _write_header(
  file: BinaryIO, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> None:
  descr = np.lib.format.dtype_to_descr(dtype)
  header = {'descr': descr, 'fortran_order': False, 'shape': shape}
  np.lib.format.write_array_header_1_0(file, header)


def _write_manifest(folder: pathlib.Path, contents: dict[str, Any]) -> None:
  manifest = {**contents, 'crc32': _crc32_of_json(contents)}
  descriptor, path = tempfile.mkstemp(dir=folder)
  with os.fdopen(descriptor, 'w', encoding='utf-8') as file:
    json.dump(manifest, file)
  os.replace(path, folder / _MANIFEST)


def _state(path: pathlib.Path) -> list[int]:
  """Returns what changes when the content of a file does."""
  found = path.stat()
  return [found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns]


def _crc32(path: pathlib.Path) -> int:
  crc = 0
  buffer = memoryview(bytearray(_BLOCK))
  with path.open('rb', buffering=0) as file:
    while count := file.readinto(buffer):
      crc = zlib_ng.crc32(buffer[:count], crc)
  return crc


def _crc32_of_json(contents: Mapping[str, Any]) -> int:
  return zlib_ng.crc32(json.dumps(contents, sort_keys=True).encode())


def _whole(chunks: Chunks) -> np.ndarray:
  """Returns an array that is whole already or comes in chunks."""
  return (
    chunks if isinstance(chunks, np.ndarray) else np.concatenate(list(chunks))
  )


def _check_owner(root: pathlib.Path) -> None:
  """Refuses a folder whose owner could put wrong entries into it."""
  if hasattr(os, 'getuid') and root.stat().st_uid != os.getuid():
    raise PermissionError(errno.EPERM, 'it belongs to another user')


def _lock(path: pathlib.Path, timeout: float = -1) -> Any:
  """Returns the lock of an entry, or of the entry that a remain is of."""
  import filelock  # Reading needs no lock, and the import takes time.

  name = path.name
  if _is_incomplete(path):
    name = name[1:].removesuffix(_INCOMPLETE).rpartition('.')[0]
  return filelock.FileLock(path.with_name(f'.{name}.lock'), timeout)


def _remove_remains(root: pathlib.Path) -> None:
  """Removes what killed processes and older versions of the package left."""
  for kind in KINDS:
    for path in (root / kind).glob('*'):
      if _is_incomplete(path) or _is_older(path):
        # A process that is writing has the lock.
        with contextlib.suppress(OSError), _lock(path, timeout=0):
          _delete(path)


def _is_incomplete(path: pathlib.Path) -> bool:
  return path.name.endswith(_INCOMPLETE)


def _is_older(path: pathlib.Path) -> bool:
  if path.is_file():
    return '.store' in path.name
  try:
    with (path / _MANIFEST).open(encoding='utf-8') as file:
      # The format comes first in every manifest.
      found = file.read(2 * len(_FORMAT)).partition(_FORMAT_NAME)
  except (OSError, ValueError):
    return False
  return bool(found[1]) and not _FORMAT.endswith(found[2].partition('"')[0])


def _delete(path: pathlib.Path) -> None:
  if path.is_symlink() or not path.is_dir():
    path.unlink(missing_ok=True)
    return
  # Without a manifest, readers take the entry for missing.
  (path / _MANIFEST).unlink(missing_ok=True)
  shutil.rmtree(path)


def _num_bytes(path: pathlib.Path) -> int:
  total = 0
  for file in path.iterdir():
    with contextlib.suppress(FileNotFoundError):  # Deleted meanwhile.
      total += file.stat().st_size
  return total


def _describe(path: pathlib.Path) -> str:
  if _is_incomplete(path):
    return 'unfinished: a process is writing it'
  try:
    return str(_read_manifest(path)['note']['what'])
  except (_DamagedError, OSError) as error:
    return f'damaged: {_reason(error)}'


def _warn_of_folder(root: pathlib.Path, error: Exception) -> None:
  warn_once(
    f'The cache folder {root} cannot be used ({_reason(error)}), so arrays are'
    ' kept in memory. Make the folder writable and free some space, or name'
    f' another folder in {CACHE_DIR_VARIABLE}.'
  )


def _reason(error: Exception) -> str:
  """Returns the reason of an error, without the path that the system adds."""
  return getattr(error, 'strerror', None) or str(error)


@functools.cache
def warn_once(message: str) -> None:
  """Logs a warning, the first time this process has it."""
  logging.getLogger('cmnist_tfds').warning('%s', message)

# SPDX-License-Identifier: Apache-2.0
"""The cache folder, which holds named sets of arrays.

    <cache>/<kind>/<name>/<array>.npy    an array that `numpy.load` can map
    <cache>/<kind>/<name>/manifest.json  sizes, CRC-32 and a note

An entry is complete or absent. The cache only saves time: an entry that is
missing, damaged or of another version is made again. If the folder cannot be
written, a folder of the user's own in the system's folder for temporary files
takes its place; if that cannot be written either, arrays stay in memory. You
may move the folder while no build is running.

Several users may share the folder. An entry that another user has made is used
only if its content is proved by other means; see `Kept.is_trusted`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import json
import logging
import os
import pathlib
import platform
import shutil
import stat
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import numpy as np
from zlib_ng import zlib_ng

from cmnist_tfds.system import locks
from cmnist_tfds.system.disk_errors import disk_errors, file_size, format_size
from cmnist_tfds.system.errors import PreparationError
from cmnist_tfds.system.shared_folders import OTHERS_MAY_WRITE, make_folder

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

_SUPERUSER = 0

# How many bytes are read at once to check a file.
_BLOCK = 2**20

_log = logging.getLogger('cmnist_tfds')

# An array, or the chunks along its first axis, of which there is at least one.
Chunks = np.ndarray | Iterable[np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Made:
  """Arrays that the cache should keep.

  Attributes:
    arrays: The arrays by name. They are consumed in this order, so the chunks
      of one array may fill a list that is a later array.
    note: Facts about the arrays, in types that JSON has. It is read after the
      arrays, whose chunks may fill it.
    description: What the arrays are, for people.
  """

  arrays: Mapping[str, Chunks]
  note: Mapping[str, Any]
  description: str


@dataclasses.dataclass(frozen=True)
class Place:
  """Where other processes find the arrays of an entry.

  Attributes:
    folder: The folder of the entry, an absolute path.
    crc32: CRC-32 of its manifest, which has the checksums of the arrays.
  """

  folder: pathlib.Path
  crc32: int

  @property
  def cache_dir(self) -> pathlib.Path:
    """The cache folder that has the entry."""
    return self.folder.parents[1]


@dataclasses.dataclass(frozen=True, eq=False)
class Kept:
  """Arrays that the cache has.

  Attributes:
    arrays: The arrays by name, mapped and read-only; in memory if the cache
      cannot be written.
    note: `Made.note`.
    is_trusted: Whether nobody but this user, the superuser or the owner of a
      folder that only its owner may write can have made the arrays. Otherwise a
      check must prove what they are.
    place: Where other processes find the arrays; None if only this process has
      them.
  """

  arrays: Mapping[str, np.ndarray]
  note: Mapping[str, Any]
  is_trusted: bool = True
  place: Place | None = None


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


class _ForeignError(_UnusableError):
  """An entry of another user cannot be used, as is to be expected."""


def cache_dir() -> pathlib.Path:
  """Returns the cache folder.

  It is $CMNIST_CACHE_DIR, else `cmnist_tfds` in $XDG_CACHE_HOME or in ~/.cache.
  For a user without a home directory it is `temporary_cache_dir`.
  """
  if os.environ.get(CACHE_DIR_VARIABLE):
    folder = pathlib.Path(os.environ[CACHE_DIR_VARIABLE])
  else:
    caches = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
    folder = pathlib.Path(caches) / 'cmnist_tfds'
  try:
    return folder.expanduser()
  except RuntimeError:  # The user has no home directory.
    return temporary_cache_dir()


def temporary_cache_dir() -> pathlib.Path:
  """Returns the folder that is used where the cache folder cannot be written.

  It is in the system's folder for temporary files.
  """
  user = f'-{os.getuid()}' if hasattr(os, 'getuid') else ''
  return pathlib.Path(tempfile.gettempdir(), f'cmnist_tfds{user}')


def _roots() -> list[pathlib.Path]:
  """Returns the cache folder, and the one that may take its place."""
  roots = [cache_dir()]
  # No folder for temporary files may exist.
  with contextlib.suppress(OSError):
    if temporary_cache_dir() not in roots:
      roots.append(temporary_cache_dir())
  return roots


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
  for root in _roots():
    if (kept := _find(root, kind, name, check)) is not None:
      return kept
  return None


def reopen(place: Place) -> Kept:
  """Returns the arrays of an entry that another process has checked.

  Args:
    place: `Kept.place` of the other process.

  Returns:
    The same arrays, mapped.

  Raises:
    PreparationError: If this process does not find the same arrays there.
  """

  def check(kept: Kept) -> str | None:
    return None if kept.place == place else 'it was made again meanwhile'

  try:
    return _open(place.folder, check, _trusted_owners(place.cache_dir))
  except (_UnusableError, OSError) as error:
    raise PreparationError(
      f'{platform.node()} cannot use {place.folder} of the cache'
      f' ({_reason(error)}). Every machine that takes part must see the cache'
      ' folder of the process that started the build under the same path. Name'
      f' such a folder in {CACHE_DIR_VARIABLE}, and build again.'
    ) from error


def _find(
  root: pathlib.Path, kind: str, name: str, check: Check
) -> Kept | None:
  folder = root / kind / name
  try:
    return _open(folder, check, _trusted_owners(root))
  except FileNotFoundError:
    return None
  except _ForeignError as error:
    _log.info('The cache entry %s is not used: %s.', folder, error)
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
    make: Returns the arrays. It is called only if the cache lacks them, and
      again if they could not be written.
    check: Returns what is wrong with the arrays.

  Returns:
    The arrays, checked.
  """
  roots = _roots()
  for root in roots:
    # A folder that cannot be written keeps its remains.
    with contextlib.suppress(OSError, PreparationError):
      _clear_remains(root)
  if (kept := find_kept(kind, name, check)) is not None:
    return kept
  for root, instead in itertools.zip_longest(roots, roots[1:]):
    with contextlib.ExitStack() as held:
      try:
        _make_root(root)
        make_folder(root / kind)
        _say_of_older_version()
        held.enter_context(locks.lock(_lock_file(root / kind, name)))
        _check_replaceable(root, root / kind / name)
      except _ForeignError as error:
        _log.info('%s is kept elsewhere, since %s.', name, error)
        continue
      except (OSError, PreparationError, _UnusableError) as error:
        _say_unwritable(root, error, instead)
        continue
      # Another process may have made it in the meantime.
      if (kept := _find(root, kind, name, check)) is not None:
        return kept
      made = make()
      try:
        _write(root / kind / name, made)
        # Free the arrays first: a large source takes half a gigabyte.
        del made
        return _open(root / kind / name, check, _trusted_owners(root))
      except (OSError, _UnusableError) as error:
        _say_unwritable(root, error, instead)
  return _in_memory(make())


def _make_root(root: pathlib.Path) -> None:
  """Makes a cache folder; other users may plant nothing in a temporary one."""
  if root != temporary_cache_dir():
    make_folder(root)
    return
  with contextlib.suppress(FileExistsError):
    root.mkdir(mode=0o700)
  status = root.lstat()
  if not stat.S_ISDIR(status.st_mode) or not (
    _is_of_this_user(status) and not status.st_mode & OTHERS_MAY_WRITE
  ):
    raise _UnusableError('it is not a folder that only its user may write')


def _is_of_this_user(status: os.stat_result) -> bool:
  return not hasattr(os, 'getuid') or status.st_uid == os.getuid()


def _trusted_owners(root: pathlib.Path) -> frozenset[int]:
  """Returns the users whose entries are used without further proof.

  Users choose their cache folder, and thus trust its owner, who may change it
  at will, but nobody else who may write to it.
  """
  if not hasattr(os, 'getuid'):
    return frozenset()
  status = root.stat()
  owners = {os.getuid(), _SUPERUSER}
  if not status.st_mode & OTHERS_MAY_WRITE and root != temporary_cache_dir():
    owners.add(status.st_uid)
  return frozenset(owners)


def _is_trusted(status: os.stat_result, owners: Collection[int]) -> bool:
  return not hasattr(os, 'getuid') or status.st_uid in owners


def _check_replaceable(root: pathlib.Path, folder: pathlib.Path) -> None:
  """Refuses to replace the entry of another user, who would replace ours."""
  with contextlib.suppress(FileNotFoundError):
    if not _is_trusted(folder.lstat(), _trusted_owners(root)):
      raise _ForeignError(f'{folder.name} in it belongs to another user')


def _lock_file(folder: pathlib.Path, name: str) -> pathlib.Path:
  return folder / f'.{name}.lock'


def _in_memory(made: Made) -> Kept:
  return Kept(
    {name: _whole(chunks) for name, chunks in made.arrays.items()}, made.note
  )


def _say_unwritable(
  root: pathlib.Path, error: Exception, instead: pathlib.Path | None
) -> None:
  _say_once(
    f'The cache folder {root} cannot be used ({_reason(error)}), so arrays are'
    f' kept in {instead or "memory"}. Make the folder writable and free some'
    f' space, or name another folder in {CACHE_DIR_VARIABLE}.'
  )


def entries(kind: str | None = None) -> list[CacheEntry]:
  """Lists the entries of the cache, including remains of killed processes.

  Args:
    kind: One of `KINDS`; all if None.

  Returns:
    The entries, sorted by kind and name.
  """
  found = []
  for root in _roots():
    # A folder that cannot be read has no entries for this user.
    with contextlib.suppress(PermissionError):
      found += [
        (each, path)
        for each in KINDS
        for path in sorted((root / each).glob('*'))
        if path.is_dir()
        and (not path.name.startswith('.') or _is_remains(path))
      ]
      found += [(OLDER, path) for path in sorted(root.glob(_OLDER_PATTERN))]
  return [
    CacheEntry(path, each, _num_bytes(path), _describe(path))
    for each, path in found
    if kind in (None, each)
  ]


def clear(kind: str | None = None) -> list[CacheEntry]:
  """Deletes entries of the cache, when no process is making them.

  Args:
    kind: One of `KINDS`; all if None.

  Returns:
    The deleted entries.

  Raises:
    PreparationError: If the system refuses to delete an entry.
  """
  deleted = entries(kind)
  for entry in deleted:
    folder = entry.path.parent
    with (
      disk_errors(entry.path, 'delete', alternative='delete it yourself'),
      contextlib.ExitStack() as held,
    ):
      if entry.kind != OLDER:
        name = _name_of_remains(entry.path) or entry.path.name
        held.enter_context(locks.lock(_lock_file(folder, name)))
      _delete(entry.path)
  return deleted


def discard(kind: str, name: str) -> None:
  """Deletes an entry that is not needed any more, if the cache has it.

  An entry that the system refuses to delete is kept, and takes space only.

  Args:
    kind: One of `KINDS`.
    name: Name of the entry.
  """
  for root in _roots():
    folder = root / kind
    with contextlib.suppress(OSError, PreparationError):
      if (folder / name).exists():
        with locks.lock(_lock_file(folder, name)):
          _delete(folder / name)
        _lock_file(folder, name).unlink()


def _delete(path: pathlib.Path) -> None:
  """Deletes an entry, out of the sight of readers."""
  if path.is_symlink() or not path.is_dir():
    path.unlink(missing_ok=True)
    return
  if not _is_remains(path):
    hidden = _temporary_folder(path)
    path = path.rename(hidden / 'deleted').parent
  # A process without locks may have deleted it.
  with contextlib.suppress(FileNotFoundError):
    shutil.rmtree(path)


def _temporary_folder(folder: pathlib.Path) -> pathlib.Path:
  """Makes a folder beside an entry; see `_name_of_remains`."""
  made = tempfile.mkdtemp(_INCOMPLETE, f'.{folder.name}.', folder.parent)
  return pathlib.Path(made)


def _name_of_remains(path: pathlib.Path) -> str | None:
  """Returns the entry that a temporary folder was made for, if it is one."""
  if not _is_remains(path):
    return None
  return (
    path.name.removesuffix(_INCOMPLETE).rpartition('.')[0].removeprefix('.')
  )


@functools.cache
def _clear_remains(root: pathlib.Path) -> None:
  """Removes what killed processes have left, once in the life of this one."""
  for kind in KINDS:
    for remains in (root / kind).glob(f'.*{_INCOMPLETE}'):
      if name := _name_of_remains(remains):
        with locks.lock(_lock_file(root / kind, name), wait=False) as is_free:
          if is_free:
            shutil.rmtree(remains, ignore_errors=True)


def _write(folder: pathlib.Path, made: Made) -> None:
  """Writes an entry into a temporary folder, which it then renames."""
  for remains in folder.parent.glob(f'.{folder.name}.*{_INCOMPLETE}'):
    shutil.rmtree(remains, ignore_errors=True)
  beside = _temporary_folder(folder)
  try:
    new = beside / 'new'
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
      folder.rename(beside / 'replaced')
    new.rename(folder)
  finally:
    # What is left counts as the remains of a killed process.
    shutil.rmtree(beside, ignore_errors=True)


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
  return _size_and_crc(path)


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


def _open(
  folder: pathlib.Path, check: Check, trusted_owners: Collection[int]
) -> Kept:
  """Maps and checks the arrays of an entry."""
  manifest = _read_manifest(folder)
  arrays = {}
  paths = [folder, folder / _MANIFEST]
  for name, facts in manifest['files'].items():
    path = folder / f'{name}.npy'
    paths.append(path)
    if _size_and_crc(path) != facts:
      raise _UnusableError(f'{path.name} fails its checksum')
    try:
      mapped = np.lib.format.open_memmap(path, mode='r')
    except ValueError as err:
      raise _UnusableError(f'{path.name} is no .npy file') from err
    # Indexing a plain array is faster than indexing a memmap.
    arrays[name] = mapped.view(np.ndarray)
  kept = Kept(
    arrays,
    manifest['note'],
    all(_is_trusted(path.stat(), trusted_owners) for path in paths),
    Place(folder.absolute(), manifest['crc32']),
  )
  wrong = check(kept)
  if wrong:
    raise (_UnusableError if kept.is_trusted else _ForeignError)(wrong)
  return kept


def _read_manifest(folder: pathlib.Path) -> dict[str, Any]:
  path = folder / _MANIFEST
  file_size(path)  # It refuses what is not a file.
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
  return {**manifest, 'crc32': crc}


def _crc_of_json(contents: Mapping[str, Any]) -> int:
  return zlib_ng.crc32(json.dumps(contents, sort_keys=True).encode())


def _size_and_crc(path: pathlib.Path) -> dict[str, int]:
  """Returns what a manifest says of a file."""
  file_size(path)  # It refuses what is not a file.
  size = crc = 0
  # A map would count as memory of the process, and the file may be larger.
  buffer = memoryview(bytearray(_BLOCK))
  with path.open('rb', buffering=0) as file:
    while count := file.readinto(buffer):
      size += count
      crc = zlib_ng.crc32(buffer[:count], crc)
  return {'size': size, 'crc32': crc}


def _whole(chunks: Chunks) -> np.ndarray:
  """Returns an array that is whole already or comes in chunks."""
  if isinstance(chunks, np.ndarray):
    return chunks
  first, *others = chunks
  return np.concatenate([first, *others]) if others else first


def _is_remains(path: pathlib.Path) -> bool:
  return path.name.endswith(_INCOMPLETE)


def _num_bytes(path: pathlib.Path) -> int:
  # Another process may delete files at the same time. `walk` passes over them.
  files = [
    os.path.join(folder, name)
    for folder, _, names in os.walk(path)
    for name in names
  ]
  total = 0
  for file in files or [os.fspath(path)]:
    with contextlib.suppress(FileNotFoundError):
      status = os.lstat(file)
      total += status.st_size if stat.S_ISREG(status.st_mode) else 0
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
      f'{cache_dir()} holds {format_size(total)} of an older version of this'
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

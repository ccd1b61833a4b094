# SPDX-License-Identifier: Apache-2.0
"""Writes files and folders so that nothing of the user's is lost.

New files are written under other names on the same file system, synced to disk
and then renamed, so that no half-written file is ever seen.

A folder may hold files of the user's beside those this package wrote. A
manifest in the folder lists the written ones with their sizes and hashes. Only
a file that the manifest lists, and that has not changed since, is ever replaced
or removed. While files are being moved into place, the manifest lists the old
ones too; a later run thus recognises all files of a killed one.

All names that begin with `.cmnist_tfds.` belong to this package.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import pathlib
import re
import secrets
import shutil
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent import futures
from typing import Any, NamedTuple

from cmnist_tfds.system import streams
from cmnist_tfds.system.disk_errors import disk_errors
from cmnist_tfds.system.errors import PreparationError
from cmnist_tfds.system.locks import lock_folder

# Lists the files of a folder that this package wrote.
MANIFEST = '.cmnist_tfds.json'

# Holds the new files of a folder until they are complete.
_STAGE = '.cmnist_tfds.unfinished'
_UNFINISHED_FILE = re.compile(r'\.cmnist_tfds\.[0-9a-f]{16}\.unfinished')

# A folder without a manifest may hold these. A new clone of a repository of a
# dataset hub or of a site consists of them.
_OF_A_CLONE = frozenset(
  {
    *('.git', '.gitattributes', '.gitignore', '.github'),
    *('.nojekyll', 'CNAME', 'LICENSE', 'LICENSE.md', 'LICENSE.txt'),
    'README.md',
  }
)

_ABOUT = (
  'cmnist_tfds wrote the files listed here. It replaces or removes no other'
  ' file of this folder, and none that was changed.'
)

# TFDS keeps the name of the default config of a dataset in this folder.
_HIDDEN_OF_TFDS = '.config'

# Above this number of files one sync of all disks is quicker than one each.
_MOST_SYNCED_ALONE = 1000

_SYNCED_AT_ONCE = 16

# How many paths an error message names.
_NAMED = 3


class _Record(NamedTuple):
  """What the manifest says of a file."""

  size: int
  sha256: str


class _Own(NamedTuple):
  """A file of the folder that the manifest lists and that has not changed.

  Attributes:
    record: What the manifest says of it.
    state: What changes when the file does.
  """

  record: _Record
  state: tuple[int, ...]


def write_file(path: pathlib.Path, data: bytes) -> None:
  """Writes a file, which replaces a regular file at its place.

  Several processes may write one file at the same time; each of them succeeds,
  and the file is always that of one of them.

  Args:
    path: The file.
    data: Its content.

  Raises:
    PreparationError: If the file cannot be written, or something other than a
      regular file is at its place.
  """
  check_file(path)
  with disk_errors(path), lock_folder(path.parent) as locked:
    if locked:
      _clear_unfinished_files(path.parent)
    _write(path, data)


def check_file(path: pathlib.Path) -> None:
  """Checks, before any work, that `write_file` may write a file.

  Args:
    path: The file.

  Raises:
    PreparationError: As `write_file` does.
  """
  with disk_errors(path):
    if path.is_symlink():
      raise PreparationError(
        f'{path} is a symbolic link to {path.readlink()}, and links are not'
        ' followed. Give the name of a file.'
      )
    if path.exists() and not path.is_file():
      raise PreparationError(
        f'{path} is not a regular file. Give the name of a file.'
      )
    _check_parent(path.absolute())
    if path.exists() and not os.access(path, os.W_OK):
      raise PreparationError(
        f'{path} is read-only. Change its permissions, or choose another file.'
      )


@contextlib.contextmanager
def write_folder(
  path: pathlib.Path,
  writer: str,
  names: Iterable[str],
  apart_from: Iterable[pathlib.Path] = (),
) -> Iterator[pathlib.Path]:
  """Writes the files of a folder, which appear there when the block ends.

  The folder must be new, empty, a new clone of a repository, or one that the
  same writer has written. The files it wrote there are replaced, and removed if
  they are not written again. All others stay as they are.

  Other processes that write the same folder are waited for.

  Args:
    path: The folder.
    writer: What writes it, such as 'cmnist publish'.
    names: The paths, relative to the folder, of all files that may be written;
      'a/' stands for every file in the folder `a`. With them a file in the way
      is found before any work. No part of a path may begin with a dot, but
      for `.config`.
    apart_from: Folders that the folder must not be, contain or be in.

  Yields:
    The path of an empty folder, to be filled by the block.

  Raises:
    PreparationError: If the folder cannot be written, is none that may be
      written, or a file in it that is not ours, or was changed, is in the way.
      In all these cases no file of the folder has been changed.
  """
  with disk_errors(path):
    place = _check_place(path, apart_from)
    is_new = not place.exists()
    place.mkdir(exist_ok=True)
    try:
      with lock_folder(place):
        _clear_unfinished(place)
        own = _find_own(place, writer, names)
        stage = place / _STAGE
        stage.mkdir()
        try:
          yield stage
          _put_in_place(stage, place, writer, own)
        finally:
          shutil.rmtree(stage)
    except BaseException:
      if is_new:
        # Fails if the folder holds anything.
        with contextlib.suppress(OSError):
          place.rmdir()
      raise


def _check_place(
  path: pathlib.Path, apart_from: Iterable[pathlib.Path]
) -> pathlib.Path:
  """Returns the absolute path of a folder that may be written."""
  if path.is_symlink():
    raise PreparationError(
      f'{path} is a symbolic link to {path.readlink()}, and links are not'
      ' followed. Give the name of a folder.'
    )
  place = path.resolve()
  for reason, found in (
    ('is the root of the file system', place == pathlib.Path(place.anchor)),
    ('is a home directory', place == _home()),
    ('is a mount point', place.is_mount()),
    ('is not a folder', place.exists() and not place.is_dir()),
  ):
    if found:
      raise PreparationError(f'{path} {reason}. Choose another folder.')
  for folder in map(pathlib.Path.resolve, apart_from):
    if place == folder or place in folder.parents or folder in place.parents:
      raise PreparationError(
        f'{path} is, contains or is in {folder}, the data of which are needed.'
        ' Choose another folder.'
      )
  if not place.exists():
    _check_parent(place)
  elif not os.access(place, os.R_OK | os.W_OK | os.X_OK):
    raise PreparationError(
      f'{path} cannot be read or written. Change its permissions, or choose'
      ' another folder.'
    )
  return place


def _home() -> pathlib.Path | None:
  try:
    return pathlib.Path.home().resolve()
  except RuntimeError:  # The user has none.
    return None


def _check_parent(path: pathlib.Path) -> None:
  parent = path.parent
  if not parent.is_dir():
    raise PreparationError(
      f'{parent}, the folder of {path.name}, does not exist. Make it, or choose'
      ' another place.'
    )
  if not os.access(parent, os.W_OK | os.X_OK):
    raise PreparationError(
      f'{parent}, the folder of {path.name}, cannot be written. Change its'
      ' permissions, or choose another place.'
    )


def _find_own(
  place: pathlib.Path, writer: str, names: Iterable[str]
) -> dict[str, _Own]:
  """Returns our files in a folder, by their paths relative to it.

  Raises:
    PreparationError: If one was changed or a file in the way is not ours.
  """
  recorded = _read_manifest(place, writer)
  own: dict[str, _Own] = {}
  changed = []
  for path, records in recorded.items():
    file = place / path
    if not os.path.lexists(file):
      continue
    found = _find_file(place, path)
    if found and found.record in records:
      own[path] = found
    else:
      changed.append(path)
  if changed:
    raise _changed(place, changed)
  _check_way(place, names, own)
  return own


def _find_file(place: pathlib.Path, path: str) -> _Own | None:
  """Describes a regular file; None for anything else, or behind a link."""
  if _blocked(place, path):
    return None
  file = place / path
  state = _state(file)
  return None if state is None else _Own(_record(file), state)


def _state(file: pathlib.Path) -> tuple[int, ...] | None:
  """Returns what changes when a regular file does; None for anything else."""
  try:
    status = file.lstat()
  except OSError:
    return None
  if not stat.S_ISREG(status.st_mode):
    return None
  return (
    status.st_dev,
    status.st_ino,
    status.st_size,
    status.st_mtime_ns,
    status.st_ctime_ns,
  )


def _record(file: pathlib.Path) -> _Record:
  digest = hashlib.sha256()
  size = 0
  with file.open('rb') as stream:
    while block := stream.read(1 << 20):
      digest.update(block)
      size += len(block)
  return _Record(size, digest.hexdigest())


def _blocked(place: pathlib.Path, path: str) -> str | None:
  """Returns the first part of a path that should be a folder and is not."""
  for parent in reversed(pathlib.PurePosixPath(path).parents[:-1]):
    folder = place / parent
    if os.path.lexists(folder) and (folder.is_symlink() or not folder.is_dir()):
      return str(parent)
  return None


def _check_way(
  place: pathlib.Path, names: Iterable[str], own: Collection[str]
) -> None:
  """Raises an error if something that is not ours is in the way of files."""
  in_way = [
    path for name in names for path in _standing(place, name) if path not in own
  ]
  if in_way:
    raise _in_way(place, in_way)


def _standing(place: pathlib.Path, name: str) -> Iterator[str]:
  """Yields what stands where a file, or the files of a folder, are to be."""
  if blocked := _blocked(place, name):
    yield blocked
    return
  path = place / name
  if not os.path.lexists(path):
    return
  if not name.endswith('/') or path.is_symlink() or not path.is_dir():
    yield name.rstrip('/')
    return
  for folder, folders, files in os.walk(path):
    for entry in files + folders:
      found = pathlib.Path(folder, entry)
      if entry in files or found.is_symlink():
        yield found.relative_to(place).as_posix()


def _put_in_place(
  stage: pathlib.Path,
  place: pathlib.Path,
  writer: str,
  own: Mapping[str, _Own],
) -> None:
  """Moves new files into place, and removes our old ones."""
  new = _sync_and_record(stage)
  # Much time may have passed since the first look.
  changed = [
    path
    for path, found in own.items()
    if os.path.lexists(place / path) and _state(place / path) != found.state
  ]
  if changed:
    raise _changed(place, changed)
  _check_way(place, new, own)
  old = {path: found.record for path, found in own.items()}
  _write_manifest(place, writer, new, replaced=old)
  _move(stage, place, place, own)
  _remove(place, {path: own[path] for path in own if path not in new})
  for folder in {(place / path).parent for path in new}:
    sync_folder(folder)
  _write_manifest(place, writer, new)


def _sync_and_record(stage: pathlib.Path) -> dict[str, _Record]:
  """Syncs the files of a folder to the disk, and returns their records."""
  files = sorted(path for path in stage.rglob('*') if path.is_file())
  paths = [file.relative_to(stage).as_posix() for file in files]
  for path in paths:
    if not _is_written_path(path):
      raise PreparationError(
        f'{path} is no name of a file that cmnist writes. Rename the file.'
      )
  with (
    # It shows before the sync, which may take as long as the rest.
    streams.progress_bar(
      desc='Saving', total=len(files), unit=' files', leave=False
    ) as progress,
    futures.ThreadPoolExecutor(_SYNCED_AT_ONCE) as pool,
  ):
    sync_tree(stage)
    records = {}
    for path, record in zip(paths, pool.map(_record, files), strict=True):
      records[path] = record
      progress.update()
  return records


def sync_tree(folder: pathlib.Path) -> None:
  """Syncs all files of a folder, and their names, to the disk.

  Args:
    folder: The folder, which may hold folders.

  Raises:
    PreparationError: If the system cannot sync a file.
  """
  files = [path for path in folder.rglob('*') if path.is_file()]
  with disk_errors(folder):
    if len(files) > _MOST_SYNCED_ALONE and hasattr(os, 'sync'):
      os.sync()
      return
    # Disks sync several files in little more time than one.
    with futures.ThreadPoolExecutor(_SYNCED_AT_ONCE) as pool:
      list(pool.map(sync_file, files))
      list(pool.map(sync_folder, {folder, *(file.parent for file in files)}))


def sync_file(file: pathlib.Path) -> None:
  """Syncs the content of a file to the disk, but not its name.

  Args:
    file: The file.

  Raises:
    PreparationError: If the system cannot sync it.
  """
  # Windows syncs only what is open for writing.
  mode = 'r+b' if os.name == 'nt' else 'rb'
  with disk_errors(file), file.open(mode) as stream:
    os.fsync(stream.fileno())


def sync_folder(folder: pathlib.Path) -> None:
  """Syncs the names of the files in a folder, on systems that can.

  Args:
    folder: The folder.
  """
  if not hasattr(os, 'O_DIRECTORY'):
    return
  # Some network file systems sync no folders.
  with contextlib.suppress(OSError):
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
      os.fsync(opened)
    finally:
      os.close(opened)


def _move(
  folder: pathlib.Path,
  target_folder: pathlib.Path,
  place: pathlib.Path,
  own: Mapping[str, _Own],
) -> None:
  """Moves files, folders as wholes where there is none of that name."""
  for source in sorted(folder.iterdir()):
    target = target_folder / source.name
    path = target.relative_to(place).as_posix()
    if source.is_dir():
      if target.is_dir():
        _move(source, target, place, own)
      else:
        source.rename(target)
    elif path not in own or not os.path.lexists(target):
      try:
        move_to_free_place(source, target)
      except FileExistsError as error:
        raise _in_way(place, [path]) from error
    elif _state(target) == own[path].state:
      source.replace(target)
    else:
      raise _changed(place, [path])


def move_to_free_place(source: pathlib.Path, target: pathlib.Path) -> None:
  """Moves a file within a file system, and replaces nothing.

  Args:
    source: The file.
    target: Its new place.

  Raises:
    FileExistsError: If there is something at the new place.
    OSError: If the file cannot be moved.
  """
  # Unlike renaming, this never replaces what was made a moment ago.
  try:
    target.hardlink_to(source)
  except FileExistsError:
    raise
  except OSError:  # The file system has no hard links.
    if os.path.lexists(target):
      raise FileExistsError(
        errno.EEXIST, os.strerror(errno.EEXIST), target
      ) from None
    source.rename(target)
  else:
    source.unlink()


def _remove(place: pathlib.Path, own: Mapping[str, _Own]) -> None:
  """Removes those of our files that are still unchanged, and empty folders."""
  for path, found in own.items():
    file = place / path
    if _state(file) != found.state:
      continue
    file.unlink()
    for parent in pathlib.PurePosixPath(path).parents[:-1]:
      try:
        (place / parent).rmdir()
      except OSError:
        break  # It holds something.


def _read_manifest(
  place: pathlib.Path, writer: str
) -> dict[str, list[_Record]]:
  """Returns what each file that we wrote may be.

  Raises:
    PreparationError: If the manifest is damaged or another writer's, or the
      folder has none and holds more than a new clone does.
  """
  path = place / MANIFEST
  if not os.path.lexists(path):
    foreign = sorted(set(os.listdir(place)) - _OF_A_CLONE)
    if foreign:
      raise PreparationError(
        f'{place} is not empty: it holds {_listed(foreign)}. It has no'
        f' {MANIFEST}, the list of files that cmnist wrote, which earlier'
        ' versions did not write either. Choose another folder, or, if cmnist'
        ' wrote those, remove them.'
      )
    return {}
  try:
    if _state(path) is None:
      raise ValueError('it is not a regular file')
    manifest = json.loads(path.read_text('utf-8'))
    wrote = manifest['writer']
    if wrote != writer:
      raise PreparationError(
        f'{place} was written by {wrote}, which {writer} does not replace.'
        ' Choose another folder.'
      )
    records: dict[str, list[_Record]] = {}
    for listed in (manifest['files'], manifest.get('replaced', {})):
      for name, facts in listed.items():
        if not _is_written_path(name):
          raise ValueError(f'{name!r} is no path that cmnist writes')
        record = _Record(facts['size'], facts['sha256'])
        records.setdefault(name, []).append(record)
    return records
  except (ValueError, LookupError, TypeError, AttributeError) as error:
    raise _damaged(path, error) from error
  except RecursionError as error:
    raise _damaged(path, 'it is nested too deeply') from error


def _is_written_path(path: str) -> bool:
  """Returns whether a path is one of those that this package writes.

  No other path is taken from a manifest, which may come from anywhere: it must
  not lead out of the folder, nor into `.git`.
  """
  parts = path.split('/')
  return all(
    part
    and (part == _HIDDEN_OF_TFDS or not part.startswith('.'))
    and not re.search(r'[\\:\0]', part)
    for part in parts
  )


def _write_manifest(
  place: pathlib.Path,
  writer: str,
  files: Mapping[str, _Record],
  replaced: Mapping[str, _Record] | None = None,
) -> None:
  manifest: dict[str, Any] = {
    'about': _ABOUT,
    'writer': writer,
    'files': _as_json(files),
  }
  if replaced:
    manifest['replaced'] = _as_json(replaced)
  text = json.dumps(manifest, indent=1, ensure_ascii=False)
  _write(place / MANIFEST, f'{text}\n'.encode())


def _as_json(records: Mapping[str, _Record]) -> dict[str, dict[str, Any]]:
  return {path: record._asdict() for path, record in sorted(records.items())}


def _write(path: pathlib.Path, data: bytes) -> None:
  """Writes a file under another name, then renames it."""
  unfinished = path.with_name(f'.cmnist_tfds.{secrets.token_hex(8)}.unfinished')
  try:
    # 'x' follows no link and opens no file that is there.
    with unfinished.open('xb') as out:
      out.write(data)
      out.flush()
      os.fsync(out.fileno())
    if os.path.lexists(path) and _state(path) is None:
      raise PreparationError(
        f'{path} is not a regular file any more. Choose another file.'
      )
    unfinished.replace(path)
  finally:
    unfinished.unlink(missing_ok=True)
  sync_folder(path.parent)


def _clear_unfinished(place: pathlib.Path) -> None:
  """Removes what killed runs have left in a locked folder."""
  _clear_unfinished_files(place)
  stage = place / _STAGE
  if stage.is_symlink() or stage.is_file():
    stage.unlink()
  elif stage.exists():
    shutil.rmtree(stage)


def _clear_unfinished_files(folder: pathlib.Path) -> None:
  with os.scandir(folder) as entries:
    for entry in entries:
      if _UNFINISHED_FILE.fullmatch(entry.name):
        os.unlink(entry.path)


def _in_way(place: pathlib.Path, paths: Collection[str]) -> PreparationError:
  return PreparationError(
    f'{place}: {_listed(paths)} would be overwritten, and cmnist did not write'
    ' it. Move it away, or choose another folder.'
  )


def _changed(place: pathlib.Path, paths: Collection[str]) -> PreparationError:
  return PreparationError(
    f'{place}: {_listed(paths)} was changed since cmnist wrote it. Move it away'
    ' or remove it, or choose another folder.'
  )


def _damaged(path: pathlib.Path, reason: object) -> PreparationError:
  return PreparationError(
    f'{path}: expected the list of files that cmnist wrote, and it cannot be'
    f' read: {reason}. Restore it, or choose another folder.'
  )


def _listed(paths: Collection[str]) -> str:
  """Returns the first of some paths, and how many more there are."""
  named = ', '.join(list(paths)[:_NAMED])
  more = len(paths) - _NAMED
  return f'{named} and {more} more' if more > 0 else named

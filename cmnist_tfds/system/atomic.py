# SPDX-License-Identifier: Apache-2.0
"""Writes files and folders so that nothing of the user's is lost.

New files are written under other names on the same file system, synced to disk
and then renamed, so that no half-written file is ever seen.

A folder may hold files of the user's beside those this package wrote. A
manifest in the folder lists the written ones with their SHA-256. Only a file
that the manifest lists, and that has not changed since, is ever replaced or
removed. While files are being moved into place, the manifest lists what they
were as well; a later run thus recognizes all files of a killed one.

All names that begin with `.cmnist_tfds.` belong to this package.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from typing import Annotated, BinaryIO

import msgspec

from cmnist_tfds.system.errors import PreparationError, disk_errors, few

# Lists the files of a folder that this package wrote.
MANIFEST = '.cmnist_tfds.json'

_PREFIX = '.cmnist_tfds.'

# A folder without a manifest may hold these, as a new clone of a repository of a
# dataset hub or of a site does.
_IN_A_CLONE = re.compile(r'\..*|CNAME|(LICENSE|README)(\.\w+)?')

# A path that a manifest, which may come from anywhere, may list: it leads
# neither out of the folder nor into `.git`. TFDS has a folder `.config`.
_PART = r'(?!\.(?!config/))[^/\\:\0]+'
_WRITTEN = rf'\A{_PART}(/{_PART})*\Z'


class _Manifest(msgspec.Struct):
  """The SHA-256 that each file of ours has, or had before a run was killed."""

  writer: str
  files: dict[Annotated[str, msgspec.Meta(pattern=_WRITTEN)], set[str]]


def sha256(stream: BinaryIO) -> str:
  """Returns the SHA-256 of bytes, as 64 hexadecimal digits."""
  digest = hashlib.sha256()
  while block := stream.read(1 << 20):
    digest.update(block)
  return digest.hexdigest()


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
  unfinished = path.with_name(f'{_PREFIX}{secrets.token_hex(8)}.unfinished')
  with disk_errors(path):
    try:
      # 'x' follows no link and opens no file that is there.
      with unfinished.open('xb') as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
      unfinished.replace(path)
    finally:
      unfinished.unlink(missing_ok=True)


def check_file(path: pathlib.Path) -> None:
  """Checks, before any work, that `write_file` may write a file.

  Args:
    path: The file.

  Raises:
    PreparationError: As `write_file` does.
  """
  # If no file can be made in the folder, the system says why.
  with disk_errors(path), tempfile.TemporaryFile(dir=path.absolute().parent):
    # In this order: another process may just have written it.
    if os.path.lexists(path) and not (
      path.is_file() and not path.is_symlink() and os.access(path, os.W_OK)
    ):
      fault = f'{path} is not a regular file that can be written'
      remedy = 'Choose another name, or change its permissions'
      raise PreparationError(f'{fault}. {remedy}.')


@contextlib.contextmanager
def write_folder(
  path: pathlib.Path, writer: str, names: Iterable[str]
) -> Iterator[pathlib.Path]:
  """Writes the files of a folder, which appear there when the block ends.

  The folder must be new, empty, a new clone of a repository, or one that the
  same writer has written. The files it wrote there are replaced, and removed if
  they are not written again. All others stay as they are. Parents that it lacks
  are made.

  Until they are complete, the files are beside the folder, in a hidden one that
  a killed run leaves and the next run clears: not in the folder, which may be
  pushed as it is. Other processes that write the same folder are waited for.

  Args:
    path: The folder.
    writer: What writes it, such as 'cmnist publish'.
    names: The paths, relative to the folder, of all files that may be written;
      'a/' stands for every file in the folder `a`. With them a file in the way
      is found before any work. No part of a path may begin with a dot, but
      for `.config`.

  Yields:
    The path of an empty folder, to be filled by the block.

  Raises:
    PreparationError: If the folder cannot be written, is none that may be
      written, or a file in it that is not ours, or was changed, is in the way.
      In all these cases no file of the folder has been changed.
  """
  with disk_errors(path):
    new = [p for p in (path, *path.parents) if not os.path.lexists(p)]
    if path.is_symlink() or not (new or path.is_dir()):
      fault = f'{path} is not a folder, and links are not followed'
      raise PreparationError(f'{fault}. Choose another folder.')
    path.mkdir(parents=True, exist_ok=True)
    import filelock  # It takes a while.

    # Files cannot be renamed into a mounted folder from outside.
    beside, name = path.absolute().parent, f'{_PREFIX}{path.absolute().name}'
    is_mounted = beside.stat().st_dev != path.stat().st_dev
    home = path if is_mounted or not os.access(beside, os.W_OK) else beside
    stage, lock = home / f'{name}.unfinished', home / f'{name}.lock'
    with filelock.FileLock(lock):
      try:
        _find_own(path, writer, names)
        # A killed run may have left it.
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir()
        yield stage
        _move_in(stage, path, writer)
      finally:
        shutil.rmtree(stage, ignore_errors=True)
        lock.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # It holds something.
          for made in new:
            made.rmdir()


def _read_manifest(place: pathlib.Path, writer: str) -> _Manifest:
  """Returns what each file that we wrote may be.

  Raises:
    PreparationError: If the manifest is damaged or another writer's, or the
      folder has none and holds more than a new clone does.
  """
  path = place / MANIFEST
  if not os.path.lexists(path):
    names = sorted(os.listdir(place))
    if foreign := [n for n in names if not _IN_A_CLONE.fullmatch(n)]:
      raise PreparationError(
        f'{place} is not empty: it holds {few(foreign)}, and no {MANIFEST},'
        ' the list of files that cmnist wrote. Choose another folder.'
      )
    return _Manifest(writer, {})
  try:
    manifest = msgspec.json.decode(path.read_bytes(), type=_Manifest)
  except (msgspec.DecodeError, RecursionError) as error:
    fault = f'expected the list of files that cmnist wrote, found: {error}'
    remedy = 'Restore it, or choose another folder'
    raise PreparationError(f'{path}: {fault}. {remedy}.') from error
  if manifest.writer != writer:
    fault = f'was written by {manifest.writer}, which {writer} does not replace'
    raise PreparationError(f'{place} {fault}. Choose another folder.')
  return manifest


def _find_own(
  place: pathlib.Path, writer: str, names: Iterable[str]
) -> dict[str, str]:
  """Returns our files in a folder, each with its SHA-256.

  Raises:
    PreparationError: If one was changed or a file in the way is not ours.
  """
  listed = _read_manifest(place, writer).files
  found = {name for name in listed if os.path.lexists(place / name)}
  found.update(_find_in_way(place, names))
  own = {name: _sha256(place, name) for name in sorted(found)}
  if others := [n for n in own if own[n] not in listed.get(n, ())]:
    raise PreparationError(
      f'{place}: {few(others)} is in the way: cmnist did not write it, or it'
      ' was changed since. Move it away, or choose another folder.'
    )
  return {name: was for name, was in own.items() if was}


def _sha256(place: pathlib.Path, name: str) -> str | None:
  """Returns that of a regular file; None if it is not one, or behind a link."""
  file = place / name
  if file.resolve() != place.resolve() / name or not file.is_file():
    return None
  with file.open('rb') as stream:
    return sha256(stream)


def _find_in_way(place: pathlib.Path, names: Iterable[str]) -> Iterator[str]:
  """Yields what is where files, or the files of folders, are to be."""
  paths = {name: pathlib.PurePosixPath(name) for name in names}
  files = {path for name, path in paths.items() if not name.endswith('/')}
  folders = set(paths.values()) - files
  taken = files.union(folders, *(path.parents for path in paths.values()))
  for found in place.rglob('*'):
    path = pathlib.PurePosixPath(found.relative_to(place))
    is_folder = found.is_dir() and not found.is_symlink()
    inside = not folders.isdisjoint(path.parents)
    if path in files or (not is_folder and (inside or path in taken)):
      yield path.as_posix()


def _move_in(stage: pathlib.Path, place: pathlib.Path, writer: str) -> None:
  """Moves new files into place, and removes our old ones."""

  def write_manifest(files: dict[str, set[str]]) -> None:
    # By way of the stage, which a later run clears.
    text = msgspec.json.encode(_Manifest(writer, files))
    write_file(stage / MANIFEST, msgspec.json.format(text, indent=1) + b'\n')
    (stage / MANIFEST).replace(place / MANIFEST)

  new: dict[str, set[str]] = {}
  for file in filter(pathlib.Path.is_file, sorted(stage.rglob('*'))):
    # Windows syncs only what is open for writing.
    with file.open('r+b') as stream:
      os.fsync(stream.fileno())
      new[file.relative_to(stage).as_posix()] = {sha256(stream)}
  # Much time may have passed since the first look.
  old = _find_own(place, writer, new)
  both = new | {n: {was} | new.get(n, set()) for n, was in old.items()}
  write_manifest(both)
  for name in new:
    (place / name).parent.mkdir(parents=True, exist_ok=True)
    (stage / name).replace(place / name)
  for name in old.keys() - new.keys():
    (place / name).unlink()
    with contextlib.suppress(OSError):  # It holds something.
      os.removedirs((place / name).parent)
  write_manifest(new)

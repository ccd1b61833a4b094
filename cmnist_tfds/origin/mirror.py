# SPDX-License-Identifier: Apache-2.0
"""Fills a folder with origin files, for use as a mirror or manual folder."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import shutil
from collections.abc import Callable, Iterable, Iterator

from cmnist_tfds.origin import http_client, load_split, verification
from cmnist_tfds.origin import locations as locations_lib
from cmnist_tfds.origin.locations import Copy, Locations
from cmnist_tfds.sources import OriginFile, Source
from cmnist_tfds.system import atomic
from cmnist_tfds.system.disk_errors import disk_errors
from cmnist_tfds.system.errors import OriginFileError
from cmnist_tfds.system.locks import lock

_LOCK = '.filling.lock'


@dataclasses.dataclass(frozen=True)
class Filled:
  """The outcome for one file.

  Attributes:
    file: The file.
    origin: The path or URL it was taken from, empty if the folder had it.
    fault: Why the folder lacks it and what to do, empty if the folder has it.
  """

  file: OriginFile
  origin: str = ''
  fault: str = ''


def fill(
  folder: pathlib.Path,
  sources: Iterable[Source],
  locations: Locations,
  client: http_client.Client,
  advance: Callable[[int], object] = lambda count: None,
) -> Iterator[Filled]:
  """Fills a folder with the files of some sources, each proved by its hash.

  Interrupted downloads are continued. No file that the folder has is changed:
  one that is not the right one is reported and stays.
  Several processes may fill one folder at the same time.

  Args:
    folder: The folder. It is made if it does not exist.
    sources: The sources.
    locations: The locations files are taken from. `locations.download` is not
      used.
    client: Fetches the files that are not on disk.
    advance: Called with a number of bytes each time so many have arrived.

  Yields:
    One outcome per file.

  Raises:
    OriginFileError: If the folder cannot be written to or lacks space.
    PreparationError: If the folder cannot be locked.
  """

  def fill_one(file: OriginFile) -> Filled:
    with lock(folder / _LOCK), disk_errors(folder, error=OriginFileError):
      return _fill_one(file, folder, locations, client, advance)

  wanted = _files_to_fetch(sources)
  missing = [f for f in wanted if not _find_in(folder, f)]
  http_client.check_free_space(folder, sum(file.size or 0 for file in missing))
  for file, members in wanted.items():
    in_place = bool(members) and all(_find_in(folder, f) for f in members)
    filled = None if in_place else fill_one(file)
    if members and (filled is None or filled.fault):
      yield from map(fill_one, members)
    elif filled:
      yield filled


def _fill_one(
  file: OriginFile,
  folder: pathlib.Path,
  locations: Locations,
  client: http_client.Client,
  advance: Callable[[int], object],
) -> Filled:
  if found := _find_in(folder, file):
    # A process that was killed while it moved the file has left this.
    _part(found.path).unlink(missing_ok=True)
    return Filled(file)
  target = folder / file.path
  if os.path.lexists(target):
    return Filled(file, fault=_describe_taken(target))
  if copy := load_split.find_proved_copy(file, locations):
    if fault := _copy(copy, folder):
      return Filled(file, fault=fault)
    return Filled(file, origin=str(copy))
  return _fetch(file, folder, locations, client, advance)


def _find_in(folder: pathlib.Path, file: OriginFile) -> Copy | None:
  """Finds a proved copy in the folder itself, not beside a declaration."""
  return load_split.find_proved_copy(
    dataclasses.replace(file, beside=None), Locations(manual_dir=folder)
  )


def _files_to_fetch(
  sources: Iterable[Source],
) -> dict[OriginFile, list[OriginFile]]:
  """Returns the files of sources, or an archive for most of its members.

  Args:
    sources: The sources.

  Returns:
    For each file, the files to fetch where it cannot be had: of an archive, the
    wanted members, if each has homes of its own.
  """
  # Arrays of one NPZ file are one file. Other sources may call a file alike.
  by_path = {
    (f.path, f.size, f.md5, f.sha256, f.beside): (f, s)
    for source in sources
    for f, s in source.origin_files.items()
  }
  files = dict(by_path.values())
  wanted: dict[OriginFile, list[OriginFile]] = {}
  for file, shape in files.items():
    if file.archive:
      alone = [f for f in files if f.archive == file.archive]
      members = sum(f.size or 0 for f in alone)
      # Single members are fetched where they are at most half of the archive.
      # Pictures, and tables that list them, are many members.
      if not shape or 2 * members > (file.archive.size or 0):
        wanted[file.archive] = alone if all(f.urls for f in alone) else []
        continue
    wanted[file] = []
  return wanted


def _copy(copy: Copy, folder: pathlib.Path) -> str:
  """Copies a file into the folder; returns what is wrong, '' if nothing is."""
  target = folder / copy.file.path
  part = _part(target)
  target.parent.mkdir(parents=True, exist_ok=True)
  with (
    copy.open() as (stream, _),
    # Within `open`, which takes every OSError for one of reading.
    disk_errors(folder, error=OriginFileError),
    part.open('wb') as out,
  ):
    shutil.copyfileobj(stream, out)
    out.flush()
    os.fsync(out.fileno())
  # The copy was proved in a reading of its own, which saw other bytes if some
  # process writes to it.
  with part.open('rb') as copied:
    if not verification.prove(copy.file, copied, part.stat().st_size):
      raise OriginFileError(f'{copy}: it changed while it was copied')
  try:
    atomic.move_to_free_place(part, target)
  except FileExistsError:
    part.unlink()
    return _describe_taken(target)
  return ''


def _fetch(
  file: OriginFile,
  folder: pathlib.Path,
  locations: Locations,
  client: http_client.Client,
  advance: Callable[[int], object],
) -> Filled:
  """Fetches a file from the first of its URLs that sends it."""
  faults = []
  for fetched, url in locations_lib.urls(file, locations.mirror):
    target = folder / fetched.path
    if os.path.lexists(target):
      faults.append(_describe_taken(target))
      continue
    part = _part(target)
    try:
      # Moved here, since `fetch` would replace what was put there meanwhile.
      client.fetch(fetched, url, part, part=part, advance=advance)
      atomic.move_to_free_place(part, target)
      return Filled(file, origin=url)
    except OriginFileError as error:
      faults.append(str(error))
    except FileExistsError:
      faults.append(_describe_taken(target))
  faults = faults or [f'{file.path} is published nowhere']
  remedy = locations_lib.how_to_get(file, folder)
  return Filled(
    file, fault=f'{"; ".join(dict.fromkeys(faults))}. To go on, {remedy}'
  )


def _describe_taken(target: pathlib.Path) -> str:
  return (
    f'{target} is not the right file, and is left as it is; move it away and'
    ' run this again'
  )


def _part(target: pathlib.Path) -> pathlib.Path:
  """Returns where a file is until it is complete."""
  # Names that begin like this belong to this package. A link would lead to a
  # file that does not; a pipe would never end.
  part = target.with_name(f'.cmnist_tfds.{target.name}.part')
  if part.is_symlink() or part.is_fifo():
    part.unlink()
  return part

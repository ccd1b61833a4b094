# SPDX-License-Identifier: Apache-2.0
"""Fills a folder with origin files, for use as a mirror or manual folder."""

from __future__ import annotations

import dataclasses
import pathlib
import shutil
from collections.abc import Callable, Iterable, Iterator

from cmnist_tfds.disk_errors import disk_errors
from cmnist_tfds.errors import OriginFileError
from cmnist_tfds.locks import lock
from cmnist_tfds.origin import http_client, load_split, verification
from cmnist_tfds.origin import locations as locations_lib
from cmnist_tfds.origin.locations import Copy, Locations
from cmnist_tfds.sources import OriginFile, Source

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

  Files that the folder has are kept, and interrupted downloads are continued.
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
  wanted = _files_to_fetch(sources)
  present = Locations(manual_dir=folder)
  missing = [f for f in wanted if not load_split.find_proved_copy(f, present)]
  http_client.check_free_space(folder, sum(file.size or 0 for file in missing))
  for file in wanted:
    with lock(folder / _LOCK), disk_errors(folder, error=OriginFileError):
      filled = _fill_one(file, folder, locations, client, advance)
    yield filled


def _fill_one(
  file: OriginFile,
  folder: pathlib.Path,
  locations: Locations,
  client: http_client.Client,
  advance: Callable[[int], object],
) -> Filled:
  if load_split.find_proved_copy(file, Locations(manual_dir=folder)):
    return Filled(file)
  if copy := load_split.find_proved_copy(file, locations):
    _copy(copy, folder)
    return Filled(file, origin=str(copy))
  return _fetch(file, folder, locations, client, advance)


def _files_to_fetch(sources: Iterable[Source]) -> list[OriginFile]:
  """Returns the files of sources, or an archive for most of its members."""
  files = [file for source in sources for file in source.origin_files]
  wanted = []
  for file in files:
    if file.archive:
      members = sum(f.size or 0 for f in files if f.archive == file.archive)
      # Single members are fetched where they are at most half of the archive.
      if 2 * members > (file.archive.size or 0):
        wanted.append(file.archive)
        continue
    wanted.append(file)
  return list(dict.fromkeys(wanted))


def _copy(copy: Copy, folder: pathlib.Path) -> None:
  """Copies a file into the folder."""
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
  # The copy was proved in a reading of its own, which saw other bytes if some
  # process writes to it.
  with part.open('rb') as copied:
    if not verification.prove(copy.file, copied, part.stat().st_size):
      raise OriginFileError(f'{copy}: it changed while it was copied')
  part.replace(target)


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
    try:
      client.fetch(fetched, url, target, part=_part(target), advance=advance)
      return Filled(file, origin=url)
    except OriginFileError as error:
      faults.append(str(error))
  remedy = locations_lib.how_to_get(file, folder)
  return Filled(
    file, fault=f'{"; ".join(dict.fromkeys(faults))}. To go on, {remedy}'
  )


def _part(target: pathlib.Path) -> pathlib.Path:
  return target.with_name(f'{target.name}.part')

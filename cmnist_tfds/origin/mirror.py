# SPDX-License-Identifier: Apache-2.0
"""Fills a folder with origin files, to be used as a mirror or manual folder."""

from __future__ import annotations

import dataclasses
import pathlib
import shutil
from collections.abc import Callable, Iterable, Iterator

import filelock

from cmnist_tfds.errors import OriginFileError
from cmnist_tfds.origin import http_client, load_split
from cmnist_tfds.origin import locations as locations_lib
from cmnist_tfds.origin.locations import Copy, Locations
from cmnist_tfds.sources import OriginFile, Source

_LOCK = '.filling.lock'


@dataclasses.dataclass(frozen=True)
class Filled:
  """What became of one file.

  Attributes:
    file: The file.
    origin: Where it was taken from; empty if it was there already.
    fault: Why it is not there, empty if it is.
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

  What is there is kept, what broke off is continued. Several processes may
  fill one folder.

  Args:
    folder: The folder; made if it is not there.
    sources: The sources.
    locations: Where files are taken from. `locations.download` is not used.
    client: Fetches what is in no folder.
    advance: Called with the number of bytes each time some have come.

  Yields:
    One record per file, once it is there or has failed.

  Raises:
    OriginFileError: If the folder cannot be written to or is too small.
  """
  wanted = _wanted(sources)
  filled_before = Locations(manual_dir=folder)
  missing = [f for f in wanted if not load_split.find(f, filled_before)]
  with http_client.disk_errors(folder):
    http_client.check_room(folder, sum(file.size or 0 for file in missing))
  for file in wanted:
    with http_client.disk_errors(folder), filelock.FileLock(folder / _LOCK):
      filled = _fill_one(file, folder, locations, client, advance)
    yield filled


def _fill_one(
  file: OriginFile,
  folder: pathlib.Path,
  locations: Locations,
  client: http_client.Client,
  advance: Callable[[int], object],
) -> Filled:
  if load_split.find(file, Locations(manual_dir=folder)):
    return Filled(file)
  if copy := load_split.find(file, locations):
    _take(copy, folder)
    return Filled(file, origin=str(copy))
  return _fetch(file, folder, locations, client, advance)


def _wanted(sources: Iterable[Source]) -> list[OriginFile]:
  """Returns the files; an archive in place of most of its members."""
  files = [file for source in sources for file in source.origin_files]
  wanted = []
  for file in files:
    if file.archive:
      of_members = sum(f.size or 0 for f in files if f.archive == file.archive)
      # Members alone are worth it where they save half of the way.
      if 2 * of_members > (file.archive.size or 0):
        wanted.append(file.archive)
        continue
    wanted.append(file)
  return list(dict.fromkeys(wanted))


def _take(copy: Copy, folder: pathlib.Path) -> None:
  """Copies a file, beside its place first."""
  target = folder / copy.file.path
  part = _part(target)
  target.parent.mkdir(parents=True, exist_ok=True)
  with (
    copy.open() as (stream, _),
    http_client.disk_errors(folder),
    part.open('wb') as out,
  ):
    shutil.copyfileobj(stream, out)
  part.replace(target)


def _fetch(
  file: OriginFile,
  folder: pathlib.Path,
  locations: Locations,
  client: http_client.Client,
  advance: Callable[[int], object],
) -> Filled:
  """Fetches a file from the first of its homes that sends it."""
  faults = []
  for fetched, url in locations_lib.urls(file, locations.mirror):
    target = folder / fetched.path
    try:
      client.fetch(fetched, url, target, part=_part(target), advance=advance)
      return Filled(file, origin=url)
    except OriginFileError as error:
      faults.append(str(error))
  how_to_get = locations_lib.say_how_to_get(file, folder)
  return Filled(
    file, fault=f'{"; ".join(dict.fromkeys(faults))}. To go on, {how_to_get}'
  )


def _part(target: pathlib.Path) -> pathlib.Path:
  return target.with_name(f'{target.name}.part')

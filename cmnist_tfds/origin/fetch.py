# SPDX-License-Identifier: Apache-2.0
"""Fetches origin files over HTTP.

A file gets its name once it is verified. Until then it is in a hidden file in
the same folder, which the next attempt continues, in this process or another.
"""

from __future__ import annotations

import functools
import http.client
import logging
import os
import pathlib
import time
import zipfile
from collections.abc import Callable
from typing import Any, BinaryIO

import filelock
import remotezip
import requests
import urllib3

from cmnist_tfds.origin import locations as locations_lib
from cmnist_tfds.origin import verification
from cmnist_tfds.origin.locations import Locations, without_password
from cmnist_tfds.sources import OriginFile
from cmnist_tfds.system import streams
from cmnist_tfds.system.errors import OriginFileError, disk_errors

_log = logging.getLogger('cmnist_tfds')

_BLOCK = 1 << 16

# Bytes a second that a host must send.
_SLOWEST = 2_000

# Bytes that a file of unknown size may have.
_LARGEST = 1 << 30

# How often a file is asked for whose sending breaks off.
_ATTEMPTS = 4

# No text from a server takes more characters of a message than this.
_LONGEST_QUOTE = 240


# What is raised where a member cannot be fetched without the rest of a zip file.
_NO_MEMBER = (remotezip.RemoteZipError, zipfile.BadZipFile, KeyError)
_FAULTS = (*_NO_MEMBER, urllib3.exceptions.HTTPError, OSError, ValueError)


class _HostError(Exception):
  """A host that does not send the right file."""


def fetch(file: OriginFile, folder: pathlib.Path, locations: Locations) -> str:
  """Fetches a file from the first of its URLs that sends the right bytes.

  It is saved as `<folder>/<file.path>`; or its archive or an equivalent is,
  likewise. A file that is there is not replaced.

  Args:
    file: The file that is wanted.
    folder: The folder, with the layout of a mirror.
    locations: The mirror, which comes first, and how long to wait for hosts.

  Returns:
    The URL, without a password.

  Raises:
    OriginFileError: If it does not arrive, or cannot be saved. The message says
      what is wrong at each URL.
  """
  faults: dict[str, None] = {}
  for form, url, member in locations_lib.addresses(file, locations.mirror):
    target = folder / form.path
    hidden = f'.cmnist_tfds.{target.name}'
    with disk_errors(folder, error=OriginFileError):
      target.parent.mkdir(parents=True, exist_ok=True)
      # Another process may be fetching it.
      with filelock.FileLock(target.with_name(f'{hidden}.lock')):
        try:
          if not os.path.lexists(target):
            part = target.with_name(f'{hidden}.part')
            _download(form, url, member, part, locations)
            os.replace(part, target)
          elif not target.is_file() or verification.fault(form, target):
            raise _HostError(
              f'{target} is not the right file, and is left as it is. Move it'
              ' away and try again'
            )
        except _HostError as error:
          faults[str(error)] = None
          continue
    if faults:
      _log.warning(
        '%s was fetched from %s: %s',
        file.path,
        without_password(url),
        '; '.join(faults),
      )
    return without_password(url)
  raise OriginFileError('; '.join(faults) or 'it is published nowhere')


def _download(
  file: OriginFile, url: str, member: str, part: pathlib.Path, where: Locations
) -> None:
  """Fetches and verifies a file, in several attempts if that helps."""
  shown = without_password(url)
  server = '/'.join(shown.split('/')[:3])
  if server in where.dead_hosts:
    raise _HostError(where.dead_hosts[server])
  for attempt in range(_ATTEMPTS):
    time.sleep(attempt / 2)
    resumed = part.exists()
    try:
      if _size(part) != file.size:
        _receive(file, url, member, part, where)
      if not (wrong := verification.fault(file, part)):
        return
    except _FAULTS as error:
      if isinstance(error, OSError) and error.errno:
        raise  # It is an error of the disk.
      causes = (error, error.__context__)
      if (
        not any(isinstance(c, urllib3.exceptions.ProtocolError) for c in causes)
        or attempt == _ATTEMPTS - 1
      ):
        fault = f'{server}: {_reason(error)}'
        if not isinstance(error, _NO_MEMBER):
          where.dead_hosts[server] = fault
        raise _HostError(fault) from error
    else:
      part.unlink()
      if not resumed:  # Else what an earlier attempt left may be at fault.
        break
  raise _HostError(f'{shown}: {wrong}')


def _receive(
  file: OriginFile, url: str, member: str, part: pathlib.Path, where: Locations
) -> None:
  """Receives a file, or the rest of one that `part` begins."""
  save = functools.partial(_save, file=file, timeout=where.timeout)
  with requests.Session() as session:
    # Servers must send the bytes of the file, without compressing them.
    session.headers['Accept-Encoding'] = 'identity'
    options: Any = {'timeout': where.timeout, 'verify': where.verify_ssl}
    if member:
      with (
        remotezip.RemoteZip(url, session=session, **options) as archive,
        archive.open(member) as stream,
        part.open('wb') as out,
      ):
        save(stream.read1, out)
      return
    if size := _size(part):
      session.headers['Range'] = f'bytes={size}-'
    with session.get(url, stream=True, **options) as response:
      status = response.status_code
      if status >= 500:
        raise urllib3.exceptions.ProtocolError(f'HTTP {status}')
      if status == 416:
        part.unlink(missing_ok=True)
      if status not in (200, 206):
        name = http.client.responses.get(status, '')
        raise _HostError(f'{without_password(url)}: HTTP {status} {name}')
      with part.open('ab' if status == 206 else 'wb') as out:
        # Some servers declare a .gz file as a compressed response. `read1`
        # returns what is there; `read` would wait for a whole block.
        save(functools.partial(response.raw.read1, decode_content=False), out)


def _save(
  read: Callable[[int], bytes],
  out: BinaryIO,
  *,
  file: OriginFile,
  timeout: float,
) -> None:
  """Saves what arrives, until there is more than the file should have."""
  begin, size = time.monotonic(), out.tell()
  with streams.progress_bar(
    desc=file.name,
    total=file.size,
    initial=size,
    unit='B',
    unit_scale=True,
    leave=False,
  ) as progress:
    while (block := read(_BLOCK)) and out.tell() <= (file.size or _LARGEST):
      out.write(block)
      progress.update(len(block))
      if (passed := time.monotonic() - begin) > timeout:
        if out.tell() - size < _SLOWEST * passed:
          raise TimeoutError(f'less than {_SLOWEST:,} bytes a second came')
        begin, size = time.monotonic(), out.tell()


def _reason(error: BaseException) -> str:
  """Returns what a library or the system says, without passwords."""
  while inner := error.__cause__ or error.__context__:
    error = inner
  text = getattr(error, 'strerror', None) or str(error)
  printable = ''.join(c if c.isprintable() else ' ' for c in text)
  shown = without_password(' '.join(printable.split()))[:_LONGEST_QUOTE]
  patience = '; --timeout SECONDS waits longer'
  return shown + (patience if isinstance(error, TimeoutError) else '')


def _size(path: pathlib.Path) -> int:
  return path.stat().st_size if path.exists() else 0

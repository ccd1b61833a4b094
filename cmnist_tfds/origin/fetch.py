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
from typing import BinaryIO

import filelock
import remotezip
import requests
import urllib3

from cmnist_tfds.origin import locations as locations_lib
from cmnist_tfds.origin import verification
from cmnist_tfds.origin.locations import Locations, without_password
from cmnist_tfds.sources import OriginFile
from cmnist_tfds.system import streams
from cmnist_tfds.system.disk_errors import disk_errors
from cmnist_tfds.system.errors import OriginFileError

_log = logging.getLogger('cmnist_tfds')

_BLOCK = 1 << 16

# Bytes a second that a host must send.
_SLOWEST = 2_000

# Bytes that a file of unknown size may have.
_LARGEST = 1 << 30

# How often a file is asked for whose sending breaks off at its start.
_ATTEMPTS = 3
_PROGRESS = 1 << 20

# No text from a server takes more characters of a message than this.
_LONGEST_QUOTE = 160


# What is raised where a member cannot be fetched without the rest of a zip file.
_NO_MEMBER = (remotezip.RemoteZipError, zipfile.BadZipFile, KeyError)


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
        '%s from %s: %s', file.path, without_password(url), '; '.join(faults)
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
  failures = 0
  while True:
    before = _size(part)
    try:
      if not before or before != file.size:
        _receive(file, url, member, part, where)
    except (
      *_NO_MEMBER,
      urllib3.exceptions.HTTPError,
      OSError,
      ValueError,
    ) as error:
      if isinstance(error, OSError) and error.errno:
        raise  # It is an error of the disk.
      size = _size(part)
      failures = 1 if size - before > _PROGRESS else failures + 1
      broke = urllib3.exceptions.ProtocolError
      may_recover = isinstance(error, broke) or isinstance(
        error.__context__, broke
      )
      if may_recover and failures < _ATTEMPTS:
        time.sleep(failures / 2)
        continue
      fault = f'{server}: {_reason(error)}'
      if not isinstance(error, _NO_MEMBER):
        where.dead_hosts[server] = fault
      raise _HostError(fault) from error
    if not (wrong := verification.fault(file, part)):
      return
    part.unlink()
    if not before:  # Else what an earlier attempt left may be at fault.
      raise _HostError(f'{shown}: {wrong}')


def _receive(
  file: OriginFile, url: str, member: str, part: pathlib.Path, where: Locations
) -> None:
  """Receives a file, or the rest of one that `part` begins."""
  with requests.Session() as session:
    # Servers must send the bytes of the file, without compressing them.
    session.headers['Accept-Encoding'] = 'identity'
    if member:
      with (
        remotezip.RemoteZip(
          url, session=session, timeout=where.timeout, verify=where.verify_ssl
        ) as archive,
        archive.open(member) as stream,
        part.open('wb') as out,
      ):
        _save(stream.read1, out, file, where.timeout)
      return
    size = _size(part)
    if size:
      session.headers['Range'] = f'bytes={size}-'
    with session.get(
      url, stream=True, timeout=where.timeout, verify=where.verify_ssl
    ) as response:
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
        read = functools.partial(response.raw.read1, decode_content=False)
        _save(read, out, file, where.timeout)


def _save(
  read: Callable[[int], bytes], out: BinaryIO, file: OriginFile, timeout: float
) -> None:
  """Saves what arrives, until there is more than the file should have."""
  begin, size = time.monotonic(), out.tell()
  with streams.progress_bar(
    desc=file.name, total=file.size, initial=size, unit='B', unit_scale=True
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

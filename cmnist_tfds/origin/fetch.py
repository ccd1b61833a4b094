# SPDX-License-Identifier: Apache-2.0
"""Fetches origin files over HTTP.

A file gets its name once it is verified. Until then it is in a hidden file in
the same folder, which the next attempt continues, in this process or another.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import logging
import os
import pathlib
import re
import time
import zipfile
from collections.abc import Callable
from typing import Any

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

_BYTES: Any = {'unit': 'B', 'unit_scale': True, 'leave': False}

# No text from a server takes more characters of a message than this.
_LONGEST_QUOTE = 240


# What is raised where a member cannot be fetched without the rest of a zip file.
_NO_MEMBER = (remotezip.RemoteZipError, zipfile.BadZipFile, KeyError)
# What is raised where a connection was lost, so that it may help to ask again.
_LOST = urllib3.exceptions.ProtocolError
_FAULTS = (urllib3.exceptions.HTTPError, OSError, ValueError)


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
    target, shown = folder / form.path, without_password(url)
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
      why = '; '.join(faults)
      _log.warning('%s was fetched from %s: %s', file.path, shown, why)
    return shown
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
    size = part.stat().st_size if part.exists() else 0
    try:
      if size != file.size:
        _receive(file, url, member, part, size, where)
      if not (wrong := verification.fault(file, part)):
        return
    except _NO_MEMBER as error:
      raise _HostError(f'{server}: {_reason(error)}') from error
    except _FAULTS as error:
      if isinstance(error, OSError) and error.errno:
        raise  # It is an error of the disk.
      fault = f'{server}: {_reason(error)}'
      causes = (error, error.__context__)
      if not any(isinstance(cause, _LOST) for cause in causes):
        break
    else:
      part.unlink()
      fault = f'{shown}: {wrong}'
      if not size:  # Else what an earlier attempt left may be at fault.
        raise _HostError(fault)
  where.dead_hosts[server] = fault
  raise _HostError(fault)


def _receive(
  file: OriginFile,
  url: str,
  member: str,
  part: pathlib.Path,
  size: int,
  where: Locations,
) -> None:
  """Receives a file, or the rest of one of which `part` has some bytes."""
  options: Any = {'timeout': where.timeout, 'verify': where.verify_ssl}
  with contextlib.ExitStack() as stack:
    session = stack.enter_context(requests.Session())
    # Servers must send the bytes of the file, without compressing them.
    session.headers['Accept-Encoding'] = 'identity'
    if member:
      zipped = remotezip.RemoteZip(url, session=session, **options)
      stream = stack.enter_context(stack.enter_context(zipped).open(member))
      read: Callable[[int], bytes] = stream.read1
      mode = 'wb'
    else:
      if size:
        session.headers['Range'] = f'bytes={size}-'
      response = session.get(url, stream=True, **options)
      status = stack.enter_context(response).status_code
      if status >= 500:
        raise _LOST(f'HTTP {status}')
      # With 416, `part` is too long: it is overwritten and then found wrong.
      if status not in (200, 206, 416):
        name = http.client.responses.get(status, '')
        raise _HostError(f'{without_password(url)}: HTTP {status} {name}')
      # Some servers declare a .gz file as a compressed response. `read1` returns
      # what is there; `read` would wait for a whole block.
      read = functools.partial(response.raw.read1, decode_content=False)
      mode = 'ab' if status == 206 else 'wb'
    out = stack.enter_context(part.open(mode))
    begin, size = time.monotonic(), out.tell()
    bar = streams.progress_bar(
      desc=file.name, total=file.size, initial=size, **_BYTES
    )
    progress = stack.enter_context(bar)
    while out.tell() <= (file.size or _LARGEST) and (block := read(_BLOCK)):
      out.write(block)
      progress.update(len(block))
      if (passed := time.monotonic() - begin) > where.timeout:
        if out.tell() - size < _SLOWEST * passed:
          raise TimeoutError(f'less than {_SLOWEST:,} bytes a second came')
        begin, size = time.monotonic(), out.tell()


def _reason(error: BaseException) -> str:
  """Returns what a library or the system says, without passwords."""
  while inner := error.__cause__ or error.__context__:
    error = inner
  text = getattr(error, 'strerror', None) or str(error)
  shown = without_password(re.sub(r'[^!-~]+', ' ', text))[:_LONGEST_QUOTE]
  patience = '; --timeout SECONDS waits longer'
  return shown + (patience if isinstance(error, TimeoutError) else '')

# SPDX-License-Identifier: Apache-2.0
"""Fetches origin files over HTTP.

A file gets its name once it is verified. Until then it is in a hidden file in
the same folder, which the next attempt continues, in this process or another.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import os
import pathlib
import re
import time
import zipfile
from typing import Any

import filelock
import remotezip
import requests
import urllib3

from cmnist_tfds.origin import verification
from cmnist_tfds.origin.locations import Locations, addresses, without_password
from cmnist_tfds.sources import OriginFile
from cmnist_tfds.system import streams
from cmnist_tfds.system.errors import OriginFileError, disk_errors

_BLOCK = 1 << 16

# Bytes a second that a host must send.
_SLOWEST = 2_000

# How often a file is asked for whose sending breaks off.
_ATTEMPTS = 4

_BYTES: Any = {'unit': 'B', 'unit_scale': True}

# What is raised where a member cannot be fetched without the rest of a zip file.
_NO_MEMBER = (remotezip.RemoteZipError, zipfile.BadZipFile, KeyError)
# What is raised where a connection was lost, so that it may help to ask again.
_LOST = urllib3.exceptions.ProtocolError


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
  for form, url, member in addresses(file, locations.mirror):
    target, shown = folder / form.path, without_password(url)
    part = target.with_name(f'.cmnist_tfds.{target.name}.part')
    with disk_errors(folder, error=OriginFileError):
      target.parent.mkdir(parents=True, exist_ok=True)
      # Another process may be fetching it.
      with filelock.FileLock(part.with_suffix('.lock')):
        if os.path.lexists(target):
          fault = ''
          if not target.is_file() or verification.fault(form, target):
            fault = f'{target} is not the right file, and is left as it is'
            fault += '. Move it away and try again'
        elif not (fault := _download(form, url, member, part, locations)):
          part.replace(target)
    if not fault:
      log = streams.LOG.warning if faults else streams.LOG.info
      why = ': ' + '; '.join(faults) if faults else '.'
      log('Fetched %s from %s%s', file.path, shown, why)
      return shown
    faults[fault] = None
  raise OriginFileError('; '.join(faults) or 'it is published nowhere')


def _download(
  file: OriginFile, url: str, member: str, part: pathlib.Path, where: Locations
) -> str:
  """Fetches a file, in several attempts if that helps; returns what is wrong."""
  shown = without_password(url)
  server = '/'.join(shown.split('/')[:3])
  fault = where.dead_hosts.get(server, '')
  for attempt in range(0 if fault else _ATTEMPTS):
    time.sleep(attempt / 2)
    begun = part.exists()
    try:
      if status := _receive(file, url, member, part, where):
        return f'{shown}: {status}'
      wrong = verification.fault(file, part)
    # The libraries raise errors of many kinds.
    except Exception as error:
      if isinstance(error, OSError) and error.errno:
        raise  # It is an error of the disk.
      fault = f'{server}: {_reason(error)}'
      if isinstance(error, _NO_MEMBER):
        return fault
      if not any(isinstance(e, _LOST) for e in (error, error.__context__)):
        break
    else:
      if not wrong:
        return ''
      part.unlink()
      fault = f'{shown}: {wrong}'
      if not begun:  # Else what an earlier attempt left may be at fault.
        return fault
  where.dead_hosts[server] = fault
  return fault


def _receive(
  file: OriginFile, url: str, member: str, part: pathlib.Path, where: Locations
) -> str:
  """Receives a file, or the rest of one of which `part` has some bytes.

  Returns:
    The status of the response if it has no bytes of the file, else ''.
  """
  size = part.stat().st_size if part.exists() else 0
  if size == file.size:
    return ''
  options: Any = {'timeout': where.timeout, 'verify': where.verify_ssl}
  with contextlib.ExitStack() as stack:
    session = stack.enter_context(requests.Session())
    # Servers must send the bytes of the file, without compressing them.
    session.headers['Accept-Encoding'] = 'identity'
    if member:
      zipped = remotezip.RemoteZip(url, session=session, **options)
      opened = stack.enter_context(stack.enter_context(zipped).open(member))
      read, mode = opened.read1, 'wb'
    else:
      if size:
        session.headers['Range'] = f'bytes={size}-'
      response = session.get(url, stream=True, **options)
      status = stack.enter_context(response).status_code
      if status >= 500:
        raise _LOST(f'HTTP {status}')
      # With 416, `part` is too long: it is overwritten and then found wrong.
      if status not in (200, 206, 416):
        return f'HTTP {status} {http.client.responses.get(status, "")}'
      # Some servers declare a .gz file as a compressed response. `read1` returns
      # what is there; `read` would wait for a whole block.
      read = functools.partial(response.raw.read1, decode_content=False)
      mode = 'ab' if status == 206 else 'wb'
    out = stack.enter_context(part.open(mode))
    begin, size = time.monotonic(), out.tell()
    shown = {'desc': file.name, 'total': file.size, 'initial': size, **_BYTES}
    progress = stack.enter_context(streams.progress_bar(**shown))
    while block := read(_BLOCK):
      out.write(block)
      progress.update(len(block))
      if file.size and out.tell() > file.size:
        break
      if (passed := time.monotonic() - begin) > where.timeout:
        if out.tell() - size < _SLOWEST * passed:
          raise TimeoutError(f'less than {_SLOWEST:,} bytes a second came')
        begin, size = time.monotonic(), out.tell()
  return ''


def _reason(error: BaseException) -> str:
  """Returns what a library or the system says, without passwords."""
  while inner := error.__cause__ or error.__context__:
    error = inner
  text = getattr(error, 'strerror', None) or str(error)
  # A server may have sent it.
  shown = without_password(re.sub(r'[^!-~]+', ' ', text))[:240]
  patience = '; --timeout SECONDS waits longer'
  return shown + (patience if isinstance(error, TimeoutError) else '')

# SPDX-License-Identifier: Apache-2.0
"""Fetches origin files over HTTP.

A file gets its name once it is verified. Until then it is in a hidden file
next to it, which the next attempt continues, in this process or another.
"""

from __future__ import annotations

import http.client
import logging
import os
import pathlib
import time
import urllib.parse
import zipfile
from collections.abc import Callable, Iterator
from typing import BinaryIO

import filelock
import remotezip
import requests
import urllib3

from cmnist_tfds.origin import locations as locations_lib
from cmnist_tfds.origin import verification
from cmnist_tfds.origin.locations import Copy, Locations, without_password
from cmnist_tfds.sources import OriginFile
from cmnist_tfds.system import streams
from cmnist_tfds.system.disk_errors import disk_errors
from cmnist_tfds.system.errors import OriginFileError

_log = logging.getLogger('cmnist_tfds')

_BLOCK = 1 << 16

# Bytes a second that a host must send.
_SLOWEST = 2_000

# A connection that delivers so many bytes before it breaks does not count as a
# failed attempt.
_ATTEMPTS = 3
_PROGRESS = 1 << 20

# Bytes that a file of unknown size may have.
_LARGEST = 1 << 30

# No text from a server takes more characters of a message than this.
_LONGEST_QUOTE = 120


class _HostError(Exception):
  """A host that does not send the right file. The message names the URL."""


def fetch(
  file: OriginFile, folder: pathlib.Path, locations: Locations
) -> tuple[Copy, str]:
  """Fetches a file from the first of its URLs that sends the right bytes.

  Args:
    file: The file that is wanted.
    folder: Where it is saved, as `<folder>/<file.path>`.
    locations: The mirror, which comes first, and how long to wait for hosts.

  Returns:
    The verified copy, which may be of an equivalent, or in its archive; and the
    URL without a password, empty if another process had fetched it.

  Raises:
    OriginFileError: If it does not arrive, or cannot be saved. The message says
      what is wrong at each URL.
  """
  faults: list[str] = []
  for form, url, member in locations_lib.addresses(file, locations.mirror):
    target = folder / form.path
    name = f'.cmnist_tfds.{target.name}'
    with disk_errors(folder, error=OriginFileError):
      target.parent.mkdir(parents=True, exist_ok=True)
      with filelock.FileLock(target.with_name(f'{name}.lock')):
        try:
          is_new = not _is_there(form, target)
          if is_new:
            part = target.with_name(f'{name}.part')
            _download(form, url, member, part, locations)
            os.replace(part, target)
        except _HostError as error:
          faults.append(str(error))
          continue
    if faults:
      faults = list(dict.fromkeys(faults))
      _log.warning('%s: %s', without_password(url), '; '.join(faults))
    alone = form in (file, *file.equivalents)
    whole = next(f for f in (file, *file.equivalents) if form in (f, f.archive))
    copy = Copy(whole, target, '' if alone else whole.member)
    return copy, without_password(url) if is_new else ''
  raise OriginFileError(
    '; '.join(dict.fromkeys(faults)) or 'it is published nowhere'
  )


def _is_there(file: OriginFile, target: pathlib.Path) -> bool:
  """Returns whether the right file is there; another one is not replaced."""
  if not os.path.lexists(target):
    return False
  if verification.fault(file, target):
    raise OriginFileError(
      f'{target} is not the right file, and is left as it is. Move it away and'
      ' try again'
    )
  return True


def _download(
  file: OriginFile,
  url: str,
  member: str,
  part: pathlib.Path,
  locations: Locations,
) -> None:
  """Fetches and verifies a file, in several attempts if that helps."""
  shown = without_password(url)
  host = urllib.parse.urlsplit(shown).netloc
  if host in locations.dead_hosts:
    raise _HostError(locations.dead_hosts[host])
  failures = 0
  while True:
    before = part.stat().st_size if part.exists() else 0
    try:
      if not before or before != file.size:
        _receive(file, url, member, part, locations)
      wrong = verification.fault(file, part)
    # An error of the disk has a number.
    except (
      urllib3.exceptions.HTTPError,
      remotezip.RemoteZipError,
      zipfile.BadZipFile,
      KeyError,
      OSError,
    ) as error:
      if isinstance(error, OSError) and error.errno:
        raise
      causes = list(_causes(error))
      reason = _reason(causes, locations.timeout)
      size = part.stat().st_size if part.exists() else 0
      failures = 1 if size - before > _PROGRESS else failures + 1
      if _is_dead(causes):
        locations.dead_hosts[host] = f'{host}: {reason}'
        raise _HostError(locations.dead_hosts[host]) from error
      if failures == _ATTEMPTS or not _may_recover(causes):
        raise _HostError(f'{shown}: {reason}') from error
      time.sleep(failures / 2)
      continue
    if not wrong:
      return
    part.unlink()
    if not before:  # Else what an earlier attempt left may be at fault.
      raise _HostError(f'{shown}: {wrong}')


def _receive(
  file: OriginFile,
  url: str,
  member: str,
  part: pathlib.Path,
  locations: Locations,
) -> None:
  """Receives a file, or the rest of one that `part` begins."""
  timeout = locations.timeout
  with requests.Session() as session:
    # Servers must send the bytes of the file, without compressing them.
    session.headers['Accept-Encoding'] = 'identity'
    if member:
      with (
        remotezip.RemoteZip(
          url, session=session, timeout=timeout, verify=locations.verify_ssl
        ) as archive,
        archive.open(member) as stream,
        part.open('wb') as out,
      ):
        _save(stream.read1, out, file, timeout)
      return
    size = part.stat().st_size if part.exists() else 0
    headers = {'Range': f'bytes={size}-'} if size else {}
    with session.get(
      url,
      headers=headers,
      stream=True,
      timeout=timeout,
      verify=locations.verify_ssl,
    ) as response:
      if response.status_code not in (
        http.HTTPStatus.OK,
        http.HTTPStatus.PARTIAL_CONTENT,
      ):
        if (
          size
          and response.status_code
          == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
        ):
          part.unlink()
        raise requests.HTTPError(response=response)
      goes_on = response.status_code == http.HTTPStatus.PARTIAL_CONTENT
      with part.open('ab' if goes_on else 'wb') as out:
        # Some servers declare a .gz file as a compressed response. `read1`
        # returns what is there; `read` would wait for a whole block.
        _save(
          lambda n: response.raw.read1(n, decode_content=False),
          out,
          file,
          timeout,
        )


def _save(
  read: Callable[[int], bytes], out: BinaryIO, file: OriginFile, timeout: float
) -> None:
  """Saves what arrives, until there is more than the file should have."""
  mark, marked = time.monotonic(), out.tell()
  with streams.progress_bar(
    desc=file.name,
    total=file.size,
    initial=marked,
    unit='B',
    unit_scale=True,
    leave=False,
  ) as progress:
    while (block := read(_BLOCK)) and out.tell() <= (file.size or _LARGEST):
      out.write(block)
      progress.update(len(block))
      if (passed := time.monotonic() - mark) > timeout:
        if out.tell() - marked < _SLOWEST * passed:
          raise requests.Timeout
        mark, marked = time.monotonic(), out.tell()


def _causes(error: BaseException | None) -> Iterator[BaseException]:
  while error:
    yield error
    error = error.__cause__ or error.__context__


def _is_dead(causes: list[BaseException]) -> bool:
  """Returns whether a host cannot be reached, or stopped sending."""
  broke = any(isinstance(c, urllib3.exceptions.ProtocolError) for c in causes)
  silent = (
    requests.ConnectionError,
    requests.Timeout,
    urllib3.exceptions.TimeoutError,
  )
  return not broke and any(isinstance(c, silent) for c in causes)


def _may_recover(causes: list[BaseException]) -> bool:
  """Returns whether another attempt may succeed."""
  return any(
    isinstance(cause, urllib3.exceptions.ProtocolError)
    or _status(cause) == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
    or _status(cause) >= http.HTTPStatus.INTERNAL_SERVER_ERROR
    for cause in causes
  )


def _status(error: BaseException) -> int:
  response = getattr(error, 'response', None)
  return 0 if response is None else int(response.status_code)


def _reason(causes: list[BaseException], timeout: float) -> str:
  """Returns what went wrong, on one line and without passwords."""
  waited = (requests.Timeout, urllib3.exceptions.TimeoutError)
  for cause in causes:
    if isinstance(cause, waited):
      return (
        f'it sent nothing, or next to nothing, within {timeout:g} s; --timeout'
        ' SECONDS waits longer'
      )
    if status := _status(cause):
      return f'HTTP {status} {http.client.responses.get(status, "")}'.rstrip()
  system = [e.strerror for e in causes if isinstance(e, OSError) and e.strerror]
  quoted = _quoted((system or causes)[-1])
  if isinstance(causes[0], requests.exceptions.ProxyError):
    quoted += ', by the proxy that http_proxy or https_proxy names'
  if _is_dead(causes):
    return f'it cannot be reached: {quoted}'
  return quoted


def _quoted(text: object) -> str:
  """Returns a server's text on one line, without control characters."""
  printable = ''.join(c if c.isprintable() else ' ' for c in str(text))
  return without_password(' '.join(printable.split()))[:_LONGEST_QUOTE]

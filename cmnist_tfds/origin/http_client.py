# SPDX-License-Identifier: Apache-2.0
"""Fetches origin files over HTTP and gives up on dead hosts quickly.

A file is fetched as a whole, or as one member of a zip file if the server sends
parts of files. A file gets its final name once it is verified. An interrupted
download is continued the next time.
"""

from __future__ import annotations

import dataclasses
import errno
import http
import io
import os
import pathlib
import queue
import shutil
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import remotezip
import requests
import urllib3

from cmnist_tfds.disk_errors import disk_errors
from cmnist_tfds.errors import OriginFileError
from cmnist_tfds.formats import idx_npz
from cmnist_tfds.origin import verification
from cmnist_tfds.sources import OriginFile

_BLOCK = 1 << 14

# A connection that delivers so many bytes before it breaks does not count as a
# failed attempt.
_PROGRESS = 1 << 20

# Upper bound, in bytes, for files of unknown size.
_LARGEST = 1 << 30


@dataclasses.dataclass(frozen=True)
class Limits:
  """The limits at which the client gives up.

  A file is published on at most four hosts. With the default limits the client
  gives up on four dead hosts within 30 seconds.

  Attributes:
    silence: Seconds for which a host may send nothing. They include the time to
      look up its address and to connect to it.
    attempts: Number of attempts at a URL whose server answers but does not send
      the whole file.
    pause: Seconds between attempts.
  """

  silence: float = 7.0
  attempts: int = 3
  pause: float = 0.5


class _DeadHostError(Exception):
  """The host cannot be reached or has stopped sending."""


class _BrokenOffError(Exception):
  """The host did not send the whole file; another attempt may succeed."""


class _Session(requests.Session):
  """A session in which every response begins within a time limit."""

  def __init__(self, silence: float, *, verify: bool) -> None:
    super().__init__()
    self.verify = verify
    # Servers must send the bytes of the file, without compressing them.
    self.headers['Accept-Encoding'] = 'identity'
    self._silence = silence

  def get(self, url: str | bytes, **kwargs: Any) -> requests.Response:
    """Returns the response; its body is not read yet."""
    # Given per request: the environment variable REQUESTS_CA_BUNDLE overrides
    # `verify` of a session, even where it is False.
    kwargs |= {
      'stream': True,
      'timeout': self._silence,
      'verify': self.verify,
    }
    # The timeout of requests excludes the look-up of the host's address and
    # starts again with each address and each redirect.
    responses: queue.SimpleQueue[requests.Response | Exception] = (
      queue.SimpleQueue()
    )

    def send() -> None:
      try:
        responses.put(super(_Session, self).get(url, **kwargs))
      except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        responses.put(error)

    threading.Thread(target=send, daemon=True).start()
    try:
      response = responses.get(timeout=self._silence)
    except queue.Empty:
      raise _DeadHostError(f'no answer within {self._silence:g} s') from None
    if isinstance(response, requests.TooManyRedirects):
      raise OriginFileError(f'{url!s}: its redirects form a loop')
    if isinstance(response, requests.Timeout):
      raise _DeadHostError(f'no answer within {self._silence:g} s')
    if isinstance(response, Exception):
      cause = _cause(response)
      if isinstance(cause, ConnectionResetError | ConnectionAbortedError):
        raise _BrokenOffError('broke off before it sent anything') from response
      reason = getattr(cause, 'strerror', None) or cause
      raise _DeadHostError(f'cannot be reached: {reason}') from response
    return response


Advance = Callable[[int], object]


@dataclasses.dataclass(frozen=True)
class _Task:
  """A file to fetch from an address into the file `part`."""

  file: OriginFile
  address: str
  part: pathlib.Path
  advance: Advance


class Client:
  """Fetches files, and sends no request to a host that was found dead."""

  def __init__(self, limits: Limits | None = None, *, verify_ssl: bool = True):
    """Makes a client.

    Args:
      limits: The limits at which to give up.
      verify_ssl: Whether to check the certificates of servers.
    """
    self._limits = limits or Limits()
    self._verify_ssl = verify_ssl
    self._dead: dict[str, str] = {}

  def fetch(
    self,
    file: OriginFile,
    url: str,
    target: pathlib.Path,
    *,
    part: pathlib.Path,
    advance: Advance = lambda count: None,
  ) -> None:
    """Fetches a file, verifies it, and gives it its final name.

    Args:
      file: The file.
      url: The URL of the file; `<archive>#<member>` for one member of a zip
        file.
      target: The path of the file once it is verified.
      part: The path of the file until then, in a folder of the same file
        system. The download continues what is there. Only one process at a
        time may use it.
      advance: Called with a number of bytes each time so many have arrived.

    Raises:
      OriginFileError: If the file does not arrive, is not the right one, or
        cannot be written. The message names the URL or the folder.
    """
    address, _, member = url.partition('#')
    host = urllib.parse.urlsplit(address).netloc
    if host in self._dead:
      raise OriginFileError(self._dead[host])
    receive = _receive_member if member else _receive
    task = _Task(file, address, part, advance)
    with disk_errors(part.parent, error=OriginFileError):
      check_free_space(part.parent, (file.size or 0) - _size(part))
      with _Session(self._limits.silence, verify=self._verify_ssl) as session:
        try:
          continued = _size(part) > 0
          self._persist(receive, session, task)
          wrong = _delete_if_wrong(file, part)
          if wrong and continued:
            # What an earlier attempt left in `part` may be at fault.
            self._persist(receive, session, task)
            wrong = _delete_if_wrong(file, part)
        except _DeadHostError as error:
          self._dead[host] = f'{host}: {error}'
          raise OriginFileError(self._dead[host]) from error
        except _BrokenOffError as error:
          raise OriginFileError(f'{url}: {error}') from error
      if wrong:
        raise OriginFileError(f'{url}: not the file expected: {wrong}')
      part.replace(target)

  def _persist(
    self,
    receive: Callable[[_Session, _Task], None],
    session: _Session,
    task: _Task,
  ) -> None:
    """Receives a file, in several attempts if necessary."""
    attempts = self._limits.attempts
    while (before := _size(task.part)) != task.file.size:
      try:
        receive(session, task)
        return
      except (_DeadHostError, _BrokenOffError) as error:
        if _size(task.part) - before < _PROGRESS:
          attempts -= 1
          if not attempts or isinstance(error, _DeadHostError):
            raise
        time.sleep(self._limits.pause)


def _receive(session: _Session, task: _Task) -> None:
  """Receives a file, or the rest of one that `task.part` begins."""
  file, url = task.file, task.address
  size = _size(task.part)
  wanted = {'Range': f'bytes={size}-'} if size else {}
  with session.get(url, headers=wanted) as response:
    size = _start(response, task, size)
    announced = _announced(response, size)
    if announced is not None and file.size not in (None, announced):
      head = next(_blocks(response), b'')
      wrong = verification.recognize_wrong_file(
        file, io.BytesIO(head), announced
      )
      raise OriginFileError(
        f'{url}: not the file expected:'
        f' {wrong or verification.mismatch(file, announced)}'
      )
    limit = file.size if file.size is not None else _LARGEST
    with task.part.open('ab' if size else 'wb') as out:
      for block in _blocks(response):
        size += len(block)
        if size > limit:
          raise OriginFileError(
            f'{url}: not the file expected: it has more than {limit:,} bytes'
          )
        out.write(block)
        out.flush()  # So that a killed process loses nothing.
        task.advance(len(block))
  if announced is not None and size < announced:
    raise _BrokenOffError(f'broke off after {size:,} bytes')


def _start(response: requests.Response, task: _Task, size: int) -> int:
  """Returns the offset in the file at which the response begins."""
  status = response.status_code
  if status == http.HTTPStatus.OK:
    return 0
  sent_range = response.headers.get('Content-Range', '')
  if status == http.HTTPStatus.PARTIAL_CONTENT and sent_range.startswith(
    f'bytes {size}-'
  ):
    return size
  if status in (
    http.HTTPStatus.PARTIAL_CONTENT,
    http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
  ):
    task.part.unlink()
    raise _BrokenOffError('the server cannot continue the file')
  fault = f'HTTP {status} {response.reason}'
  if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
    raise _BrokenOffError(fault)
  raise OriginFileError(f'{task.address}: {fault}')


def _announced(response: requests.Response, start: int) -> int | None:
  """Returns the size of the whole file, None if the server omits it."""
  length = response.headers.get('Content-Length', '')
  return start + int(length) if length.isdecimal() else None


def _blocks(response: requests.Response) -> Iterator[bytes]:
  """Yields the body as it arrives."""
  received = 0
  try:
    # Some servers declare a .gz file as a compressed response. Decoding it
    # would decompress the file.
    for block in response.raw.stream(_BLOCK, decode_content=False):
      received += len(block)
      yield block
  except urllib3.exceptions.ReadTimeoutError as error:
    raise _DeadHostError('stopped sending in the middle of a file') from error
  except urllib3.exceptions.HTTPError as error:
    raise _BrokenOffError(f'broke off after {received:,} bytes') from error


def _receive_member(session: _Session, task: _Task) -> None:
  """Receives a member of a zip file without the rest of it."""
  file, address = task.file, task.address
  try:
    with remotezip.RemoteZip(address, session=session) as archive:
      size = archive.getinfo(file.member).file_size
      if size != file.size:
        raise OriginFileError(
          f'{address}: its member {file.member}: {verification.mismatch(file, size)}'
        )
      with archive.open(file.member) as member, task.part.open('wb') as out:
        while block := member.read(_BLOCK):
          out.write(block)
          task.advance(len(block))
  except KeyError as error:
    raise OriginFileError(f'{address}: has no member {file.member}') from error
  except remotezip.RangeNotSupported as error:
    raise OriginFileError(
      f'{address}: the server does not send parts of files'
    ) from error
  except urllib3.exceptions.ReadTimeoutError as error:
    raise _DeadHostError('stopped sending in the middle of a file') from error
  except (urllib3.exceptions.HTTPError, EOFError) as error:
    raise _BrokenOffError(f'broke off in {file.member}') from error
  except OSError:
    raise  # An error of the disk; `fetch` describes it.
  except (remotezip.RemoteZipError, *idx_npz.DAMAGE) as error:
    raise OriginFileError(
      f'{address}: cannot be read as a zip file: {error}'
    ) from error


def _delete_if_wrong(file: OriginFile, part: pathlib.Path) -> str | None:
  """Deletes a file that is not the right one and returns what is wrong."""
  with part.open('rb') as stream:
    size = _size(part)
    if verification.prove(file, stream, size):
      return None
    stream.seek(0)
    wrong = verification.recognize_wrong_file(file, stream, size)
  part.unlink()
  return wrong or verification.mismatch(file, size)


def check_free_space(folder: pathlib.Path, needed: int) -> None:
  """Checks, before any work, that a folder has enough space.

  Args:
    folder: The folder. It is made if it does not exist.
    needed: The number of bytes to be written.

  Raises:
    OriginFileError: If the folder cannot be written to or lacks space.
  """
  with disk_errors(folder, error=OriginFileError):
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
      raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    free = shutil.disk_usage(folder).free
  if needed > free:
    raise OriginFileError(
      f'{folder}: {needed:,} bytes are needed, and {free:,} are free on that'
      ' disk. Free some space, or choose another folder.'
    )


def _size(path: pathlib.Path) -> int:
  return path.stat().st_size if path.exists() else 0


def _cause(error: BaseException) -> BaseException:
  """Returns the operating system's error that caused a network error."""
  cause: BaseException | None = error
  while cause:
    # Errors of requests are OSErrors too, but have no number.
    if isinstance(cause, ConnectionError) or getattr(cause, 'errno', None):
      return cause
    cause = cause.__cause__ or cause.__context__
  return error

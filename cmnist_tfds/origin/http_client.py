# SPDX-License-Identifier: Apache-2.0
"""Fetches origin files over HTTP, giving up on dead hosts quickly.

A file comes whole, or as one member of a zip file of which the server sends
parts. Only what is proved gets its final name. What a break leaves behind is
continued the next time.
"""

from __future__ import annotations

import contextlib
import dataclasses
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

from cmnist_tfds.errors import OriginFileError
from cmnist_tfds.formats import idx_npz
from cmnist_tfds.origin import impostors, verification
from cmnist_tfds.sources import OriginFile

_BLOCK = 1 << 14

# A connection that brought so many bytes before it broke was worth its while.
_WORTHWHILE = 1 << 20

# No origin file of unknown size comes near it.
_LARGEST = 1 << 30


@dataclasses.dataclass(frozen=True)
class Limits:
  """When a host is given up.

  A file has at most four homes, so by default all of them are given up within
  30 seconds.

  Attributes:
    silence: Seconds a host may send nothing, finding it and connecting to it
      included.
    attempts: How often a home is tried that answers, but breaks off.
    pause: Seconds between attempts.
  """

  silence: float = 7.0
  attempts: int = 3
  pause: float = 0.5


class _DeadHostError(Exception):
  """The host cannot be reached or has fallen silent."""


class _BrokenOffError(Exception):
  """The host answers, but did not send the file; it may the next time."""


class _Session(requests.Session):
  """A session in which no answer takes longer than the limit to begin."""

  def __init__(self, silence: float, *, verify: bool) -> None:
    super().__init__()
    self.verify = verify
    # Servers must send the file as it is, not packed on the way.
    self.headers['Accept-Encoding'] = 'identity'
    self._silence = silence

  def get(self, url: str | bytes, **kwargs: Any) -> requests.Response:
    """Returns the answer, its body yet to be read."""
    kwargs |= {'stream': True, 'timeout': self._silence}
    # The timeouts of requests leave out the look-up of names and count each
    # address and each redirect anew.
    answers: queue.SimpleQueue[requests.Response | Exception] = (
      queue.SimpleQueue()
    )

    def ask() -> None:
      try:
        answers.put(super(_Session, self).get(url, **kwargs))
      except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
      answer = answers.get(timeout=self._silence)
    except queue.Empty:
      raise _DeadHostError(f'no answer within {self._silence:g} s') from None
    if isinstance(answer, requests.TooManyRedirects):
      raise OriginFileError(f'{url!s}: its redirects go round in circles')
    if isinstance(answer, requests.Timeout):
      raise _DeadHostError(f'no answer within {self._silence:g} s')
    if isinstance(answer, Exception):
      cause = _cause(answer)
      if isinstance(cause, ConnectionResetError | ConnectionAbortedError):
        raise _BrokenOffError('broke off before it sent anything') from answer
      reason = getattr(cause, 'strerror', None) or cause
      raise _DeadHostError(f'cannot be reached: {reason}') from answer
    return answer


Advance = Callable[[int], object]


@dataclasses.dataclass(frozen=True)
class _Task:
  """One file to be fetched from one address, into `part`."""

  file: OriginFile
  address: str
  part: pathlib.Path
  advance: Advance


class Client:
  """Fetches files, and asks no host again that has proved dead."""

  def __init__(self, limits: Limits | None = None, *, verify_ssl: bool = True):
    """Makes a client.

    Args:
      limits: When to give up.
      verify_ssl: Whether certificates of servers are checked.
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
    """Fetches a file, proves it, and gives it its name.

    Args:
      file: The file.
      url: Where it is; `<archive>#<member>` takes the member alone.
      target: The path the file gets once it is proved.
      part: The path it has until then, in a folder of the same file system;
        what is there is continued. One process at a time may use it.
      advance: Called with the number of bytes each time some have come.

    Raises:
      OriginFileError: If the file does not come, is not the right one, or
        cannot be written; the message names the URL or the folder.
    """
    address, _, member = url.partition('#')
    host = urllib.parse.urlsplit(address).netloc
    if host in self._dead:
      raise OriginFileError(self._dead[host])
    receive = _receive_member if member else _receive
    task = _Task(file, address, part, advance)
    with disk_errors(part.parent):
      check_room(part.parent, (file.size or 0) - _size(part))
      with _Session(self._limits.silence, verify=self._verify_ssl) as session:
        try:
          continued = _size(part) > 0
          self._persist(receive, session, task)
          wrong = _say_wrong(file, part)
          if wrong and continued:
            # What another time or another home has left may be at fault.
            self._persist(receive, session, task)
            wrong = _say_wrong(file, part)
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
    """Receives a file, once more where that is worth trying."""
    attempts = self._limits.attempts
    while (before := _size(task.part)) != task.file.size:
      try:
        receive(session, task)
        return
      except (_DeadHostError, _BrokenOffError) as error:
        if _size(task.part) - before < _WORTHWHILE:
          attempts -= 1
          if not attempts or isinstance(error, _DeadHostError):
            raise
        time.sleep(self._limits.pause)


def _receive(session: _Session, task: _Task) -> None:
  """Receives what is missing of a file."""
  file, url = task.file, task.address
  size = _size(task.part)
  wanted = {'Range': f'bytes={size}-'} if size else {}
  with session.get(url, headers=wanted) as response:
    size = _start(response, task, size)
    announced = _announced(response, size)
    if announced is not None and file.size not in (None, announced):
      head = next(_blocks(response), b'')
      wrong = impostors.recognize(file, io.BytesIO(head), announced)
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
        out.flush()  # What has come outlives a killed process.
        task.advance(len(block))
  if announced is not None and size < announced:
    raise _BrokenOffError(f'broke off after {size:,} bytes')


def _start(response: requests.Response, task: _Task, size: int) -> int:
  """Returns from where on the server sends the file."""
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
    raise _BrokenOffError('the server does not continue the file')
  fault = f'HTTP {status} {response.reason}'
  if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
    raise _BrokenOffError(fault)
  raise OriginFileError(f'{task.address}: {fault}')


def _announced(response: requests.Response, start: int) -> int | None:
  """Returns the size of the whole file, as far as the server states it."""
  length = response.headers.get('Content-Length', '')
  return start + int(length) if length.isdecimal() else None


def _blocks(response: requests.Response) -> Iterator[bytes]:
  """Yields the body as it comes over the wire."""
  came = 0
  try:
    # Some servers declare a .gz file to be packed on the way only.
    for block in response.raw.stream(_BLOCK, decode_content=False):
      came += len(block)
      yield block
  except urllib3.exceptions.ReadTimeoutError as error:
    raise _DeadHostError('fell silent while it sent a file') from error
  except urllib3.exceptions.HTTPError as error:
    raise _BrokenOffError(f'broke off after {came:,} bytes') from error


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
    raise _DeadHostError('fell silent while it sent a file') from error
  except (urllib3.exceptions.HTTPError, EOFError) as error:
    raise _BrokenOffError(f'broke off in {file.member}') from error
  except OSError:
    raise  # The disk refused to be written to.
  except (remotezip.RemoteZipError, *idx_npz.DAMAGE) as error:
    raise OriginFileError(
      f'{address}: cannot be read as a zip file: {error}'
    ) from error


def _say_wrong(file: OriginFile, part: pathlib.Path) -> str | None:
  """Deletes a file that is not the right one, and says what it is."""
  with part.open('rb') as stream:
    size = _size(part)
    if verification.prove(file, stream, size):
      return None
    stream.seek(0)
    wrong = impostors.recognize(file, stream, size)
  part.unlink()
  return wrong or verification.mismatch(file, size)


def check_room(folder: pathlib.Path, needed: int) -> None:
  """Says before the work what would end it.

  Args:
    folder: The folder that is to be written to; made if it is not there.
    needed: How many bytes.

  Raises:
    OriginFileError: If it cannot be written to or has not so much room.
  """
  folder.mkdir(parents=True, exist_ok=True)
  if not os.access(folder, os.W_OK):
    raise OriginFileError(
      f'{folder}: cannot be written to. Choose another folder, or change its'
      ' permissions.'
    )
  free = shutil.disk_usage(folder).free
  if needed > free:
    raise OriginFileError(
      f'{folder}: {needed:,} bytes are needed, and {free:,} are free on the'
      ' disk. Free some, or choose another folder.'
    )


@contextlib.contextmanager
def disk_errors(folder: pathlib.Path) -> Iterator[None]:
  """Turns what the disk refuses into an error that names the folder.

  Args:
    folder: The folder the work is done in.

  Yields:
    Nothing.

  Raises:
    OriginFileError: If the system refuses something on the disk.
  """
  try:
    yield
  except OSError as error:
    raise OriginFileError(
      f'{folder}: cannot be written to: {error.strerror or error}. Free disk'
      ' space, or choose another folder.'
    ) from error


def _size(path: pathlib.Path) -> int:
  return path.stat().st_size if path.exists() else 0


def _cause(error: BaseException) -> BaseException:
  """Returns the operating system's error behind a network error, if any."""
  cause: BaseException | None = error
  while cause:
    # Errors of requests are OSErrors too, without a number.
    if isinstance(cause, ConnectionError) or getattr(cause, 'errno', None):
      return cause
    cause = cause.__cause__ or cause.__context__
  return error

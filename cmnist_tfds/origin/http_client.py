# SPDX-License-Identifier: Apache-2.0
"""Fetches origin files over HTTP and gives up on dead hosts quickly.

A file is fetched as a whole, or as one member of a zip file if the server sends
parts of files. A file gets its final name once it is verified. An interrupted
download is continued the next time.

Nothing a server sends can fill the memory or the disk, or keep the client for
longer than `Limits` allows. What it sends is shown in messages on one line.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import http
import http.client
import io
import itertools
import os
import pathlib
import queue
import re
import shutil
import ssl
import threading
import time
import urllib.parse
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator

import requests
import urllib3
from requests.exceptions import InvalidHeader

from cmnist_tfds.formats import idx_npz
from cmnist_tfds.origin import limits as limits_lib
from cmnist_tfds.origin import mirror_address, verification
from cmnist_tfds.origin.limits import Limits
from cmnist_tfds.origin.mirror_address import without_password
from cmnist_tfds.sources import OriginFile
from cmnist_tfds.system.disk_errors import disk_errors
from cmnist_tfds.system.errors import OriginFileError

_BLOCK = 1 << 16

# A connection that delivers so many bytes before it breaks does not count as a
# failed attempt.
_PROGRESS = 1 << 20

# Homes redirect once or twice.
_REDIRECTS = 10

# Bytes by which a packed member may be larger than its content, and by which a
# header of its own may be.
_MEMBER_OVERHEAD = 1 << 20
_LONGEST_MEMBER_HEADER = idx_npz.MEMBER_HEADER + 2 * 0xFFFF

# No text from a server takes more characters of a message than this.
_LONGEST_QUOTE = 120

_NUMBER = re.compile(r'[0-9]{1,15}')
_RANGE = re.compile(r'bytes ([0-9]{1,15})-')

# Who knows that a host is slow can wait for it.
_WAIT_LONGER = f'; {limits_lib.TIMEOUT_VARIABLE}=SECONDS waits longer'
_ALLOW_SLOWER = (
  f'; {limits_lib.MIN_SPEED_VARIABLE}=BYTES_A_SECOND allows slower hosts'
)
_TOO_LONG = f'takes too long to send a file{_ALLOW_SLOWER}'

# Environment variables by which requests finds certificates.
_CERTIFICATES = ('REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE')


class _DeadHostError(Exception):
  """The host cannot be reached or has stopped sending."""


class _BrokenOffError(Exception):
  """The host did not send the whole file; another attempt may succeed."""


class _Session(requests.Session):
  """A session in which every response begins, and ends, within time limits."""

  def __init__(
    self, limits: Limits, deadline: float, *, verify: bool, mirror: str | None
  ) -> None:
    super().__init__()
    self.verify = verify
    self._mirror = mirror
    # Servers must send the bytes of the file, without compressing them.
    self.headers['Accept-Encoding'] = 'identity'
    self.limits = limits
    self._deadline = deadline
    # Where the last request was redirected to, for messages.
    self._redirected = ''

  def get_redirect_target(self, resp: requests.Response) -> str | None:
    """Returns None: requests would read the body of a redirect into memory."""
    return None

  def answer(self, url: str, wanted: str = '') -> requests.Response:
    """Asks for a file and follows redirects.

    Args:
      url: The URL of the file.
      wanted: The range that is wanted, as `0-99`; all of the file if empty.

    Returns:
      The response; its body is not read yet.

    Raises:
      OriginFileError: If there is no HTTP response at the URL.
      _BrokenOffError: If the connection breaks before the response begins.
      _DeadHostError: If no response begins in time.
    """
    if time.monotonic() > self._deadline:
      raise _DeadHostError(_TOO_LONG)
    # The timeout of requests excludes the look-up of the host's address and
    # starts again with each address and with each byte of the header.
    answers: queue.SimpleQueue[requests.Response | Exception] = (
      queue.SimpleQueue()
    )

    self._redirected = ''

    def send() -> None:
      try:
        answers.put(self._follow(url, wanted))
      except Exception as error:
        answers.put(error)

    threading.Thread(target=send, daemon=True).start()
    silence = self.limits.silence
    no_answer = f'no answer within {silence:g} s{_WAIT_LONGER}'
    try:
      answer = answers.get(timeout=silence)
    except queue.Empty:
      raise _DeadHostError(self._redirected + no_answer) from None
    if isinstance(answer, requests.Response):
      return answer
    if isinstance(answer, OriginFileError):
      raise answer
    if isinstance(answer, requests.ConnectTimeout):
      raise _DeadHostError(
        f'{self._redirected}no connection within {self.limits.connect:g} s'
        f'{_WAIT_LONGER}'
      ) from answer
    if isinstance(answer, requests.Timeout):
      raise _DeadHostError(self._redirected + no_answer) from answer
    raise _explained(answer, url, self._redirected) from answer

  def _follow(self, url: str, wanted: str) -> requests.Response:
    """Sends requests until one is answered by something else than a redirect.

    Each is a request of its own: a password goes to its host alone.
    """
    target = url
    for _ in range(_REDIRECTS):
      response = self.get(
        target,
        headers={'Range': f'bytes={wanted}'} if wanted else {},
        auth=mirror_address.credentials(self._mirror, target),
        stream=True,
        timeout=(self.limits.connect, self.limits.silence),
        # Given per request: the environment variable REQUESTS_CA_BUNDLE
        # overrides `verify` of a session, even where it is False.
        verify=self.verify,
      )
      if not response.is_redirect:
        return response
      response.close()
      location = super().get_redirect_target(response) or ''
      try:
        target = urllib.parse.urljoin(target, location)
        parts = urllib.parse.urlsplit(target)
        valid = parts.scheme in ('http', 'https') and bool(parts.hostname)
        valid = valid and parts.port != 0  # Raises for a port that is none.
      except ValueError:
        valid = False
      if not valid or not location:
        raise OriginFileError(
          f'{without_password(url)}: it redirects to'
          f' {_quoted(location) or "nothing"}, which is no HTTP address'
        )
      host = urllib.parse.urlsplit(without_password(target)).netloc
      self._redirected = f'it redirects to {host}: '
    raise OriginFileError(f'{without_password(url)}: its redirects form a loop')

  def blocks(self, response: requests.Response) -> Generator[bytes, None, None]:
    """Yields the body as it arrives.

    Raises:
      _BrokenOffError: If the connection breaks.
      _DeadHostError: If the body stops, arrives too slowly or takes too long.
    """
    limits, finished = self.limits, threading.Event()
    received, fault = 0, ''

    def watch() -> None:
      # In a thread of its own because the headers of chunks, which a server can
      # make as long as it likes, are read in one call.
      nonlocal fault
      before = 0
      while not finished.wait(limits.window):
        if received - before < limits.slowest * limits.window:
          fault = (
            f'sends less than {limits.slowest:,g} bytes a second{_ALLOW_SLOWER}'
          )
        elif time.monotonic() > self._deadline:
          fault = _TOO_LONG
        if fault:
          with contextlib.suppress(OSError, RuntimeError, ValueError):
            response.raw.shutdown()
          return
        before = received

    threading.Thread(target=watch, daemon=True).start()
    try:
      # Some servers declare a .gz file as a compressed response. Decoding it
      # would decompress the file. `read1` returns what is there; `read` would
      # wait for a whole block.
      while not fault and (
        block := response.raw.read1(_BLOCK, decode_content=False)
      ):
        received += len(block)
        yield block
    except urllib3.exceptions.ReadTimeoutError as error:
      raise _DeadHostError(
        f'stopped sending in the middle of a file{_WAIT_LONGER}'
      ) from error
    except (urllib3.exceptions.HTTPError, ValueError) as error:
      if not fault:
        raise _BrokenOffError(f'broke off after {received:,} bytes') from error
    finally:
      finished.set()
    if fault:
      raise _DeadHostError(fault)


def _explained(error: Exception, url: str, redirected: str) -> Exception:
  """Returns the error that says why a request got no response."""
  chain: list[BaseException] = [error]
  while cause := chain[-1].__cause__ or chain[-1].__context__:
    chain.append(cause)
  for cause in chain:
    if isinstance(cause, ConnectionResetError | ConnectionAbortedError):
      return _BrokenOffError('broke off before it sent anything')
    if isinstance(cause, http.client.HTTPException | InvalidHeader):
      return OriginFileError(
        f'{without_password(url)}: its answer is not HTTP: {_quoted(cause)}'
      )
  if isinstance(error, ValueError | urllib3.exceptions.LocationValueError):
    return OriginFileError(
      f'{without_password(url)}: not a valid URL: {_quoted(error)}'
    )
  # Errors of requests are OSErrors too, but have no number.
  numbered = [e for e in chain if isinstance(e, OSError) and e.errno]
  reason = _quoted(numbered[0].strerror if numbered else error)
  if not numbered or isinstance(numbered[0], ssl.SSLError):
    reason += ''.join(
      f'. {name} is {os.environ[name]}: correct it or unset it'
      for name in _CERTIFICATES
      if os.environ.get(name)
    )
  if isinstance(error, requests.exceptions.ProxyError):
    reason += (
      ', by the proxy that the environment names (http_proxy, https_proxy)'
    )
  if isinstance(error, OSError | urllib3.exceptions.HTTPError):
    return _DeadHostError(f'{redirected}cannot be reached: {reason}')
  return error


def _quoted(text: object) -> str:
  """Returns a server's text on one line, without control characters."""
  printable = (c if c.isprintable() else ' ' for c in str(text))
  return ' '.join(''.join(printable).split())[:_LONGEST_QUOTE]


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

  def __init__(
    self,
    limits: Limits | None = None,
    *,
    verify_ssl: bool = True,
    mirror: str | None = None,
  ):
    """Makes a client.

    Args:
      limits: The limits at which to give up; those of the user if None.
      verify_ssl: Whether to check the certificates of servers.
      mirror: The user's mirror. A user and a password in its address are sent
        to its server alone.
    """
    self._limits = limits or limits_lib.of_user()
    self._verify_ssl = verify_ssl
    self._mirror = mirror
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
    try:
      parts = urllib.parse.urlsplit(address)
    except ValueError as error:  # As of `http://[::1`.
      raise OriginFileError(
        f'{without_password(url)}: not a valid URL: {error}'
      ) from error
    host = without_password(f'//{parts.netloc}')[2:]
    # A host whose port for https is closed may answer on that for http.
    server = f'{parts.scheme}://{host}'
    if server in self._dead:
      raise OriginFileError(self._dead[server])
    receive = _receive_member if member else _receive
    task = _Task(file, address, part, advance)
    size = self._limits.largest if file.size is None else file.size
    deadline = (
      time.monotonic() + 3 * self._limits.window + size / self._limits.slowest
    )
    with disk_errors(part.parent, error=OriginFileError):
      check_free_space(part.parent, (file.size or 0) - _size(part))
      with _Session(
        self._limits,
        deadline,
        verify=self._verify_ssl,
        mirror=self._mirror,
      ) as session:
        try:
          continued = _size(part) > 0
          self._persist(receive, session, task)
          wrong = _delete_if_wrong(file, part)
          if wrong and continued:
            # What an earlier attempt left in `part` may be at fault.
            self._persist(receive, session, task)
            wrong = _delete_if_wrong(file, part)
        except _DeadHostError as error:
          self._dead[server] = f'{host}: {error}'
          raise OriginFileError(self._dead[server]) from error
        except _BrokenOffError as error:
          raise OriginFileError(f'{without_password(url)}: {error}') from error
      if wrong:
        raise OriginFileError(
          f'{without_password(url)}: not the file expected: {wrong}'
        )
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
  file, url = task.file, without_password(task.address)
  size = _size(task.part)
  with (
    session.answer(task.address, f'{size}-' if size else '') as response,
    contextlib.closing(session.blocks(response)) as blocks,
  ):
    size = _start(response, task, size)
    announced = _announced(response, size)
    if announced is not None and file.size not in (None, announced):
      head = next(blocks, b'')
      wrong = verification.recognize_wrong_file(
        file, io.BytesIO(head), announced
      )
      raise OriginFileError(
        f'{url}: not the file expected:'
        f' {wrong or verification.mismatch(file, announced)}'
      )
    limit = session.limits.largest if file.size is None else file.size
    with task.part.open('ab' if size else 'wb') as out:
      for block in blocks:
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
  if size and status in (
    http.HTTPStatus.PARTIAL_CONTENT,
    http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
  ):
    task.part.unlink(missing_ok=True)
    raise _BrokenOffError('the server cannot continue the file')
  raise _bad_status(response, task)


def _bad_status(response: requests.Response, task: _Task) -> Exception:
  """Returns the error for a response without the file that was asked for."""
  status = response.status_code
  fault = f'HTTP {status} {_quoted(response.reason or "")}'.rstrip()
  if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
    return _BrokenOffError(fault)
  return OriginFileError(f'{without_password(task.address)}: {fault}')


def _announced(response: requests.Response, start: int) -> int | None:
  """Returns the size of the whole file, None if the server omits it."""
  length = response.headers.get('Content-Length', '')
  # A length in another form, or of a body in chunks, is ignored: the hash tells
  # whether the file is right.
  if 'Transfer-Encoding' in response.headers or not _NUMBER.fullmatch(length):
    return None
  return start + int(length)


def _receive_member(session: _Session, task: _Task) -> None:
  """Receives a member of a zip file without the rest of it."""
  file, url = task.file, without_password(task.address)
  with _part_of(session, task, f'-{idx_npz.LARGEST_ZIP_TAIL}') as (
    start,
    blocks,
  ):
    tail = b''
    for block in blocks:
      tail = (tail + block)[: idx_npz.LARGEST_ZIP_TAIL]
  try:
    # `zipfile` takes offsets from the end of what it is given.
    with idx_npz.open_zip(io.BytesIO(tail)) as archive:
      member = idx_npz.find_member(archive, file.member)
  except (OriginFileError, *idx_npz.DAMAGE) as error:
    raise OriginFileError(
      f'{url}: cannot be read as a zip file: {error}'
    ) from error
  size = session.limits.largest if file.size is None else file.size
  if member.file_size > size or file.size not in (None, member.file_size):
    raise OriginFileError(
      f'{url}: its member {file.member}:'
      f' {verification.mismatch(file, member.file_size)}'
    )
  if member.compress_size > size + _MEMBER_OVERHEAD:
    raise OriginFileError(
      f'{url}: its member {file.member}: expected at most {size:,} bytes,'
      f' found {member.compress_size:,} compressed ones'
    )
  at = start + member.header_offset
  end = at + _LONGEST_MEMBER_HEADER + member.compress_size
  with (
    _part_of(session, task, f'{at}-{end}') as (found, blocks),
    task.part.open('wb') as out,
  ):
    try:
      if found != at:
        raise zipfile.BadZipFile(f'expected its bytes from {at:,} on')
      for block in _unpacked(blocks, member):
        out.write(block)
        task.advance(len(block))
    except (zipfile.BadZipFile, zlib.error) as error:
      raise OriginFileError(
        f'{url}: cannot be read as a zip file: {error}'
      ) from error


@contextlib.contextmanager
def _part_of(
  session: _Session, task: _Task, wanted: str
) -> Iterator[tuple[int, Iterator[bytes]]]:
  """Asks for a part of a file; yields its offset and its blocks."""
  with (
    session.answer(task.address, wanted) as response,
    contextlib.closing(session.blocks(response)) as blocks,
  ):
    if response.status_code not in (
      http.HTTPStatus.OK,
      http.HTTPStatus.PARTIAL_CONTENT,
    ):
      raise _bad_status(response, task)
    sent = _RANGE.match(response.headers.get('Content-Range', ''))
    if response.status_code == http.HTTPStatus.OK or not sent:
      raise OriginFileError(
        f'{without_password(task.address)}: the server does not send parts'
        ' of files'
      )
    yield int(sent[1]), blocks


def _unpacked(
  blocks: Iterator[bytes], member: zipfile.ZipInfo
) -> Iterator[bytes]:
  """Yields the content of a member of a zip file.

  Args:
    blocks: The bytes of the zip file from the member's own header on.
    member: What the directory says of the member.

  Raises:
    _BrokenOffError: If the content ends early.
    zipfile.BadZipFile: If the member is damaged.
    zlib.error: If the member is damaged.
  """
  head = b''
  while len(head) < idx_npz.MEMBER_HEADER or len(head) < (
    begin := idx_npz.member_at(head, member)
  ):
    block = next(blocks, b'')
    if not block:
      raise _BrokenOffError(f'broke off in {member.filename}')
    head += block
  stored = member.compress_type == zipfile.ZIP_STORED
  inflate = zlib.decompressobj(-zlib.MAX_WBITS)
  left, size = member.compress_size, 0
  for block in itertools.chain([head[begin:]], blocks):
    packed = block[:left]
    left -= len(packed)
    # One byte more than there should be, and no more, is inflated.
    content = (
      packed
      if stored
      else inflate.decompress(packed, member.file_size - size + 1)
    )
    size += len(content)
    if size > member.file_size:
      raise zipfile.BadZipFile(
        f'expected {member.file_size:,} bytes in {member.filename}, found more'
      )
    yield content
    if inflate.eof or not left:
      break
  if size < member.file_size:
    raise _BrokenOffError(f'broke off in {member.filename}')


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

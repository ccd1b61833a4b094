# SPDX-License-Identifier: Apache-2.0
"""An HTTP server that does to its clients what servers do at times.

The first part of a path says what happens: `/404/toy/train-images.gz`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import http.server
import itertools
import pathlib
import socket
import ssl
import struct
import threading
import urllib.parse
from collections.abc import Callable, Iterable, Iterator

HTML = b'<!DOCTYPE html>\n<html><body>The page has moved.</body></html>\n'
OUTDATED = b'\x1f\x8b the file of two years ago'


_OK = b'HTTP/1.1 200 OK\r\n'
_CHUNKED = _OK + b'Transfer-Encoding: chunked\r\n\r\n'


def _length(value: str) -> bytes:
  return _OK + f'Content-Length: {value}\r\n\r\n'.encode()


def _redirect_to(location: str) -> Callable[[bytes], list[bytes]]:
  answer = f'HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n'.encode()
  return lambda data: [answer]


def _drip(data: bytes) -> Iterator[bytes | float]:
  """Yields a byte at a time, far more often than a client times out."""
  for value in data:
    yield bytes([value])
    yield 0.05


def _chunk(data: bytes) -> bytes:
  return b'%x\r\n%b\r\n' % (len(data), data)


_FOREVER = itertools.repeat

# Answers, byte by byte, by behaviour. Those that have no end are endless.
RAW: dict[str, Callable[[bytes], Iterable[bytes | float]]] = {
  'no_length': lambda data: [_OK + b'\r\n', data],
  'http10': lambda data: [b'HTTP/1.0 200\n\n', data],
  'odd_headers': lambda data: [
    _OK + b'no colon\r\n: no name\r\nx: \xff\xfe\r\n folded\r\n\r\n',
    data,
  ],
  'continue_first': lambda data: [
    b'HTTP/1.1 100 Continue\r\n\r\n' * 3,
    _OK + b'\r\n',
    data,
  ],
  'chunks': lambda data: [
    _CHUNKED,
    *(_chunk(data[at : at + 999]) for at in range(0, len(data), 999)),
    b'0\r\n\r\n',
  ],
  'chunk_extensions': lambda data: [
    _CHUNKED,
    b'%x;name=%s\r\n' % (len(data), b'x' * 999),
    data,
    b'\r\n0\r\nTrailer: x\r\n\r\n',
  ],
  'length_of_5000_digits': lambda data: [_length('9' * 5000), data],
  'negative_length': lambda data: [_length('-5'), data],
  'length_no_number': lambda data: [_length('a lot'), data],
  'length_and_chunks': lambda data: [
    _OK + b'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n',
    _chunk(data),
    b'0\r\n\r\n',
  ],
  'gzip_declared': lambda data: [_OK + b'Content-Encoding: gzip\r\n\r\n', data],
  'gzip_packed': lambda data: [
    _OK + b'Content-Encoding: gzip\r\n\r\n',
    gzip.compress(data, mtime=0),
  ],
  'two_lengths': lambda data: [
    _OK + b'Content-Length: 5\r\nContent-Length: 7\r\n\r\n',
    data,
  ],
  'length_too_small': lambda data: [_length('5'), data],
  'length_too_large': lambda data: [_length('9' * 15), data],
  'negative_chunk': lambda data: [_CHUNKED, b'-5\r\n', data],
  'bad_chunk': lambda data: [_CHUNKED, b'many\r\n', data],
  'huge_chunk': lambda data: [_CHUNKED, b'f' * 99 + b'\r\n', data[:99]],
  'endless_chunk_size': lambda data: [_CHUNKED, *[b'1' * 999] * 99, b'\r\n'],
  'chunk_size_line': lambda data: itertools.chain(
    [_CHUNKED, b'5;'], _FOREVER(b'x' * 999)
  ),
  'endless_trailer': lambda data: itertools.chain(
    [_CHUNKED, _chunk(data), b'0\r\n'], _FOREVER(b'Trailer: x\r\n')
  ),
  'endless': lambda data: itertools.chain(
    [_OK + b'\r\n'], _FOREVER(bytes(1 << 16))
  ),
  'endless_chunks': lambda data: itertools.chain(
    [_CHUNKED], _FOREVER(_chunk(bytes(999)))
  ),
  'empty_chunks_drip': lambda data: itertools.chain(
    [_CHUNKED], _drip(b'1;' + b'x' * 999)
  ),
  'drip': lambda data: itertools.chain([_length(f'{len(data)}')], _drip(data)),
  'header_drip': lambda data: itertools.chain(
    [_OK], _drip(b'x: ' + b'y' * 999)
  ),
  'endless_headers': lambda data: itertools.chain([_OK], _FOREVER(b'x: y\r\n')),
  'endless_header': lambda data: itertools.chain(
    [_OK + b'x: '], _FOREVER(b'y' * 999)
  ),
  'endless_status': lambda data: itertools.chain(
    [b'HTTP/1.1 200 '], _FOREVER(b'y' * 999)
  ),
  'endless_continue': lambda data: _FOREVER(b'HTTP/1.1 100 Continue\r\n\r\n'),
  'endless_redirect': lambda data: itertools.chain(
    [b'HTTP/1.1 302 Found\r\nLocation: /ok/nothing\r\n\r\n'],
    _FOREVER(bytes(1 << 16)),
  ),
  'no_http': lambda data: [b'220 mail.example ESMTP\r\n'],
  'binary': lambda data: [b'\x15\x03\x01\x00\x02\x02\x28', data[:99]],
  'bad_status': lambda data: [b'HTTP/1.1 many\r\n\r\n', data],
  'status_out_of_range': lambda data: [b'HTTP/1.1 9999 x\r\n\r\n', data],
  'terminal_codes': lambda data: [b'HTTP/1.1 403 \x1b[2J\x07gone\r\n\r\n'],
  'cut_header': lambda data: [_OK + b'Content-Le'],
  'early_hints': lambda data: [
    b'HTTP/1.1 103 Early Hints\r\n\r\n',
    _OK + b'\r\n',
    data,
  ],
  'no_content': lambda data: [b'HTTP/1.1 204 No Content\r\n\r\n'],
  'not_modified': lambda data: [b'HTTP/1.1 304 Not Modified\r\n\r\n'],
  'unasked_416': lambda data: [b'HTTP/1.1 416 Range Not Satisfiable\r\n\r\n'],
  'unasked_206': lambda data: [
    b'HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 5-9/10\r\n\r\n',
    data[5:10],
  ],
  'bad_range': lambda data: [
    b'HTTP/1.1 206 x\r\nContent-Range: bytes ' + b'9' * 5000 + b'-/\r\n\r\n',
    data,
  ],
  'no_location': lambda data: [b'HTTP/1.1 302 Found\r\n\r\n'],
  'to_nothing': _redirect_to(''),
  'to_script': _redirect_to('javascript:alert(1)'),
  'to_file': _redirect_to('file:///etc/passwd'),
  'to_ftp': _redirect_to('ftp://127.0.0.1/file'),
  'to_bad_address': _redirect_to('http://[::1'),
  'to_bad_port': _redirect_to('http://127.0.0.1:99999/'),
  'to_bad_name': _redirect_to('http://' + 'x' * 64 + '.example/'),
  'to_log_in': _redirect_to('/html/log-in'),
  '401': lambda data: [
    b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\r\n'
  ],
  'late': lambda data: [0.6, _OK + b'\r\n', data],
  'to_closed_port': _redirect_to('http://127.0.0.1:9/'),
}


@dataclasses.dataclass(frozen=True)
class Served:
  """A running server.

  Attributes:
    base: Its URL, without a slash at the end.
    files: What it serves, by path; may be changed.
    requests: What it was asked: path and Range header.
    passwords: The Authorization headers it was sent.
    pause: Seconds between the pieces of /slow.
  """

  base: str
  files: dict[str, bytes]
  requests: list[tuple[str, str]]
  passwords: list[str]
  pause: float

  def home(self, behaviour: str) -> str:
    """Returns the base of files that are served so."""
    return f'{self.base}/{behaviour}/'


@contextlib.contextmanager
def serve(
  files: dict[str, bytes],
  pause: float = 0.3,
  certificate: pathlib.Path | None = None,
) -> Iterator[Served]:
  """Serves files on 127.0.0.1 until the block ends.

  Args:
    files: The files, by path.
    pause: Seconds between the pieces of /slow.
    certificate: PEM file with a certificate and its private key. With it the
      server speaks HTTPS.

  Yields:
    The server.
  """
  stopping = threading.Event()
  server = http.server.ThreadingHTTPServer(
    ('127.0.0.1', 0), http.server.BaseHTTPRequestHandler
  )
  if certificate:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
  scheme = 'https' if certificate else 'http'
  served = Served(
    f'{scheme}://127.0.0.1:{server.server_port}', dict(files), [], [], pause
  )

  class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
      served.requests.append((self.path, self.headers.get('Range', '')))
      if 'Authorization' in self.headers:
        served.passwords.append(self.headers['Authorization'])
      # A proxy is asked for a whole address.
      where = urllib.parse.urlsplit(self.path).path
      _, behaviour, path = where.split('/', 2)
      data = served.files.get(path, b'')
      with contextlib.suppress(ConnectionError):
        if behaviour in RAW:
          self._raw(RAW[behaviour](data))
        else:
          getattr(self, f'_{behaviour}')(path, data)

    def _raw(self, pieces: Iterable[bytes | float]) -> None:
      """Sends bytes as they are; numbers are pauses."""
      self.close_connection = True
      for piece in pieces:
        if stopping.is_set():
          return
        if isinstance(piece, bytes):
          self.wfile.write(piece)
        else:
          stopping.wait(piece)

    def _reset(self, path: str, data: bytes) -> None:
      """Sends some of the file and resets the connection."""
      self._send_part(data, 9)
      self.connection.setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0)
      )

    def _away(self, path: str, data: bytes) -> None:
      """Redirects to whatever the file `away` holds."""
      self.send_response(302)
      self.send_header('Location', served.files['away'].decode() + path)
      self.end_headers()

    def _onward(self, path: str, data: bytes) -> None:
      """Redirects to another URL each time."""
      self.send_response(302)
      self.send_header('Location', f'/onward/{len(served.requests)}')
      self.end_headers()

    def _offset(self, path: str, data: bytes) -> None:
      """Sends another part of the file than is asked for."""
      self.send_response(206)
      self.send_header('Content-Range', f'bytes 5-{len(data)}/{len(data)}')
      self.end_headers()
      self.wfile.write(data[5:])

    def _tail_only(self, path: str, data: bytes) -> None:
      """Sends the end of the file, and garbage in place of other parts."""
      wanted = self.headers.get('Range', '')
      if wanted.startswith('bytes=-') or not wanted:
        self._send_part(data)
      else:
        self._garbage_from(wanted[6:].partition('-')[0])

    def _tail_only_endless(self, path: str, data: bytes) -> None:
      """Sends the end of the file, and endless zeros for other parts."""
      wanted = self.headers.get('Range', '')
      if wanted.startswith('bytes=-') or not wanted:
        self._send_part(data)
      else:
        first = int(wanted[6:].partition('-')[0])
        head = data[
          first : first
          + 30
          + int.from_bytes(data[first + 26 : first + 28], 'little')
        ]
        self._garbage_from(
          first, itertools.chain([head], itertools.repeat(bytes(1 << 16)))
        )

    def _garbage_from(
      self, first: object, garbage: Iterable[bytes] = (b'garbage' * 99,)
    ) -> None:
      head = b'HTTP/1.1 206 Partial Content\r\n'
      head += f'Content-Range: bytes {first}-999999999/*\r\n\r\n'.encode()
      self._raw(itertools.chain([head], garbage))

    def log_message(self, *args: object) -> None:
      """Keeps quiet."""

    def _ok(self, path: str, data: bytes) -> None:
      if path not in served.files:
        self.send_error(404)
        return
      self._send_part(data)

    def _send_part(self, data: bytes, limit: int | None = None) -> None:
      """Sends the range asked for, but no more than `limit` bytes of it."""
      wanted = self.headers.get('Range', '')
      start, end = 0, len(data)
      if wanted.startswith('bytes=-'):
        start = max(0, len(data) - int(wanted[7:]))
      elif wanted:
        first, _, last = wanted[6:].partition('-')
        start, end = int(first), int(last) + 1 if last else len(data)
      if wanted and start >= len(data):
        self.send_error(416)
        return
      body = data[start:end]
      self.send_response(206 if wanted else 200)
      if wanted:
        self.send_header(
          'Content-Range', f'bytes {start}-{start + len(body) - 1}/{len(data)}'
        )
      self.send_header('Content-Length', str(len(body)))
      self.end_headers()
      self.wfile.write(body if limit is None else body[:limit])

    def _send_whole(self, data: bytes, content_type: str = 'x/y') -> None:
      self.send_response(200)
      self.send_header('Content-Type', content_type)
      self.send_header('Content-Length', str(len(data)))
      self.end_headers()
      self.wfile.write(data)

    def _404(self, path: str, data: bytes) -> None:
      self.send_error(404)

    def _500(self, path: str, data: bytes) -> None:
      self.send_error(500)

    def _hang(self, path: str, data: bytes) -> None:
      stopping.wait(60)

    def _drop(self, path: str, data: bytes) -> None:
      """Closes the connection without an answer."""

    def _moody(self, path: str, data: bytes) -> None:
      """Does so every second time."""
      if len(served.requests) % 2 == 0:
        self._send_part(data)

    def _stall(self, path: str, data: bytes) -> None:
      self._send_part(data, len(data) * 2 // 3)
      self.wfile.flush()
      stopping.wait(60)

    def _close(self, path: str, data: bytes) -> None:
      """Breaks off half-way through what is asked for, every time."""
      self._send_part(data, 1)

    def _unsteady(self, path: str, data: bytes) -> None:
      """Breaks off once, then goes on where it broke off."""
      if self.headers.get('Range'):
        self._send_part(data)
      else:
        self._send_part(data, len(data) // 2)

    def _redirect(self, path: str, data: bytes) -> None:
      self.send_response(302)
      self.send_header('Location', f'/ok/{path}')
      self.end_headers()

    def _loop(self, path: str, data: bytes) -> None:
      self.send_response(302)
      self.send_header('Location', self.path)
      self.end_headers()

    def _html(self, path: str, data: bytes) -> None:
      self.send_response(200)
      self.end_headers()
      self.wfile.write(HTML)

    def _page(self, path: str, data: bytes) -> None:
      self._send_whole(HTML, 'text/html')

    def _wrong(self, path: str, data: bytes) -> None:
      self._send_part(data[:-1] + bytes([data[-1] ^ 1]) if data else b'')

    def _outdated(self, path: str, data: bytes) -> None:
      self._send_whole(OUTDATED)

    def _long(self, path: str, data: bytes) -> None:
      """Sends more than the file, without saying how much."""
      self.send_response(200)
      self.end_headers()
      self.wfile.write(data + b'more')

    def _slow(self, path: str, data: bytes) -> None:
      self.send_response(200)
      self.send_header('Content-Length', str(len(data)))
      self.end_headers()
      step = -(-len(data) // 4)
      for start in range(0, len(data), step):
        self.wfile.write(data[start : start + step])
        self.wfile.flush()
        stopping.wait(served.pause)

    def _norange(self, path: str, data: bytes) -> None:
      if path not in served.files:
        self.send_error(404)
        return
      self._send_whole(data)

  server.RequestHandlerClass = Handler
  server.daemon_threads = True
  thread = threading.Thread(
    target=server.serve_forever, args=(0.01,), daemon=True
  )
  thread.start()
  try:
    yield served
  finally:
    stopping.set()
    server.shutdown()
    server.server_close()


@contextlib.contextmanager
def refusing() -> Iterator[str]:
  """Yields the base of a host that refuses connections."""
  # Bound and not listening: nobody else gets the port meanwhile.
  with socket.socket() as bound:
    bound.bind(('127.0.0.1', 0))
    yield f'http://127.0.0.1:{bound.getsockname()[1]}'


@contextlib.contextmanager
def deaf() -> Iterator[str]:
  """Yields the base of a host that answers no attempt to connect."""
  with contextlib.ExitStack() as stack:
    listening = stack.enter_context(socket.socket())
    listening.bind(('127.0.0.1', 0))
    listening.listen(0)
    address = listening.getsockname()
    # The queue of connections that nobody accepts is soon full.
    for _ in range(4):
      waiting = stack.enter_context(socket.socket())
      waiting.setblocking(False)
      with contextlib.suppress(BlockingIOError):
        waiting.connect(address)
    yield f'http://127.0.0.1:{address[1]}'

# SPDX-License-Identifier: Apache-2.0
"""An HTTP server that does to its clients what servers do at times.

The first part of a path says what happens: `/404/toy/train-images.gz`. It is
`ok`, `norange` (ranges are ignored), `close`, `unsteady` (they break off),
`moody` (it answers every second time), `away` (it redirects), or one of `RAW`.
"""

import contextlib
import dataclasses
import functools
import http.server
import pathlib
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator

HTML = b'<!DOCTYPE html>\n<html><body>The page has moved.</body></html>\n'

_OK = b'HTTP/1.1 200 OK\r\n'


def _redirect_to(location: str) -> Callable[[bytes], list[bytes]]:
  answer = f'HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n'.encode()
  return lambda data: [answer]


def _header(data: bytes) -> bytes:
  return _OK + f'Content-Length: {len(data)}\r\n\r\n'.encode()


def _drip(data: bytes) -> Iterator[bytes | float]:
  """Yields a byte at a time, far more often than a client times out."""
  yield _header(data)
  for value in data:
    yield bytes([value])
    yield 0.05


# Answers, byte by byte, by behavior. Numbers are pauses.
RAW: dict[str, Callable[[bytes], Iterable[bytes | float]]] = {
  'long': lambda data: [_OK + b'\r\n', data, b'more', 60],
  'gzip_declared': lambda data: [_OK + b'Content-Encoding: gzip\r\n\r\n', data],
  'drip': _drip,
  'no_http': lambda data: [b'220 mail.example \x1b[2JESMTP\r\n'],
  'wrong': lambda data: [_OK + b'\r\n', data[:-1] + bytes([data[-1] ^ 1])],
  'hang': lambda data: [60],
  'stall': lambda data: [_header(data), data[: len(data) * 2 // 3], 60],
  'slow': lambda data: [
    _header(data),
    *(data[: len(data) // 2], 0.3, data[len(data) // 2 :]),
  ],
  'drop': lambda data: [],
  'html': lambda data: [_OK + b'\r\n', HTML],
  'lfs': lambda data: [
    _OK + b'\r\n',
    b'version https://git-lfs.github.com/spec/v1\noid sha256:0\n',
  ],
  '401': lambda data: [b'HTTP/1.1 401 Unauthorized\r\n\r\n'],
  '404': lambda data: [b'HTTP/1.1 404 Not Found\r\n\r\n'],
  '500': lambda data: [b'HTTP/1.1 500 Oh No\r\n\r\n'],
  'to_file': _redirect_to('file:///etc/passwd'),
  'loop': _redirect_to('/loop/again'),
  'late': lambda data: [0.6, _OK + b'\r\n', data],
}


@dataclasses.dataclass(frozen=True)
class Served:
  """A running server.

  Attributes:
    base: Its URL, without a slash at the end.
    files: What it serves, by path; may be changed.
    requests: What it was asked: path and Range header.
    passwords: The Authorization headers it was sent.
  """

  base: str
  files: dict[str, bytes]
  requests: list[tuple[str, str]]
  passwords: list[str]

  def home(self, behavior: str) -> str:
    """Returns the base of files that are served so."""
    return f'{self.base}/{behavior}/'


@contextlib.contextmanager
def serve(
  files: dict[str, bytes], certificate: pathlib.Path | None = None
) -> Iterator[Served]:
  """Serves files on 127.0.0.1 until the block ends.

  Args:
    files: The files, by path.
    certificate: PEM file with a certificate and its private key. With it the
      server speaks HTTPS.

  Yields:
    The server.
  """
  stopping = threading.Event()

  class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
      served.requests.append((self.path, self.headers.get('Range', '')))
      if 'Authorization' in self.headers:
        served.passwords.append(self.headers['Authorization'])
      _, behavior, path = self.path.split('/', 2)
      data = served.files.get(path, b'')
      with contextlib.suppress(ConnectionError):
        if behavior in RAW:
          self._raw(RAW[behavior](data))
        elif behavior == 'away':  # To whatever the file `away` holds.
          self.send_response(302)
          self.send_header('Location', served.files['away'].decode() + path)
          self.end_headers()
        elif path not in served.files:
          self.send_error(404)
        elif behavior != 'moody' or len(served.requests) % 2 == 0:
          self._send(data, behavior)

    def log_message(self, *args: object) -> None:
      """Keeps quiet."""

    def _raw(self, parts: Iterable[bytes | float]) -> None:
      self.close_connection = True
      for part in parts:
        if stopping.is_set():
          return
        if isinstance(part, bytes):
          self.wfile.write(part)
        else:
          stopping.wait(part)

    def _send(self, data: bytes, behavior: str) -> None:
      """Sends the range asked for, or breaks off."""
      wanted = self.headers.get('Range', '') if behavior != 'norange' else ''
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
        sent = f'bytes {start}-{start + len(body) - 1}/{len(data)}'
        self.send_header('Content-Range', sent)
      self.send_header('Content-Length', str(len(body)))
      self.end_headers()
      # One breaks off at the start every time, one in the middle and once.
      most = {'close': 1, 'unsteady': None if wanted else len(data) // 2}
      self.wfile.write(body[: most.get(behavior)])

  server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
  scheme = 'http'
  if certificate:
    scheme, context = 'https', ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
  base = f'{scheme}://127.0.0.1:{server.server_port}'
  served = Served(base, dict(files), [], [])
  serving = functools.partial(server.serve_forever, 0.01)
  threading.Thread(target=serving, daemon=True).start()
  try:
    yield served
  finally:
    stopping.set()
    server.shutdown()
    server.server_close()

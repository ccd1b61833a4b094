# SPDX-License-Identifier: Apache-2.0
"""An HTTP server that does to its clients what servers do at times.

The first part of a path says what happens: `/404/toy/train-images.gz`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import pathlib
import socket
import ssl
import threading
from collections.abc import Iterator

HTML = b'<!DOCTYPE html>\n<html><body>The page has moved.</body></html>\n'
OUTDATED = b'\x1f\x8b the file of two years ago'


@dataclasses.dataclass(frozen=True)
class Served:
  """A running server.

  Attributes:
    base: Its URL, without a slash at the end.
    files: What it serves, by path; may be changed.
    requests: What it was asked: path and Range header.
    pause: Seconds between the pieces of /slow.
  """

  base: str
  files: dict[str, bytes]
  requests: list[tuple[str, str]]
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
    f'{scheme}://127.0.0.1:{server.server_port}', dict(files), [], pause
  )

  class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
      served.requests.append((self.path, self.headers.get('Range', '')))
      _, behaviour, path = self.path.split('/', 2)
      data = served.files.get(path, b'')
      with contextlib.suppress(ConnectionError):
        getattr(self, f'_{behaviour}')(path, data)

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

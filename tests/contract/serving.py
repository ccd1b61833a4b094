# SPDX-License-Identifier: Apache-2.0
"""Serves a folder over HTTP on this computer."""

from __future__ import annotations

import contextlib
import pathlib
import threading
from collections.abc import Callable, Iterator
from http import server


@contextlib.contextmanager
def serve(
  folder: pathlib.Path, refuse: Callable[[str], int] = lambda password: 0
) -> Iterator[str]:
  """Yields the host. `refuse` returns the status of an error, if any."""

  class Handler(server.SimpleHTTPRequestHandler):
    def __init__(self, *args: object) -> None:
      super().__init__(*args, directory=str(folder))

    def do_GET(self) -> None:
      status = refuse(self.headers.get('Authorization', ''))
      if status:
        self.send_error(status)
      else:
        super().do_GET()

    def log_message(self, *args: object) -> None:
      """Keeps quiet."""

  with server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as running:
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f'127.0.0.1:{running.server_port}'
    running.shutdown()

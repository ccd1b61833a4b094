# SPDX-License-Identifier: Apache-2.0
"""No password is in a message, a file or a log."""

from __future__ import annotations

import base64
import contextlib
import threading
from http import server

import pytest

from contract.datasets import Toy, tree

_USER, _PASSWORD = 'anna', 's3cr3t-w0rd'
_EXPECTED = base64.b64encode(f'{_USER}:{_PASSWORD}'.encode()).decode()


@contextlib.contextmanager
def _serve(folder, status):
  """Serves a folder to who knows the password; or answers with an error."""

  class Handler(server.SimpleHTTPRequestHandler):
    def __init__(self, *args):
      super().__init__(*args, directory=str(folder))

    def do_GET(self):
      if status:
        self.send_error(status)
      elif self.headers.get('Authorization') != f'Basic {_EXPECTED}':
        self.send_error(401)
      else:
        super().do_GET()

    def log_message(self, *args):
      """Keeps quiet."""

  with server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as running:
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f'127.0.0.1:{running.server_port}'
    running.shutdown()


@pytest.mark.parametrize('status', [0, 404, 401, 500])
@pytest.mark.parametrize('given', ['option', 'variable', 'netrc'])
def test_a_password_of_a_mirror(cmnist, tmp_path, status, given):
  served, toy = Toy(tmp_path / 'served'), Toy(tmp_path / 'toy')
  served.write()
  home = tmp_path / 'home'
  home.mkdir()
  env = {
    'HOME': home,
    'CMNIST_CACHE_DIR': tmp_path / 'cache',
    'http_proxy': None,
  }
  with _serve(served.manual, status) as host:
    mirror = f'http://{_USER}:{_PASSWORD}@{host}'
    if given == 'netrc':
      netrc = home / '.netrc'
      netrc.write_text(
        f'machine 127.0.0.1 login {_USER} password {_PASSWORD}\n'
      )
      netrc.chmod(0o600)
      mirror = f'http://{host}'
    if given == 'variable':
      env['CMNIST_MIRROR'] = mirror
    done = cmnist.run(
      *('build', '1-Ty', '--sources', toy.declaration),
      *('--data_dir', tmp_path / 'data'),
      *([] if given == 'variable' else ['--mirror', mirror]),
      **env,
    )
  assert done.status == bool(status), done.err
  written = [done.out.encode(), done.err.encode()]
  for folder in ('data', 'cache'):
    written += tree(tmp_path / folder).values()
    written += [path.encode() for path in tree(tmp_path / folder)]
  for data in written:
    assert _PASSWORD.encode() not in data
    assert _EXPECTED.encode() not in data


def test_a_declaration_with_a_password_is_refused_without_showing_it(
  cmnist, tmp_path
):
  toy = Toy(tmp_path, url=f'https://{_USER}:{_PASSWORD}@example.org')
  for argv in (
    ['source', 'check', toy.declaration],
    ['build', '1-Ty', *toy.where],
  ):
    done = cmnist.run(*argv)
    assert done.status
    assert _PASSWORD not in done.out + done.err

# SPDX-License-Identifier: Apache-2.0
"""No password is in a message, a file or a log."""

from __future__ import annotations

import base64

import pytest

from contract.datasets import Toy, tree
from contract.serving import serve

_USER, _PASSWORD = 'anna', 's3cr3t-w0rd'
_EXPECTED = base64.b64encode(f'{_USER}:{_PASSWORD}'.encode()).decode()


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

  def refuse(password):
    return status or (401 if password != f'Basic {_EXPECTED}' else 0)

  with serve(served.manual, refuse) as host:
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

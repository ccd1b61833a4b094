# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pathlib

import pytest

from cmnist_tfds.origin import mirror_address
from cmnist_tfds.system.errors import OriginFileError


@pytest.mark.parametrize(
  ('mirror', 'named'),
  [
    ('/srv/mirror', pathlib.Path('/srv/mirror')),
    ('/srv/a:b', pathlib.Path('/srv/a:b')),
    ('file:///srv/my%20files', pathlib.Path('/srv/my files')),
    ('FILE://localhost/srv', pathlib.Path('/srv')),
    ('http://lab/files/', 'http://lab/files'),
    ('HTTP://lab', 'http://lab'),
    ('https://user:secret@lab:8080/x', 'https://lab:8080/x'),
    ('https://user:se@cret@lab/x', 'https://lab/x'),
  ],
)
def test_a_mirror_is_a_folder_or_an_address(mirror, named):
  assert mirror_address.parse(mirror) == named


@pytest.mark.parametrize(
  'mirror',
  [
    'htp://user:secret@lab/files',
    'ftp://user:secret@lab/files',
    'http:/user:secret@lab',
    'https:user:secret@lab',
    'http://user:secret@lab:99999/',
    'http://user:sec/secret@lab',
    'http://user:secret@[::1',
    'http://user:secret@',
    'file://user:secret@lab/files',
    'https://lab/files?token=secret',
  ],
)
def test_what_is_no_address_is_refused_without_its_password(mirror):
  with pytest.raises(OriginFileError, match='expected a folder or') as raised:
    mirror_address.parse(mirror)
  assert 'secret' not in str(raised.value)


def test_a_password_is_for_its_server_alone():
  mirror = 'https://user:p%40ss@lab/files'
  assert mirror_address.credentials(mirror, 'https://lab/x') == ('user', 'p@ss')
  for url in ('http://lab/x', 'https://lab:8/x', 'https://lab.org/x'):
    assert mirror_address.credentials(mirror, url) is None
  assert mirror_address.credentials('https://lab', 'https://lab/x') is None
  assert mirror_address.credentials('/srv', 'https://lab/x') is None

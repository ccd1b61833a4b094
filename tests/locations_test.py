# SPDX-License-Identifier: Apache-2.0
"""Where origin files are looked for, in which order, and how one gets them."""

import pathlib

import msgspec
import pytest
import synthetic

from cmnist_tfds.origin import Locations, default_locations, locations
from cmnist_tfds.sources import SOURCES, OriginFile
from cmnist_tfds.system.errors import OriginFileError


def _file(form='idx'):
  return synthetic.make(_ORIGINS, form=form).source.splits['train'].images


def _urls(file, mirror=None):
  found = locations.addresses(file, mirror)
  return [(form.path, url, member) for form, url, member in found]


_PATH, _ARCHIVE = 'toy/train-images.gz', 'toy/gzip.zip'
_MEMBER = 'gzip/train-images.gz'
_ORIGINS = ('http://origin/', 'http://second/')


@pytest.mark.parametrize('mirror', ['http://lab/a/', None, '/srv/m', 'mirror'])
def test_the_mirror_comes_before_the_origins(mirror):
  homes = [mirror] if mirror and mirror.startswith('http') else []
  expected = [(_PATH, f'{home}{_PATH}', '') for home in (*homes, *_ORIGINS)]
  assert _urls(_file(), mirror) == expected


def test_members_come_before_their_archive():
  third = f'http://third/{_PATH}'
  file = msgspec.structs.replace(_file('zip'), urls=(third,))
  assert _urls(file, 'http://lab') == [
    (_PATH, f'http://lab/{_PATH}', ''),
    (_PATH, f'http://lab/{_ARCHIVE}', _MEMBER),
    (_ARCHIVE, f'http://lab/{_ARCHIVE}', ''),
    *((_PATH, f'{home}{_ARCHIVE}', _MEMBER) for home in _ORIGINS),
    (_PATH, third, ''),
    *((_ARCHIVE, f'{home}{_ARCHIVE}', '') for home in _ORIGINS),
  ]


def test_odd_names_are_quoted_in_addresses():
  odd = OriginFile(path='my #1 %41.npz')
  quoted = 'http://lab/my%20%231%20%2541.npz'
  assert _urls(odd, 'http://lab') == [(odd.path, quoted, '')]


def test_files_have_several_homes_and_a_remedy():
  # Nobody else is known to publish notMNIST and Kuzushiji-49.
  for source in SOURCES:
    for file in source.origin_files:
      hosts = {url.split('/')[2] for _, url, _ in _urls(file)}
      alone = source.key in ('K49', 'N')
      assert len(hosts) >= (1 if alone else 2), file.path
      assert 'Download it from http' in locations.how_to_get(file, None)


def test_folders_are_in_order(tmp_path):
  beside, manual, downloads = (tmp_path / n for n in ('own', 'manual', 'down'))
  file = msgspec.structs.replace(_file(), beside=beside)
  where = Locations(
    manual_dir=manual, mirror=str(tmp_path), download_dir=downloads
  )
  assert where.folders(file) == [beside, manual, tmp_path, downloads / 'cmnist']
  assert Locations(mirror='http://lab').folders(_file()) == []
  assert locations.how_to_get(file, manual).endswith(
    f' as {manual}/{file.path} or {beside}/{file.path}'
  )


@pytest.mark.parametrize(
  ('mirror', 'parsed'),
  [
    *((folder, pathlib.Path(folder)) for folder in ('/srv/mirror', '/srv/a:b')),
    *((f'{url}/', url) for url in ('http://lab/files', 'https://a:b@lab:80/x')),
  ],
)
def test_a_mirror_is_a_folder_or_an_address(mirror, parsed):
  assert locations.parse_mirror(mirror) == parsed


@pytest.mark.parametrize(
  'mirror',
  [
    'htp://user:secret@lab/files',
    'ftp://user:secret@lab/files',
    'http:/user:secret@lab',
    'file://user:secret@lab/files',
    'https://lab/files?token=secret',
  ],
)
def test_what_is_no_address_is_refused_without_its_password(mirror):
  with pytest.raises(OriginFileError, match='expected a folder or') as raised:
    default_locations(mirror=mirror)
  assert 'secret' not in str(raised.value)
  assert 'secret' not in repr(Locations(mirror=mirror))


def test_the_default_locations_are_those_of_the_user(tmp_path, monkeypatch):
  monkeypatch.setenv('HOME', str(tmp_path))
  monkeypatch.setenv('TFDS_DATA_DIR', str(tmp_path / 'data'))
  monkeypatch.delenv('CMNIST_MIRROR', raising=False)
  downloads = tmp_path / 'data/downloads'
  expected = Locations(download_dir=downloads, manual_dir=downloads / 'manual')
  assert default_locations() == expected
  monkeypatch.setenv('CMNIST_MIRROR', 'http://lab')
  assert default_locations('~/other').mirror == 'http://lab'
  given = {'mirror': '~', 'timeout': 7}
  assert default_locations(
    download_dir='~/d', manual_dir='~', **given
  ) == Locations(download_dir=tmp_path / 'd', manual_dir=tmp_path, **given)


@pytest.mark.parametrize('kind', ['manual_dir', 'mirror'])
def test_a_folder_that_a_user_names_must_be_one(kind, tmp_path):
  folder = tmp_path / 'named'
  for _ in range(2):  # It is not there, then it is a file.
    with pytest.raises(
      OriginFileError, match=f'the {kind} {folder} is not a d'
    ):
      default_locations(**{kind: str(folder)})
    folder.touch()

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses

import pytest
import synthetic

from cmnist_tfds.origin import Locations, locations, mirror_of_user
from cmnist_tfds.sources import SOURCES, OriginFile


def _file(form='idx'):
  homes = ('http://origin/', 'http://second/')
  return synthetic.make(homes, form=form).source.splits['train'].images


def _urls(form, mirror=None):
  return [(file.path, url) for file, url in locations.urls(_file(form), mirror)]


def test_urls_are_in_order():
  path = 'toy/train-images.gz'
  assert _urls('idx', 'https://lab/mnist/') == [
    (path, f'https://lab/mnist/{path}'),
    (path, f'http://origin/{path}'),
    (path, f'http://second/{path}'),
  ]


def test_names_of_files_are_quoted_in_addresses():
  file = OriginFile(path='my files/#1 %41.npz')
  assert [url for _, url in locations.urls(file, 'https://lab')] == [
    'https://lab/my%20files/%231%20%2541.npz'
  ]


def test_equivalents_have_urls_too():
  npz, idx = 'toy/train-images.npz', 'toy/train-images.gz'
  assert _urls('npz', 'http://lab') == [
    (npz, f'http://lab/{npz}'),
    (idx, f'http://lab/{idx}'),
    (npz, f'http://origin/{npz}'),
    (npz, f'http://second/{npz}'),
    (idx, f'http://origin/{idx}'),
    (idx, f'http://second/{idx}'),
  ]


def test_a_member_comes_alone_or_in_its_archive():
  member, archive = 'toy/train-images.gz', 'toy/gzip.zip'
  file = dataclasses.replace(_file('zip'), urls=(f'http://third/{member}',))
  found = [(f.path, url) for f, url in locations.urls(file, 'http://lab')]
  assert found == [
    (member, f'http://lab/{member}'),
    (member, f'http://lab/{archive}#gzip/train-images.gz'),
    (archive, f'http://lab/{archive}'),
    (member, f'http://origin/{archive}#gzip/train-images.gz'),
    (member, f'http://second/{archive}#gzip/train-images.gz'),
    (member, f'http://third/{member}'),
    (archive, f'http://origin/{archive}'),
    (archive, f'http://second/{archive}'),
  ]


def test_files_have_several_homes():
  # Nobody else is known to publish notMNIST and Kuzushiji-49.
  for source in SOURCES:
    for file in source.origin_files:
      hosts = {url.split('/')[2] for _, url in locations.urls(file)}
      alone = source.key in ('K49', 'N')
      assert len(hosts) >= (1 if alone else 2), file.path


@pytest.mark.parametrize('mirror', [None, '/srv/mirror', 'mirror'])
def test_a_folder_has_no_urls(mirror):
  assert len(_urls('idx', mirror)) == 2


def test_folders_are_in_order(tmp_path):
  manual = tmp_path / 'manual'
  assert Locations().folders == []
  assert Locations(manual_dir=manual).folders == [manual]
  assert Locations(manual_dir=manual, mirror='http://lab').folders == [manual]
  assert Locations(manual_dir=manual, mirror=str(tmp_path)).folders == [
    manual,
    tmp_path,
  ]


def test_a_home_folder_is_expanded(monkeypatch, tmp_path):
  monkeypatch.setenv('HOME', str(tmp_path))
  assert Locations(mirror='~/mirror').folders == [tmp_path / 'mirror']


def test_the_mirror_is_the_option_else_the_variable(monkeypatch):
  monkeypatch.delenv('CMNIST_MIRROR', raising=False)
  assert mirror_of_user() is None
  monkeypatch.setenv('CMNIST_MIRROR', '')
  assert mirror_of_user() is None
  monkeypatch.setenv('CMNIST_MIRROR', 'http://lab')
  assert mirror_of_user() == 'http://lab'
  assert mirror_of_user('/srv') == '/srv'


def test_downloaded_copies_come_after_folders(tmp_path):
  made = synthetic.make(form='zip')
  file = made.source.splits['train'].images
  made.write(tmp_path / 'manual')
  downloaded = tmp_path / 'downloaded'
  found = Locations(
    manual_dir=tmp_path / 'manual',
    cached=lambda wanted: downloaded if wanted == file.archive else None,
  )
  assert [
    (copy.path, copy.member, copy.cached)
    for copy in locations.copies_on_disk(file, found)
  ] == [
    (tmp_path / 'manual/toy/gzip.zip', file.member, False),
    (downloaded, file.member, True),
  ]


def test_every_file_has_a_url():
  for source in SOURCES:
    for file in source.origin_files:
      assert list(locations.urls(file)), file.path
      assert 'http' in locations.how_to_get(file, None)

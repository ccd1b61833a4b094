# SPDX-License-Identifier: Apache-2.0
"""A place that a user has named is used, or there is an error."""

from __future__ import annotations

import re

import pytest
import tensorflow_datasets as tfds

from cmnist_tfds import cli
from cmnist_tfds.datasets.get_builder import get_builder
from cmnist_tfds.origin import named_places
from cmnist_tfds.sources import source
from cmnist_tfds.subsets import subset
from cmnist_tfds.system.errors import OriginFileError


@pytest.mark.parametrize('kind', ['manual_dir', 'mirror'])
@pytest.mark.parametrize(
  ('content', 'fault'),
  [(None, 'does not exist'), ('file', 'is no folder'), ('', 'holds no origin')],
)
def test_a_folder_without_use_is_refused(kind, content, fault, tmp_path):
  folder = tmp_path / 'named'
  if content == 'file':
    folder.touch()
  elif content == '':
    folder.mkdir()
  places = {'manual_dir': None, 'mirror': None, kind: str(folder)}
  with pytest.raises(OriginFileError, match=f'the {kind} {folder} {fault}'):
    named_places.check(**places)


def test_what_a_folder_without_use_has_is_told(tmp_path):
  (tmp_path / 'fashion_mnist.tar.xz').touch()
  with pytest.raises(OriginFileError, match=r'but fashion_mnist\.tar\.xz\. '):
    named_places.check(str(tmp_path), None)


@pytest.mark.parametrize(
  ('key', 'example'),
  [('K49', 'kuzushiji49/k49-train-imgs.npz'), ('Hy', 'hasyv2/HASYv2.tar.bz2')],
)
def test_a_file_that_is_wanted_is_the_example(key, example, tmp_path):
  with pytest.raises(OriginFileError, match=re.escape(f'{tmp_path}/{example}')):
    named_places.check(str(tmp_path), None, [source(key)])


def test_one_file_of_any_source_is_of_use(tmp_path):
  (tmp_path / 'notmnist').mkdir()
  (tmp_path / 'notmnist/t10k-labels-idx1-ubyte.gz').touch()
  named_places.check(str(tmp_path), f'file://{tmp_path}')


def test_a_build_with_a_misspelt_mirror_downloads_nothing(tmp_path):
  builder = get_builder(
    subset('2-FKd'), data_dir=str(tmp_path), mirror='htps://lab/files'
  )
  with pytest.raises(OriginFileError, match='the mirror htps://lab/files'):
    builder.download_and_prepare()


def test_a_build_with_a_manual_dir_without_use_downloads_nothing(tmp_path):
  builder = get_builder(subset('2-FKd'), data_dir=str(tmp_path))
  config = tfds.download.DownloadConfig(manual_dir=tmp_path / 'none')
  with pytest.raises(OriginFileError, match='none does not exist'):
    builder.download_and_prepare(download_config=config)


def test_verify_refuses_a_folder_that_does_not_exist(tmp_path, capsys):
  folder = tmp_path / 'missing'
  assert cli.main(['verify', '2-FKd', '--manual_dir', str(folder)]) == 1
  assert f'{folder} does not exist' in capsys.readouterr().err

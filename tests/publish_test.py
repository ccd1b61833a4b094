# SPDX-License-Identifier: Apache-2.0
"""Published subsets can be read without this package."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from cmnist_tfds import cli, schema, subsets
from cmnist_tfds.export import hub
from cmnist_tfds.load.open_subset import Opened, open_subset
from cmnist_tfds.system.errors import PreparationError

pytest.importorskip('mlcroissant')

_NAMES = ('2-FKd-r-5', 'X-12')
_PROGRAM = pathlib.Path(__file__).parent / 'programs/read_published.py'


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> pathlib.Path:
  data_dir = tmp_path_factory.mktemp('data')
  where = ['--sample', '--data_dir', str(data_dir)]
  assert cli.main(['build', *_NAMES, *where]) == 0
  published = data_dir / 'published'
  assert cli.main(['publish', *_NAMES, *where, '-o', str(published)]) == 0
  return published


def test_tfds_finds_the_default_config(folder):
  tfds = pytest.importorskip('tensorflow_datasets')
  default = folder / 'cmnist_sample/.config/metadata.json'
  assert json.loads(default.read_text()) == {'default_config_name': 'X-12'}
  from tensorflow_datasets.core import read_only_builder

  builder = read_only_builder.builder_from_files(
    'cmnist_sample', data_dir=folder
  )
  assert builder.info.config_name == 'X-12'
  assert isinstance(builder, tfds.core.DatasetBuilder)


def test_a_card_of_the_sample_says_so(folder):
  card = (folder / 'README.md').read_text('utf-8')
  assert card.count('MIT') == card.count('CC BY-SA') == 0
  assert 'license: "apache-2.0"' in card
  assert '1,440 train, 288 test' in card
  assert 'not CMNIST' in card


def _prepared(folder: pathlib.Path) -> Opened:
  subset = subsets.subset('X-12')
  return open_subset(subset, data_dir=folder, sample=True)


@pytest.mark.parametrize(
  'way', ['directory', 'namespace', 'listed namespace', 'card']
)
def test_tfds_reads_it_without_the_package(folder, way):
  done = subprocess.run(
    [sys.executable, _PROGRAM, way],
    capture_output=True,
    text=True,
    check=False,
    cwd=folder,
  )
  assert done.returncode == 0, done.stderr
  read = json.loads(done.stdout)
  train = _prepared(folder).split('train').read()
  assert read['labels'] == train['label'].tolist()
  assert read['sum'] == int(train['image'].sum())
  assert read['names'] == [c.name for c in subsets.subset('X-12').classes]
  assert 'wenkel2019cmnist' in read['citation']


def test_the_card_names_files_that_are_there(folder):
  _, block, text = (folder / 'README.md').read_text('utf-8').split('---\n', 2)
  metadata = dict(line.split(': ', 1) for line in block.splitlines())
  configs = json.loads(metadata['configs'])
  assert [c['config_name'] for c in configs] == list(_NAMES)
  for config in configs:
    for file in config['data_files']:
      assert (folder / file['path']).is_file()
  assert 'not CMNIST' in text
  for source in subsets.subset('X-12').sources:
    assert source.title in text
    assert source.citation in text


def test_the_library_of_the_hub_reads_it(folder, tmp_path):
  datasets = pytest.importorskip('datasets')
  names = datasets.get_dataset_config_names(str(folder))
  assert names == list(_NAMES)
  read = datasets.load_dataset(str(folder), 'X-12', cache_dir=str(tmp_path))
  assert set(read) == {'train', 'test'}
  features = read['train'].features
  assert isinstance(features['image'], datasets.Image)
  assert features['label'].names == list(subsets.subset('X-12').class_names)
  assert isinstance(features['source'], datasets.ClassLabel)
  train = _prepared(folder).split('train').read()
  assert read['train']['label'] == train['label'].tolist()
  image = np.asarray(read['train'][0]['image'])
  assert (image == train['image'][0]).all()


def test_the_card_tells_features_and_sizes(folder):
  _, block, _ = (folder / 'README.md').read_text('utf-8').split('---\n', 2)
  metadata = dict(line.split(': ', 1) for line in block.splitlines())
  assert (folder / json.loads(metadata['license_link'])).is_file()
  assert json.loads(metadata['size_categories']) == ['1K<n<10K']
  info = json.loads(metadata['dataset_info'])[_NAMES.index('X-12')]
  assert info['config_name'] == 'X-12'
  types = {feature['name']: feature['dtype'] for feature in info['features']}
  assert types['image'] == 'image'
  labels = types['label']['class_label']['names']
  assert list(labels.values()) == list(subsets.subset('X-12').class_names)
  view = _prepared(folder).split
  for split in info['splits']:
    assert split['num_examples'] == len(view(split['name']))
    assert split['num_bytes'] > 0


def test_sources_without_a_licence_are_named():
  lines = hub.licenses([subsets.subset('2-FKd')]).splitlines()
  fashion, kannada = (line for line in lines if line.startswith('- '))
  assert 'permission' not in fashion
  assert 'permission' in kannada


def test_a_source_without_a_page_has_no_link():
  (fashion,) = subsets.subset('1-F').sources
  nowhere = dataclasses.replace(fashion, homepage='not published')
  assert '- Fashion-MNIST: ' in hub.licenses([subsets.combine([nowhere])])
  assert '- [Fashion-MNIST](http' in hub.licenses([subsets.combine([fashion])])


def test_the_card_describes_each_feature(folder):
  text = (folder / 'README.md').read_text('utf-8')
  for feature in schema.FEATURES:
    assert (
      f'- `{feature.name}` ({feature.dtype}): {feature.description}' in text
    )


def test_a_card_of_the_real_dataset_does_not_say_sample(folder):
  real = dataclasses.replace(_prepared(folder), dataset='cmnist')
  assert 'not CMNIST' not in hub.dataset_card([real], folder)


@pytest.mark.usefixtures('empty_cache')
def test_a_subset_that_is_not_prepared_cannot_be_published(tmp_path, capsys):
  arguments = ('publish', '2-FKd', '--data_dir', tmp_path, '-o', tmp_path / 'p')
  assert cli.main(list(map(str, arguments))) == 1
  assert 'cmnist build 2-FKd' in capsys.readouterr().err
  assert not (tmp_path / 'p').exists()


@pytest.mark.parametrize('text', ['my project', 'uses cmnist_tfds'])
def test_another_folder_is_left_alone(folder, tmp_path, text):
  (tmp_path / 'README.md').write_text(text)
  with pytest.raises(PreparationError, match=r'README\.md would be'):
    hub.publish([_prepared(folder.parent)], tmp_path)
  assert [p.name for p in tmp_path.iterdir()] == ['README.md']
  assert (tmp_path / 'README.md').read_text() == text


def test_a_clone_of_a_hub_keeps_what_it_has(folder, tmp_path):
  mine = {
    '.git/HEAD': 'ref: refs/heads/main',
    '.gitattributes': '*.parquet filter=lfs',
    'LICENSE': 'mine',
  }
  for path, text in mine.items():
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_text(text)
  reduced = open_subset(
    subsets.subset('2-FKd-r-5'), data_dir=folder.parent, sample=True
  )
  hub.publish([reduced], tmp_path)
  (tmp_path / 'croissant/notes.txt').write_text('mine')
  hub.publish([_prepared(folder.parent)], tmp_path)
  mine['croissant/notes.txt'] = 'mine'
  for path, text in mine.items():
    assert (tmp_path / path).read_text() == text
  assert (tmp_path / 'croissant/X-12/croissant.json').is_file()
  # What the second publication no longer has is gone.
  assert not list(tmp_path.rglob('2-FKd-r-5*'))


def test_an_edited_card_is_kept(folder, tmp_path):
  hub.publish([_prepared(folder.parent)], tmp_path)
  with (tmp_path / 'README.md').open('a') as card:
    card.write('My words.')
  with pytest.raises(PreparationError, match=r'README\.md was changed'):
    hub.publish([_prepared(folder.parent)], tmp_path)
  assert (tmp_path / 'README.md').read_text('utf-8').endswith('My words.')

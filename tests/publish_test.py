# SPDX-License-Identifier: Apache-2.0
"""Published subsets can be read without this package."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys

import command_line
import msgspec
import numpy as np
import pytest

import cmnist_tfds
from cmnist_tfds import cli, schema, subsets
from cmnist_tfds.export import hub
from cmnist_tfds.load.open_subset import open_subset

pytest.importorskip('mlcroissant')

_NAMES = ('X-12', '2-FKd-r-5')
_PROGRAM = pathlib.Path(__file__).parent / 'programs/read_published.py'


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory) -> pathlib.Path:
  folder = tmp_path_factory.mktemp('data')
  where = ['--sample', '--data_dir', str(folder)]
  assert cli.main(['build', *_NAMES, *where]) == 0
  where += ['-o', str(folder / 'published')]
  assert cli.main(['publish', *_NAMES, *where]) == 0
  return folder


@pytest.fixture
def folder(data_dir) -> pathlib.Path:
  return data_dir / 'published'


@pytest.fixture
def train(data_dir):
  """The images and labels of X-12 that are to be read."""
  return cmnist_tfds.load_data(
    'X-12', split='train', data_dir=data_dir, sample=True
  )


@pytest.fixture
def publish(data_dir):
  def run(name, folder, **changes):
    opened = open_subset(subsets.subset(name), data_dir=data_dir, sample=True)
    hub.publish([dataclasses.replace(opened, **changes)], folder)

  return run


@pytest.fixture
def card(folder):
  """The metadata of the card, and its text."""
  _, block, text = (folder / 'README.md').read_text('utf-8').split('---\n', 2)
  lines = (line.split(': ', 1) for line in block.splitlines())
  return {key: json.loads(value) for key, value in lines}, text


def test_tfds_reads_it_without_the_package(folder, train):
  found = subprocess.check_output([sys.executable, _PROGRAM], cwd=folder)
  ways = json.loads(found)
  assert len(ways) == 5
  for read in ways.values():
    assert read['labels'] == train[1].tolist()
    assert read['sum'] == int(train[0].sum())
    assert read['names'] == [c.name for c in subsets.subset('X-12').classes]
    assert 'wenkel2019cmnist' in read['citation']


def test_the_library_of_the_hub_reads_it(folder, train, tmp_path):
  datasets = pytest.importorskip('datasets')
  names = datasets.get_dataset_config_names(str(folder))
  assert names == list(_NAMES)
  read = datasets.load_dataset(str(folder), 'X-12', cache_dir=str(tmp_path))
  assert set(read) == {'train', 'test'}
  features = read['train'].features
  assert isinstance(features['image'], datasets.Image)
  assert features['label'].names == list(subsets.subset('X-12').class_names)
  assert isinstance(features['source'], datasets.ClassLabel)
  assert read['train']['label'] == train[1].tolist()
  assert (np.asarray(read['train'][0]['image']) == train[0][0]).all()


def test_the_card_says_how_the_library_of_the_hub_reads_it(
  folder, card, train, tmp_path
):
  pytest.importorskip('datasets')
  _, text = card
  _, code = re.findall('^```python\n(.*?)^```$', text, re.M | re.S)
  code += 'print(train["label"][:])'
  env = {**os.environ, 'HF_HOME': str(tmp_path), 'HF_HUB_OFFLINE': '1'}
  argv = [sys.executable, '-c', code]
  out = subprocess.check_output(argv, cwd=folder, env=env)
  assert json.loads(out) == train[1].tolist()


def test_the_metadata_of_the_card_tell_what_is_there(folder, card):
  metadata, _ = card
  assert metadata['license'] == 'apache-2.0'
  assert (folder / metadata['license_link']).is_file()
  assert [c['config_name'] for c in metadata['configs']] == list(_NAMES)
  files = [file for c in metadata['configs'] for file in c['data_files']]
  assert all((folder / file['path']).is_file() for file in files)


def test_tables_say_what_their_columns_are(folder):
  parquet = pytest.importorskip('pyarrow.parquet')
  names = subsets.subset('X-12').class_names
  for split, count in (('train', 1440), ('test', 288)):
    table = parquet.read_table(folder / f'croissant/X-12/{split}.parquet')
    described = json.loads(table.schema.metadata[b'huggingface'])
    features = described['info']['features']
    assert list(features) == table.column_names
    assert features['image'] == {'_type': 'Image'}
    assert features['label'] == {'names': [*names], '_type': 'ClassLabel'}
    assert features['class_name'] == {'dtype': 'string', '_type': 'Value'}
    labels = table['label'].to_pylist()
    assert table['class_name'].to_pylist() == [names[n] for n in labels]
    assert table.num_rows == count


def test_the_text_of_the_card_is_that_of_the_sample(card):
  _, text = card
  sources = subsets.subset('X-12').sources
  for said in (
    *('not CMNIST', '1,440 train, 288 test'),
    *(s.title for s in sources),
    *(s.citation for s in sources),
    *(f'- `{f.name}` ({f.dtype}): {f.description}' for f in schema.FEATURES),
  ):
    assert said in text
  for word in ('MIT', 'CC BY-SA', '$'):
    assert word not in text


def test_a_card_of_the_real_dataset_does_not_say_sample(publish, tmp_path):
  publish('X-12', tmp_path, dataset='cmnist')
  text = (tmp_path / 'README.md').read_text('utf-8')
  assert 'not CMNIST' not in text
  assert '## Known issues' in text
  assert 'license_name: "that-of-each-source"' in text
  default = json.loads((tmp_path / 'cmnist/.config/metadata.json').read_text())
  assert default == {'default_config_name': 'X-12'}


def test_sources_without_a_license_are_named():
  _, fashion, kannada = hub.licenses([subsets.subset('2-FKd')]).split('\n- ')
  assert fashion.startswith('[Fashion-MNIST](http')
  assert ('permission' in fashion, 'permission' in kannada) == (False, True)
  assert fashion.endswith(' SE. Keep its copyright notice')
  (source,) = subsets.subset('1-F').sources
  nowhere = msgspec.structs.replace(source, homepage='not published')
  assert '- Fashion-MNIST: ' in hub.licenses([subsets.combine(nowhere)])


_EVIL = ('# <b>x</b> [y](z) `a` | b_c_ *d*', r'\# \<b\>x\</b\>')


def test_what_sources_state_is_no_markdown():
  (source,) = subsets.subset('1-F').sources
  evil, shown = _EVIL
  page = 'https://x.org/) [y](z) <b>'
  source = msgspec.structs.replace(
    source, title=evil, license=f'{evil}\n\n# {evil}', homepage=page
  )
  text = hub.licenses([subsets.combine(source)])
  (line,) = text.split('\n\n')[1].splitlines()
  assert line.startswith(f'- [{shown} ')
  assert '](https://x.org/%29%20%5By%5D%28z%29%20%3Cb%3E): ' in line
  assert not re.search(r'(?<!\\)[`*_<>|#]', line.replace(page, ''))


def test_what_sources_state_is_shown_by_the_card(publish, tmp_path):
  subset = subsets.subset('X-12')
  evil, shown = _EVIL
  stated = {
    'title': evil,
    'known_issues': (f'{evil}\n# {evil}',),
    'citation': '@misc{x,\n```\n# heading\n}',
  }
  members = tuple(
    (msgspec.structs.replace(source, **stated), raw)
    for source, raw in subset.members
  )
  subset = dataclasses.replace(subset, members=members)
  publish('X-12', tmp_path, dataset='cmnist', subset=subset)
  text = (tmp_path / 'README.md').read_text('utf-8')
  _, issues = text.split('## Known issues\n\n')
  assert issues.startswith(f'- {shown} ')
  assert evil not in text.partition('---\n')[2]
  assert "\n'''\n# heading\n" in text


@pytest.mark.usefixtures('empty_cache')
def test_what_is_not_prepared_cannot_be_published(tmp_path, capsys):
  # The files of the sample are here, but no dataset is built of them.
  argv = ('publish', '2-FKd', '--sample', '--data_dir', tmp_path)
  status, _, err = command_line.run(capsys, *argv, '-o', tmp_path / 'p')
  assert status == 1
  assert 'cmnist build 2-FKd' in err
  assert not (tmp_path / 'p').exists()


def test_a_clone_of_a_hub_keeps_what_it_has(publish, tmp_path):
  mine = {'.git/HEAD', '.gitattributes', 'LICENSE'}
  for path in mine:
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_text('mine')
  publish('2-FKd-r-5', tmp_path)
  publish('X-12', tmp_path)
  assert {(tmp_path / path).read_text() for path in mine} == {'mine'}
  assert (tmp_path / 'croissant/X-12/croissant.json').is_file()
  # What the second publication no longer has is gone.
  assert not list(tmp_path.rglob('2-FKd-r-5*'))

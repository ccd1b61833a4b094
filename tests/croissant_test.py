# SPDX-License-Identifier: Apache-2.0
"""Croissant: mlcroissant accepts it, and its records are the examples."""

from __future__ import annotations

import json
import logging
import pathlib
import sys

import numpy as np
import pytest

from cmnist_tfds import cli, subsets
from cmnist_tfds.export import croissant
from cmnist_tfds.load.open_subset import open_subset
from cmnist_tfds.sources import SOURCES
from cmnist_tfds.system.errors import PreparationError

mlc = pytest.importorskip('mlcroissant')


def _loaded(text: str, tmp_path: pathlib.Path) -> mlc.Dataset:
  """Loads a description; raises an error if it is not valid."""
  path = tmp_path / 'described.json'
  path.write_text(text, encoding='utf-8')
  return mlc.Dataset(path)


@pytest.mark.parametrize('name', ['X-12', '4-EcFKdK49', '2-FKd-r-7', '1-N'])
def test_a_description_is_valid_and_true(name, tmp_path):
  subset = subsets.subset(name)
  text = croissant.describe(subset)
  dataset = _loaded(text, tmp_path)
  assert not dataset.metadata.issues.errors
  described = json.loads(text)
  assert described['conformsTo'] == 'http://mlcommons.org/croissant/1.1'
  assert described['citeAs'] == subset.citation
  rows = list(dataset.records('classes'))
  assert [row['classes/label'] for row in rows] == list(
    range(len(subset.classes))
  )
  names = [row['classes/name'] for row in rows]
  assert [n.decode() if isinstance(n, bytes) else n for n in names] == [
    c.name for c in subset.classes
  ]


def test_a_description_of_the_sample_says_so(capsys):
  assert cli.main(['croissant', 'X-12', '--sample']) == 0
  described = json.loads(capsys.readouterr().out)
  assert described['name'] == 'cmnist_sample/X-12'
  assert 'not CMNIST' in described['description']
  assert '1,440 train, 288 test' in described['description']
  assert described['license'] == 'Apache-2.0'
  assert not described.get('distribution')
  assert described['datePublished'] == '2019-09-24'


def test_labels_reference_the_classes(exported):
  _, folder = exported
  described = json.loads((folder / croissant.FILE).read_text('utf-8'))
  train = described['recordSet'][1]
  references = {f['name']: f.get('references') for f in train['field']}
  assert references.pop('label') == {'field': {'@id': 'classes/label'}}
  assert set(references.values()) == {None}


def test_all_134_are_valid(tmp_path):
  for subset in subsets.published():
    dataset = _loaded(croissant.describe(subset), tmp_path)
    assert not dataset.metadata.issues.errors, subset.name


def test_every_origin_file_has_a_hash():
  text = croissant.describe(subsets.combine(SOURCES))
  files = json.loads(text)['distribution']
  assert len(files) == 1 + 5 * 4
  for file in files:
    assert file['md5']
    assert file['contentUrl'].startswith('http')


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
  """A prepared subset, and the folder it was exported to."""
  data_dir = tmp_path_factory.mktemp('data')
  folder = data_dir / 'exported'
  where = ['--sample', '--data_dir', str(data_dir)]
  assert cli.main(['build', '2-FKd', *where]) == 0
  assert cli.main(['croissant', '2-FKd', *where, '-o', str(folder)]) == 0
  subset = subsets.subset('2-FKd')
  return open_subset(subset, data_dir=data_dir, sample=True), folder


@pytest.mark.parametrize('split', ['train', 'test'])
def test_records_are_the_examples(exported, split, caplog):
  prepared, folder = exported
  with caplog.at_level(logging.ERROR):
    dataset = mlc.Dataset(folder / croissant.FILE)
    records = list(dataset.records(split))
  expected = prepared.split(split).read()
  assert len(records) == len(prepared.split(split))
  images = np.array([np.array(r[f'{split}/image']) for r in records])
  np.testing.assert_array_equal(images, expected['image'])
  for name in ('label', 'source', 'source_label'):
    np.testing.assert_array_equal(
      [r[f'{split}/{name}'] for r in records], expected[name]
    )


def test_without_a_folder_it_is_printed(capsys):
  assert cli.main(['croissant', '3-EEIKm']) == 0
  assert json.loads(capsys.readouterr().out)['name'] == 'cmnist/3-EElKm'


def test_another_folder_is_left_alone(exported, tmp_path):
  (tmp_path / 'thesis.txt').touch()
  with pytest.raises(PreparationError, match=r'holds thesis\.txt'):
    croissant.export_croissant(exported[0], tmp_path)
  assert [p.name for p in tmp_path.iterdir()] == ['thesis.txt']


def test_without_the_library_the_extra_is_named(monkeypatch):
  monkeypatch.setitem(sys.modules, 'mlcroissant', None)
  with pytest.raises(PreparationError, match=r'cmnist_tfds\[croissant\]'):
    croissant.describe(subsets.subset('X-12'))

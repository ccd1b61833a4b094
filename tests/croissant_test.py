# SPDX-License-Identifier: Apache-2.0
"""Croissant: mlcroissant accepts it, and its records are the examples."""

from __future__ import annotations

import json
import logging
import pathlib
import re
import sys

import command_line
import msgspec
import numpy as np
import pytest

import cmnist_tfds
from cmnist_tfds import schema, subsets
from cmnist_tfds.export import croissant
from cmnist_tfds.sources import SOURCES
from cmnist_tfds.system.errors import PreparationError

mlc = pytest.importorskip('mlcroissant')

# What the track for datasets of NeurIPS asks.
_ASKED = [
  *('creator', 'keywords', 'license', 'rai:dataBiases', 'rai:dataUseCases'),
  *('prov:wasDerivedFrom', 'prov:wasGeneratedBy', 'rai:dataLimitations'),
  *('rai:dataSocialImpact', 'rai:personalSensitiveInformation'),
]


def _loaded(text: str, tmp_path: pathlib.Path) -> mlc.Dataset:
  """Loads a description; raises an error if it is not valid."""
  path = tmp_path / 'described.json'
  path.write_text(text, encoding='utf-8')
  dataset = mlc.Dataset(path)
  assert not dataset.metadata.issues.errors
  return dataset


@pytest.mark.parametrize(
  'name', ['X-12', '4-EcFKdK49', '2-FKd-r-7', '1-N', '1-Qd']
)
def test_a_description_is_valid_and_true(name, tmp_path):
  subset = subsets.subset(name)
  text = croissant.describe(subset)
  rows = _loaded(text, tmp_path).records('classes')
  described = json.loads(text)
  assert described['conformsTo'] == [
    'http://mlcommons.org/croissant/1.1',
    'http://mlcommons.org/croissant/RAI/1.0',
  ]
  assert described['creator'] == {'@type': 'sc:Person', 'name': 'S. Wenkel'}
  assert all(described[asked] for asked in _ASKED)
  keys = {source.key for source in subset.sources}
  assert described['rai:hasSyntheticData'] is ('N' in keys)
  stated = [word in text for word in ('Handwriting', 'Zalando')]
  assert stated == [bool(keys & {'E', 'El', 'Ec', 'Kd'}), 'F' in keys]
  derived = [s['@id'] for s in described['prov:wasDerivedFrom']]
  assert derived == [s.homepage for s in subset.sources if s.has_page]
  assert described['citeAs'] == subset.citation
  assert described['datePublished'] == '2019-09-24'
  for row, c in zip(rows, subset.classes, strict=True):
    assert row['classes/label'] == c.label
    assert row['classes/name'] in (c.name, c.name.encode())


@pytest.mark.parametrize(
  ('name', 'said', 'unsaid'),
  [
    ('2-FKm', 'whose style', 'not at random'),
    ('2-FKm-r-7', 'Train is the first 7', 'in train:'),
    ('2-K49N', '15.31 to 1', 'not at random'),
    ('X-12', 'notMNIST as a whole (here 2 of 10 classes)', 'MNIST: Images'),
    ('1-Dg', 'To test', 'To train'),
    ('1-Bn', 'digits (grey, invert, resize)', 'whose style'),
    ('2-FMn', 'MNIST: Handwriting', 'states nothing of this'),
  ],
)
def test_what_is_said_is_of_the_subset_alone(name, said, unsaid, tmp_path):
  text = croissant.describe(subsets.subset(name))
  assert (said in text, unsaid in text) == (True, False)
  assert _loaded(text, tmp_path).metadata.data_biases


def test_licenses_are_addresses_or_what_is_stated(tmp_path):
  fashion, kannada = subsets.subset('2-FKd').sources
  declared = {'license': 'mine', 'biases': (), 'synthetic': None}
  own = msgspec.structs.replace(kannada, **declared)
  text = croissant.describe(subsets.combine(fashion, own))
  described = json.loads(text)
  page = 'https://spdx.org/licenses/MIT.html'
  assert described['license'] == [page, 'Kannada-MNIST: mine']
  derived, _ = described['prov:wasDerivedFrom']
  assert derived['license'] == 'MIT, Copyright (c) 2017 Zalando SE'
  # What a source of users does not state is said to be so.
  assert 'Kannada-MNIST: Its declaration states nothing of this' in text
  assert 'rai:hasSyntheticData' not in described
  _loaded(text, tmp_path)


def test_all_134_are_valid(tmp_path):
  for subset in subsets.published():
    _loaded(croissant.describe(subset), tmp_path)


def test_every_origin_file_has_a_hash():
  text = croissant.describe(subsets.combine(*SOURCES))
  files = json.loads(text)['distribution']
  assert len(files) == 1 + 5 * 4
  for file in files:
    assert file['md5']
    assert file['contentUrl'].startswith('http')


def test_a_description_of_the_sample_says_so(capsys):
  status, out, _ = command_line.run(capsys, 'croissant', 'X-12', '--sample')
  assert status == 0
  described = json.loads(out)
  assert described['name'] == 'cmnist_sample/X-12'
  assert 'not CMNIST' in described['description']
  assert '1,440 train, 288 test' in described['description']
  assert described['license'] == ['https://spdx.org/licenses/Apache-2.0.html']
  assert described['rai:hasSyntheticData'] is True
  assert all(described[asked] for asked in _ASKED)
  assert not re.search('Zalando SE|zalando.*/|volunteer|Handwriting', out)
  assert not described.get('distribution')


def test_records_are_the_examples(tmp_path, capsys, caplog):
  folder = tmp_path / 'exported'
  argv = ('croissant', '2-FKd', '--sample', '--data_dir', tmp_path)
  status, out, _ = command_line.run(capsys, *argv, '-o', folder)
  assert (status, '2,880 examples' in out) == (0, True)
  names = [column.name for column in schema.COLUMNS]
  with caplog.at_level(logging.ERROR):
    dataset = mlc.Dataset(folder / croissant.FILE)
  assert len(list(dataset.records('examples'))) == 2880
  for split in ('train', 'test'):
    which = {'examples/split': split}
    records = list(dataset.records('examples', filters=which))
    expected = cmnist_tfds.load_data(
      '2-FKd', split=split, features=names, data_dir=tmp_path, sample=True
    )
    for name, values in zip(names, expected, strict=True):
      read = [np.asarray(r[f'examples/{name}']) for r in records]
      if name == 'class_name':
        read = [each.item().decode() for each in read]
      np.testing.assert_array_equal(np.array(read), values)


def test_tfds_makes_two_splits_of_it(tmp_path, capsys):
  builders = pytest.importorskip('tensorflow_datasets').core.dataset_builders
  pytest.importorskip('apache_beam')
  pytest.importorskip('tensorflow')
  folder = tmp_path / 'exported'
  argv = ('croissant', '2-FKd-r-1', '--sample', '--data_dir', tmp_path)
  assert command_line.run(capsys, *argv, '-o', folder)[0] == 0
  builder = builders.CroissantBuilder(
    jsonld=folder / croissant.FILE, data_dir=tmp_path
  )
  assert [config.name for config in builder.BUILDER_CONFIGS] == ['examples']
  builder.download_and_prepare()
  counts = {s: info.num_examples for s, info in builder.info.splits.items()}
  assert counts == {'train': 20, 'test': 480}


def test_without_the_library_the_extra_is_named(monkeypatch):
  monkeypatch.setitem(sys.modules, 'mlcroissant', None)
  with pytest.raises(PreparationError, match=r'\[hub\]'):
    croissant.describe(subsets.subset('X-12'))

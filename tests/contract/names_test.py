# SPDX-License-Identifier: Apache-2.0
"""Names: the 134 and their reduced forms, spellings, and what is refused."""

from __future__ import annotations

import csv
import json
import pathlib

import pytest
import tensorflow_datasets as tfds

import cmnist_tfds

_TABLE = pathlib.Path(__file__).parent.parent / 'subsets.tsv'


def _paper() -> list[dict[str, str]]:
  with _TABLE.open(encoding='utf-8') as table:
    return list(csv.DictReader(table, delimiter='\t'))


def test_the_134_are_listed_as_the_paper_has_them(cmnist):
  listed = json.loads(cmnist.works('list', '--format', 'json'))
  expected = [
    (row['name'], int(row['classes']), int(row['train']), int(row['test']))
    for row in _paper()
  ]
  assert len(expected) == 134
  assert [
    (row['name'], row['classes'], row['train'], row['test']) for row in listed
  ] == expected
  every = json.loads(cmnist.works('list', '--all', '--format', 'json'))
  assert len(every) == 804


def test_the_names_are_configs_of_the_builders():
  paper = [row['name'] for row in _paper()]
  reduced = [f'{name}-r-{n}' for name in paper for n in (1, 5, 10, 50, 100)]
  for dataset in ('cmnist', 'cmnist_sample'):
    configs = [c.name for c in tfds.builder_cls(dataset).BUILDER_CONFIGS]
    assert len(configs) == 804
    assert set(configs) == {*paper, *reduced}
    assert tfds.builder(dataset).builder_config.name == 'X-12'


@pytest.mark.parametrize(
  ('spelling', 'name'),
  [
    ('3-EElKm', '3-EElKm'),
    ('CMNIST-3-EElKm', '3-EElKm'),
    ('3-EEIKm', '3-EElKm'),
    ('3-eelkm', '3-EElKm'),
    ('cmnist-x-12', 'X-12'),
    ('CMNIST-3-EElKm-r-10', '3-EElKm-r-10'),
    ('2-FKd-r-7', '2-FKd-r-7'),
    ('1-Km', '1-Km'),
    ('1-K49-r-3', '1-K49-r-3'),
    ('2-FKd-r-6001', '2-FKd-r-6001'),
    ('3-FKdMn', '3-FKdMn'),
  ],
)
def test_spellings_are_one_subset_in_one_place(spelling, name, tmp_path):
  assert cmnist_tfds.subset(spelling).name == name
  assert cmnist_tfds.subset(spelling) == cmnist_tfds.subset(name)
  builder = tfds.builder(f'cmnist/{spelling}', data_dir=tmp_path)
  assert builder.builder_config.name == name
  assert builder.data_path == tmp_path / 'cmnist' / name / '1.0.0'


@pytest.mark.parametrize(
  ('name', 'reasons'),
  [
    # Both have the classes 0 to 9; both are named.
    ('2-EEd', ('0', 'EMNIST MNIST', 'EMNIST Digits')),
    ('2-KmK49', ('お', 'KMNIST', 'Kuzushiji-49')),
    ('2-EElKm', ('3-EElKm',)),
    ('3-EKmEl', ('3-EElKm',)),
    ('2-FKx', ('2-FK',)),
    ('2-FZz', ()),
    ('X-13', ('X-12',)),
    ('2-FKd-r-0', ('2-FKd-r-0',)),
    ('', ()),
    ('nonsense', ('cmnist list',)),
  ],
)
def test_what_is_no_subset_is_refused_with_the_reason(name, reasons, cmnist):
  with pytest.raises(cmnist_tfds.SubsetNameError) as raised:
    cmnist_tfds.subset(name)
  message = str(raised.value)
  assert '\n' not in message
  for reason in reasons:
    assert reason in message
  if name:
    with pytest.raises(cmnist_tfds.SubsetNameError):
      tfds.builder(f'cmnist/{name}')
  done = cmnist.run('info', name)
  assert done.status == 2
  assert done.error


def test_a_subset_says_what_it_holds():
  subset = cmnist_tfds.subset('3-EElKm')
  assert [source.key for source in subset.sources] == ['E', 'El', 'Km']
  assert ''.join(c.name for c in subset.classes) == (
    '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZおきすつなはまやれを'
  )
  assert [c.label for c in subset.classes] == list(range(46))
  assert [c.raw_label for c in subset.classes] == [
    *range(10),
    *range(1, 27),
    *range(10),
  ]
  # A mix has two classes of each of six sources, or four.
  mixed = [(c.source.key, c.name) for c in cmnist_tfds.subset('X-12').classes]
  assert mixed == [
    *(('E', '0'), ('E', '4'), ('El', 'O'), ('El', 'U')),
    *(('F', 'T-shirt/top'), ('F', 'Bag'), ('Kd', '೧'), ('Kd', '೮')),
    *(('Km', 'は'), ('Km', 'を'), ('N', 'B'), ('N', 'J')),
  ]
  assert len(cmnist_tfds.subset('X-24').classes) == 24

# SPDX-License-Identifier: Apache-2.0
"""Sources are declared in TOML, and wrong declarations say what is wrong."""

from __future__ import annotations

import copy
import datetime
import pathlib
import sys

import pytest

from cmnist_tfds import subsets
from cmnist_tfds.sources import SOURCES, declaration
from cmnist_tfds.system.errors import DeclarationError

if sys.version_info >= (3, 11):
  import tomllib
else:
  import tomli as tomllib

_SHAPES = tomllib.loads(
  pathlib.Path(__file__).with_name('shapes.toml').read_text('utf-8')
)
# In place of a value: the field is left out.
_ABSENT = object()


def _changed(field: str, value: object) -> dict:
  """The made-up declaration with another value in a field of its source."""
  tables = copy.deepcopy(_SHAPES)
  *around, name = field.split('.')
  table = tables['source'][0]
  for part in around:
    table = table[part]
  if value is _ABSENT:
    del table[name]
  else:
    table[name] = value
  return tables


def test_a_made_up_source_parses():
  (shapes,) = declaration.parse(_SHAPES, 'shapes.toml')
  assert shapes.key == 'Sh'
  assert shapes.class_names == ('circle', 'square', 'star')
  assert list(shapes.raw_labels) == [1, 2, 3]
  assert shapes.mix_labels == {12: (1, 3)}
  assert shapes.transposed
  assert shapes.layout == 'idx'
  assert shapes.folder == 'shapes'
  assert shapes.license == 'CC0'
  assert shapes.min_train_per_class == 100
  train, test = (shapes.splits[split] for split in ('train', 'test'))
  assert train.class_counts == (300, 200, 100)
  assert test.class_counts == (10, 10, 10)
  assert train.images.archive.path == 'shapes/shapes.zip'
  assert train.images.urls == ()
  assert train.labels.archive is None
  assert train.labels.size is None
  assert [f.name for f in test.images.equivalents] == ['test-images.npz']


def test_a_made_up_source_combines_with_the_others():
  (shapes,) = declaration.parse(_SHAPES, 'shapes.toml')
  names = [s.name for s in subsets.combinations((*SOURCES, shapes))]
  # Its classes are in no other source, so it joins every valid combination.
  assert len(names) == 132 + 132 + len(SOURCES)
  assert {'2-ESh', '2-K49Sh', '6-EdFKdK49NSh'} <= set(names)
  both = subsets.combine((SOURCES[0], shapes))
  assert [c.name for c in both.classes[-3:]] == ['circle', 'square', 'star']
  assert both.num_train == 60_600


def test_origin_files_come_once_with_their_shapes():
  (shapes,) = declaration.parse(_SHAPES, 'shapes.toml')
  assert {f.name: shape for f, shape in shapes.origin_files.items()} == {
    'train-images.gz': (600, 28, 28),
    'train-labels.gz': (600,),
    'test-images.gz': (30, 28, 28),
    'test-labels.gz': (30,),
  }


def test_a_field_of_the_source_takes_precedence_over_the_shared_one():
  (shapes,) = declaration.parse(_changed('license', 'MIT'), 'shapes.toml')
  assert shapes.license == 'MIT'


def test_unknown_class_counts_need_a_least_count():
  tables = _changed('train.class_counts', _ABSENT)
  with pytest.raises(DeclarationError, match='min_train_per_class: this field'):
    declaration.parse(tables, 'shapes.toml')
  tables['source'][0]['min_train_per_class'] = 50
  (shapes,) = declaration.parse(tables, 'shapes.toml')
  assert shapes.splits['train'].class_counts is None
  assert shapes.min_train_per_class == 50


@pytest.mark.parametrize(
  ('field', 'value', 'fault'),
  [
    ('colour', 'grey', 'colour: unknown field; there are archive, citation,'),
    ('train.images.sha1', '', 'train.images.sha1: unknown field'),
    ('validation', {}, 'validation: unknown field'),
    ('title', _ABSENT, 'title: this field is missing; add it'),
    ('test', _ABSENT, 'test: this field is missing'),
    ('train.images.path', _ABSENT, 'train.images.path: this field is missing'),
    ('train.labels', _ABSENT, 'train.labels: this field is missing'),
    ('train.num_examples', '600', 'expected a whole number of at least 1'),
    ('train.num_examples', True, 'at least 1, found True'),
    ('train.num_examples', 0, 'at least 1, found 0'),
    ('train.num_examples', 6.0, 'at least 1, found 6.0'),
    ('writer_block', 0, 'writer_block: expected a whole number of at least 1'),
    ('train.class_counts', [300, 300], 'expected 3 counts, found 2'),
    ('train.class_counts', 100, 'add up to num_examples, 600, found 300'),
    ('train.class_counts', ['300', 200, 100], 'train.class_counts.1: expected'),
    ('train.images', 'images.gz', "expected a table, found 'images.gz'"),
    ('train.images.size', -1, 'train.images.size: expected a whole number'),
    ('train.images.md5', '1' * 31, 'expected 32 hexadecimal digits'),
    ('train.images.md5', 'g' * 32, 'expected 32 hexadecimal digits'),
    ('train.labels.sha256', '2' * 63, 'expected 64 hexadecimal digits'),
    ('test.labels.git_blob', '5' * 41, 'expected 40 hexadecimal digits'),
    ('test.labels.fingerprint', 'F' * 64, 'expected 64 hexadecimal digits'),
    ('train.labels.sha256', _ABSENT, 'add its sha256 or its size'),
    ('train.images.path', '../x', "expected '<folder>/<file name>'"),
    ('train.images.path', 'shapes/..', "expected '<folder>/<file name>'"),
    ('train.images.path', '/etc/passwd', "expected '<folder>/<file name>'"),
    ('train.images.path', '/x', "expected '<folder>/<file name>'"),
    ('train.images.path', 'x', "expected '<folder>/<file name>'"),
    ('train.images.path', 'a/b/c', "expected '<folder>/<file name>'"),
    ('train.images.path', 'a\\b/c', "expected '<folder>/<file name>'"),
    ('train.images.path', 'C:/c', "expected '<folder>/<file name>'"),
    ('train.images.path', 'other/x', "in the folder 'other', found 'shapes/"),
    ('test.labels.path', 'other/x', "in the folder 'shapes', found 'other/x'"),
    ('test.labels.urls', ['ftp://x/y'], 'test.labels.urls.1: expected an'),
    ('test.labels.urls', ['https://x/y#z'], 'test.labels.urls.1: expected an'),
    ('test.labels.urls', 'https://x/y', 'expected a list'),
    ('test.labels.urls', [], 'give urls, or its member of the archive'),
    ('test.images.equivalents', [{}], 'test.images.equivalents.1.path: this'),
    ('key', 'sh', "key: expected a capital letter, then letters or digits"),
    ('key', 'S-h', "found 'S-h'"),
    ('train.images.path', f'a/{"b" * 256}', "expected '<folder>/<file name>'"),
    ('title', ' ', "title: expected text, found ' '"),
    ('title', 'a\nb', 'title: expected text in one line'),
    ('citation', 'a\x1b[31m', "without control characters, found 'a\\x1b[31m"),
    ('k\x1b', 1, 'k\\x1b: unknown field'),
    ('key', 'S\x1b', "source S\\x1b: key: expected a capital letter"),
    ('test.labels.path', 'shapes/train-labels.gz', 'stands there twice'),
    ('classes', [], 'expected at least one class'),
    ('classes', 'abc', 'classes: expected a list'),
    ('classes', ['a', 'a', 'b'], "classes: 'a' stands there twice"),
    ('first_label', 65_534, "of at most 65535, found '65534 to 65536'"),
    ('mix_labels', {'12': [0]}, 'mix_labels.12: expected raw labels from 1 to'),
    ('mix_labels', {'x': [1]}, "the number of classes of a mix, found 'x'"),
    ('layout', 'zip', "'csv' or 'parquet', found 'zip'"),
    ('convert', ['rotate'], "convert.1: expected 'transpose', "),
    ('min_train_per_class', 5, 'expected the least of class_counts, 100'),
  ],
)  # fmt: skip
def test_a_wrong_field_is_named(field, value, fault):
  with pytest.raises(DeclarationError) as raised:
    declaration.parse(_changed(field, value), 'shapes.toml')
  message = str(raised.value)
  assert message.startswith('shapes.toml, source ')
  assert fault in message


@pytest.mark.parametrize(
  'url',
  [
    'https://user:secret@lab/x',
    'https://user:se/secret@lab/x',
    'https://secret@lab/x',
    'ftp://user:secret@lab/x',
    'https://lab/x?download=1&access_token=secret',
    'https://lab/x?X-Amz-Signature=secret',
    'https://lab/x#key=secret',
  ],
)
@pytest.mark.parametrize('as_list', [True, False])
def test_an_address_with_a_secret_is_refused_without_showing_it(url, as_list):
  wrong = _changed('test.labels.urls', [url] if as_list else url)
  with pytest.raises(DeclarationError, match='urls') as raised:
    declaration.parse(wrong, 'shapes.toml')
  assert 'secret' not in str(raised.value)
  assert not as_list or '~/.netrc' in str(raised.value)
  with pytest.raises(DeclarationError, match='homepage: expected') as raised:
    declaration.parse(_changed('homepage', url), 'shapes.toml')
  assert 'secret' not in str(raised.value)


def test_other_queries_are_part_of_an_address():
  urls = ['https://lab:80/@me/x?download=1', 'https://lab/x?id=3&author=me']
  (shapes,) = declaration.parse(_changed('test.labels.urls', urls), 'shapes')
  assert shapes.splits['test'].labels.urls == tuple(urls)


def test_a_member_needs_an_archive():
  tables = {name: t for name, t in _SHAPES.items() if name != 'archive'}
  with pytest.raises(DeclarationError, match='there is no archive'):
    declaration.parse(tables, 'shapes.toml')


def test_arrays_of_a_file_have_one_size_and_hash():
  tables = _changed('layout', 'npz')
  test = tables['source'][0]['test']
  test['labels'] |= {'path': 'shapes/test-images.npz', 'array': 'labels'}
  test['images'] = {'path': 'shapes/test-images.npz', 'array': 'images'}
  with pytest.raises(DeclarationError, match='different sizes or hashes'):
    declaration.parse(tables, 'shapes.toml')


@pytest.mark.parametrize('tables', [{}, {'source': []}, {'source': {}}])
def test_a_file_without_sources_says_so(tables):
  with pytest.raises(DeclarationError, match=r'shapes.toml: it has no \[\[sou'):
    declaration.parse(tables, 'shapes.toml')


def test_a_source_that_is_no_table_is_named_by_its_number():
  with pytest.raises(DeclarationError, match='source 2: expected a table'):
    declaration.parse(
      _SHAPES | {'source': [*_SHAPES['source'], 'Sh']}, 'shapes.toml'
    )


# Whatever a field may hold, and what it may hold by mistake.
_VALUES = (
  *(0, -1, 3, 70_000, 10**30, True, 1.5, float('nan')),
  *('', ' ', 'x', '../x', 'a/b', '\x00', 'é\n', '0' * 64),
  *([], [1], [-1, 'a'], ['a', 'a'], [[]], [{}], {}, {'a': 1}, {'first': 1}),
  *({'crop': [0, 0, 28, 28]}, [{'crop': [9] * 4}], datetime.date(2020, 1, 1)),
)
_EXTENSIONS = pathlib.Path(declaration.__file__).parent / 'extensions'


def _fields(tables, path=()):
  """The paths of all fields, of tables in lists the first alone."""
  for name, value in tables.items():
    yield (*path, name)
    if isinstance(value, dict):
      yield from _fields(value, (*path, name))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
      yield from _fields(value[0], (*path, name, 0))


@pytest.mark.parametrize('name', ['dig_mnist.toml', 'qmnist.toml'])
def test_every_field_with_every_value_parses_or_is_named(name):
  text = (_EXTENSIONS / name).read_text('utf-8')
  whole = tomllib.loads(text)
  refused = 0
  for field in _fields(whole):
    for value in (*_VALUES, _ABSENT):
      tables = copy.deepcopy(whole)
      table = tables
      for part in field[:-1]:
        table = table[part]
      if value is _ABSENT:
        del table[field[-1]]
      else:
        table[field[-1]] = value
      try:
        declaration.parse(tables, name, text=text, extension=True)
      except DeclarationError as error:
        refused += 1
        assert all(f.startswith(f'{name}, line ') for f in error.faults)
  assert refused > 300

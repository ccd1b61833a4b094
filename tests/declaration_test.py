# SPDX-License-Identifier: Apache-2.0
"""Sources are declared in TOML, and wrong declarations say what is wrong."""

import copy
import datetime
import json
import pathlib

import msgspec
import pytest

from cmnist_tfds.sources import declaration
from cmnist_tfds.system.errors import DeclarationError

_TEXT = pathlib.Path(__file__).with_name('shapes.toml').read_text('utf-8')
_SHAPES = msgspec.toml.decode(_TEXT)
_EXTENSIONS = pathlib.Path(declaration.__file__).parent / 'extensions'
# In place of a value: the field is left out.
_ABSENT = object()


def _toml(value) -> str:
  """Returns a value as TOML in one line."""
  if isinstance(value, dict):
    pairs = (f'{json.dumps(k)} = {_toml(v)}' for k, v in value.items())
    return f'{{{", ".join(pairs)}}}'
  if isinstance(value, list):
    return f'[{", ".join(map(_toml, value))}]'
  return json.dumps(value) if isinstance(value, (str, bool)) else str(value)


def _parse(tables, **kwargs):
  lines = [f'{name} = {_toml(value)}' for name, value in tables.items()]
  return declaration.parse('\n'.join(lines), 'shapes.toml', **kwargs)


def _changed(changes, tables=_SHAPES):
  """The declaration with other values in fields of its source."""
  tables = copy.deepcopy(tables)
  for field, value in changes.items():
    *around, name = field if isinstance(field, tuple) else field.split('.')
    table = tables['source'][0] if isinstance(field, str) else tables
    for part in around:
      table = table[part]
    if value is _ABSENT:
      del table[name]
    else:
      table[name] = value
  return tables


def test_a_made_up_source_parses():
  (shapes,) = declaration.parse(_TEXT, 'shapes.toml')
  assert shapes.key == 'Sh'
  assert shapes.class_names == ('circle', 'square', 'star')
  assert list(shapes.raw_labels) == [1, 2, 3]
  assert shapes.mix_labels == {12: (1, 3)}
  assert shapes.steps == ('transpose',)
  assert (shapes.layout, shapes.license, shapes.digest) == ('idx', 'CC0', '')
  assert shapes.min_train_per_class == 100
  train, test = (shapes.splits[split] for split in ('train', 'test'))
  assert train.class_counts == (300, 200, 100)
  assert test.class_counts == (10, 10, 10)
  assert train.images.archive.path == 'shapes/shapes.zip'
  assert train.images.urls == ()
  assert (train.labels.archive, train.labels.size) == (None, None)
  assert [f.name for f in test.images.equivalents] == ['test-images.npz']
  assert {f.name: shape for f, shape in shapes.origin_files.items()} == {
    'train-images.gz': (600, 28, 28),
    'train-labels.gz': (600,),
    'test-images.gz': (30, 28, 28),
    'test-labels.gz': (30,),
  }


def test_a_digest_follows_what_is_declared():
  digests = {
    source.digest
    for tables in (_SHAPES, _changed({'title': 'Forms'}), _SHAPES)
    for source in _parse(tables, extension=True)
  }
  assert len(digests) == 2 and all(len(digest) == 64 for digest in digests)


@pytest.mark.parametrize(
  ('changes', 'expected'),
  [
    # A field of the source takes precedence over the shared one.
    ({'license': 'MIT'}, {'license': 'MIT'}),
    ({'train.class_counts': _ABSENT, 'min_train_per_class': 50}, {'min_train_per_class': 50}),
    ({'train': _ABSENT}, {'min_train_per_class': 0}),
    ({'first_label': 65_533, 'mix_labels': {}}, {'raw_labels': range(65_533, 65_536)}),
    (
      {'first_label': 0, 'labels': [0, 7, 65_535], 'mix_labels': {}},
      {'raw_labels': (0, 7, 65_535), 'label_dtype': 'uint16'},
    ),
    *(
      ({'shape': shape, 'convert': steps}, {'steps': parsed})
      for shape, steps, parsed in (
        ([784], [], ()),
        ([30, 40, 3], ['grey', {'crop': [2, 12, 28, 28]}], ('grey', (2, 12, 28, 28))),
        ([9, 9, 3], ['resize', 'invert', 'grey'], ('resize', 'invert', 'grey')),
      )
    ),
  ],
)  # fmt: skip
def test_what_is_right_parses(changes, expected):
  (shapes,) = _parse(_changed(changes))
  assert {name: getattr(shapes, name) for name in expected} == expected


@pytest.mark.parametrize(
  ('field', 'value', 'fault'),
  [
    ('colour', 'grey', 'unknown field `colour`'),
    ('train.images.sha1', '', 'train.images: Object contains unknown field'),
    ('split', {'first': 1}, 'expected train and test, or examples and split'),
    ('title', _ABSENT, 'missing required field `title`'),
    ('test', _ABSENT, 'test: expected train and test, or examples'),
    ('train.labels', _ABSENT, "train: expected ['images', 'labels'] in layout 'idx'"),
    ('train.files', [{'path': 'shapes/x'}], "found ['files', 'images', 'labels']"),
    ('train.num_examples', 0, 'train.num_examples: Expected `int` >= 1'),
    ('train.num_examples', 601, 'train.class_counts: add up to 600, not 601'),
    ('train.class_counts', [300, 300], 'expected 3 counts, one for each class'),
    ('train.class_counts', _ABSENT, 'min_train_per_class: expected'),
    ('min_train_per_class', 5, 'min_train_per_class: expected without'),
    ('train.images', 'images.gz', 'train.images: Expected `object'),
    ('train.images.md5', '1' * 31, 'md5: Expected 32 hexadecimal digits'),
    ('train.labels.sha256', '2' * 64 + '\n', 'train.labels.sha256: '),
    ('train.labels.sha256', _ABSENT, 'shapes/train-labels.gz: md5 alone is no proof'),
    *(
      ('train.images.path', path, 'path: Expected <file> or <folder>/<file>')
      for path in ('../x', 'shapes/..', '/etc/passwd', '/x', 'a/b/c', 'C:/c',
                   'a\\b/c', '.', '', f'a/{"b" * 256}')
    ),
    ('train.images.path', f'a/{"b" * 255}', "all files in the folder 'a'"),
    ('test.labels.path', 'other/x', 'other/x: expected all files in the folder'),
    ('test.images.equivalents', [{'path': 'x/y'}], 'x/y: expected all files'),
    ('test.labels.path', 'shapes/train-labels.gz', 'appears twice'),
    ('test.labels.urls', ['ftp://x/y'], 'test.labels.urls[0]: Expected an address'),
    ('test.images.array', 'x', 'test-images.gz: array: unknown field of the layout'),
    ('key', 'sh', 'source sh: key: '),
    ('key', 'S\x1b', 'source S\\x1b: key: '),
    ('k\x1b', 1, 'unknown field `k\\x1b`'),
    ('title', 'a\nb', 'title: '),
    ('title', 'a\u2028b', 'title: Expected text in one line, without'),
    ('citation', 'a\x1b[31m', 'citation: Expected text without control'),
    ('title', 'a\u202eb', 'title: Expected text in one line'),
    ('classes', [], 'classes: Expected `array` of length >= 1'),
    ('classes', ['a', 'b '], 'classes[1]: Expected text in one line'),
    ('classes', ['é', 'e\u0301', 'b'], "classes: 'é' appears twice"),
    ('first_label', 65_534, 'for each class, of at most 65535'),
    ('labels', [1, 2, 3], 'expected 3 ascending numbers, one for each class'),
    ('labels', [2, 1, 3], 'labels: expected 3 ascending numbers'),
    ('layout', 'zip', "layout: Invalid enum value 'zip'"),
    ('folders', ['a', 'b', 'c'], 'folders: unknown field of the layout'),
    ('convert', ['rotate'], "convert[0]: Invalid enum value 'rotate'"),
    ('convert', [{'crop': [1, 0, 28, 28]}], 'convert: gives 27x28 pixels, not 28x28'),
    ('shape', [32, 32], "gives 32x32 pixels, not 28x28. Add 'resize'"),
    ('shape', [28, 28, 3], "convert: the images have colors. Add 'grey'"),
    ('shape', [28, 28, 2], 'shape: expected [height, width'),
    ('shape', [1000], 'a square number of pixels'),
  ],
)  # fmt: skip
def test_a_wrong_field_is_named_in_one_line(field, value, fault):
  assert fault in _fault(_changed({field: value}))


def _fault(tables):
  with pytest.raises(DeclarationError) as raised:
    _parse(tables)
  message = str(raised.value)
  assert message.startswith('shapes.toml')
  assert message.isprintable()
  return message


def _examples(layout, files, **more):
  """Changes that make the source one of pooled examples in a layout."""
  whole = {'num_examples': 90, 'class_counts': 30, **files}
  pooled = {'layout': layout, 'split': {'first': 10}, 'examples': whole}
  return {'train': _ABSENT, 'test': _ABSENT, **pooled, **more}


_FILE = {'path': 'shapes/x', 'size': 1, 'md5': '1' * 32}
_FILES = [_FILE | {'path': f'shapes/{n}'} for n in range(3)]
_FOLDER = {'pictures': _FILE}
_LISTED = {'list': _FILES[1]}
_TABLE = {'files': _FILES[:1]}


@pytest.mark.parametrize(
  ('changes', 'fault'),
  [
    (_examples('folder', _FOLDER), None),
    (_examples('npy', {'files': _FILES}), None),
    (_examples('csv', _TABLE, label_column=0), None),
    (_examples('parquet', _TABLE, image_column='i'), None),
    (_examples('csv', {'files': []}), 'files: Expected `array` of length >= 1'),
    (_examples('folder', _FOLDER, owner='x'), 'owner: unknown field'),
    (_examples('npz', {'images': _FILE | {'beside': 'x'}}), 'examples.images.beside: '),
    (_examples('csv', _TABLE, split={**_LISTED, 'test_counts': 29}), None),
    (_examples('folder', _FOLDER, convert=['grey', 'resize']), None),
    (_examples('folder', _FOLDER, split={'first': 30}), "example of class 'circle'"),
    (_examples('folder', _FOLDER, split=_LISTED), 'expected first, or list and test_counts'),
    (_examples('csv', _TABLE, split={**_LISTED, 'test_counts': [1]}), 'split.test_counts: expected 3 counts'),
    (_examples('folder', _FOLDER, test={'num_examples': 1, **_FOLDER}), 'expected train and test, or examples'),
    (_examples('folder', _TABLE), "examples: expected ['pictures']"),
    (_examples('npy', _TABLE), 'examples.files: expected one for each of the 3'),
    (_examples('folder', _FOLDER) | {'examples.class_counts': _ABSENT}, 'examples.class_counts: missing'),
    (_examples('folder', _FOLDER, folders=['a', 'b']), 'folders: expected one for each of the 3'),
    (_examples('csv', {'files': _FILES[:1] * 2}), 'appears twice'),
  ],
)  # fmt: skip
def test_layouts_have_the_fields_that_they_need(changes, fault):
  if fault:
    assert fault in _fault(_changed(changes))
  else:
    (shapes,) = _parse(_changed(changes))
    assert sum(split.num_examples for split in shapes.splits.values()) == 90


@pytest.mark.parametrize(
  'url',
  [
    'https://user:secret@lab/x',
    'https://secret@lab/x',
    'https://lab/x?download=1&access_token=secret',
    'https://lab/x?X-Amz-Signature=secret',
    'https://lab/x;jsessionid=secret?id=3',
    'https://lab/x?id=3&code=secret',
    'https://lab/x?session_id=secret',
    'https://lab/x?Key-Pair-Id=secret&jwt=1',
  ],
)
@pytest.mark.parametrize('field', ['test.labels.urls', 'homepage'])
def test_an_address_with_a_secret_is_refused_without_showing_it(url, field):
  value = [url] if field.endswith('urls') else url
  fault = _fault(_changed({field: value}))
  assert 'without a password' in fault and 'netrc' in fault
  assert 'secret' not in fault


def test_other_queries_are_part_of_an_address():
  urls = ['https://lab:80/@me/x?download=1', 'https://lab/x?id=3&author=me']
  (shapes,) = _parse(_changed({'test.labels.urls': urls}))
  assert shapes.splits['test'].labels.urls == tuple(urls)


@pytest.mark.parametrize(
  ('tables', 'fault'),
  [
    ({}, 'shapes.toml: has no [[source]] table'),
    (_SHAPES | {'source': {}}, 'shapes.toml: has no [[source]] table'),
    (_SHAPES | {'source': [*_SHAPES['source'], 'Sh']}, 'source 2: Expected `obj'),
    (_SHAPES | {'source': _SHAPES['source'] * 2}, 'source Sh: key: appears twice'),
    ({k: v for k, v in _SHAPES.items() if k != 'archive'}, 'member: needs'),
  ],
)  # fmt: skip
def test_a_file_is_wrong_as_a_whole(tables, fault):
  assert fault in _fault(tables)


# Whatever a field may hold, and what it may hold by mistake.
_VALUES = (
  *(0, -1, 3, 70_000, 10**30, True, 1.5, float('nan')),
  *('', ' ', 'x', '../x', 'a/b', '\x00', 'é\n', '0' * 64),
  *([], [1], [-1, 'a'], ['a', 'a'], [[]], [{}], {}, {'a': 1}, {'first': 1}),
  *({'crop': [0, 0, 28, 28]}, [{'crop': [9] * 4}], datetime.date(2020, 1, 1)),
)


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
  whole = msgspec.toml.decode((_EXTENSIONS / name).read_text('utf-8'))
  refused = 0
  for field in _fields(whole):
    for value in (*_VALUES, _ABSENT):
      try:
        _parse(_changed({field: value}, whole), extension=True)
      except DeclarationError as error:
        refused += 1
        assert str(error).startswith('shapes.toml')
        assert str(error).isprintable()
  assert refused > 300

# SPDX-License-Identifier: Apache-2.0
"""The records of sources, and the form in which sources are declared.

A declaration is a TOML file. Each `[[source]]` table declares one source:

    homepage = 'https://example.org/shapes'
    license = 'CC0'
    citation = '@misc{shapes, ...}'
    layout = 'idx'

    [[source]]
    key = 'Sh'
    title = 'Shapes'
    classes = ['circle', 'square']

    [source.train]
    num_examples = 1_000
    class_counts = 500

    [source.train.images]
    path = 'shapes/train-images.gz'
    size = 301_234
    md5 = '...'
    sha256 = '...'
    urls = ['https://example.org/shapes/train-images.gz']

`[source.train.labels]` and `[source.test]` look alike. What stands above the
first `[[source]]` holds for every source of the file; a field of the source
itself takes precedence. The attributes of `Source`, `Split` and `OriginFile` say
what the fields mean. Where names differ:

*   `classes`: `Source.class_names`.
*   `train`, `test`: `Source.splits`.
*   `convert`: what is done to the images: a list with 'transpose', or empty.
*   `class_counts`: one number where all classes have as many examples, else a
    list; left out where nobody has published the counts.
*   `min_train_per_class`: follows from `class_counts` and is declared only where
    these are left out.
*   `archive`: a file, declared like the others. Files that have a `member` are
    taken from it.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import textwrap
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from cmnist_tfds.errors import DeclarationError

SPLITS = ('train', 'test')

# Height and width, in pixels, of every image of every source.
IMAGE_SIZE = 28

# The formats of origin files: those of MNIST, and of `numpy.savez`.
LAYOUTS = ('idx', 'npz')


@dataclasses.dataclass(frozen=True, kw_only=True)
class OriginFile:
  """One file as its origin publishes it.

  Attributes:
    path: `<folder>/<file name>`: where the file lies in a manual folder, in a
      mirror and in the sample.
    size: Size in bytes, None where it was never published.
    md5: MD5 as 32 hexadecimal digits.
    sha256: SHA-256 as 64 hexadecimal digits, None where it is not known; then
      MD5 and size prove the file.
    git_blob: Git's SHA-1 of the file, as 40 hexadecimal digits. It covers the
      size, and stands in where the size is not known.
    urls: Where the very same bytes are published: the origin first.
    archive: The archive the file is published in; then `urls` is empty.
    member: The file's name inside `archive`.
    equivalents: Files that hold the same array in another form.
    fingerprint: `origin.verification.fingerprint` of the array in the file, as
      64 hexadecimal digits; None where no complete file has been at hand.
    outdated_size: Size in bytes of a replaced version that still goes about
      under the same name, None where there is none.
  """

  path: str
  size: int | None = None
  md5: str
  sha256: str | None = None
  git_blob: str | None = None
  urls: tuple[str, ...] = ()
  archive: OriginFile | None = None
  member: str = ''
  equivalents: tuple[OriginFile, ...] = ()
  fingerprint: str | None = None
  outdated_size: int | None = None

  @property
  def name(self) -> str:
    """The file's name at its origin, without the folder."""
    return self.path.rpartition('/')[2]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Split:
  """The train or the test split of a source.

  Attributes:
    images: File with the images, uint8 (num_examples, 28, 28).
    labels: File with the raw labels, uint8 (num_examples,).
    num_examples: How many examples there are.
    class_counts: How many there are of each class, in the order of the raw
      labels; None where it has never been published and no file was at hand.
  """

  images: OriginFile
  labels: OriginFile
  num_examples: int
  class_counts: tuple[int, ...] | None = None

  @property
  def files(self) -> dict[OriginFile, tuple[int, ...]]:
    """The two files, images first, each with the shape of its array."""
    return {
      self.images: (self.num_examples, IMAGE_SIZE, IMAGE_SIZE),
      self.labels: (self.num_examples,),
    }


# There is one record of each source, so they compare by identity.
@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Source:
  """A dataset that CMNIST concatenates.

  Attributes:
    key: Abbreviation that names of subsets are made of, as 'Km'.
    title: Name for people.
    class_names: Names of the classes, by ascending raw label.
    first_label: The raw label of the first class.
    splits: The files and figures, by split name.
    min_train_per_class: No class has fewer training examples than this.
    mix_labels: Raw labels this source gives to CMNIST-X, by number of classes of
      the mix: those of X-12 and of X-24.
    layout: Format of the files of `splits`: 'idx' or 'npz'.
    transposed: Whether the files store rows and columns of images swapped.
    homepage: Page of the source.
    license: Licence, as the source's own files state it.
    citation: BibTeX entry.
    known_issues: What a user should know of the data.
  """

  key: str
  title: str
  class_names: tuple[str, ...]
  first_label: int = 0
  splits: Mapping[str, Split]
  min_train_per_class: int
  mix_labels: Mapping[int, tuple[int, ...]] = dataclasses.field(
    default_factory=dict
  )
  layout: str = 'idx'
  transposed: bool = False
  homepage: str
  license: str
  citation: str
  known_issues: tuple[str, ...] = ()

  def __repr__(self) -> str:
    return textwrap.shorten(
      f'<Source {self.key}: {self.title}, {len(self.class_names)} classes>',
      80,
      placeholder=' ...>',
    )

  @property
  def raw_labels(self) -> range:
    """The labels the files use, ascending."""
    return range(self.first_label, self.first_label + len(self.class_names))

  @functools.cached_property
  def folder(self) -> str:
    """The folder its files lie in, in a manual folder or a mirror."""
    return self.splits['train'].images.path.rpartition('/')[0]

  @property
  def origin_files(self) -> dict[OriginFile, tuple[int, ...]]:
    """The files of all splits, each with the shape of its array."""
    return {
      file: shape
      for split in self.splits.values()
      for file, shape in split.files.items()
    }

  def __reduce_ex__(self, protocol: Any) -> str | tuple[Any, ...]:
    # A process has one record of each of the package's own sources.
    from cmnist_tfds import sources

    if self in sources.SOURCES:
      return sources.source, (self.key,)
    return super().__reduce_ex__(protocol)


def parse(tables: Mapping[str, Any], file: str) -> tuple[Source, ...]:
  """Returns the sources that a file declares.

  Args:
    tables: What a TOML parser returns for the file.
    file: Name of the file, for messages.

  Returns:
    The sources, in the order of the file.

  Raises:
    DeclarationError: If a field is unknown, missing or wrong; the message names
      the file, the source and the field.
  """
  shared = {name: value for name, value in tables.items() if name != 'source'}
  declared = tables.get('source')
  if not isinstance(declared, list) or not declared:
    _Place(file).fail('it has no [[source]] table; add one for each source')
  sources = []
  for number, table in enumerate(declared, start=1):
    key = table.get('key') if isinstance(table, dict) else None
    place = _Place(f'{file}, source {key or number}')
    sources.append(_source(shared | _table(table, place), place))
  return tuple(sources)


@dataclasses.dataclass(frozen=True)
class _Place:
  """Where in a declaration a value stands, for messages.

  Attributes:
    source: The file and, inside of it, the source.
    field: The field with the tables around it, as 'train.images.md5'.
  """

  source: str
  field: str = ''

  def inside(self, name: str) -> _Place:
    """Returns the place of a field of the table at this place."""
    return _Place(self.source, f'{self.field}.{name}'.lstrip('.'))

  def fail(self, fault: str) -> NoReturn:
    """Raises the error that names this place and the fault."""
    where = f'{self.source}: {self.field}' if self.field else self.source
    raise DeclarationError(f'{where}: {fault}')

  def expect(self, expected: str, found: object) -> NoReturn:
    """Raises the error that a value is not the expected one."""
    self.fail(f'expected {expected}, found {found!r}')


# Checks the value at a place and returns it as the record holds it.
_Check = Callable[[Any, _Place], Any]


def _table(value: Any, place: _Place) -> dict[str, Any]:
  if not isinstance(value, dict):
    place.expect('a table', value)
  return value


def _text(value: Any, place: _Place) -> str:
  if not isinstance(value, str) or not value.strip():
    place.expect('text', value)
  return value


def _matching(pattern: str, expected: str) -> _Check:
  """Returns a check for text that a regular expression matches in full."""

  def check(value: Any, place: _Place) -> str:
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
      place.expect(expected, value)
    return value

  return check


def _hexadecimal(num_digits: int) -> _Check:
  return _matching(
    f'[0-9a-f]{{{num_digits}}}',
    f'{num_digits} hexadecimal digits in lower case',
  )


def _at_least(least: int) -> _Check:
  """Returns a check for whole numbers."""

  def check(value: Any, place: _Place) -> int:
    # True and False are whole numbers, too, in Python.
    if type(value) is not int or value < least:
      place.expect(f'a whole number of at least {least}', value)
    return value

  return check


def _list_of(item: _Check) -> _Check:
  """Returns a check for lists, which gives tuples."""

  def check(value: Any, place: _Place) -> tuple[Any, ...]:
    if not isinstance(value, list):
      place.expect('a list', value)
    return tuple(
      item(one, place.inside(str(number)))
      for number, one in enumerate(value, start=1)
    )

  return check


_key = _matching('[A-Z][a-z0-9]*', 'a capital letter, then letters or digits')
# A path cannot leave the folder it is joined to.
_path = _matching(
  r'(?!\.{1,2}/)[^/\\:\x00-\x1f]+/(?!\.{1,2}$)[^/\\:\x00-\x1f]+',
  "'<folder>/<file name>', relative and with no further folder",
)
_url = _matching(r'https?://\S+', 'an address with http:// or https://')
_layout = _matching('|'.join(LAYOUTS), ' or '.join(map(repr, LAYOUTS)))
_step = _matching('transpose', "'transpose'")


def _fields(
  value: Any, place: _Place, checks: Mapping[str, _Check], optional: set[str]
) -> dict[str, Any]:
  """Returns the checked fields of a table; absent ones are absent.

  Args:
    value: The table.
    place: Where it stands.
    checks: The check of each field there may be.
    optional: The fields that may be left out.

  Returns:
    What the checks return, by field.

  Raises:
    DeclarationError: If a field is unknown, missing or wrong.
  """
  table = _table(value, place)
  if unknown := sorted(table.keys() - checks.keys()):
    place.inside(unknown[0]).fail(
      f'unknown field; there are {", ".join(sorted(checks))}'
    )
  if missing := sorted(checks.keys() - optional - table.keys()):
    place.inside(missing[0]).fail('this field is missing; add it')
  return {
    name: checks[name](value, place.inside(name))
    for name, value in table.items()
  }


_FILE: dict[str, _Check] = {
  'path': _path,
  'size': _at_least(1),
  'md5': _hexadecimal(32),
  'sha256': _hexadecimal(64),
  'git_blob': _hexadecimal(40),
  'urls': _list_of(_url),
  'member': _text,
  'fingerprint': _hexadecimal(64),
  'outdated_size': _at_least(1),
}


def _file(
  value: Any, place: _Place, archive: OriginFile | None = None
) -> OriginFile:
  """Returns the record of a file.

  Args:
    value: Its table.
    place: Where the table stands.
    archive: The archive that files with a `member` are taken from.

  Returns:
    The record.
  """
  file_inside = functools.partial(_file, archive=archive)
  found = _fields(
    value,
    place,
    _FILE | {'equivalents': _list_of(file_inside)},
    optional=_FILE.keys() - {'path', 'md5'} | {'equivalents'},
  )
  if not found.keys() & {'sha256', 'size', 'git_blob'}:
    place.fail('MD5 alone does not prove a file; add its sha256 or its size')
  if bool(found.get('urls')) == ('member' in found):
    place.fail('give either urls, or its member of the archive')
  if 'member' in found:
    if archive is None:
      place.inside('member').fail('there is no archive; declare one')
    found['archive'] = archive
  return OriginFile(**found)


def _split(
  value: Any, place: _Place, num_classes: int, archive: OriginFile | None
) -> Split:
  """Returns the record of a split.

  Args:
    value: Its table.
    place: Where the table stands.
    num_classes: How many classes the source has.
    archive: The archive of the source's files.

  Returns:
    The record.
  """
  file = functools.partial(_file, archive=archive)
  found = _fields(
    value,
    place,
    {
      'num_examples': _at_least(1),
      'class_counts': functools.partial(_counts, num_classes=num_classes),
      'images': file,
      'labels': file,
    },
    optional={'class_counts'},
  )
  split = Split(**found)
  if split.class_counts and sum(split.class_counts) != split.num_examples:
    place.inside('class_counts').expect(
      f'counts that add up to num_examples, {split.num_examples}',
      sum(split.class_counts),
    )
  return split


def _counts(value: Any, place: _Place, num_classes: int) -> tuple[int, ...]:
  if not isinstance(value, list):
    return (_at_least(0)(value, place),) * num_classes
  counts: tuple[int, ...] = _list_of(_at_least(0))(value, place)
  if len(counts) != num_classes:
    place.fail(f'expected {num_classes} counts, found {len(counts)}')
  return counts


def _class_names(value: Any, place: _Place) -> tuple[str, ...]:
  names: tuple[str, ...] = _list_of(_text)(value, place)
  if not names:
    place.expect('at least one class', value)
  if repeated := [name for name in names if names.count(name) > 1]:
    place.fail(f'{repeated[0]!r} stands there twice')
  return names


def _mix_labels(value: Any, place: _Place) -> dict[int, tuple[int, ...]]:
  mixes = {}
  for size, raw_labels in _table(value, place).items():
    if not re.fullmatch('[1-9][0-9]*', size):
      place.expect('the number of classes of a mix', size)
    mixes[int(size)] = _list_of(_at_least(0))(raw_labels, place.inside(size))
  return mixes


_SOURCE: dict[str, _Check] = {
  'key': _key,
  'title': _text,
  'classes': _class_names,
  'first_label': _at_least(0),
  'min_train_per_class': _at_least(1),
  'mix_labels': _mix_labels,
  'layout': _layout,
  'convert': _list_of(_step),
  'homepage': _text,
  'license': _text,
  'citation': _text,
  'known_issues': _list_of(_text),
  'archive': _file,
  'train': _table,
  'test': _table,
}


def _source(value: Any, place: _Place) -> Source:
  """Returns the record of a source.

  Args:
    value: Its table, with what stands above it in the file.
    place: Where the table stands.

  Returns:
    The record.
  """
  found = _fields(
    value,
    place,
    _SOURCE,
    optional={
      'first_label',
      'min_train_per_class',
      'mix_labels',
      'convert',
      'known_issues',
      'archive',
    },
  )
  class_names = found.pop('classes')
  archive = found.pop('archive', None)
  splits = {
    name: _split(found.pop(name), place.inside(name), len(class_names), archive)
    for name in SPLITS
  }
  counts = splits['train'].class_counts
  least = found.pop('min_train_per_class', None)
  if counts and least not in {None, min(counts)}:
    place.inside('min_train_per_class').expect(
      f'the least of class_counts, {min(counts)}, or no such field', least
    )
  if not counts and least is None:
    place.inside('min_train_per_class').fail(
      'this field is missing; add it, or the class_counts of train'
    )
  source = Source(
    class_names=class_names,
    splits=splits,
    min_train_per_class=min(counts) if counts else least,
    transposed='transpose' in found.pop('convert', ()),
    **found,
  )
  _check_labels(source, place)
  _check_folder(source, place)
  return source


def _check_labels(source: Source, place: _Place) -> None:
  """Checks that bytes can hold the raw labels, and that mixes use no others."""
  first, last = source.raw_labels[0], source.raw_labels[-1]
  if last > 255:
    place.inside('classes').expect(
      'raw labels of at most 255', f'{first} to {last}'
    )
  for size, raw_labels in source.mix_labels.items():
    if not set(raw_labels) <= set(source.raw_labels):
      place.inside(f'mix_labels.{size}').expect(
        f'raw labels from {first} to {last}', list(raw_labels)
      )


def _check_folder(source: Source, place: _Place) -> None:
  """Checks that all files of a source lie in one folder."""
  for file in source.origin_files:
    for form in (file, *file.equivalents, *filter(None, [file.archive])):
      if form.path.rpartition('/')[0] != source.folder:
        place.fail(
          f'expected all files in the folder {source.folder!r}, found'
          f' {form.path!r}'
        )

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
what the fields mean. docs/your-own-source.md has an example of each layout.
Where names differ:

*   `classes`: `Source.class_names`.
*   `labels`: `Source.listed_labels`, for raw labels with gaps.
*   `train`, `test`: `Source.splits`. A source with `test` alone gives no
    training examples. `examples` stands in place of both where the origin has
    one set of examples, which `split` divides: `split = { first = 100 }` takes
    the first 100 of each class for test, and `split = { list = {...},
    test_counts = 100 }` takes those that a file lists.
*   `shape`: `Split.shape`.
*   `convert`: what is done to the images, in this order: a list of 'transpose',
    'invert', 'grey', 'resize', `{ crop = [top, left, height, width] }`, and
    `{ scale = 16 }` for pixels from 0 to 16 in place of 255.
*   `class_counts`: one number where all classes have as many examples, else a
    list; left out where nobody has published the counts.
*   `min_train_per_class`: follows from `class_counts` and is declared only where
    these are left out.
*   `archive`: a file, declared like the others. Files that have a `member` are
    taken from it.
*   `files`: `Split.parts` of the layouts 'npy', 'csv' and 'parquet'. `pictures`:
    the one part of the layout 'folder'.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import hashlib
import json
import math
import pathlib
import re
import textwrap
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from cmnist_tfds.system.errors import DeclarationError

SPLITS = ('train', 'test')

# Height and width, in pixels, of every image of every source.
IMAGE_SIZE = 28

# How origin files hold a split. 'idx' and 'npz': a file of images and one of
# labels, in the formats of MNIST and of `numpy.savez`. 'npy': a file of images
# for each class, as of `numpy.save`. 'folder': a folder of pictures for each
# class. 'csv' and 'parquet': tables with a row for each example.
PAIRS = ('idx', 'npz')
LAYOUTS = (*PAIRS, 'npy', 'folder', 'csv', 'parquet')

# The largest raw label, and so the largest number of classes, less one.
LARGEST_LABEL = 65_535

# What may be done to images: the name of a step, the brightest pixel that is to
# become 255, or the rectangle to cut out.
_STEPS = ('transpose', 'invert', 'grey', 'resize')
Step = str | int | tuple[int, int, int, int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class OriginFile:
  """One file as its origin publishes it.

  Attributes:
    path: `<folder>/<file name>`: where the file lies in a manual folder, in a
      mirror and in the sample.
    size: Size in bytes, None where it was never published.
    md5: MD5 as 32 hexadecimal digits, None where it is not known.
    sha256: SHA-256 as 64 hexadecimal digits, None where it is not known; then
      MD5 and size prove the file. A file without any hash is never proved.
    git_blob: Git's SHA-1 of the file, as 40 hexadecimal digits. It covers the
      size, and stands in where the size is not known.
    reported_sha256: SHA-256 that others have seen and the authors of this
      package have not computed, None where there is none. The file is proved
      by it, or by its MD5 and size.
    urls: Where the very same bytes are published: the origin first. It is empty
      for files that a user has.
    archive: The archive the file is published in. Then `urls` are homes of the
      file on its own.
    member: The file's name inside `archive`.
    equivalents: Files that hold the same array in another form.
    fingerprint: `origin.verification.fingerprint` of the array in the file, as
      64 hexadecimal digits; None where no complete file has been at hand. Of a
      folder of pictures, `origin.picture_files.fingerprint`.
    outdated_size: Size in bytes of a replaced version that still goes about
      under the same name, None where there is none.
    array: Name of the array in an NPZ file, which may hold several.
    columns: How many numbers a row of labels has, of which the first is the
      label; None if labels are no rows.
    beside: The folder of the declaration, in which a user's own files may lie.
  """

  path: str
  size: int | None = None
  md5: str | None = None
  sha256: str | None = None
  reported_sha256: str | None = None
  git_blob: str | None = None
  urls: tuple[str, ...] = ()
  archive: OriginFile | None = None
  member: str = ''
  equivalents: tuple[OriginFile, ...] = ()
  fingerprint: str | None = None
  outdated_size: int | None = None
  array: str = 'arr_0'
  columns: int | None = None
  beside: pathlib.Path | None = dataclasses.field(default=None, compare=False)

  @property
  def name(self) -> str:
    """The file's name at its origin, without the folder."""
    return self.path.rpartition('/')[2]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Split:
  """The train or the test split of a source.

  Attributes:
    images: File with the images, uint8 (num_examples, *shape); None in layouts
      other than 'idx' and 'npz'.
    labels: File with the raw labels, integers (num_examples,); None likewise.
    parts: The files of another layout: one for each class, tables, or the one
      folder of pictures.
    per_class: Whether each part holds the images of one class, as an array.
    num_examples: How many examples there are.
    class_counts: How many there are of each class, in the order of the raw
      labels; None where it has never been published and no file was at hand.
    shape: Shape of an image in the files: (height, width), with a third number
      if it has colours, or (height * width,) for square images in rows. None
      for pictures of any size.
    whole: The examples that this split is chosen from; None if its files hold
      this split alone.
    listing: File that lists which examples of `whole` are for test.
    first: How many examples of each class of `whole` are for test.
  """

  images: OriginFile | None = None
  labels: OriginFile | None = None
  parts: tuple[OriginFile, ...] = ()
  per_class: bool = False
  num_examples: int
  class_counts: tuple[int, ...] | None = None
  shape: tuple[int, ...] | None = (IMAGE_SIZE, IMAGE_SIZE)
  whole: Split | None = None
  listing: OriginFile | None = None
  first: int | None = None

  @functools.cached_property
  def files(self) -> dict[OriginFile, tuple[int, ...]]:
    """The files, images first, each with the shape of its array.

    The shape of a file that holds no array alone is ().
    """
    listing: dict[OriginFile, tuple[int, ...]] = (
      {self.listing: ()} if self.listing else {}
    )
    if self.whole:
      return self.whole.files | listing
    if self.images and self.labels:
      assert self.shape is not None
      columns = (self.labels.columns,) if self.labels.columns else ()
      return {
        self.images: (self.num_examples, *self.shape),
        self.labels: (self.num_examples, *columns),
      }
    if self.per_class:
      return {
        part: (count, *(self.shape or ()))
        for part, count in zip(self.parts, self.class_counts or (), strict=True)
      }
    return dict.fromkeys(self.parts, ())


# There is one record of each source, so they compare by identity.
@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Source:
  """A dataset that CMNIST concatenates.

  Attributes:
    key: Abbreviation that names of subsets are made of, as 'Km'.
    title: Name for people.
    class_names: Names of the classes, by ascending raw label.
    first_label: The raw label of the first class.
    listed_labels: The raw labels of the classes, ascending, where they have
      gaps; else empty.
    splits: The files and figures, by split name.
    min_train_per_class: No class has fewer training examples than this.
    mix_labels: Raw labels this source gives to CMNIST-X, by number of classes of
      the mix: those of X-12 and of X-24.
    layout: Format of the files of `splits`, one of `LAYOUTS`.
    transposed: Whether the files store rows and columns of images swapped, and
      nothing else is to be converted.
    convert: What is done to the images, if not that alone.
    folders: Name of the folder of each class, in the layout 'folder', and the
      text that stands for the class in tables.
    image_column: The column of tables that holds images, or in a CSV file the
      paths of pictures. Without it, all columns but that of labels are pixels.
    label_column: The column of tables that holds labels; a number, from 0, in
      CSV files without a header.
    digest: SHA-256 of what an extension declares, in 64 hexadecimal digits;
      empty for the sources of the paper.
    writer_block: How many training examples of a class, from the start of the
      file, are by one writer, then by the next one and so on; 1 where writers
      are not known.
    homepage: Address of the source's page, or a text that says there is none.
    license: Licence, as the source's own files state it.
    citation: BibTeX entry.
    known_issues: What a user should know of the data.
  """

  key: str
  title: str
  class_names: tuple[str, ...]
  first_label: int = 0
  listed_labels: tuple[int, ...] = ()
  splits: Mapping[str, Split]
  min_train_per_class: int
  mix_labels: Mapping[int, tuple[int, ...]] = dataclasses.field(
    default_factory=dict
  )
  layout: str = 'idx'
  transposed: bool = False
  convert: tuple[Step, ...] = ()
  folders: tuple[str, ...] = ()
  image_column: str = ''
  label_column: str | int = 'label'
  digest: str = ''
  writer_block: int = 1
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
  def raw_labels(self) -> Sequence[int]:
    """The labels the files use, ascending."""
    return self.listed_labels or range(
      self.first_label, self.first_label + len(self.class_names)
    )

  @functools.cached_property
  def class_numbers(self) -> Mapping[int, int]:
    """The number of each class in `class_names`, by raw label."""
    return {raw: number for number, raw in enumerate(self.raw_labels)}

  @property
  def label_dtype(self) -> str:
    """NumPy's name of the smallest type that holds all raw labels."""
    return 'uint8' if max(self.raw_labels) <= 255 else 'uint16'

  @property
  def has_page(self) -> bool:
    """Whether `homepage` is an address, which sources of users may not have."""
    return self.homepage.startswith(('http://', 'https://'))

  @property
  def steps(self) -> tuple[Step, ...]:
    """What is done to the images."""
    return ('transpose',) if self.transposed else self.convert

  @functools.cached_property
  def folder(self) -> str:
    """The folder its files lie in, in a manual folder or a mirror."""
    return next(iter(self.origin_files)).path.rpartition('/')[0]

  @property
  def origin_files(self) -> dict[OriginFile, tuple[int, ...]]:
    """The files of all splits, each with the shape of its array."""
    return {
      file: shape
      for split in self.splits.values()
      for file, shape in split.files.items()
    }

  def __reduce_ex__(self, protocol: Any) -> str | tuple[Any, ...]:
    # A process has one record of each source that has a key of its own.
    from cmnist_tfds import sources

    try:
      registered = sources.source(self.key)
    except KeyError:
      registered = None
    if self is registered:
      return sources.source, (self.key,)
    return super().__reduce_ex__(protocol)


def parse(
  tables: Mapping[str, Any],
  file: str,
  *,
  text: str = '',
  extension: bool = False,
  beside: pathlib.Path | None = None,
) -> tuple[Source, ...]:
  """Returns the sources that a file declares.

  Args:
    tables: What a TOML parser returns for the file.
    file: Name of the file, for messages.
    text: The text of the file; with it, messages tell lines.
    extension: Whether the sources are extensions, which have a digest.
    beside: The folder in which a user's own files may lie.

  Returns:
    The sources, in the order of the file.

  Raises:
    DeclarationError: If a field is unknown, missing or wrong; the message names
      the file, the source and the field. `faults` has a message for each fault.
  """
  try:
    return tuple(_sources(tables, file, extension, beside))
  except _WrongError as error:
    messages = tuple(_messages(error, text))
    more = len(messages) - 1
    raise DeclarationError(
      messages[0]
      + (
        f' (and {more} more; `cmnist source check` lists all)' if more else ''
      ),
      faults=messages,
    ) from None


def _sources(
  tables: Mapping[str, Any],
  file: str,
  extension: bool,
  beside: pathlib.Path | None,
) -> list[Source]:
  shared = {name: value for name, value in tables.items() if name != 'source'}
  declared = tables.get('source')
  if not isinstance(declared, list) or not declared:
    _Place(file).fail('it has no [[source]] table; add one for each source')

  def parse_one(number: int, table: Any) -> Source:
    key = table.get('key') if isinstance(table, dict) else None
    place = _Place(f'{file}, source {key or number + 1}', number)
    whole = shared | _table(table, place)
    found = _source(whole, place, beside)
    if not extension:
      return found
    return dataclasses.replace(found, digest=_digest(whole))

  found = _gather(
    functools.partial(parse_one, number, table)
    for number, table in enumerate(declared)
  )
  for key, count in collections.Counter(s.key for s in found).items():
    if count > 1:
      _Place(file).fail(f'{count} sources have the key {key!r}; rename one')
  return found


def _digest(declared: Mapping[str, Any]) -> str:
  text = json.dumps(declared, sort_keys=True, default=str)
  return hashlib.sha256(text.encode()).hexdigest()


def _messages(error: _WrongError, text: str) -> Iterable[str]:
  """Yields a message for each fault, with its line if the text is given."""
  if text:
    from cmnist_tfds.sources import toml_lines

    lines = toml_lines.lines(text)
  for place, fault in error.faults:
    where = str(place)
    if text:
      file, comma, source = where.partition(', source ')
      line = toml_lines.nearest(lines, place.number, place.path)
      where = f'{file}, line {line}{comma}{source}'
    message = f'{where}: {fault}'
    yield ''.join(c if c.isprintable() else ascii(c)[1:-1] for c in message)


class _WrongError(Exception):
  """One or more fields are wrong."""

  def __init__(self, faults: Iterable[tuple[_Place, str]]):
    super().__init__()
    self.faults = list(faults)


@dataclasses.dataclass(frozen=True)
class _Place:
  """Where in a declaration a value stands, for messages.

  Attributes:
    source: The file and, inside of it, the source.
    number: Number of the source in the file, from 0.
    path: The field with the tables around it, as ('train', 'images', 'md5').
      Items of lists are numbered from 1.
  """

  source: str
  number: int = 0
  path: tuple[str, ...] = ()

  def __str__(self) -> str:
    """Returns the place as messages begin with it."""
    return f'{self.source}: {".".join(self.path)}' if self.path else self.source

  def inside(self, *names: str) -> _Place:
    """Returns the place of a field of the table at this place."""
    return dataclasses.replace(self, path=(*self.path, *names))

  def fail(self, fault: str) -> NoReturn:
    """Raises the error that names this place and the fault."""
    raise _WrongError([(self, fault)])

  def expect(self, expected: str, found: object) -> NoReturn:
    """Raises the error that a value is not the expected one."""
    shown = '...' if _SECRET.search(repr(found)) else repr(found)
    self.fail(
      f'expected {expected}, found'
      f' {shown if len(shown) <= 200 else shown[:200] + "..."}'
    )


_T = TypeVar('_T')


def _gather(calls: Iterable[Callable[[], _T]]) -> list[_T]:
  """Calls all functions; raises the faults of all that fail together."""
  results, faults = [], []
  for call in calls:
    try:
      results.append(call())
    except _WrongError as error:
      faults += error.faults
  if faults:
    raise _WrongError(faults)
  return results


# Checks the value at a place and returns it as the record holds it.
_Check = Callable[[Any, _Place], Any]


def _table(value: Any, place: _Place) -> dict[str, Any]:
  if not isinstance(value, dict):
    place.expect('a table', value)
  return value


def _text(value: Any, place: _Place) -> str:
  if not isinstance(value, str) or not value.strip():
    place.expect('text', value)
  # Terminals obey control characters.
  if any(unicodedata.category(c) == 'Cc' for c in value if c not in '\n\t'):
    place.expect('text without control characters', value)
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
      _gather(
        functools.partial(item, one, place.inside(str(number)))
        for number, one in enumerate(value, start=1)
      )
    )

  return check


_key = _matching('[A-Z][a-z0-9]*', 'a capital letter, then letters or digits')
# A path cannot leave the folder it is joined to, and file systems limit names.
_PART = r'(?!\.{1,2}(/|$))[^/\\:\x00-\x1f]{1,255}'
_path = _matching(
  f'{_PART}/{_PART}',
  "'<folder>/<file name>', relative and with no further folder",
)
# Beside the declaration, files need no folder of their own.
_own_path = _matching(
  f'{_PART}(/{_PART})?',
  "'<file name>' or '<folder>/<file name>', relative to the declaration and with"
  ' no further folder',
)
_address = _matching(
  r'https?://[^\s#]+', 'an address with http:// or https://, and no #'
)
# A user and a password, or a field of a query that has a secret for its value.
_SECRET = re.compile(
  r'//[^/?#]*(:(?!\d+/)\S*)?@|[?&;#][\w.-]*(auth|authorization|'
  r'credential|key|pass|password|passwd|pwd|secret|sig|signature|token)=',
  re.IGNORECASE,
)
_layout = _matching(
  '|'.join(LAYOUTS),
  ', '.join(map(repr, LAYOUTS[:-1])) + f' or {LAYOUTS[-1]!r}',
)


def _public(value: Any, place: _Place) -> str:
  """Checks an address, which ends up in names of files and in metadata."""
  if isinstance(value, str) and _SECRET.search(value):
    place.fail(
      'expected an address without a password or a token, because addresses'
      ' are kept with the data; write user and password into ~/.netrc or into'
      ' the address of a mirror, or fetch the file and put it beside the'
      ' declaration'
    )
  return _text(value, place)


def _url(value: Any, place: _Place) -> str:
  return str(_address(_public(value, place), place))


def _name(value: Any, place: _Place) -> str:
  """Checks a name. That of a class is a line in a file of TFDS."""
  _text(value, place)
  if value != value.strip() or len(value.splitlines()) != 1:
    place.expect('text in one line, with no space at its ends', value)
  return str(value)


def _step(value: Any, place: _Place) -> Step:
  if isinstance(value, dict) and value.keys() == {'scale'}:
    brightest: int = _at_least(1)(value['scale'], place.inside('scale'))
    return brightest
  if isinstance(value, dict):
    crop = _fields(
      value, place, {'crop': _list_of(_at_least(0))}, optional=set()
    )['crop']
    if len(crop) != 4 or not all(crop[2:]):
      place.inside('crop').expect('[top, left, height, width]', list(crop))
    return crop
  if value not in _STEPS:
    steps = ', '.join(map(repr, _STEPS))
    place.expect(f'{steps} or {{ crop = [top, left, height, width] }}', value)
  return str(value)


def _shape(value: Any, place: _Place) -> tuple[int, ...]:
  shape: tuple[int, ...] = _list_of(_at_least(1))(value, place)
  if len(shape) == 1:
    if math.isqrt(shape[0]) ** 2 != shape[0]:
      place.expect('a square number of pixels, or [height, width]', value)
  elif len(shape) not in {2, 3} or shape[2:] not in {(), (1,), (3,)}:
    place.expect('[height, width] or [height, width, 3]', value)
  return shape


def _column(value: Any, place: _Place) -> str | int:
  if isinstance(value, str):
    return _text(value, place)
  if type(value) is not int or value < 0:
    place.expect('the name of a column, or its number from 0', value)
  return value


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
    _WrongError: If fields are unknown, missing or wrong.
  """
  table = _table(value, place)
  faults = [
    (
      place.inside(name),
      f'unknown field; there are {", ".join(sorted(checks))}',
    )
    for name in sorted(table.keys() - checks.keys())
  ]
  faults += [
    (place.inside(name), 'this field is missing; add it')
    for name in sorted(checks.keys() - optional - table.keys())
  ]
  found = {}
  for name in (name for name in table if name in checks):
    try:
      found[name] = checks[name](table[name], place.inside(name))
    except _WrongError as error:
      faults += error.faults
  if faults:
    raise _WrongError(faults)
  return found


_FILE: dict[str, _Check] = {
  'path': _path,
  'size': _at_least(1),
  'md5': _hexadecimal(32),
  'sha256': _hexadecimal(64),
  'reported_sha256': _hexadecimal(64),
  'git_blob': _hexadecimal(40),
  'urls': _list_of(_url),
  'member': _text,
  'fingerprint': _hexadecimal(64),
  'outdated_size': _at_least(1),
}


@dataclasses.dataclass(frozen=True)
class _Around:
  """What a declaration says around the table of a split.

  Attributes:
    num_classes: How many classes the source has; None if that is wrong.
    layout: The layout; None if that is wrong.
    shape: The shape of images in files.
    archive: The archive that files with a `member` are taken from.
    beside: The folder in which a user's own files may lie.
  """

  num_classes: int | None
  layout: str | None
  shape: tuple[int, ...] | None
  archive: OriginFile | None
  beside: pathlib.Path | None


def _file(
  value: Any,
  place: _Place,
  around: _Around,
  further: Mapping[str, _Check] | None = None,
) -> OriginFile:
  """Returns the record of a file.

  Args:
    value: Its table.
    place: Where the table stands.
    around: What the declaration says around it.
    further: Checks of further fields that this file may have.

  Returns:
    The record.
  """
  file_inside = functools.partial(_file, around=around, further=further)
  found = _fields(
    value,
    place,
    _FILE
    | {'equivalents': _list_of(file_inside)}
    | ({'path': _own_path} if around.beside else {})
    | dict(further or {}),
    optional=_FILE.keys() - {'path'} | {'equivalents'} | (further or {}).keys(),
  )
  if 'md5' in found and not found.keys() & {'sha256', 'size', 'git_blob'}:
    place.fail('MD5 alone does not prove a file; add its sha256 or its size')
  if 'urls' in found and not found['urls'] and 'member' not in found:
    place.fail('give urls, or its member of the archive')
  if 'member' in found:
    if around.archive is None:
      place.inside('member').fail('there is no archive; declare one')
    found['archive'] = around.archive
  return OriginFile(**found, beside=around.beside)


def _split(value: Any, place: _Place, around: _Around) -> Split:
  """Returns the record of a split.

  Args:
    value: Its table.
    place: Where the table stands.
    around: What the declaration says around it.

  Returns:
    The record.
  """
  file = functools.partial(_file, around=around)
  named = {'array': _text} if around.layout == 'npz' else {}
  layout_fields: dict[str, _Check]
  if around.layout in {None, *PAIRS}:
    layout_fields = {
      'images': functools.partial(file, further=named),
      'labels': functools.partial(
        file, further={**named, 'columns': _at_least(1)}
      ),
    }
  elif around.layout == 'folder':
    layout_fields = {'pictures': file}
  else:
    layout_fields = {'files': _list_of(file)}
  found = _fields(
    value,
    place,
    {
      'num_examples': _at_least(1),
      'class_counts': functools.partial(_counts, around=around),
      **layout_fields,
    },
    optional={'class_counts'},
  )
  if 'pictures' in found:
    found['parts'] = (found.pop('pictures'),)
  elif 'files' in found:
    found['parts'] = found.pop('files')
    if not found['parts']:
      place.inside('files').expect('at least one file', [])
  found['per_class'] = around.layout == 'npy'
  split = Split(**found, shape=around.shape)
  if split.class_counts and sum(split.class_counts) != split.num_examples:
    place.inside('class_counts').expect(
      f'counts that add up to num_examples, {split.num_examples}',
      sum(split.class_counts),
    )
  if split.per_class:
    if split.class_counts is None:
      place.inside('class_counts').fail('this field is missing; add it')
    if len(split.parts) != around.num_classes is not None:
      place.inside('files').fail(
        f'expected a file for each of the {around.num_classes} classes, found'
        f' {len(split.parts)}'
      )
  return split


def _counts(value: Any, place: _Place, around: _Around) -> tuple[int, ...]:
  if not isinstance(value, list):
    return (_at_least(0)(value, place),) * (around.num_classes or 0)
  counts: tuple[int, ...] = _list_of(_at_least(0))(value, place)
  if len(counts) != around.num_classes is not None:
    place.fail(f'expected {around.num_classes} counts, found {len(counts)}')
  return counts


def _class_names(value: Any, place: _Place) -> tuple[str, ...]:
  names: tuple[str, ...] = _list_of(_name)(value, place)
  if not names:
    place.expect('at least one class', value)
  seen: dict[str, str] = {}
  for name in names:
    folded = unicodedata.normalize('NFC', name)
    if folded in seen:
      same = '' if seen[folded] == name else ', in another Unicode form'
      place.fail(f'{name!r} stands there twice{same}')
    seen[folded] = name
  return names


def _labels(value: Any, place: _Place) -> tuple[int, ...]:
  labels: tuple[int, ...] = _list_of(_at_least(0))(value, place)
  if list(labels) != sorted(set(labels)):
    place.expect('ascending numbers, each once', value)
  return labels


def _mix_labels(value: Any, place: _Place) -> dict[int, tuple[int, ...]]:
  mixes = {}
  for size, raw_labels in _table(value, place).items():
    if not re.fullmatch('[1-9][0-9]*', size):
      place.expect('the number of classes of a mix', size)
    mixes[int(size)] = _list_of(_at_least(0))(raw_labels, place.inside(size))
  return mixes


_SOURCE: dict[str, _Check] = {
  'key': _key,
  'title': _name,
  'classes': _class_names,
  'first_label': _at_least(0),
  'labels': _labels,
  'min_train_per_class': _at_least(1),
  'mix_labels': _mix_labels,
  'layout': _layout,
  'shape': _shape,
  'convert': _list_of(_step),
  'folders': _list_of(_name),
  'image_column': _text,
  'label_column': _column,
  'writer_block': _at_least(1),
  'homepage': _public,
  'license': _text,
  'citation': _text,
  'known_issues': _list_of(_text),
}
_NEEDED = {
  'key',
  'title',
  'classes',
  'layout',
  'homepage',
  'license',
  'citation',
}


def _source(value: Any, place: _Place, beside: pathlib.Path | None) -> Source:
  """Returns the record of a source.

  Args:
    value: Its table, with what stands above it in the file.
    place: Where the table stands.
    beside: The folder in which a user's own files may lie.

  Returns:
    The record.
  """
  around = _around(value, beside)
  split = functools.partial(_split, around=around)
  file = functools.partial(_file, around=around)
  pooled = 'examples' in value
  splits: dict[str, _Check] = {'train': split, 'test': split}
  if pooled:
    splits = {
      'examples': split,
      'split': functools.partial(_rule, around=around),
    }
  found = _fields(
    value,
    place,
    _SOURCE | splits | {'archive': file},
    optional=_SOURCE.keys() - _NEEDED | {'archive', 'train'},
  )
  found.pop('archive', None)
  class_names, convert = found.pop('classes'), found.pop('convert', ())
  labels = found.pop('labels', ())
  if labels and len(labels) != len(class_names):
    place.inside('labels').fail(
      f'expected {len(class_names)} labels, one for each class, found'
      f' {len(labels)}'
    )
  if labels and 'first_label' in found:
    place.inside('first_label').fail('give either labels or first_label')
  if pooled:
    of_split = _divide(found.pop('examples'), found.pop('split'), place)
  else:
    of_split = {name: found.pop(name) for name in SPLITS if name in found}
  shape, needed = (
    found.pop('shape', None),
    found.pop('min_train_per_class', None),
  )
  if shape or 'resize' not in convert or found['layout'] != 'folder':
    _check_shape(shape or (IMAGE_SIZE, IMAGE_SIZE), convert, place)
  source = Source(
    class_names=class_names,
    listed_labels=labels,
    splits=of_split,
    min_train_per_class=_least(of_split, needed, place),
    transposed=convert == ('transpose',),
    convert=() if convert == ('transpose',) else convert,
    **found,
  )
  _check_layout(source, place)
  _check_labels(source, place)
  _check_files(source, place)
  return source


def _around(value: Mapping[str, Any], beside: pathlib.Path | None) -> _Around:
  """Returns what splits need to know; faults in it are told elsewhere."""
  classes, layout = value.get('classes'), value.get('layout')
  shape: Any = value.get('shape')
  convert: Any = value.get('convert')
  nowhere = _Place('')
  none = _Around(None, None, None, None, beside)
  try:
    archive = _file(value['archive'], nowhere, none)
  except (_WrongError, KeyError):
    archive = None
  try:
    shape = _shape(shape, nowhere)
  except _WrongError:
    any_size = layout == 'folder' and isinstance(convert, list)
    shape = (
      None
      if any_size and 'resize' in convert and shape is None
      else (IMAGE_SIZE, IMAGE_SIZE)
    )
  return _Around(
    len(classes) if isinstance(classes, list) else None,
    layout if layout in LAYOUTS else None,
    shape,
    archive,
    beside,
  )


def _rule(value: Any, place: _Place, around: _Around) -> dict[str, Any]:
  """Returns how examples are divided into train and test."""
  found = _fields(
    value,
    place,
    {
      'first': _at_least(1),
      'list': functools.partial(_file, around=around),
      'test_counts': functools.partial(_counts, around=around),
    },
    optional={'first', 'list', 'test_counts'},
  )
  if found.keys() not in ({'first'}, {'list', 'test_counts'}):
    place.expect('first, or list and test_counts', value)
  return found


def _divide(
  whole: Split, rule: Mapping[str, Any], place: _Place
) -> dict[str, Split]:
  """Returns train and test of a source that has one set of examples."""
  counts = whole.class_counts
  if counts is None:
    place.inside('examples', 'class_counts').fail(
      'this field is missing; add it, because train and test follow from it'
    )
  wanted = rule.get('test_counts') or (rule['first'],) * len(counts)
  if few := [number for number, n in enumerate(counts) if n <= wanted[number]]:
    place.inside('split').fail(
      f'it leaves no training example of class number {few[0] + 1}, which has'
      f' {counts[few[0]]:,} examples'
    )
  of_split = {
    'train': tuple(n - t for n, t in zip(counts, wanted, strict=True)),
    'test': wanted,
  }
  return {
    name: Split(
      whole=whole,
      shape=whole.shape,
      num_examples=sum(of_split[name]),
      class_counts=of_split[name],
      listing=rule.get('list'),
      first=rule.get('first'),
    )
    for name in SPLITS
  }


def _least(
  splits: Mapping[str, Split], declared: int | None, place: _Place
) -> int:
  """Returns how many training examples each class has at least."""
  if 'train' not in splits:
    if declared is not None:
      place.inside('min_train_per_class').fail('there is no train split')
    return 0
  counts = splits['train'].class_counts
  if counts and declared not in {None, min(counts)}:
    place.inside('min_train_per_class').expect(
      f'the least of class_counts, {min(counts)}, or no such field', declared
    )
  if not counts and declared is None:
    place.inside('min_train_per_class').fail(
      'this field is missing; add it, or the class_counts of train'
    )
  return min(counts) if counts else declared or 0


def _check_shape(
  shape: tuple[int, ...], convert: Sequence[Step], place: _Place
) -> None:
  """Checks that the steps make images of 28x28 grey pixels."""
  if len(shape) == 1:
    shape = (math.isqrt(shape[0]),) * 2
  for number, step in enumerate(convert, start=1):
    at = place.inside('convert', str(number))
    if isinstance(step, tuple):
      top, left, height, width = step
      if top + height > shape[0] or left + width > shape[1]:
        at.fail(
          f'the rectangle does not lie in images of {shape[0]}x{shape[1]} pixels'
        )
      shape = (height, width, *shape[2:])
    elif step == 'transpose':
      shape = (shape[1], shape[0], *shape[2:])
    elif step == 'grey':
      shape = shape[:2]
    elif step == 'resize':
      shape = (IMAGE_SIZE, IMAGE_SIZE, *shape[2:])
  if shape[:2] != (IMAGE_SIZE, IMAGE_SIZE):
    place.inside('shape').fail(
      f'expected images of {IMAGE_SIZE}x{IMAGE_SIZE} pixels after `convert`,'
      f" found {shape[0]}x{shape[1]}; add 'resize' to convert"
    )
  if shape[2:] not in {(), (1,)}:
    place.inside('convert').fail("the images have colours; add 'grey'")


def _check_layout(source: Source, place: _Place) -> None:
  """Checks the fields that only some layouts have."""
  if source.folders and source.layout not in {'folder', 'csv', 'parquet'}:
    place.inside('folders').fail(f'the layout {source.layout!r} has none')
  if source.folders and len(source.folders) != len(source.class_names):
    place.inside('folders').fail(
      f'expected {len(source.class_names)} folders, one for each class, found'
      f' {len(source.folders)}'
    )
  if len(set(source.folders)) != len(source.folders):
    place.inside('folders').expect('different folders', list(source.folders))
  if source.layout == 'folder':
    for number, name in enumerate(source.folders or source.class_names, 1):
      if '/' in name or '\\' in name or name in {'.', '..'}:
        place.inside(
          *(('folders', str(number)) if source.folders else ())
        ).fail(
          f'expected the name of a folder, found {name!r}; list the folders of'
          ' the classes in `folders`'
        )
  if source.layout == 'parquet':
    if not source.image_column:
      place.inside('image_column').fail('this field is missing; add it')
    if not isinstance(source.label_column, str):
      place.inside('label_column').expect('a name', source.label_column)


def _check_labels(source: Source, place: _Place) -> None:
  """Checks that 16 bits hold the raw labels, and that mixes use no others."""
  first, last = source.raw_labels[0], source.raw_labels[-1]
  if last > LARGEST_LABEL:
    place.inside('labels' if source.listed_labels else 'classes').expect(
      f'raw labels of at most {LARGEST_LABEL}', f'{first} to {last}'
    )
  for size, raw_labels in source.mix_labels.items():
    if not set(raw_labels) <= set(source.raw_labels):
      place.inside('mix_labels', str(size)).expect(
        f'raw labels from {first} to {last}', list(raw_labels)
      )


def _check_files(source: Source, place: _Place) -> None:
  """Checks that files lie in one folder, and that none has two uses."""
  taken: dict[tuple[str, str], OriginFile] = {}
  hashes: dict[str, tuple[Any, ...]] = {}
  for split in dict.fromkeys(s.whole or s for s in source.splits.values()):
    for file in filter(None, (split.images, split.labels, *split.parts)):
      if taken.setdefault((file.path, file.array), file) is not file:
        place.fail(
          f'{file.path!r} stands there twice; a file, or an array of an NPZ'
          ' file, is for one use'
        )
      found = (file.size, file.md5, file.sha256, file.git_blob)
      if hashes.setdefault(file.path, found) != found:
        place.fail(f'{file.path!r} stands there with different sizes or hashes')
  for file in source.origin_files:
    for form in (file, *file.equivalents, *filter(None, [file.archive])):
      if form.path.rpartition('/')[0] != source.folder:
        place.fail(
          f'expected all files in the folder {source.folder!r}, found'
          f' {form.path!r}'
        )

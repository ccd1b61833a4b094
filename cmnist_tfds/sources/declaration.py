# SPDX-License-Identifier: Apache-2.0
"""The form in which sources are declared.

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

import codecs
import collections
import dataclasses
import functools
import hashlib
import json
import math
import pathlib
import re
import unicodedata
from typing import Annotated, Generic, Literal, TypeVar, get_args

import msgspec
from msgspec import Meta

from cmnist_tfds.sources.records import (
  IMAGE_SIZE,
  LARGEST_LABEL,
  OriginFile,
  Source,
  Split,
)
from cmnist_tfds.system.errors import DeclarationError

# Terminals obey control characters, and some end a line.
_CONTROL = r'\x00-\x1f\x7f-\x9f\u2028\u2029'
# A path cannot leave the folder it is joined to, and file systems limit names.
_PART = rf'(?!\.{{1,2}}(/|\Z))[^/\\:{_CONTROL}]{{1,255}}'
# A user and a password, or a field of a query that has a secret for its value.
_SECRET = (
  r'(?is:.*(//[^/?#]*(:(?!\d+/)\S*)?@|[?&;#][\w.-]*(auth|authorization|'
  r'credential|key|pass|password|passwd|pwd|secret|sig|signature|token)=))'
)
_TEXT = rf'(?=\s*\S)([^{_CONTROL}]|[\n\t])*\Z'

_Positive = Annotated[int, Meta(ge=1)]
_Natural = Annotated[int, Meta(ge=0)]
_Label = Annotated[int, Meta(ge=0, le=LARGEST_LABEL)]
_Hex32 = Annotated[str, Meta(pattern=r'\A[0-9a-f]{32}\Z')]
_Hex40 = Annotated[str, Meta(pattern=r'\A[0-9a-f]{40}\Z')]
_Hex64 = Annotated[str, Meta(pattern=r'\A[0-9a-f]{64}\Z')]
_Key = Annotated[str, Meta(pattern=r'\A[A-Z][a-z0-9]*\Z')]
# The name of a class is a line in a file of TFDS.
_Name = Annotated[str, Meta(pattern=rf'\A(?!\s)[^{_CONTROL}]+(?<!\s)\Z')]
_Text = Annotated[str, Meta(pattern=rf'\A{_TEXT}')]
_Page = Annotated[str, Meta(pattern=rf'\A(?!{_SECRET}){_TEXT}')]
_Url = Annotated[
  str, Meta(pattern=rf'\A(?!{_SECRET})https?://((?!\s)[^#{_CONTROL}])+\Z')
]
_Path = Annotated[str, Meta(pattern=rf'\A{_PART}(/{_PART})?\Z')]

# What messages say in place of the expressions.
_NO_SECRET = (
  'without control characters and without a password or a token, since it is'
  ' kept with the data. Write user and password into ~/.netrc or into the'
  ' address of a mirror, or download the file and save it next to the declaration'
)
_IN_WORDS = {
  _Key: 'a capital letter, then small letters or digits',
  _Path: '<file> or <folder>/<file>, relative to the declaration',
  _Url: f'an address with http:// or https://, without # and {_NO_SECRET}',
  _Page: f'text {_NO_SECRET}',
  _Text: 'text without control characters',
  _Name: 'text in one line, without spaces at its ends or control characters',
  _Hex32: '32 hexadecimal digits in lower case',
  _Hex40: '40 hexadecimal digits in lower case',
  _Hex64: '64 hexadecimal digits in lower case',
}


class _Table(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
  """A table of a declaration."""


class _File(_Table):
  path: _Path
  size: _Positive | None = None
  md5: _Hex32 | None = None
  sha256: _Hex64 | None = None
  reported_sha256: _Hex64 | None = None
  git_blob: _Hex40 | None = None
  urls: tuple[_Url, ...] = ()
  member: _Name = ''
  equivalents: tuple[_File, ...] = ()
  fingerprint: _Hex64 | None = None
  columns: _Positive | None = None

  def __post_init__(self) -> None:
    hashes = (self.sha256, self.size, self.git_blob)
    if self.md5 and not any(hashes):
      raise ValueError('md5 alone is no proof. Add its sha256 or its size')


class _Array(_File, kw_only=True):
  array: _Name = 'arr_0'


class _Examples(_Table):
  num_examples: _Positive
  class_counts: _Natural | tuple[_Natural, ...] | None = None


class _IdxPair(_Examples, kw_only=True):
  images: _File
  labels: _File


class _NpzPair(_Examples, kw_only=True):
  images: _Array
  labels: _Array


class _Pictures(_Examples, kw_only=True):
  pictures: _File


class _Files(_Examples, kw_only=True):
  files: Annotated[tuple[_File, ...], Meta(min_length=1)]


class _Rule(_Table):
  first: _Positive | None = None
  list: _File | None = None
  test_counts: _Natural | tuple[_Natural, ...] | None = None

  def __post_init__(self) -> None:
    given = [n is not None for n in (self.first, self.list, self.test_counts)]
    if given not in ([True, False, False], [False, True, True]):
      raise ValueError('expected first, or list and test_counts')


class _Step(_Table):
  crop: tuple[_Natural, _Natural, _Positive, _Positive] | None = None
  scale: _Positive | None = None

  def __post_init__(self) -> None:
    if (self.crop is None) == (self.scale is None):
      raise ValueError('expected { crop = [...] } or { scale = ... }')


_E = TypeVar('_E', bound=_Examples)


class _Source(_Table, Generic[_E], tag_field='layout', kw_only=True):
  key: _Key
  title: _Name
  classes: Annotated[tuple[_Name, ...], Meta(min_length=1)]
  first_label: _Label = 0
  labels: tuple[_Label, ...] = ()
  train: _E | None = None
  test: _E | None = None
  examples: _E | None = None
  split: _Rule | None = None
  min_train_per_class: _Positive | None = None
  mix_labels: dict[_Positive, tuple[_Label, ...]] = {}
  shape: tuple[_Positive, ...] | None = None
  convert: tuple[
    Literal['transpose', 'invert', 'grey', 'resize'] | _Step, ...
  ] = ()
  archive: _File | None = None
  writer_block: _Positive = 1
  homepage: _Page
  license: _Text
  citation: _Text
  known_issues: tuple[_Text, ...] = ()


class _Idx(_Source[_IdxPair], tag='idx'):
  pass


class _Npz(_Source[_NpzPair], tag='npz'):
  pass


class _Npy(_Source[_Files], tag='npy'):
  pass


class _Folder(_Source[_Pictures], tag='folder', kw_only=True):
  folders: tuple[_Name, ...] = ()


class _Csv(_Source[_Files], tag='csv', kw_only=True):
  folders: tuple[_Name, ...] = ()
  image_column: _Name = ''
  label_column: _Name | _Natural = 'label'


class _Parquet(_Source[_Files], tag='parquet', kw_only=True):
  folders: tuple[_Name, ...] = ()
  image_column: _Name
  label_column: _Name = 'label'


_Layout = _Idx | _Npz | _Npy | _Folder | _Csv | _Parquet


def read(path: pathlib.Path, owner: str = '') -> tuple[Source, ...]:
  """Returns the extensions that a file declares.

  Args:
    path: The file. A user's own origin files may lie in its folder.
    owner: What messages call the file; its path if empty.

  Raises:
    OSError: If the file cannot be read.
    DeclarationError: As `parse` does.
  """
  return parse(
    # Some editors of Windows begin a file with a byte order mark.
    path.read_bytes().removeprefix(codecs.BOM_UTF8),
    owner or str(path),
    extension=True,
    beside=path.absolute().parent,
  )


# There is one record of each source, as long as its declaration stays the same.
@functools.cache
def parse(
  text: str | bytes,
  file: str,
  *,
  extension: bool = False,
  beside: pathlib.Path | None = None,
) -> tuple[Source, ...]:
  """Returns the sources that a file declares.

  Args:
    text: The text of the file.
    file: Name of the file, for messages.
    extension: Whether the sources are extensions, which have a digest.
    beside: The folder in which a user's own files may lie.

  Returns:
    The sources, in the order of the file.

  Raises:
    DeclarationError: If a field is unknown, missing or wrong; the message is a
      line that names the file, the source and the field.
  """
  place = file
  found: dict[str, Source] = {}
  try:
    tables = msgspec.toml.decode(text)
    declared = tables.pop('source', None)
    if not isinstance(declared, list) or not declared:
      raise ValueError('has no [[source]] table. Add one for each source')
    for number, table in enumerate(declared, start=1):
      key = table.get('key', number) if isinstance(table, dict) else number
      place = f'{file}, source {key}'
      whole = tables | table if isinstance(table, dict) else table
      form: _Layout = msgspec.convert(whole, _Layout, str_keys=True)
      if form.key in found:
        raise ValueError('key: appears twice. Rename one')
      digest = json.dumps(whole, sort_keys=True, default=str).encode()
      found[form.key] = _source(
        form, hashlib.sha256(digest).hexdigest() if extension else '', beside
      )
  except (msgspec.DecodeError, ValueError, RecursionError) as error:
    message = f'{place}: {_explain(error)}'
    raise DeclarationError(
      ''.join(c if c.isprintable() else ascii(c)[1:-1] for c in message)
    ) from None
  return tuple(found.values())


def _explain(error: Exception) -> str:
  """Returns the field and the fault that msgspec, or this module, found."""
  fault, _, place = str(error).partition(' - at `')
  for form, words in _IN_WORDS.items():
    _, meta = get_args(form)
    fault = fault.replace(f'`str` matching regex {meta.pattern!r}', words)
  path = place.rpartition('$')[2].strip('.`')
  return f'{path}: {fault}' if path else fault


def _expect(right: object, fault: str) -> None:
  if not right:
    raise ValueError(fault)


def _source(form: _Layout, digest: str, beside: pathlib.Path | None) -> Source:
  """Returns the record of a source; raises ValueError if it is wrong."""
  splits = _splits(form, beside)
  counts = splits['train'].class_counts if 'train' in splits else (0,)
  least = min(counts) if counts else form.min_train_per_class
  if least is None or form.min_train_per_class not in {None, least}:
    raise ValueError(
      'min_train_per_class: expected the least of class_counts, or no such'
      ' field; where the counts are unknown, a number that no class is below'
    )
  names = {field.name for field in dataclasses.fields(Source)}
  values = {n: getattr(form, n) for n in names & {*form.__struct_fields__}}
  values['min_train_per_class'] = least
  source = Source(
    **values,
    layout=str(form.__struct_config__.tag),
    steps=tuple(
      s if isinstance(s, str) else s.crop or s.scale or 0 for s in form.convert
    ),
    class_names=form.classes,
    listed_labels=form.labels,
    splits=splits,
    digest=digest,
  )
  _check_classes(source)
  _check_shape(source)
  _check_files(source)
  return source


def _splits(form: _Layout, beside: pathlib.Path | None) -> dict[str, Split]:
  """Returns the splits, of which a source with test alone has one."""
  rule = form.split
  if not form.examples:
    _expect(
      form.test and not rule,
      'test: expected train and test, or examples and split',
    )
    return {
      name: _split(form, name, examples, beside)
      for name, examples in (('train', form.train), ('test', form.test))
      if examples
    }
  if form.train or form.test or not rule:
    raise ValueError('examples: expected split with it, not train and test')
  whole = _split(form, 'examples', form.examples, beside)
  test = _counts(form, 'split', rule.first or rule.test_counts)
  if whole.class_counts is None or test is None:
    raise ValueError(
      'examples.class_counts: missing. Add it: train and test follow from it'
    )
  train = tuple(n - t for n, t in zip(whole.class_counts, test, strict=True))
  scarce = form.classes[train.index(min(train))]
  _expect(
    min(train) > 0, f'split: leaves no training example of class {scarce!r}'
  )
  return {
    name: Split(
      whole=whole,
      shape=whole.shape,
      num_examples=sum(counts),
      class_counts=counts,
      listing=_file(form, rule.list, beside) if rule.list else None,
      first=rule.first,
    )
    for name, counts in (('train', train), ('test', test))
  }


def _split(
  form: _Layout, name: str, examples: _Examples, beside: pathlib.Path | None
) -> Split:
  """Returns the record of a split whose files hold it alone."""
  counts = _counts(form, name, examples.class_counts)
  _expect(
    not counts or sum(counts) == examples.num_examples,
    f'{name}.class_counts: expected counts that add up to num_examples,'
    f' {examples.num_examples}, found {sum(counts or ())}',
  )
  files = {
    field: _file(form, file, beside)
    for field in ('images', 'labels', 'pictures')
    if (file := getattr(examples, field, None))
  }
  parts = [_file(form, f, beside) for f in getattr(examples, 'files', ())]
  if 'pictures' in files:
    parts = [files.pop('pictures')]
  per_class = isinstance(form, _Npy)
  _expect(
    not per_class or len(parts) == len(counts or ()),
    f'{name}.files: expected class_counts, and a file for each of the'
    f' {len(form.classes)} classes',
  )
  any_size = isinstance(form, _Folder) and 'resize' in form.convert
  return Split(
    images=files.get('images'),
    labels=files.get('labels'),
    parts=tuple(parts),
    per_class=per_class,
    num_examples=examples.num_examples,
    class_counts=counts,
    shape=form.shape or (None if any_size else (IMAGE_SIZE, IMAGE_SIZE)),
  )


def _counts(
  form: _Layout, name: str, counts: int | tuple[int, ...] | None
) -> tuple[int, ...] | None:
  """Returns the count of each class, where one number may stand for all."""
  if isinstance(counts, int):
    return (counts,) * len(form.classes)
  _expect(
    counts is None or len(counts) == len(form.classes),
    f'{name}: expected {len(form.classes)} counts, one for each class',
  )
  return counts


def _file(
  form: _Layout, declared: _File, beside: pathlib.Path | None
) -> OriginFile:
  """Returns the record of a file."""
  archive = form.archive if declared.member else None
  _expect(
    archive or not declared.member, f'{declared.path}: member: needs [archive]'
  )
  values = msgspec.structs.asdict(declared) | {
    'archive': archive and _file(form, archive, beside),
    'beside': beside,
    'equivalents': tuple(_file(form, e, beside) for e in declared.equivalents),
  }
  return OriginFile(**values)


def _check_classes(source: Source) -> None:
  """Checks the names, the raw labels and the names of folders."""
  names = [unicodedata.normalize('NFC', name) for name in source.class_names]
  for field, given in (
    ('classes', names),
    ('folders', source.folders or names),
  ):
    twice = [n for n, count in collections.Counter(given).items() if count > 1]
    _expect(not twice, f'{field}: {"".join(twice[:1])!r} appears twice')
    _expect(
      len(given) == len(names),
      f'{field}: expected one for each of the {len(names)} classes',
    )
  labels, listed = list(source.raw_labels), source.listed_labels
  _expect(
    labels == sorted(set(labels))
    and len(labels) == len(names)
    and labels[-1] <= LARGEST_LABEL
    and not (listed and source.first_label),
    f'labels: expected {len(names)} ascending numbers, one for each class, of at'
    f' most {LARGEST_LABEL}, and no first_label',
  )
  for folder in source.folders or source.class_names:
    _expect(
      source.layout != 'folder' or re.fullmatch(_PART, folder),
      f'folders: {folder!r} is not the name of a folder. List the folders of the'
      ' classes',
    )


def _check_shape(source: Source) -> None:
  """Checks that the steps make images of 28x28 gray pixels."""
  shape = source.splits['test'].shape
  if shape is None:
    return
  size, channels = shape[:2], shape[2:]
  if len(size) == 1:
    size = (math.isqrt(size[0]),) * 2
  _expect(
    math.prod(shape[:2]) == math.prod(size) and channels in {(), (1,), (3,)},
    'shape: expected [height, width], [height, width, 3] or a square number of'
    ' pixels',
  )
  _expect(
    channels != (3,) or 'grey' in source.steps,
    "convert: the images have colors. Add 'grey'",
  )
  for step in source.steps:
    if isinstance(step, tuple):
      top, left, height, width = step
      size = (min(height, size[0] - top), min(width, size[1] - left))
    elif step == 'transpose':
      size = size[::-1]
    elif step == 'resize':
      size = (IMAGE_SIZE, IMAGE_SIZE)
  _expect(
    size == (IMAGE_SIZE, IMAGE_SIZE),
    f'shape: expected images of {IMAGE_SIZE}x{IMAGE_SIZE} pixels after convert,'
    f" found {size[0]}x{size[1]}. Add 'resize' to convert",
  )


def _check_files(source: Source) -> None:
  """Checks that files lie in one folder, and that none has two uses."""
  splits = {split.whole or split: None for split in source.splits.values()}
  used = [
    (file.path, file.array)
    for split in splits
    for file in filter(None, (split.images, split.labels, *split.parts))
  ]
  twice = [u for u, count in collections.Counter(used).items() if count > 1]
  _expect(
    not twice,
    f'{"".join(path for path, _ in twice[:1])}: appears twice. A file, or an'
    ' array of an NPZ file, is for one use',
  )
  for file in source.origin_files:
    for form in (file, *file.equivalents, *filter(None, [file.archive])):
      _expect(
        form.path.rpartition('/')[0] == source.folder,
        f'{form.path}: expected all files in the folder {source.folder!r}',
      )

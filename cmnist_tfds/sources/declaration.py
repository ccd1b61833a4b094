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

import collections
import dataclasses
import functools
import hashlib
import json
import math
import pathlib
import re
import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from cmnist_tfds.sources.records import (
  IMAGE_SIZE,
  LARGEST_LABEL,
  PAIRS,
  OriginFile,
  Source,
  Split,
  Step,
)
from cmnist_tfds.system.errors import DeclarationError

_Positive = Annotated[int, msgspec.Meta(ge=1)]
_Natural = Annotated[int, msgspec.Meta(ge=0)]
_Hex32 = Annotated[str, msgspec.Meta(pattern=r'\A[0-9a-f]{32}\Z')]
_Hex40 = Annotated[str, msgspec.Meta(pattern=r'\A[0-9a-f]{40}\Z')]
_Hex64 = Annotated[str, msgspec.Meta(pattern=r'\A[0-9a-f]{64}\Z')]
_Key = Annotated[str, msgspec.Meta(pattern=r'\A[A-Z][a-z0-9]*\Z')]
# The name of a class is a line in a file of TFDS.
_Name = Annotated[str, msgspec.Meta(pattern=r'\A\S([^\n]*\S)?\Z')]
_Text = Annotated[str, msgspec.Meta(pattern=r'\S')]
_Url = Annotated[str, msgspec.Meta(pattern=r'\Ahttps?://[^\s#]+\Z')]
# A path cannot leave the folder it is joined to, and file systems limit names.
_PART = r'(?!\.{1,2}(/|\Z))[^/\\:]{1,255}'
_Path = Annotated[str, msgspec.Meta(pattern=rf'\A{_PART}(/{_PART})?\Z')]

# What messages say in place of the expressions.
_IN_WORDS = {
  'key': 'a capital letter, then small letters or digits',
  'path': '<file> or <folder>/<file>, relative to the declaration',
  'urls': 'an address with http:// or https://, and no #',
  'md5': '32 hexadecimal digits in lower case',
  'git_blob': '40 hexadecimal digits in lower case',
  **dict.fromkeys(
    ('sha256', 'reported_sha256', 'fingerprint'),
    '64 hexadecimal digits in lower case',
  ),
  **dict.fromkeys(
    ('title', 'classes', 'folders'),
    'text in one line, with no space at its ends',
  ),
}

# A user and a password, or a field of a query that has a secret for its value.
_SECRET = re.compile(
  r'//[^/?#]*(:(?!\d+/)\S*)?@|[?&;#][\w.-]*(auth|authorization|'
  r'credential|key|pass|password|passwd|pwd|secret|sig|signature|token)=',
  re.IGNORECASE,
)
_PUBLIC = ('urls', 'homepage')
# Terminals obey control characters, and some end a line.
_CONTROL = ('Cc', 'Zl', 'Zp')


class _Table(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
  """A table of a declaration."""

  def __post_init__(self) -> None:
    """Checks the texts, which end up in messages, in metadata and in files."""
    for name, value in msgspec.structs.asdict(self).items():
      for text in value if isinstance(value, tuple) else (value,):
        if not isinstance(text, str):
          continue
        if name in _PUBLIC and _SECRET.search(text):
          raise ValueError(
            f'{name}: expected an address without a password or a token, since'
            ' addresses are kept with the data. Write user and password into'
            ' ~/.netrc or into the address of a mirror, or download the file'
            ' and save it beside the declaration'
          )
        plain = text.replace('\n', '').replace('\t', '')
        if any(unicodedata.category(c) in _CONTROL for c in plain):
          raise ValueError(f'{name}: expected text without control characters')


class _File(_Table):
  path: _Path
  size: _Positive | None = None
  md5: _Hex32 | None = None
  sha256: _Hex64 | None = None
  reported_sha256: _Hex64 | None = None
  git_blob: _Hex40 | None = None
  urls: tuple[_Url, ...] = ()
  member: str = ''
  equivalents: tuple[_File, ...] = ()
  fingerprint: _Hex64 | None = None
  outdated_size: _Positive | None = None
  array: str = 'arr_0'
  columns: _Positive | None = None

  def __post_init__(self) -> None:
    super().__post_init__()
    hashes = (self.sha256, self.size, self.git_blob)
    if self.md5 and not any(hashes):
      raise ValueError('md5 alone is no proof. Add its sha256 or its size')


class _Examples(_Table):
  num_examples: _Positive
  class_counts: _Natural | tuple[_Natural, ...] | None = None
  images: _File | None = None
  labels: _File | None = None
  pictures: _File | None = None
  files: tuple[_File, ...] = ()


class _Rule(_Table):
  first: _Positive | None = None
  list: _File | None = None
  test_counts: _Natural | tuple[_Natural, ...] | None = None

  def __post_init__(self) -> None:
    super().__post_init__()
    given = [n is not None for n in (self.first, self.list, self.test_counts)]
    if given not in ([True, False, False], [False, True, True]):
      raise ValueError('expected first, or list and test_counts')


class _Step(_Table):
  crop: tuple[_Natural, _Natural, _Positive, _Positive] | None = None
  scale: _Positive | None = None


class _Source(_Table, kw_only=True):
  key: _Key
  title: _Name
  classes: Annotated[tuple[_Name, ...], msgspec.Meta(min_length=1)]
  first_label: _Natural = 0
  labels: tuple[_Natural, ...] = ()
  train: _Examples | None = None
  test: _Examples | None = None
  examples: _Examples | None = None
  split: _Rule | None = None
  min_train_per_class: _Positive | None = None
  mix_labels: dict[_Positive, tuple[_Natural, ...]] = {}
  layout: Literal['idx', 'npz', 'npy', 'folder', 'csv', 'parquet']
  shape: tuple[_Positive, ...] | None = None
  convert: tuple[
    Literal['transpose', 'invert', 'grey', 'resize'] | _Step, ...
  ] = ()
  folders: tuple[_Name, ...] = ()
  image_column: str = ''
  label_column: _Text | _Natural = 'label'
  archive: _File | None = None
  writer_block: _Positive = 1
  homepage: _Text
  license: _Text
  citation: _Text
  known_issues: tuple[_Text, ...] = ()


# The fields that hold the files of a split, by layout; `files` in others.
_HOLDERS = {layout: {'images', 'labels'} for layout in PAIRS} | {
  'folder': {'pictures'}
}


def read(
  path: pathlib.Path, owner: str = '', *, beside: pathlib.Path | None = None
) -> tuple[Source, ...]:
  """Returns the extensions that a file declares.

  Args:
    path: The file.
    owner: What messages call the file; its path if empty.
    beside: The folder in which a user's own files may lie.

  Raises:
    DeclarationError: If the file cannot be read, or as `parse` does.
  """
  owner = owner or str(path)
  try:
    # Some editors of Windows begin a file with a byte order mark.
    text = path.read_text('utf-8-sig')
  except UnicodeDecodeError as error:
    raise DeclarationError(f'{owner}: is not UTF-8: {error.reason}') from error
  # A path with a null character is a ValueError.
  except (OSError, ValueError) as error:
    reason = error.strerror if isinstance(error, OSError) else error
    raise DeclarationError(f'{owner}: cannot be read: {reason}') from error
  return parse(text, owner, extension=True, beside=beside)


# There is one record of each source, as long as its declaration stays the same.
@functools.cache
def parse(
  text: str,
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
      form = msgspec.convert(whole, _Source, str_keys=True)
      if form.key in found:
        raise ValueError('key: appears twice. Rename one')
      found[form.key] = _source(
        form, _digest(whole) if extension else '', beside
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
  path = place.rpartition('$')[2].strip('.`')
  if 'matching regex' in fault:
    name = re.sub(r'\[[^]]*\]', '', path).rpartition('.')[2]
    fault = f'Expected {_IN_WORDS.get(name, "text")}'
  return f'{path}: {fault}' if path else fault


def _digest(declared: Mapping[str, Any]) -> str:
  text = json.dumps(declared, sort_keys=True, default=str)
  return hashlib.sha256(text.encode()).hexdigest()


def _expect(right: object, fault: str) -> None:
  if not right:
    raise ValueError(fault)


def _source(form: _Source, digest: str, beside: pathlib.Path | None) -> Source:
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
  values['steps'] = tuple(map(_step, form.convert))
  source = Source(
    **values | {'min_train_per_class': least},
    class_names=form.classes,
    listed_labels=form.labels,
    splits=splits,
    digest=digest,
  )
  _check_classes(source)
  _check_shape(source)
  _check_layout(source)
  _check_files(source)
  return source


def _step(form: str | _Step) -> Step:
  if isinstance(form, str):
    return form
  if (form.crop is None) == (form.scale is None):
    raise ValueError('convert: expected { crop = [...] } or { scale = ... }')
  return form.crop or form.scale or 0


def _splits(form: _Source, beside: pathlib.Path | None) -> dict[str, Split]:
  """Returns the splits, of which a source with test alone has one."""
  if not form.examples:
    _expect(
      form.test and not form.split,
      'test: expected train and test, or examples and split',
    )
    return {
      name: _split(form, name, examples, beside)
      for name, examples in (('train', form.train), ('test', form.test))
      if examples
    }
  rule = form.split
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
  form: _Source, name: str, examples: _Examples, beside: pathlib.Path | None
) -> Split:
  """Returns the record of a split whose files hold it alone."""
  holders = _HOLDERS.get(form.layout, {'files'})
  given = {
    h for h in ('images', 'labels', 'pictures', 'files') if getattr(examples, h)
  }
  _expect(
    given == holders,
    f'{name}: expected {" and ".join(sorted(holders))} for the layout'
    f' {form.layout!r}, found {" and ".join(sorted(given)) or "none"}',
  )
  counts = _counts(form, name, examples.class_counts)
  _expect(
    not counts or sum(counts) == examples.num_examples,
    f'{name}.class_counts: expected counts that add up to num_examples,'
    f' {examples.num_examples}, found {sum(counts or ())}',
  )
  _expect(
    form.layout != 'npy' or len(examples.files) == len(counts or ()),
    f'{name}.files: expected class_counts, and a file for each of the'
    f' {len(form.classes)} classes, found {len(examples.files)}',
  )
  one = examples.images, examples.labels, examples.pictures
  images, labels, pictures = (
    _file(form, f, beside) if f else None for f in one
  )
  files = tuple(_file(form, file, beside) for file in examples.files)
  any_size = form.layout == 'folder' and 'resize' in form.convert
  return Split(
    images=images,
    labels=labels,
    parts=(pictures,) if pictures else files,
    per_class=form.layout == 'npy',
    num_examples=examples.num_examples,
    class_counts=counts,
    shape=form.shape or (None if any_size else (IMAGE_SIZE, IMAGE_SIZE)),
  )


def _counts(
  form: _Source, name: str, counts: int | tuple[int, ...] | None
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
  form: _Source, declared: _File, beside: pathlib.Path | None
) -> OriginFile:
  """Returns the record of a file."""
  path = declared.path
  _expect(
    not declared.member or form.archive, f'{path}: member: needs [archive]'
  )
  _expect(
    declared.array == 'arr_0' or form.layout == 'npz',
    f'{path}: array: the layout {form.layout!r} has none',
  )
  in_archive = form.archive if declared.member else None
  values = msgspec.structs.asdict(declared) | {
    'archive': in_archive and _file(form, in_archive, beside),
    'beside': beside,
    'equivalents': tuple(_file(form, e, beside) for e in declared.equivalents),
  }
  return OriginFile(**values)


def _check_classes(source: Source) -> None:
  """Checks the names and the raw labels, which 16 bits hold."""
  names = [unicodedata.normalize('NFC', name) for name in source.class_names]
  twice = [n for n, count in collections.Counter(names).items() if count > 1]
  _expect(not twice, f'classes: {"".join(twice[:1])!r} appears twice')
  labels = list(source.raw_labels)
  _expect(
    labels == sorted(set(labels)),
    'labels: expected ascending numbers, each once',
  )
  _expect(
    len(labels) == len(names)
    and not (source.listed_labels and source.first_label),
    f'labels: expected {len(names)} labels, one for each class, and no'
    ' first_label',
  )
  _expect(
    labels[-1] <= LARGEST_LABEL,
    f'labels: expected at most {LARGEST_LABEL}, found {labels[-1]}',
  )
  for size, raw_labels in source.mix_labels.items():
    _expect(
      set(raw_labels) <= set(labels),
      f'mix_labels.{size}: expected raw labels, which are {labels[0]} to'
      f' {labels[-1]}',
    )


def _check_shape(source: Source) -> None:
  """Checks that the steps make images of 28x28 gray pixels."""
  split = source.splits['test']
  if split.shape is None:
    return
  size, channels = split.shape[:2], split.shape[2:]
  if len(size) == 1:
    size = (math.isqrt(size[0]),) * 2
  _expect(
    math.prod(split.shape[:2]) == math.prod(size)
    and channels in {(), (1,), (3,)},
    'shape: expected [height, width], [height, width, 3] or a square number of'
    ' pixels',
  )
  for step in source.steps:
    if isinstance(step, tuple):
      top, left, height, width = step
      _expect(
        top + height <= size[0] and left + width <= size[1],
        f'convert: crop leaves images of {size[0]}x{size[1]} pixels',
      )
      size = (height, width)
    elif step == 'transpose':
      size = size[::-1]
    elif step == 'resize':
      size = (IMAGE_SIZE, IMAGE_SIZE)
  _expect(
    size == (IMAGE_SIZE, IMAGE_SIZE),
    f'shape: expected images of {IMAGE_SIZE}x{IMAGE_SIZE} pixels after convert,'
    f" found {size[0]}x{size[1]}. Add 'resize' to convert",
  )
  _expect(
    channels != (3,) or 'grey' in source.steps,
    "convert: the images have colors. Add 'grey'",
  )


def _check_layout(source: Source) -> None:
  """Checks the fields that only some layouts have."""
  layout, folders = source.layout, source.folders
  _expect(
    not folders or layout in {'folder', 'csv', 'parquet'},
    f'folders: the layout {layout!r} has none',
  )
  _expect(
    not folders or len(folders) == len(set(folders)) == len(source.class_names),
    'folders: expected different ones, one for each class',
  )
  if layout == 'folder':
    for name in folders or source.class_names:
      _expect(
        re.fullmatch(_PART, name),
        f'folders: {name!r} is not the name of a folder. List the folders of the'
        ' classes',
      )
  _expect(
    layout != 'parquet'
    or (source.image_column and isinstance(source.label_column, str)),
    'image_column, label_column: expected the names of two columns',
  )


def _check_files(source: Source) -> None:
  """Checks that files lie in one folder, and that none has two uses."""
  uses: set[tuple[str, str]] = set()
  proofs: dict[str, tuple[Any, ...]] = {}
  splits = list(source.splits.values())
  for split in [splits[0].whole] if splits[0].whole else splits:
    for file in filter(None, (split.images, split.labels, *split.parts)):
      _expect(
        (file.path, file.array) not in uses,
        f'{file.path}: appears twice. A file, or an array of an NPZ file, is for'
        ' one use',
      )
      uses.add((file.path, file.array))
      proof = (file.size, file.md5, file.sha256, file.git_blob)
      _expect(
        proofs.setdefault(file.path, proof) == proof,
        f'{file.path}: appears with different sizes or hashes',
      )
  for file in source.origin_files:
    for form in (file, *file.equivalents, *filter(None, [file.archive])):
      _expect(
        form.path.rpartition('/')[0] == source.folder,
        f'{form.path}: expected all files in the folder {source.folder!r}',
      )

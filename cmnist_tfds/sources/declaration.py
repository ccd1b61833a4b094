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
    'invert', 'grey', 'resize', and `{ crop = [top, left, height, width] }`.
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

import functools
import hashlib
import json
import math
import pathlib
import re
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal

import msgspec

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

# What may be done to images: the name of a step, or the rectangle to cut out.
Step = str | tuple[int, int, int, int]


@dataclass(frozen=True, kw_only=True)
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
  beside: pathlib.Path | None = field(default=None, compare=False)

  @property
  def name(self) -> str:
    """The file's name at its origin, without the folder."""
    return self.path.rpartition('/')[2]


@dataclass(frozen=True, kw_only=True)
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
@dataclass(frozen=True, kw_only=True, eq=False)
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
    steps: What is done to the images.
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
  mix_labels: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
  layout: str = 'idx'
  steps: tuple[Step, ...] = ()
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


class _Crop(_Table):
  crop: tuple[_Natural, _Natural, _Positive, _Positive]


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
    Literal['transpose', 'invert', 'grey', 'resize'] | _Crop, ...
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
  return f'{path}: {fault}' if path else fault


def _digest(declared: Mapping[str, Any]) -> str:
  text = json.dumps(declared, sort_keys=True, default=str)
  return hashlib.sha256(text.encode()).hexdigest()


def _source(form: _Source, digest: str, beside: pathlib.Path | None) -> Source:
  """Returns the record of a source; raises ValueError if it is wrong."""
  names = [unicodedata.normalize('NFC', name) for name in form.classes]
  for number, name in enumerate(names):
    if name in names[:number]:
      raise ValueError(f'classes: {name!r} appears twice')
  splits = _splits(form, beside)
  counts = splits['train'].class_counts if 'train' in splits else (0,)
  least = min(counts) if counts else form.min_train_per_class
  if least is None or form.min_train_per_class not in {None, least}:
    raise ValueError(
      'min_train_per_class: expected the least of class_counts, or no such'
      ' field; where the counts are unknown, a number that no class is below'
    )
  shared = {f.name for f in fields(Source)}.intersection(form.__struct_fields__)
  values = {name: getattr(form, name) for name in shared}
  source = Source(
    **values
    | {
      'class_names': form.classes,
      'listed_labels': form.labels,
      'splits': splits,
      'min_train_per_class': least,
      'steps': tuple(
        s.crop if isinstance(s, _Crop) else s for s in form.convert
      ),
      'digest': digest,
    }
  )
  _check_labels(source)
  _check_shape(_shape(form), source.steps)
  _check_layout(source)
  _check_files(source)
  return source


def _shape(form: _Source) -> tuple[int, ...] | None:
  """Returns the shape of an image in the files; None for any size."""
  if form.shape is None and form.layout == 'folder':
    return None if 'resize' in form.convert else (IMAGE_SIZE, IMAGE_SIZE)
  return form.shape or (IMAGE_SIZE, IMAGE_SIZE)


def _splits(form: _Source, beside: pathlib.Path | None) -> dict[str, Split]:
  """Returns the splits, of which a source with test alone has one."""
  if form.examples:
    if form.train or form.test or not form.split:
      raise ValueError('examples: expected split beside it, not train and test')
    whole = _split(form, 'examples', form.examples, beside)
    return _divide(form, form.split, whole, beside)
  if not form.test or form.split:
    raise ValueError('test: expected train and test, or examples and split')
  return {
    name: _split(form, name, examples, beside)
    for name, examples in (('train', form.train), ('test', form.test))
    if examples
  }


def _split(
  form: _Source, name: str, examples: _Examples, beside: pathlib.Path | None
) -> Split:
  """Returns the record of a split."""

  def file(declared: _File) -> OriginFile:
    if declared.array != 'arr_0' and form.layout != 'npz':
      raise ValueError(f'{name}: the layout {form.layout!r} has no array')
    return _file(form, declared, beside)

  holders = _HOLDERS.get(form.layout, {'files'})
  given = {
    h for h in ('images', 'labels', 'pictures', 'files') if getattr(examples, h)
  }
  if given != holders:
    raise ValueError(
      f'{name}: expected {" and ".join(sorted(holders))} for the layout'
      f' {form.layout!r}, found {" and ".join(sorted(given)) or "none"}'
    )
  counts = _counts(form, f'{name}.class_counts', examples.class_counts)
  if counts and sum(counts) != examples.num_examples:
    raise ValueError(
      f'{name}.class_counts: expected counts that add up to num_examples,'
      f' {examples.num_examples}, found {sum(counts)}'
    )
  if form.layout == 'npy' and len(examples.files) != len(counts or ()):
    raise ValueError(
      f'{name}.files: expected class_counts, and a file for each of the'
      f' {len(form.classes)} classes, found {len(examples.files)}'
    )
  pictures = (examples.pictures,) if examples.pictures else ()
  return Split(
    images=file(examples.images) if examples.images else None,
    labels=file(examples.labels) if examples.labels else None,
    parts=tuple(map(file, (*pictures, *examples.files))),
    per_class=form.layout == 'npy',
    num_examples=examples.num_examples,
    class_counts=counts,
    shape=_shape(form),
  )


def _counts(
  form: _Source, field_name: str, counts: int | tuple[int, ...] | None
) -> tuple[int, ...] | None:
  """Returns the count of each class, where one number may stand for all."""
  if isinstance(counts, int):
    return (counts,) * len(form.classes)
  if counts is not None and len(counts) != len(form.classes):
    raise ValueError(
      f'{field_name}: expected {len(form.classes)} counts, one for each class,'
      f' found {len(counts)}'
    )
  return counts


def _file(
  form: _Source, declared: _File, beside: pathlib.Path | None
) -> OriginFile:
  """Returns the record of a file."""
  hashes = (declared.sha256, declared.size, declared.git_blob)
  if declared.md5 and not any(hashes):
    raise ValueError(
      f'{declared.path}: md5: does not prove a file alone. Add its sha256 or'
      ' its size'
    )
  archive = None
  if declared.member:
    if not form.archive:
      raise ValueError(f'{declared.path}: member: needs the table [archive]')
    archive = _file(form, form.archive, beside)
  values = msgspec.structs.asdict(declared) | {
    'archive': archive,
    'beside': beside,
    'equivalents': tuple(_file(form, e, beside) for e in declared.equivalents),
  }
  return OriginFile(**values)


def _divide(
  form: _Source, rule: _Rule, whole: Split, beside: pathlib.Path | None
) -> dict[str, Split]:
  """Returns train and test of a source that has one set of examples."""
  given = [n is not None for n in (rule.first, rule.list, rule.test_counts)]
  if given not in ([True, False, False], [False, True, True]):
    raise ValueError('split: expected first, or list and test_counts')
  test = _counts(form, 'split.test_counts', rule.first or rule.test_counts)
  if whole.class_counts is None or test is None:
    raise ValueError(
      'examples.class_counts: missing. Add it: train and test follow from it'
    )
  train = tuple(n - t for n, t in zip(whole.class_counts, test, strict=True))
  if min(train) < 1:
    name = form.classes[train.index(min(train))]
    raise ValueError(f'split: leaves no training example of class {name!r}')
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


def _check_labels(source: Source) -> None:
  """Checks that 16 bits hold the raw labels, and that mixes use no others."""
  labels = list(source.raw_labels)
  if labels != sorted(set(labels)):
    raise ValueError('labels: expected ascending numbers, each once')
  if len(labels) != len(source.class_names) or (
    source.listed_labels and source.first_label
  ):
    raise ValueError(
      f'labels: expected {len(source.class_names)} labels, one for each class,'
      ' and no first_label'
    )
  if labels[-1] > LARGEST_LABEL:
    raise ValueError(
      f'labels: expected at most {LARGEST_LABEL}, found {labels[-1]}'
    )
  for size, raw_labels in source.mix_labels.items():
    if not set(raw_labels) <= set(labels):
      raise ValueError(
        f'mix_labels.{size}: expected raw labels, which are {labels[0]} to'
        f' {labels[-1]}'
      )


def _check_shape(shape: tuple[int, ...] | None, steps: Sequence[Step]) -> None:
  """Checks that the steps make images of 28x28 gray pixels."""
  if shape is None:
    return
  if len(shape) == 1:
    side = math.isqrt(shape[0])
    shape = (side, side) if side * side == shape[0] else ()
  if len(shape) not in {2, 3} or shape[2:] not in {(), (1,), (3,)}:
    raise ValueError(
      'shape: expected [height, width], [height, width, 3] or a square number'
      ' of pixels'
    )
  for step in steps:
    if isinstance(step, tuple):
      top, left, height, width = step
      if top + height > shape[0] or left + width > shape[1]:
        raise ValueError(
          f'convert: crop leaves images of {shape[0]}x{shape[1]} pixels'
        )
      shape = (height, width, *shape[2:])
    elif step == 'transpose':
      shape = (shape[1], shape[0], *shape[2:])
    elif step == 'grey':
      shape = shape[:2]
    elif step == 'resize':
      shape = (IMAGE_SIZE, IMAGE_SIZE, *shape[2:])
  if shape[:2] != (IMAGE_SIZE, IMAGE_SIZE):
    raise ValueError(
      f'shape: expected images of {IMAGE_SIZE}x{IMAGE_SIZE} pixels after'
      f" convert, found {shape[0]}x{shape[1]}. Add 'resize' to convert"
    )
  if shape[2:] == (3,):
    raise ValueError("convert: the images have colors. Add 'grey'")


def _check_layout(source: Source) -> None:
  """Checks the fields that only some layouts have."""
  folders = source.folders
  if folders and source.layout not in {'folder', 'csv', 'parquet'}:
    raise ValueError(f'folders: the layout {source.layout!r} has none')
  if folders and not len(folders) == len(set(folders)) == len(
    source.class_names
  ):
    raise ValueError(
      f'folders: expected {len(source.class_names)} different ones, one for'
      ' each class'
    )
  if source.layout == 'folder':
    for name in folders or source.class_names:
      if not re.fullmatch(_PART, name):
        raise ValueError(
          f'folders: {name!r} is not the name of a folder. List the folders of'
          ' the classes'
        )
  if source.layout == 'parquet' and (
    not source.image_column or isinstance(source.label_column, int)
  ):
    raise ValueError(
      'image_column, label_column: expected the names of two columns'
    )


def _check_files(source: Source) -> None:
  """Checks that files lie in one folder, and that none has two uses."""
  uses: set[tuple[str, str]] = set()
  proofs: dict[str, tuple[Any, ...]] = {}
  splits = list(source.splits.values())
  for split in [splits[0].whole] if splits[0].whole else splits:
    for file in filter(None, (split.images, split.labels, *split.parts)):
      if (file.path, file.array) in uses:
        raise ValueError(
          f'{file.path}: appears twice. A file, or an array of an NPZ file, is'
          ' for one use'
        )
      uses.add((file.path, file.array))
      proof = (file.size, file.md5, file.sha256, file.git_blob)
      if proofs.setdefault(file.path, proof) != proof:
        raise ValueError(f'{file.path}: appears with different sizes or hashes')
  for file in source.origin_files:
    for form in (file, *file.equivalents, *filter(None, [file.archive])):
      if form.path.rpartition('/')[0] != source.folder:
        raise ValueError(
          f'{form.path}: expected all files in the folder {source.folder!r}'
        )

# SPDX-License-Identifier: Apache-2.0
"""The records of sources, their splits and their files.

They are decoded from declarations, whose names of fields they have but for those
that `declaration` lists.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, field

# Height and width, in pixels, of every image of every source.
IMAGE_SIZE = 28

# The largest raw label, and so the largest number of classes, less one.
LARGEST_LABEL = 65_535

# What messages say in place of the expression that a text must match.
IN_WORDS: dict[str, str] = {}


def _like(pattern: str, words: str) -> Meta:
  """Returns the rule that a text matches the whole of an expression."""
  pattern = rf'\A{pattern}\Z'
  IN_WORDS[pattern] = words
  return Meta(pattern=pattern)


def _hex(digits: int) -> Meta:
  words = f'{digits} hexadecimal digits in lower case'
  return _like(f'[0-9a-f]{{{digits}}}', words)


# Terminals obey control characters, some end a line, and some turn a text around.
_CONTROL = r'\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069'
# A path cannot leave the folder it is joined to, and file systems limit names.
_FILE_NAME = rf'(?!\.{{1,2}}(/|\Z))[^/\\:{_CONTROL}]{{1,255}}'
# A user and a password, or a field of a query that has a secret for its value.
_SECRET = (
  r'(?is:.*(//[^/?#:]*(:(?!\d+/)\S*)?@|[?&;#][\w.-]*(auth(?!or=)|bearer|code|cred|csrf|jwt|'
  r'key|login|pass|policy|pwd|sas|secret|sess|sid|sig|ticket|token)[\w.-]*=))'
)
_NO_SECRET = (
  'without control characters and without a password or a token, since it is'
  ' kept with the data. Write user and password into ~/.netrc or into the'
  ' address of a mirror, or download the file and save it next to the declaration'
)
_TEXT = rf'(?!{_SECRET})(?=\s*\S)([^{_CONTROL}]|[\n\t])*'
_URL = rf'(?!{_SECRET})https?://((?!\s)[^#{_CONTROL}])+'
_KEY = _like('[A-Z][a-z0-9]*', 'a capital letter, then small letters or digits')
# The name of a class is a line in a file of TFDS.
_ONE_LINE = _like(
  rf'(?!\s)[^{_CONTROL}]+(?<!\s)',
  'text in one line, without spaces at its ends or control characters',
)
_RELATIVE = _like(
  f'{_FILE_NAME}(/{_FILE_NAME})?',
  '<file> or <folder>/<file>, relative to the declaration',
)
_ADDRESS = _like(
  _URL, f'an address with http:// or https://, without # and {_NO_SECRET}'
)

_Positive = Annotated[int, Meta(ge=1)]
_Natural = Annotated[int, Meta(ge=0)]
_Label = Annotated[int, Meta(ge=0, le=LARGEST_LABEL)]
_Hex64 = Annotated[str, _hex(64)]
_Name = Annotated[str, _ONE_LINE]
_Names = Annotated[tuple[_Name, ...], Meta(min_length=1)]
_Text = Annotated[str, _like(_TEXT, f'text {_NO_SECRET}')]

# What may be done to images: the name of a step, the brightest pixel, which is to
# become 255, or the rectangle to cut out: top, left, height and width. (A tuple
# of fixed length together with a number with a bound crashes msgspec 0.23.)
Step = (
  Literal['transpose', 'invert', 'grey', 'resize']
  | _Positive
  | Annotated[tuple[_Natural, ...], Meta(min_length=4, max_length=4)]
)


class _Table(
  msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True
):
  """A table of a declaration."""


class OriginFile(_Table, frozen=True, kw_only=True):
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
      folder of pictures, `origin.picture_files.PictureFiles.fingerprint`.
    array: Name of the array in an NPZ file, which may hold several.
    columns: How many numbers a row of labels has, of which the first is the
      label; None if labels are no rows.
    beside: The folder of the declaration, in which a user's own files may lie.
  """

  path: Annotated[str, _RELATIVE]
  size: _Positive | None = None
  md5: Annotated[str, _hex(32)] | None = None
  sha256: _Hex64 | None = None
  reported_sha256: _Hex64 | None = None
  git_blob: Annotated[str, _hex(40)] | None = None
  urls: tuple[Annotated[str, _ADDRESS], ...] = ()
  archive: OriginFile | None = None
  member: _Name = ''
  equivalents: tuple[OriginFile, ...] = ()
  fingerprint: _Hex64 | None = None
  array: _Name = 'arr_0'
  columns: _Positive | None = None
  beside: pathlib.Path | None = None

  @property
  def name(self) -> str:
    """The file's name at its origin, without the folder."""
    return self.path.rpartition('/')[2]


_Files = Annotated[tuple[OriginFile, ...], Meta(min_length=1)]


class Split(_Table, frozen=True, kw_only=True):
  """The train or the test split of a source.

  Attributes:
    images: File with the images, uint8 (num_examples, *shape); None in layouts
      other than 'idx' and 'npz'.
    labels: File with the raw labels, integers (num_examples,); None likewise.
    pictures: The folder of pictures, in the layout 'folder'.
    tables: The files of the other layouts: one for each class, or tables.
    per_class: Whether each part holds the images of one class, as an array.
    num_examples: How many examples there are.
    class_counts: How many there are of each class, in the order of the raw
      labels; None where it has never been published and no file was at hand.
    shape: Shape of an image in the files: (height, width), with a third number
      if it has colors, or (height * width,) for square images in rows. None
      for pictures of any size.
    whole: The examples that this split is chosen from; None if its files hold
      this split alone.
    listing: File that lists which examples of `whole` are for test.
    first: How many examples of each class of `whole` are for test.
  """

  images: OriginFile | None = None
  labels: OriginFile | None = None
  pictures: OriginFile | None = None
  tables: _Files = field(name='files', default=())
  per_class: bool = False
  num_examples: _Positive
  class_counts: tuple[_Natural, ...] | None = None
  shape: tuple[int, ...] | None = (IMAGE_SIZE, IMAGE_SIZE)
  whole: Split | None = None
  listing: OriginFile | None = None
  first: int | None = None

  @property
  def parts(self) -> list[OriginFile]:
    """All files that are declared for it."""
    files = (self.images, self.labels, self.pictures, *self.tables)
    return [file for file in files if file]

  @functools.cached_property
  def files(self) -> dict[OriginFile, tuple[int, ...]]:
    """The files, images first, each with the shape of its array.

    The shape of a file that holds no array alone is ().
    """
    if self.whole:
      return self.whole.files | ({self.listing: ()} if self.listing else {})
    shapes: Iterable[tuple[int, ...]] = itertools.repeat(())
    if self.labels:
      columns = (self.labels.columns,) if self.labels.columns else ()
      shapes = [self.shape or (), columns]
      shapes = ((self.num_examples, *shape) for shape in shapes)
    elif self.per_class:
      shapes = ((n, *(self.shape or ())) for n in self.class_counts or ())
    return dict(zip(self.parts, shapes, strict=False))


class Rule(_Table, frozen=True, kw_only=True):
  """How examples are divided into train and test.

  Attributes:
    first: How many of each class are for test, from the start.
    list: Else, the file that lists those for test.
    test_counts: How many of each class it lists.
  """

  first: _Positive | None = None
  list: OriginFile | None = None
  test_counts: tuple[_Natural, ...] | None = None

  def __post_init__(self) -> None:
    given = [n is not None for n in (self.first, self.list, self.test_counts)]
    if given not in ([True, False, False], [False, True, True]):
      raise ValueError('expected first, or list and test_counts')


# There is one record of each source, so they compare by identity.
class Source(_Table, frozen=True, kw_only=True, eq=False):
  """A dataset that CMNIST concatenates.

  Attributes:
    key: Abbreviation that names of subsets are made of, as 'Km'.
    title: Name for people.
    class_names: Names of the classes, by ascending raw label.
    first_label: The raw label of the first class.
    listed_labels: The raw labels of the classes, ascending, where they have
      gaps; else empty.
    train: The files and figures of the training examples, None if there are
      none.
    test: Those of the test examples.
    examples: Those of the whole that train and test are chosen from, if they are.
    split: How they are chosen.
    least: `min_train_per_class`, where no counts of the classes tell it.
    mix_labels: Raw labels this source gives to CMNIST-X, by number of classes of
      the mix: those of X-12 and of X-24.
    layout: How the files of `splits` hold examples. 'idx' and 'npz': a file of
      images and one of labels, in the formats of MNIST and of `numpy.savez`.
      'npy': a file of images for each class, as of `numpy.save`. 'folder': a
      folder of pictures for each class. 'csv' and 'parquet': tables with a row
      for each example.
    shape: Shape of an image in the files, where it is not (28, 28).
    steps: What is done to the images.
    archive: The archive of the files that have a `member`.
    folders: Name of the folder of each class, in the layout 'folder', and the
      text that stands for the class in tables.
    image_column: The column of tables that holds images, or in a CSV file the
      paths of pictures. Without it, all columns but that of labels are pixels.
    label_column: The column of tables that holds labels; a number, from 0, in
      CSV files without a header.
    owner: The file, and the package if there is one, that declares the source.
    beside: The folder of that file, where a user's own files may lie.
    digest: SHA-256 of what an extension declares, in 64 hexadecimal digits;
      empty for the sources of the paper.
    writer_block: How many training examples of a class, from the start of the
      file, are by one writer, then by the next one and so on; 1 where writers
      are not known.
    test_writer_block: The same of test examples; 0 where writers are not known.
    homepage: Address of the source's page, or a text that says there is none.
    license: License, as the source's own files state it: its SPDX identifier, or
      a text that begins with 'None stated'.
    license_note: What is to be said with it, as whose copyright it is.
    citation: BibTeX entry.
    known_issues: What a user should know of the data.
    collection: Who made and labeled the images, and how.
    biases: Whose images they are, and what is missing.
    personal_information: What they tell of persons, and what is stated of consent.
    social_impact: What scores mean, and do not mean, to others.
    synthetic: Whether a program made what the images show; None if not declared.
  """

  key: Annotated[str, _KEY]
  title: _Name
  class_names: _Names = field(name='classes')
  first_label: _Label = 0
  listed_labels: tuple[_Label, ...] = field(name='labels', default=())
  train: Split | None = None
  test: Split | None = None
  examples: Split | None = None
  split: Rule | None = None
  least: _Positive | None = field(name='min_train_per_class', default=None)
  mix_labels: Mapping[_Positive, tuple[_Label, ...]] = {}
  layout: Literal['idx', 'npz', 'npy', 'folder', 'csv', 'parquet']
  shape: Annotated[tuple[_Positive, ...], Meta(max_length=3)] = ()
  steps: tuple[Step, ...] = field(name='convert', default=())
  archive: OriginFile | None = None
  folders: tuple[_Name, ...] = ()
  image_column: _Name = ''
  label_column: _Name | _Natural = 'label'
  owner: str = ''
  beside: pathlib.Path | None = None
  digest: str = ''
  writer_block: _Positive = 1
  test_writer_block: _Natural = 0
  homepage: _Text
  license: _Text
  license_note: _Text | None = None
  citation: _Text
  known_issues: tuple[_Text, ...] = ()
  collection: tuple[_Text, ...] = ()
  biases: tuple[_Text, ...] = ()
  personal_information: tuple[_Text, ...] = ()
  social_impact: tuple[_Text, ...] = ()
  synthetic: bool | None = None

  def __repr__(self) -> str:
    return f'<Source {self.key}: {self.title}, {len(self.class_names)} classes>'

  @functools.cached_property
  def splits(self) -> Mapping[str, Split]:
    """The files and figures, by split name."""
    splits = {'train': self.train, 'test': self.test}
    return {name: split for name, split in splits.items() if split}

  @property
  def pools(self) -> Mapping[str, Split]:
    """The sets of examples with files of their own, by name."""
    return {'examples': self.examples} if self.examples else self.splits

  @property
  def min_train_per_class(self) -> int:
    """No class has fewer training examples than this."""
    counts = self.train.class_counts if self.train else (0,)
    return min(counts) if counts else self.least or 0

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
  def stated_license(self) -> str:
    """The license with its note."""
    return ', '.join(filter(None, (self.license, self.license_note)))

  @property
  def origin_files(self) -> dict[OriginFile, tuple[int, ...]]:
    """The files of all splits, each with the shape of its array."""
    files = (split.files.items() for split in self.splits.values())
    return dict(itertools.chain.from_iterable(files))

  def __reduce_ex__(self, protocol: Any) -> str | tuple[Any, ...]:
    # A process has one record of each source that has a key of its own.
    from cmnist_tfds import sources

    with contextlib.suppress(KeyError):
      if sources.source(self.key) is self:
        return sources.source, (self.key,)
    return super().__reduce_ex__(protocol)

# SPDX-License-Identifier: Apache-2.0
"""The records of sources, their splits and their files."""

from __future__ import annotations

import contextlib
import functools
import pathlib
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SPLITS = ('train', 'test')

# Height and width, in pixels, of every image of every source.
IMAGE_SIZE = 28

# The largest raw label, and so the largest number of classes, less one.
LARGEST_LABEL = 65_535

# What may be done to images: the name of a step, the brightest pixel, which is to
# become 255, or the rectangle to cut out.
Step = str | int | tuple[int, int, int, int]


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
      folder of pictures, `origin.picture_files.PictureFiles.fingerprint`.
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
      if it has colors, or (height * width,) for square images in rows. None
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
    layout: How the files of `splits` hold examples. 'idx' and 'npz': a file of
      images and one of labels, in the formats of MNIST and of `numpy.savez`.
      'npy': a file of images for each class, as of `numpy.save`. 'folder': a
      folder of pictures for each class. 'csv' and 'parquet': tables with a row
      for each example.
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
    license: License, as the source's own files state it.
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

    with contextlib.suppress(KeyError):
      if sources.source(self.key) is self:
        return sources.source, (self.key,)
    return super().__reduce_ex__(protocol)

# SPDX-License-Identifier: Apache-2.0
"""Reads the examples of a split in pieces, whatever the layout of its files."""

from __future__ import annotations

import csv
import dataclasses
import functools
import io
import itertools
import posixpath
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from cmnist_tfds.origin import conversion, picture_files
from cmnist_tfds.origin.picture_files import PictureFiles
from cmnist_tfds.sources import IMAGE_SIZE, OriginFile, Source, Split
from cmnist_tfds.system.errors import OriginFileError
from cmnist_tfds.system.extras import missing_extra

# Rows of tables and pictures that are read together.
_AT_ONCE = 4096

ALL_CLASSES = slice(None)

# No label has more digits.
_WHOLE_NUMBER = re.compile('-?[0-9]{1,18}')


@dataclasses.dataclass(frozen=True)
class Piece:
  """Some examples of a split, in the order of the files.

  Attributes:
    images: uint8 (n, *shape), as in the files; (n, 28, 28) if `converted`.
    labels: Integers (n,), the raw labels.
    path: The file that has the labels, for messages.
    names: The path of each picture in its folder; empty if they have none.
    converted: Whether the images have been converted.
  """

  images: np.ndarray
  labels: np.ndarray
  path: str
  names: Sequence[str] = ()
  converted: bool = False


class Reader(Protocol):
  """Reads files that it has found and proved."""

  def array(self, file: OriginFile, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the array in a file."""

  def content(self, file: OriginFile) -> bytes:
    """Returns the bytes of a file."""

  def picture_files(
    self,
    file: OriginFile,
    use: Callable[[PictureFiles], Iterator[Piece]],
    *,
    table: bool = False,
  ) -> Iterator[Piece]:
    """Yields what a function reads from a folder of pictures, or a table in it."""


def pieces(
  source: Source,
  split: Split,
  reader: Reader,
  classes: slice = ALL_CLASSES,
) -> Iterator[Piece]:
  """Yields the examples of a split.

  Args:
    source: The source.
    split: The split, which is not chosen from another one.
    reader: Reads the files.
    classes: The classes to read, by their numbers in the source. Only the
      layout 'npy' has files that can be read without those of other classes.

  Yields:
    The examples, in the order of the files: of the layouts 'npy' and 'folder',
    class by class and pictures by their names.

  Raises:
    OriginFileError: If a file is missing, damaged or not as declared.
  """
  if split.images and split.labels:
    images, labels = (reader.array(f, s) for f, s in split.files.items())
    if len(images) != len(labels):
      raise OriginFileError(
        f'{split.images.path} has {len(images):,} images and'
        f' {split.labels.path} has {len(labels):,} labels: expected equal'
        ' numbers. Fetch both files from the same origin.'
      )
    if labels.ndim == 2:
      labels = labels[:, 0]
    yield Piece(images, labels, split.labels.path)
  elif split.per_class:
    files = list(split.files.items())
    for (file, shape), raw in zip(
      files[classes], source.raw_labels[classes], strict=True
    ):
      images = reader.array(file, shape)
      labels = np.full(len(images), raw, source.label_dtype)
      yield Piece(images, labels, file.path)
  elif source.layout == 'folder':
    read = functools.partial(_of_folders, source, split)
    yield from reader.picture_files(split.parts[0], read)
  elif source.image_column and source.layout == 'csv':
    for file in split.parts:
      read = functools.partial(_of_listed, source, split, file)
      yield from reader.picture_files(file, read, table=True)
  elif source.layout == 'csv':
    for file in split.parts:
      yield from _of_csv(source, split, file, reader.content(file))
  else:
    for file in split.parts:
      yield from _of_parquet(source, split, file, reader.content(file))


def _nfc(name: str) -> str:
  """Returns a name in the form in which names are compared."""
  return unicodedata.normalize('NFC', name)


# Pictures ---------------------------------------------------------------------


def _of_folders(
  source: Source, split: Split, files: PictureFiles
) -> Iterator[Piece]:
  """Yields the pictures in the folder of each class."""
  of_folder: dict[str, list[str]] = {}
  for name in files.names:
    of_folder.setdefault(_nfc(name.partition('/')[0]), []).append(name)
  counts = split.class_counts or [1] * len(source.class_names)
  for folder, raw, count in zip(
    source.folders or source.class_names,
    source.raw_labels,
    counts,
    strict=True,
  ):
    names = of_folder.get(_nfc(folder), [])
    if not names and count:
      raise OriginFileError(
        f'{files.where}: expected pictures in a folder {folder} for the class'
        f' {source.class_names[source.class_numbers[raw]]}, found none'
      )
    labelled = ((name, raw) for name in names)
    yield from _decoded(source, split, files, labelled)


def _of_listed(
  source: Source, split: Split, table: OriginFile, files: PictureFiles
) -> Iterator[Piece]:
  """Yields the pictures that a CSV file in their folder lists."""
  member = (table.member or table.path).rpartition('/')[2]
  # Paths are relative to the table.
  folder = ''
  if table.archive:
    member, folder = table.member, posixpath.dirname(table.member)
  text = picture_files.as_text(files.read(member), table.path)
  rows = csv.DictReader(text.splitlines())
  for needed in (source.image_column, source.label_column):
    if needed not in (rows.fieldnames or ()):
      raise OriginFileError(
        f'{table.path}: expected a column {needed!r}, found'
        f' {", ".join(rows.fieldnames or ())}'
      )
  number_of = _label_lookup(source)

  def labelled() -> Iterator[tuple[str, int]]:
    for row in rows:
      name = posixpath.normpath(
        posixpath.join(folder, row[source.image_column])
      )
      if name.startswith(('../', '/')):
        raise OriginFileError(
          f'{table.path}, line {rows.line_num}: {name} lies outside of its'
          ' folder'
        )
      label = row[str(source.label_column)]
      yield name, number_of(label, f'{table.path}, line {rows.line_num}')

  yield from _decoded(source, split, files, labelled())


def _decoded(
  source: Source,
  split: Split,
  files: PictureFiles,
  labelled: Iterator[tuple[str, int]],
) -> Iterator[Piece]:
  while batch := list(itertools.islice(labelled, _AT_ONCE)):
    images = _stack(
      source,
      split,
      [(files.read(name), f'{files.where}/{name}') for name, _ in batch],
    )
    labels = np.array([raw for _, raw in batch], np.int64)
    yield Piece(
      images,
      labels,
      files.where,
      [name for name, _ in batch],
      converted=split.shape is None,
    )


def _stack(
  source: Source, split: Split, encoded: Sequence[tuple[bytes, str]]
) -> np.ndarray:
  """Decodes pictures; converts each by itself if they may have any size."""
  grey = 'grey' in source.steps
  decoded = [
    picture_files.decode(data, name, shape=split.shape, grey=grey)
    for data, name in encoded
  ]
  if split.shape is None:
    decoded = [conversion.convert(i[None], source.steps)[0] for i in decoded]
    wrong = [i.shape for i in decoded if i.shape != (IMAGE_SIZE, IMAGE_SIZE)]
    assert not wrong, 'the declaration was checked to end in this size'
  return np.stack(decoded)


# Tables -----------------------------------------------------------------------


def as_label(text: str) -> int | str:
  """Returns the raw label or the name of a class that a cell of a table has."""
  text = text.strip()
  return int(text) if _WHOLE_NUMBER.fullmatch(text) else text


def _label_lookup(source: Source) -> Callable[[str, str], int]:
  """Returns a function that gives the raw label for the text in a table."""
  known = dict(zip(source.class_names, source.raw_labels, strict=True))
  if source.folders:
    known |= dict(zip(source.folders, source.raw_labels, strict=True))
  known = {_nfc(name): raw for name, raw in known.items()}

  def number_of(text: str, where: str) -> int:
    # A whole number is a raw label, even if a class has it for a name.
    label = as_label(text)
    if isinstance(label, int):
      return label
    if _nfc(label) not in known:
      raise OriginFileError(
        f'{where}: expected a raw label or the name of a class, found {label!r}'
      )
    return known[_nfc(label)]

  return number_of


def _of_csv(
  source: Source, split: Split, file: OriginFile, data: bytes
) -> Iterator[Piece]:
  """Yields the rows of a CSV file of pixels."""
  text = io.StringIO(picture_files.as_text(data, file.path), newline=None)
  column, lines = source.label_column, 0
  shape = split.shape or (IMAGE_SIZE, IMAGE_SIZE)
  width = int(np.prod(shape)) + 1
  if isinstance(column, str):
    header = next(csv.reader([text.readline()]), [])
    lines = 1
    if header.count(column) != 1:
      raise OriginFileError(
        f'{file.path}: expected one column {column!r}, found'
        f' {", ".join(header[:5])} and so on'
      )
    column = header.index(column)
  number_of = _label_lookup(source)

  def labelled(label: str) -> int:
    return number_of(label, f'{file.path}, after line {lines:,}')

  converters: dict[int | str, Callable[[Any], int]] = {column: labelled}
  while True:
    rows = list(itertools.islice(text, _AT_ONCE))
    if not rows:
      return
    if not any(map(str.strip, rows)):
      continue
    try:
      table = np.loadtxt(
        rows,
        np.int32,
        comments=None,
        delimiter=',',
        quotechar='"',
        converters=converters,
        encoding=None,
        ndmin=2,
      )
    except (ValueError, OverflowError) as error:
      # NumPy wraps what the converter of labels raises.
      if isinstance(error.__cause__, OriginFileError):
        raise error.__cause__ from error
      raise OriginFileError(
        f'{file.path}: expected whole numbers in the {len(rows):,} lines after'
        f' line {lines:,}: {error}'
      ) from error
    if table.shape[1] != width:
      raise OriginFileError(
        f'{file.path}: expected {width:,} columns, a label and {width - 1:,}'
        f' pixels, found {table.shape[1]:,} after line {lines:,}'
      )
    try:
      pixels = whole_numbers(np.delete(table, column, axis=1))
    except ValueError as error:
      raise OriginFileError(
        f'{file.path}: expected pixels from 0 to 255, {error} in the'
        f' {len(rows):,} lines after line {lines:,}'
      ) from error
    images = pixels.astype(np.uint8).reshape(-1, *shape)
    yield Piece(images, table[:, column], file.path)
    lines += len(rows)


def whole_numbers(pixels: Any) -> np.ndarray:
  """Returns pixels as an array.

  Args:
    pixels: Numbers, an array or nested lists of them.

  Returns:
    int64 array of the same shape.

  Raises:
    ValueError: If they are no whole numbers from 0 to 255, or lists differ in
      length.
  """
  found = np.array(pixels)
  if found.dtype.kind not in 'iuf' or not found.size:
    raise ValueError('found no numbers')
  if not 0 <= found.min() <= found.max() <= 255:
    raise ValueError(f'found {found.min()} to {found.max()}')
  whole = found.astype(np.int64)
  if (whole != found).any():
    raise ValueError('found fractions')
  return whole


def _of_parquet(
  source: Source, split: Split, file: OriginFile, data: bytes
) -> Iterator[Piece]:
  """Yields the rows of a Parquet file of pixels or of encoded pictures."""
  try:
    import pyarrow as pa
    import pyarrow.parquet as pq
  except ImportError as error:
    raise missing_extra('Reading Parquet', error, 'parquet') from error
  columns = [source.image_column, str(source.label_column)]
  number_of = _label_lookup(source)
  row = 0
  try:
    table = pq.ParquetFile(io.BytesIO(data))
    missing = set(columns) - set(table.schema_arrow.names)
    if missing:
      raise OriginFileError(
        f'{file.path}: expected a column {min(missing)!r}, found'
        f' {", ".join(table.schema_arrow.names)}'
      )
    for batch in table.iter_batches(_AT_ONCE, columns=columns):
      of_images, of_labels = (batch.column(name) for name in columns)
      labels = [
        number_of(str(label), f'{file.path}, row {row + number}')
        for number, label in enumerate(of_labels.to_pylist())
      ]
      images, converted = _parquet_images(source, split, file, of_images, row)
      yield Piece(
        images, np.array(labels, np.int64), file.path, converted=converted
      )
      row += len(batch)
  except pa.ArrowException as error:
    raise OriginFileError(
      f'{file.path}: is no Parquet file, or damaged: {error}'
    ) from error


def _parquet_images(
  source: Source, split: Split, file: OriginFile, column: Any, row: int
) -> tuple[np.ndarray, bool]:
  """Returns the images of some rows, and whether they are converted."""
  values = column.to_pylist()
  # Hugging Face stores pictures as {bytes, path}.
  values = [v.get('bytes') if isinstance(v, dict) else v for v in values]
  for number, value in enumerate(values):
    if not isinstance(value, (bytes, list)):
      raise OriginFileError(
        f'{file.path}, row {row + number}: expected a picture or pixels in'
        f' {source.image_column!r}, found {type(value).__name__}'
      )
  if values and isinstance(values[0], bytes):
    named = [(v, f'{file.path}, row {row + n}') for n, v in enumerate(values)]
    return _stack(source, split, named), split.shape is None
  shape = split.shape or (IMAGE_SIZE, IMAGE_SIZE)
  try:
    pixels = whole_numbers(values).reshape(-1, *shape)
  except (ValueError, TypeError) as error:
    raise OriginFileError(
      f'{file.path}, from row {row}: expected pixels from 0 to 255, of shape'
      f' {shape}: {error}'
    ) from error
  return pixels.astype(np.uint8), False

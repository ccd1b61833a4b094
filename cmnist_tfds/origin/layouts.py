# SPDX-License-Identifier: Apache-2.0
"""Reads the examples of a split in chunks, whatever the layout of its files."""

from __future__ import annotations

import dataclasses
import functools
import io
import posixpath
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cmnist_tfds.origin import conversion, picture_files, tables
from cmnist_tfds.origin.picture_files import PictureFiles
from cmnist_tfds.sources import OriginFile, Source, Split
from cmnist_tfds.system.errors import OriginFileError

if TYPE_CHECKING:
  from cmnist_tfds.origin.reader import Reader

# Pictures that are read together.
_CHUNK = 4096


@dataclasses.dataclass(frozen=True)
class Chunk:
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


def chunks(source: Source, split: Split, reader: Reader) -> Iterator[Chunk]:
  """Yields the examples of a split.

  Args:
    source: The source.
    split: The split, which is not chosen from another one.
    reader: Reads the files.

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
        f'{split.labels.path}: expected a label for each of {len(images):,}'
        f' images, found {len(labels):,}. Fetch both files from the same origin'
      )
    labels = labels[:, 0] if labels.ndim == 2 else labels
    yield Chunk(images, labels, split.labels.path)
  elif split.per_class:
    for (file, shape), raw in zip(
      split.files.items(), source.raw_labels, strict=True
    ):
      images = reader.array(file, shape)
      labels = np.full(len(images), raw, source.label_dtype)
      yield Chunk(images, labels, file.path)
  elif source.layout == 'folder':
    read = functools.partial(_read_folders, source, split)
    yield from reader.picture_files(split.parts[0], read)
  elif source.layout == 'csv' and source.image_column:
    for file in split.parts:
      read = functools.partial(_read_table, source, split, file)
      yield from reader.picture_files(file, read, table=True)
  else:
    for file in split.parts:
      yield from _read_table(source, split, file, reader.content(file))


def _read_folders(
  source: Source, split: Split, files: PictureFiles
) -> Iterator[Chunk]:
  """Yields the pictures in the folder of each class."""
  by_folder: dict[str, list[str]] = {}
  for name in files.names:
    by_folder.setdefault(_nfc(name.partition('/')[0]), []).append(name)
  folders = source.folders or source.class_names
  counts = split.class_counts or [1] * len(folders)
  for folder, raw, count in zip(
    folders, source.raw_labels, counts, strict=True
  ):
    names = by_folder.get(_nfc(folder), [])
    if count and not names:
      raise OriginFileError(
        f'{files.where}: expected pictures in a folder {folder}, found none'
      )
    for begin in range(0, len(names), _CHUNK):
      chosen = names[begin : begin + _CHUNK]
      encoded = [(f'{files.where}/{n}', files.read(n)) for n in chosen]
      images = _decode(source, split, encoded)
      labels = np.full(len(images), raw, source.label_dtype)
      yield Chunk(images, labels, files.where, chosen, split.shape is None)


def _read_table(
  source: Source, split: Split, file: OriginFile, content: bytes | PictureFiles
) -> Iterator[Chunk]:
  """Yields the rows of a table of pixels, of pictures, or of their paths."""
  raw_of = dict(zip(source.class_names, source.raw_labels, strict=True))
  raw_of |= dict(zip(source.folders, source.raw_labels, strict=False))
  raw_of = {_nfc(name): raw for name, raw in raw_of.items()}
  path = file.member if file.archive else file.name
  data = content if isinstance(content, bytes) else content.read(path)
  columns = source.label_column, source.image_column
  for where, labels, cells in tables.rows(
    io.BytesIO(data), file.path, *columns, split.shape
  ):
    # A whole number is a raw label, even if a class has it for a name.
    raw = [raw_of.get(_nfc(n), n) if isinstance(n, str) else n for n in labels]
    for row, label in zip(where, raw, strict=True):
      if isinstance(label, str):
        raise OriginFileError(
          f'{row}: expected a raw label or the name of a class, found {label!r}'
        )
    names: list[str] = []
    images: Any = cells
    if not isinstance(cells, np.ndarray):
      encoded: Sequence[Any] = cells
      if not isinstance(content, bytes):
        # Paths are relative to the table.
        paths = (posixpath.join(path, '..', str(cell)) for cell in cells)
        names = list(map(posixpath.normpath, paths))
        encoded = [content.read(name) for name in names]
      images = _decode(source, split, zip(names or where, encoded, strict=True))
    yield Chunk(images, np.array(raw, np.int64), file.path, names)


def _decode(
  source: Source, split: Split, encoded: Iterable[tuple[str, bytes]]
) -> np.ndarray:
  """Decodes pictures; converts each by itself if they may have any size."""
  gray = 'grey' in source.steps
  decoded = [
    picture_files.decode(data, name, shape=split.shape, gray=gray)
    for name, data in encoded
  ]
  if split.shape is None:
    decoded = [conversion.convert(i[None], source.steps)[0] for i in decoded]
  return np.stack(decoded)


def _nfc(name: str) -> str:
  """Returns a name in the form in which names are compared."""
  return unicodedata.normalize('NFC', name)

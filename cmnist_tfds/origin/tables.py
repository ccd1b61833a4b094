# SPDX-License-Identifier: Apache-2.0
"""Reads tables of labeled images: CSV and Parquet files.

A CSV file has pixels in all columns but that of the labels, or the paths of
pictures in one column; gzip may pack it. A Parquet file has pictures or lists of
pixels in one column, or pixels as a CSV file has them.

Others pass the arrays of origin files on in such tables: Kaggle has CSV files,
OpenML and dataset hubs have Parquet files. A table may hold train and then test.
"""

from __future__ import annotations

import csv
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
from isal import igzip

from cmnist_tfds.formats import idx_npz
from cmnist_tfds.origin import picture_files
from cmnist_tfds.system.errors import read_errors

# What a column of labels is called.
LABELS = re.compile('labels?|class(es)?|targets?|character', re.IGNORECASE)

# No label has more digits. pandas makes floats of a column that has gaps.
_WHOLE_NUMBER = re.compile(r'(-?[0-9]{1,18})(\.0+)?')

# What is read at a time: rows of Parquet, bytes of CSV.
_CHUNK = 4096
_BLOCK = 1 << 22


# Where some rows are, for messages; their labels, which are whole numbers or
# names of classes; and their images: uint8 (n, ...), or encoded pictures or the
# paths of pictures.
_Rows = tuple[list[str], list[int | str], np.ndarray | list[Any]]


def columns(stream: BinaryIO, name: str) -> list[str | int]:
  """Returns the names of the columns of a table, or numbers if they have none.

  Args:
    stream: The table.
    name: Its name, for messages.

  Raises:
    OriginFileError: If the table is damaged.
  """
  with read_errors(name):
    unpacked, cells = _open(stream)
    numbers = [int(cell) for cell in cells[1:] if cell.isdecimal()]
    # pandas calls columns by their numbers.
    counted = set(np.diff(numbers)) == {1}
    named = len(numbers) < len(cells) - 1 or counted or unpacked is None
    return [*cells] if named else [*range(len(cells))]


def rows(
  stream: BinaryIO,
  name: str,
  label_column: str | int,
  image_column: str = '',
  shape: tuple[int, ...] | None = None,
) -> Iterator[_Rows]:
  """Reads a table.

  Args:
    stream: The table.
    name: Its name, for messages.
    label_column: The column of labels: its name, or its number from 0 in a CSV
      file whose columns do not have names.
    image_column: The column of pictures, of lists of pixels or, in a CSV file, of
      paths. Without it, all other columns are pixels.
    shape: The shape of an image of pixels; None for that of the table.

  Yields:
    Some thousands of rows at a time. The first has the number 1, or 2 after a
    row of names.

  Raises:
    OriginFileError: If the table is damaged, or does not have such columns.
  """
  import pyarrow.csv
  import pyarrow.parquet

  with read_errors(name):
    unpacked, cells = _open(stream)
    label = _position(label_column, cells)
    image = _position(image_column, cells) if image_column else label
    if unpacked is None:
      first = 1
      batches = pyarrow.parquet.ParquetFile(stream).iter_batches(_CHUNK)
    else:
      first = 1 + isinstance(label_column, str)
      pixels = pyarrow.string() if image_column else pyarrow.uint8()
      types = {str(n): pixels for n in range(len(cells))}
      types[str(label)] = pyarrow.string()
      reading = pyarrow.csv.ReadOptions(
        skip_rows=first - 1, column_names=list(types), block_size=_BLOCK
      )
      options = pyarrow.csv.ConvertOptions(column_types=types, null_values=[])
      batches = pyarrow.csv.open_csv(unpacked, reading, convert_options=options)
    for batch in batches:
      labels = [_label(cell) for cell in batch.column(label).to_pylist()]
      if image == label:
        others = [c for n, c in enumerate(batch.columns) if n != label]
        pixels = [c.to_numpy(zero_copy_only=False) for c in others]
        images: Any = _as_pixels(np.stack(pixels, axis=1))
      else:
        images = batch.column(image).to_pylist()
        # Hugging Face stores pictures as {bytes, path}.
        images = [i.get('bytes') if isinstance(i, dict) else i for i in images]
        if not all(isinstance(i, (bytes, str)) for i in images):
          images = _as_pixels(images)
      if shape and isinstance(images, np.ndarray):
        images = images.reshape(len(batch), *shape)
      numbers = range(first, first + len(batch))
      yield [f'{name}, row {n:,}' for n in numbers], labels, images
      first += len(batch)


def _open(stream: BinaryIO) -> tuple[Any, list[str]]:
  """Returns the CSV file unpacked and its first row, or None and the columns."""
  stream.seek(0)
  begin = stream.read(4)
  stream.seek(0)
  if begin == b'PAR1':
    import pyarrow.parquet

    return None, list(pyarrow.parquet.ParquetFile(stream).schema_arrow.names)
  packed = begin.startswith(idx_npz.GZIP_MAGIC)
  unpacked: Any = igzip.open(stream) if packed else stream
  line = unpacked.readline(_BLOCK).decode('utf-8-sig')
  unpacked.seek(0)
  return unpacked, [cell.strip() for cell in next(csv.reader([line]), [])]


def _position(column: str | int, cells: Sequence[str]) -> int:
  if isinstance(column, int) and column < len(cells):
    return column
  if cells.count(str(column)) != 1:
    raise ValueError(f'expected one column {column!r}, found {cells[:8]}')
  return cells.index(str(column))


def _label(cell: object) -> int | str:
  text = str(cell).strip()
  if number := _WHOLE_NUMBER.fullmatch(text):
    return int(number[1])
  if not text or not isinstance(cell, str):
    raise ValueError(f'expected a whole number or a name, found {cell!r}')
  return text


def whole_numbers(values: Any, dtype: Any) -> np.ndarray:
  """Returns an array of a type of integers; of another if they do not fit."""
  found = np.array(values)
  if found.dtype.kind in 'biuf':
    with np.errstate(invalid='ignore'):
      whole = found.astype(dtype)
    if (whole == found).all():
      return whole
  return found


def _as_pixels(cells: Any) -> np.ndarray:
  """Returns numbers, an array or nested lists of them, as uint8."""
  found = whole_numbers(cells, np.uint8)
  if found.dtype == np.uint8:
    return found
  expected = 'expected pixels, whole numbers from 0 to 255'
  raise ValueError(f'{expected}, found {found.ravel()[:5]}')


# Tables that hold the arrays of origin files ------------------------------------


def is_table(path: pathlib.Path) -> bool:
  """Returns whether a file is a table, by its name."""
  return path.suffix.lower() in ('.csv', '.parquet')


def arrays(path: pathlib.Path, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
  """Yields the arrays that a table may stand for.

  Args:
    path: The table.
    shape: The shape of each array: (n, 28, 28) of images or (n,) of labels.

  Yields:
    uint8 arrays: of the first rows, then of the last ones. Images come as they
    are, then transposed, because some have turned those of EMNIST upright.

  Raises:
    OriginFileError: If the table is damaged, or has no such array by its columns.
    MissingExtraError: If Pillow, which reads pictures in it, is not installed.
  """
  name, parts = str(path), []
  with read_errors(name), path.open('rb') as stream:
    names = columns(stream, name)
    image = 'image' if 'image' in names else ''
    labels = [n for n in names if LABELS.fullmatch(str(n))]
    column = [*labels, names[0]][0]
    for where, labels, images in rows(stream, name, column, image, shape[1:]):
      if len(shape) == 1:
        parts.append(_as_pixels(labels))
      elif isinstance(images, np.ndarray):
        parts.append(images)
      else:
        parts += (
          picture_files.decode(i, row, shape=shape[1:], gray=True)[None]
          for i, row in zip(images, where, strict=True)
          if isinstance(i, bytes)
        )
    found = np.concatenate(parts)
  for array in (found[: shape[0]], found[-shape[0] :]):
    if array.shape == shape:
      yield array
      if len(shape) > 1:
        yield np.ascontiguousarray(array.transpose(0, 2, 1))

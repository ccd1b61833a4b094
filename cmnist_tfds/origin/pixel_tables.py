# SPDX-License-Identifier: Apache-2.0
"""Reads tables of labelled pixels, in which others pass the same arrays on.

Kaggle has CSV files of a label and 784 pixels a row, with a header or without;
OpenML has Parquet files of the same columns; dataset hubs have Parquet files of
labelled pictures. A table may hold train and then test.
"""

from __future__ import annotations

import functools
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from cmnist_tfds.origin import picture_files
from cmnist_tfds.sources import IMAGE_SIZE
from cmnist_tfds.system.errors import OriginFileError
from cmnist_tfds.system.extras import missing_extra

_LABELS = ('label', 'class', 'character')
_WIDTH = IMAGE_SIZE * IMAGE_SIZE

# A table may hold more rows than an array has, but not another set.
_MOST_TIMES = 8

_BLOCK = 1 << 20
_AT_ONCE = 4096


def is_table(path: pathlib.Path) -> bool:
  """Returns whether a file is a table, by its name."""
  return path.suffix.lower() in ('.csv', '.parquet')


def may_hold(path: pathlib.Path, shape: tuple[int, ...]) -> bool:
  """Returns whether a table may hold an array, without reading its values.

  Args:
    path: The table.
    shape: The shape of the array: (n, 28, 28) of images or (n,) of labels.

  Raises:
    OriginFileError: If the table is damaged.
    OSError: If it cannot be read.
    PreparationError: If it is a Parquet file, and pyarrow is not installed.
  """
  if shape[1:] not in ((), (IMAGE_SIZE, IMAGE_SIZE)):
    return False
  count = _num_rows(path)
  return shape[0] <= count <= _MOST_TIMES * shape[0]


def arrays(path: pathlib.Path, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
  """Yields the arrays that a table may stand for.

  Args:
    path: The table.
    shape: The shape of each array, as of `may_hold`.

  Yields:
    uint8 arrays: of the first rows, then of the last ones. Images come as they
    are, then transposed, because some have turned those of EMNIST upright.

  Raises:
    OriginFileError: If the table is damaged.
    PreparationError: If a library that reads it is not installed.
  """
  status = path.stat()
  images, labels = _read(path, status.st_size, status.st_mtime_ns)
  found = images if len(shape) > 1 else labels
  parts = [found[: shape[0]]]
  if len(found) > shape[0]:
    parts.append(found[-shape[0] :])
  for part in parts:
    if part.shape == shape:
      yield part
      if len(shape) > 1:
        yield np.ascontiguousarray(part.transpose(0, 2, 1))


def _num_rows(path: pathlib.Path) -> int:
  """Returns how many examples a table has, 0 if it has no images."""
  if path.suffix.lower() == '.parquet':
    table = _open_parquet(path)
    names = table.schema_arrow.names
    wide = len(names) == _WIDTH + 1 or 'image' in names
    return int(table.metadata.num_rows) if wide else 0
  with path.open('rb') as stream:
    first = stream.readline(1 << 16)
    if first.count(b',') != _WIDTH:
      return 0
    count = 0 if _is_header(first) else 1
    last = first
    while block := stream.read(_BLOCK):
      count += block.count(b'\n')
      last = block
  return count + (not last.endswith(b'\n'))


def _is_header(line: bytes) -> bool:
  return any(character.isalpha() for character in line.decode('latin-1'))


# Images and labels are in one table, and asked for one after the other.
@functools.lru_cache(maxsize=1)
def _read(
  path: pathlib.Path, size: int, time: int
) -> tuple[np.ndarray, np.ndarray]:
  """Returns images uint8 (n, 28, 28) and labels uint8 (n,)."""
  del size, time  # They tell a changed file from the one that was read.
  try:
    if path.suffix.lower() == '.parquet':
      return _read_parquet(path)
    return _read_csv(path)
  except (ValueError, OverflowError, OSError) as error:
    raise OriginFileError(
      f'expected a label and {_WIDTH} pixels from 0 to 255 a row: {error}'
    ) from error


def _read_csv(path: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
  with path.open('rb') as stream:
    first = stream.readline(1 << 16)
  header = _is_header(first)
  names = first.decode('latin-1').strip().split(',') if header else []
  table = np.loadtxt(
    path, np.uint8, comments=None, delimiter=',', skiprows=int(header), ndmin=2
  )
  column = _label_column(names) if header else 0
  return _images(np.delete(table, column, axis=1)), table[:, column].copy()


def _images(pixels: np.ndarray) -> np.ndarray:
  return pixels.reshape(-1, IMAGE_SIZE, IMAGE_SIZE)


def _label_column(names: list[str]) -> int:
  for number, name in enumerate(names):
    if name.strip('\'" \ufeff').lower() in _LABELS:
      return number
  raise OriginFileError(
    f'expected a column {" or ".join(_LABELS)}, found'
    f' {", ".join(names[:3])} and so on'
  )


def _open_parquet(path: pathlib.Path) -> Any:
  try:
    import pyarrow as pa
    import pyarrow.parquet as pq
  except ImportError as error:
    raise missing_extra('Reading Parquet', error, 'parquet') from error
  try:
    return pq.ParquetFile(os.fspath(path))
  except pa.ArrowException as error:
    raise OriginFileError(f'is no Parquet file, or damaged: {error}') from error


def _read_parquet(path: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
  table = _open_parquet(path)
  names = table.schema_arrow.names
  label = names[_label_column(names)]
  images, labels = [], []
  for batch in table.iter_batches(_AT_ONCE):
    found = batch.column(label).to_pylist()
    # OpenML has labels as text.
    labels.append(np.array([int(value) for value in found], np.uint8))
    if 'image' in names:
      images.append(
        np.stack([_picture(v, path) for v in batch.column('image').to_pylist()])
      )
    else:
      pixels = [
        batch.column(name).to_numpy(zero_copy_only=False)
        for name in names
        if name != label
      ]
      images.append(_images(_as_uint8(np.stack(pixels, axis=1))))
  return np.concatenate(images), np.concatenate(labels)


def _as_uint8(pixels: np.ndarray) -> np.ndarray:
  found = pixels.astype(np.uint8)
  if not (found == pixels).all():
    raise ValueError('found other pixels')
  return found


def _picture(value: object, path: pathlib.Path) -> np.ndarray:
  data = value.get('bytes') if isinstance(value, dict) else value
  if not isinstance(data, bytes):
    raise ValueError(f'found a {type(data).__name__} for a picture')
  shape = (IMAGE_SIZE, IMAGE_SIZE)
  return picture_files.decode(data, str(path), shape=shape, grey=True)

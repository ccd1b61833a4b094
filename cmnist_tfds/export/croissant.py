# SPDX-License-Identifier: Apache-2.0
"""Subsets as Croissant: JSON-LD that dataset search and other tools read.

The description lists the origin files with their hashes and the classes. Where
a subset is prepared it can be exported with its examples: Croissant's tools do
not read TFRecord, so these are copied to Parquet, which they do.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from cmnist_tfds import atomic, load, subsets
from cmnist_tfds.errors import PreparationError
from cmnist_tfds.formats import png
from cmnist_tfds.load.reader import Reader
from cmnist_tfds.sources import SPLITS, OriginFile
from cmnist_tfds.subsets import Subset

if TYPE_CHECKING:
  import mlcroissant as mlc

# The file with the description, in an exported folder.
FILE = 'croissant.json'

_VERSION = 'http://mlcommons.org/croissant/1.1'
_AT_ONCE = 4096


@dataclasses.dataclass(frozen=True)
class _Table:
  """A Parquet file with the examples of one split."""

  split: str
  path: str
  size: int
  sha256: str


def describe(subset: Subset) -> str:
  """Returns the description of a subset, prepared or not.

  Args:
    subset: The subset.

  Returns:
    JSON-LD after Croissant 1.1: origin files, licences, citation and the
    record set `classes`.

  Raises:
    PreparationError: If mlcroissant is not installed.
  """
  return _describe(subset, 'cmnist', [])


def export(found: load.Prepared, folder: pathlib.Path) -> int:
  """Writes a prepared subset with its description.

  Args:
    found: The subset.
    folder: Where `croissant.json` and a Parquet file for each split go; an
      older export there is replaced.

  Returns:
    How many examples were written.

  Raises:
    PreparationError: If the folder holds something else, a shard is damaged,
      or an optional library is not installed.
  """
  # So that nothing is written where the description cannot be.
  _library()
  with atomic.write_folder(folder, marker_file=FILE) as unfinished:
    readers = {split: Reader(found, split) for split in SPLITS}
    tables = [
      _write_table(unfinished, split, reader)
      for split, reader in readers.items()
    ]
    text = _describe(found.subset, found.dataset, tables)
    (unfinished / FILE).write_text(text, encoding='utf-8')
  return sum(map(len, readers.values()))


def _library() -> Any:
  try:
    import mlcroissant
    import pyarrow  # noqa: F401
  except ImportError as error:
    raise PreparationError(
      f'Croissant needs {error.name}, which is not installed: pip install'
      ' "cmnist_tfds[croissant]"'
    ) from error
  return mlcroissant


def _write_table(folder: pathlib.Path, split: str, reader: Reader) -> _Table:
  import pyarrow as pa
  from pyarrow import parquet

  # As the dataset hubs know images: the file's bytes, and a path it has not.
  image = pa.struct([('bytes', pa.binary()), ('path', pa.string())])
  schema = pa.schema(
    [
      ('image', image),
      *((name, pa.int64()) for name in ('label', 'source', 'source_label')),
    ]
  )
  path = folder / f'{split}.parquet'
  # PNG cannot be compressed further.
  with parquet.ParquetWriter(path, schema, compression='none') as writer:
    for start in range(0, len(reader), _AT_ONCE):
      numbers = np.arange(start, min(start + _AT_ONCE, len(reader)))
      examples = reader.read(numbers)
      pngs = png.encode(examples.images)
      writer.write_table(
        pa.table(
          {
            'image': [{'bytes': data, 'path': None} for data in pngs],
            'label': examples.labels,
            'source': examples.sources,
            'source_label': examples.source_labels,
          },
          schema,
        )
      )
  sha256 = hashlib.sha256(np.memmap(path, np.uint8, mode='r').data).hexdigest()
  return _Table(split, path.name, path.stat().st_size, sha256)


def _describe(subset: Subset, dataset: str, tables: list[_Table]) -> str:
  mlc = _library()
  described = mlc.Metadata(
    ctx=mlc.Context(conforms_to=_VERSION),
    name=f'{dataset}/{subset.name}',
    description=f'{subset.description} Written by cmnist_tfds.',
    url=subsets.HOMEPAGE,
    license=[f'{s.title}: {s.license}' for s in subset.sources],
    cite_as=subset.citation,
    version=subsets.VERSION,
    data_limitations=[
      f'{s.title}: {fault}' for s in subset.sources for fault in s.known_issues
    ],
    distribution=[
      *(_origin(mlc, file) for file in _origin_files(subset)),
      *(_table(mlc, table) for table in tables),
    ],
    record_sets=[
      _classes(mlc, subset),
      *(_examples(mlc, table) for table in tables),
    ],
  )
  return (
    json.dumps(described.to_json(), indent=2, ensure_ascii=False, default=str)
    + '\n'
  )


def _origin_files(subset: Subset) -> Iterator[OriginFile]:
  """Yields the files of a subset that are published on their own, each once."""
  seen = set()
  for source in subset.sources:
    for file in source.origin_files:
      published = file.archive or file
      if published.path not in seen:
        seen.add(published.path)
        yield published


def _origin(mlc: Any, file: OriginFile) -> mlc.FileObject:
  return mlc.FileObject(
    id=file.path,
    name=file.name,
    content_url=file.urls[0],
    content_size=None if file.size is None else f'{file.size} B',
    same_as=list(file.urls[1:]) or None,
    encoding_formats=[
      'application/gzip' if file.name.endswith('.gz') else 'application/zip'
    ],
    sha256=file.sha256,
    md5=file.md5,
  )


def _table(mlc: Any, table: _Table) -> mlc.FileObject:
  return mlc.FileObject(
    id=table.path,
    name=table.path,
    content_url=table.path,
    content_size=f'{table.size} B',
    encoding_formats=['application/x-parquet'],
    sha256=table.sha256,
  )


def _classes(mlc: Any, subset: Subset) -> mlc.RecordSet:
  rows = [
    {
      'classes/label': c.label,
      'classes/name': c.name,
      'classes/source': c.source.key,
      'classes/source_label': c.raw_label,
    }
    for c in subset.classes
  ]
  types = {
    'label': mlc.DataType.INTEGER,
    'name': mlc.DataType.TEXT,
    'source': mlc.DataType.TEXT,
    'source_label': mlc.DataType.INTEGER,
  }
  return mlc.RecordSet(
    id='classes',
    name='classes',
    description='The classes: label, name, source, raw label of the source.',
    key=['classes/label'],
    fields=[
      mlc.Field(id=f'classes/{name}', name=name, data_types=[data_type])
      for name, data_type in types.items()
    ],
    data=rows,
  )


def _examples(mlc: Any, table: _Table) -> mlc.RecordSet:
  fields = {
    'image': ('28 x 28 grey pixels, upright', mlc.DataType.IMAGE_OBJECT),
    'label': ('See the record set `classes`', mlc.DataType.INTEGER),
    'source': ('Which of the sources, from 0', mlc.DataType.INTEGER),
    'source_label': ("The source's raw label", mlc.DataType.INTEGER),
  }
  return mlc.RecordSet(
    id=table.split,
    name=table.split,
    description=f'The {table.split} split.',
    fields=[
      mlc.Field(
        id=f'{table.split}/{name}',
        name=name,
        description=description,
        data_types=[data_type],
        source=mlc.Source(
          file_object=table.path,
          extract=mlc.Extract(column=name),
          transforms=(
            [mlc.Transform(json_path='bytes')] if name == 'image' else []
          ),
        ),
      )
      for name, (description, data_type) in fields.items()
    ],
  )

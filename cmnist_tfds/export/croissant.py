# SPDX-License-Identifier: Apache-2.0
"""Subsets as Croissant, the JSON-LD that dataset search engines and tools read.

The description of a subset lists its classes and its origin files with their
hashes. The export of a subset also has its examples. Tools for Croissant cannot
read TFRecord files, so the export has Parquet files.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from cmnist_tfds import schema, subsets
from cmnist_tfds.cache.prepared import DATASET, SAMPLE
from cmnist_tfds.export.batches import in_batches
from cmnist_tfds.formats import png
from cmnist_tfds.load.open_subset import Opened
from cmnist_tfds.sample import LICENSE, NOTICE, sample_of
from cmnist_tfds.sources import SPLITS, OriginFile
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system import atomic
from cmnist_tfds.system.extras import missing_extra

if TYPE_CHECKING:
  import mlcroissant as mlc

# Name of the file with the description in the folder of an export.
FILE = 'croissant.json'
# The names of all files there.
FILES = (FILE, *(f'{split}.parquet' for split in SPLITS))

_VERSION = 'http://mlcommons.org/croissant/1.1'

# Media types of files, by the endings of their names.
_MEDIA_TYPES = {
  'gz': 'application/gzip',
  'zip': 'application/zip',
  'npz': 'application/zip',
  'tar': 'application/x-tar',
  'csv': 'text/csv',
  'parquet': 'application/x-parquet',
}
_UNKNOWN = 'application/octet-stream'


def describe(subset: Subset, *, sample: bool = False) -> str:
  """Returns the description of a subset, prepared or not.

  Args:
    subset: The subset.
    sample: Whether to describe what the synthetic sample has of it.

  Returns:
    JSON-LD that conforms to Croissant 1.1: origin files, licenses, citation and
    the record set `classes`.

  Raises:
    PreparationError: If mlcroissant is not installed.
  """
  return _describe(subset, SAMPLE if sample else DATASET, None)


def export_croissant(opened: Opened, folder: pathlib.Path) -> int:
  """Writes the examples of a subset and its description.

  Args:
    opened: The subset.
    folder: The folder to write `croissant.json` and a Parquet file for each
      split to. An earlier export there is replaced; `atomic.write_folder` says
      which other files it may hold.

  Returns:
    The number of examples written.

  Raises:
    PreparationError: If the folder may not or cannot be written, the data of
      the subset is damaged, or an optional library is not installed.
  """
  # Without the library, fail before the examples are written.
  import_mlcroissant()
  with atomic.write_folder(folder, 'cmnist croissant', FILES) as unfinished:
    return write_croissant(opened, unfinished)


def write_croissant(opened: Opened, folder: pathlib.Path) -> int:
  """Writes the files of `export_croissant` to an empty folder.

  Args:
    opened: The subset.
    folder: The folder.

  Returns:
    The number of examples written.

  Raises:
    PreparationError: If the data of the subset is damaged, or an optional
      library is not installed.
    OSError: If a file cannot be written.
  """
  for split in SPLITS:
    _write_table(opened, split, folder / f'{split}.parquet')
  text = _describe(opened.subset, opened.dataset, folder)
  (folder / FILE).write_text(text, encoding='utf-8')
  return sum(len(opened.split(split)) for split in SPLITS)


def import_mlcroissant() -> Any:
  """Returns the module mlcroissant.

  Raises:
    PreparationError: If an optional library is not installed.
  """
  try:
    import mlcroissant
    import pyarrow  # noqa: F401
  except ImportError as error:
    raise missing_extra('Croissant', error, 'croissant') from error
  return mlcroissant


def _write_table(opened: Opened, split: str, path: pathlib.Path) -> None:
  import pyarrow as pa
  from pyarrow import parquet

  # Dataset hubs recognize images by this struct. `path` stays empty because the
  # images are stored in the table itself.
  types = {f.name: pa.from_numpy_dtype(f.dtype) for f in schema.FEATURES}
  image_type = pa.struct([('bytes', pa.binary()), ('path', pa.string())])
  columns = pa.schema(types | {schema.IMAGE.name: image_type})
  # The images are compressed already. pyarrow itself opens no path that is not
  # valid UTF-8.
  with (
    path.open('wb') as file,
    parquet.ParquetWriter(file, columns, compression='none') as writer,
  ):
    for batch in in_batches(opened.split(split)):
      pngs = png.encode(batch[schema.IMAGE.name])
      images = [{'bytes': data, 'path': None} for data in pngs]
      writer.write_table(
        pa.table({**batch, schema.IMAGE.name: images}, columns)
      )


def _describe(subset: Subset, dataset: str, folder: pathlib.Path | None) -> str:
  """Returns the description, with the examples if they are in a folder."""
  mlc = import_mlcroissant()
  is_sample = dataset == SAMPLE
  if is_sample:
    subset = sample_of(subset)
  notice = f'{NOTICE} ' if is_sample else ''
  tables = [folder / f'{split}.parquet' for split in SPLITS] if folder else []
  # The files of the sample travel with the package.
  files = [] if is_sample else _origin_files(subset)
  described = mlc.Metadata(
    ctx=mlc.Context(conforms_to=_VERSION),
    name=f'{dataset}/{subset.name}',
    description=f'{notice}{subset.description} Generated by cmnist_tfds.',
    url=subsets.HOMEPAGE,
    license=[LICENSE]
    if is_sample
    else [f'{s.title}: {s.license}' for s in subset.sources],
    date_published=datetime.datetime(*subsets.PUBLISHED),
    cite_as=subset.citation,
    version=subsets.VERSION,
    data_limitations=[
      f'{s.title}: {issue}' for s in subset.sources for issue in s.known_issues
    ],
    distribution=[
      *(_describe_origin_file(mlc, file) for file in files),
      *(_describe_table(mlc, table) for table in tables),
    ],
    record_sets=[
      _describe_classes(mlc, subset),
      *(_describe_examples(mlc, table.stem) for table in tables),
    ],
  )
  text = json.dumps(
    described.to_json(), indent=2, ensure_ascii=False, default=_to_text
  )
  return f'{text}\n'


def _to_text(value: Any) -> str:
  """Returns the text of a value that JSON lacks."""
  # mlcroissant 1.0 leaves dates to the one who writes the JSON.
  if isinstance(value, datetime.datetime):
    return value.date().isoformat()
  return str(value)


def _origin_files(subset: Subset) -> Iterator[OriginFile]:
  """Yields the files to download for a subset, each once.

  Files that a user alone has, and those of which no hash is known, are left
  out, because Croissant needs both.
  """
  files = (file for source in subset.sources for file in source.origin_files)
  by_path = {f.path: f for f in (file.archive or file for file in files)}
  for file in by_path.values():
    if file.urls and (file.sha256 or file.md5):
      yield file


def _describe_origin_file(mlc: Any, file: OriginFile) -> mlc.FileObject:
  return mlc.FileObject(
    id=file.path,
    name=file.name,
    content_url=file.urls[0],
    content_size=None if file.size is None else f'{file.size} B',
    same_as=list(file.urls[1:]) or None,
    encoding_formats=[_MEDIA_TYPES.get(file.name.rpartition('.')[2], _UNKNOWN)],
    sha256=file.sha256,
    md5=file.md5,
  )


def _describe_table(mlc: Any, path: pathlib.Path) -> mlc.FileObject:
  return mlc.FileObject(
    id=path.name,
    name=path.name,
    content_url=path.name,
    content_size=f'{path.stat().st_size} B',
    encoding_formats=[_MEDIA_TYPES['parquet']],
    sha256=hashlib.sha256(np.memmap(path, mode='r').data).hexdigest(),
  )


def _describe_classes(mlc: Any, subset: Subset) -> mlc.RecordSet:
  """Returns the record set with a record for each class of a subset."""
  columns = _class_columns(subset)
  return mlc.RecordSet(
    id='classes',
    name='classes',
    description='The classes, by label.',
    key=[f'classes/{schema.LABEL.name}'],
    fields=[
      mlc.Field(
        id=f'classes/{name}',
        name=name,
        data_types=[
          mlc.DataType.TEXT
          if isinstance(values[0], str)
          else mlc.DataType.INTEGER
        ],
      )
      for name, values in columns.items()
    ],
    data=[
      {f'classes/{name}': values[c.label] for name, values in columns.items()}
      for c in subset.classes
    ],
  )


def _class_columns(subset: Subset) -> dict[str, list[Any]]:
  """Returns the label and the name of each class, then its other features.

  Where the values of a feature have names, the column has the names.
  """
  columns: dict[str, list[Any]] = {
    schema.LABEL.name: [c.label for c in subset.classes],
    'name': [c.name for c in subset.classes],
  }
  for feature in schema.INTEGERS:
    if feature is not schema.LABEL:
      values = [feature.of_class(c) for c in subset.classes]
      names = feature.names(subset) if feature.names else None
      columns[feature.name] = [names[v] for v in values] if names else values
  return columns


def _describe_examples(mlc: Any, split: str) -> mlc.RecordSet:
  """Returns the record set with a record for each example of a split."""
  fields = []
  for feature in schema.FEATURES:
    is_image = feature is schema.IMAGE
    fields.append(
      mlc.Field(
        id=f'{split}/{feature.name}',
        name=feature.name,
        description=feature.description,
        data_types=[
          mlc.DataType.IMAGE_OBJECT if is_image else mlc.DataType.INTEGER
        ],
        source=mlc.Source(
          file_object=f'{split}.parquet',
          extract=mlc.Extract(column=feature.name),
          transforms=[mlc.Transform(json_path='bytes')] if is_image else [],
        ),
        references=mlc.Source(field=f'classes/{feature.name}')
        if feature is schema.LABEL
        else mlc.Source(),
      )
    )
  return mlc.RecordSet(
    id=split,
    name=split,
    description=f'The examples of the {split} split.',
    fields=fields,
  )

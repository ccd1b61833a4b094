# SPDX-License-Identifier: Apache-2.0
"""Datasets that TFDS has prepared: finds them, and reads them into the cache.

A prepared dataset is read from the cache. Its shards are parsed only if they
have other examples than the origin files in the cache, or if there are no
origin files; they then enter the cache once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import json
import os
import pathlib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import google_crc32c
import numpy as np

from cmnist_tfds import schema, subsets
from cmnist_tfds.cache import store
from cmnist_tfds.cache.split_sources import SplitSource
from cmnist_tfds.formats import png, tfrecord
from cmnist_tfds.origin import Proof
from cmnist_tfds.sources import SPLITS
from cmnist_tfds.subsets import DATASET, SAMPLE, Subset
from cmnist_tfds.system import paths
from cmnist_tfds.system.errors import READABLE, PreparationError, what_helps
from cmnist_tfds.system.streams import warn_once

# TFDS writes it last.
INFO = 'dataset_info.json'

# What a TFRecord file adds to each record.
_FRAME_SIZE = tfrecord.HEADER_SIZE + tfrecord.FOOTER_SIZE

# How many records are parsed together.
_CHUNK = 1024


@dataclasses.dataclass(frozen=True)
class Prepared:
  """A prepared dataset on disk.

  Attributes:
    subset: The subset.
    folder: The folder of the dataset, as `dataset_dir` returns it.
    file_format: Format of the shards, such as 'tfrecord'.
    shard_lengths: For each split, the number of examples in each shard. A split
      without examples, which TFDS does not record, has no shards.
    num_bytes: For each split, bytes of all examples without frames.
    metadata: The metadata that the builder wrote: classes, counts, proofs,
      digests. It is empty if another package built the dataset.
  """

  subset: Subset
  folder: pathlib.Path
  file_format: str
  shard_lengths: Mapping[str, Sequence[int]]
  num_bytes: Mapping[str, int]
  metadata: Mapping[str, Any]

  @property
  def dataset(self) -> str:
    """The name of the dataset: 'cmnist' or 'cmnist_sample'."""
    return self.folder.parents[1].name

  @property
  def is_current(self) -> bool:
    """Whether no extension in it is declared differently now."""
    return self.subset.is_described_by(self.metadata)

  @property
  def digests(self) -> Mapping[str, str]:
    """For each split, a hash of everything that determines its examples.

    It is empty if the metadata lacks them.
    """
    return dict(self.metadata.get('digests', {}))

  def shards(self, split: str) -> list[pathlib.Path]:
    """Returns the shards of a split.

    Raises:
      PreparationError: If one is missing.
    """
    count = len(self.shard_lengths[split])
    name = f'{self.dataset}-{split}.{self.file_format}'
    names = (f'{name}-{n:05d}-of-{count:05d}' for n in range(count))
    found = [self.folder / each for each in names]
    for path in found:
      with parsing(path):
        is_there = path.exists()
      if not is_there:
        raise PreparationError(f'{path} is missing. {remedy(self.folder)}')
    return found

  def check_shards(self) -> None:
    """Checks that all shards are there, with the size of their examples.

    Raises:
      PreparationError: If a shard is missing, or the shards of a split have
        another size.
    """
    for split, num_bytes in self.num_bytes.items():
      found = sum(path.stat().st_size for path in self.shards(split))
      expected = num_bytes + sum(self.shard_lengths[split]) * _FRAME_SIZE
      if self.file_format == 'tfrecord' and found != expected:
        raise PreparationError(
          f'{self.folder}: the shards of {split} are damaged: they have'
          f' {found:,} bytes instead of {expected:,}. {remedy(self.folder)}'
        )

  def open(self, split: str) -> SplitSource:
    """Returns the examples of a split, which enter the cache first.

    Args:
      split: 'train' or 'test'.

    Returns:
      The examples, in the order of the shards, as one source of which the raw
      labels are the labels in the subset.

    Raises:
      PreparationError: If a shard is missing or damaged.
    """
    labels = [np.empty(0, np.int64)]
    shards = self.shards(split)

    def images() -> Iterator[np.ndarray]:
      yield np.empty((0, *schema.IMAGE.shape[:2]), np.uint8)
      for path, length in zip(shards, self.shard_lengths[split], strict=True):
        count = 0
        with parsing(path):
          if self.file_format not in _READERS:
            known = ' or '.join(_READERS)
            raise ValueError(
              f'its format is {self.file_format}, and {known} was expected'
            )
          records = _READERS[self.file_format](path)
          while chunk := list(itertools.islice(records, _CHUNK)):
            pixels, parsed = _parse(chunk, self.subset, count)
            labels.append(parsed)
            yield pixels
            count += len(chunk)
          if count != length:
            raise ValueError(f'it has {count:,} records, not {length:,}')

    # The name of the entry changes when a shard does.
    stats = map(pathlib.Path.stat, shards)
    facts = [(found.st_size, found.st_mtime_ns) for found in stats]
    text = repr((str(self.folder.resolve()), facts))
    title = f'{self.dataset}-{self.subset.name}-{split}'
    key = f'{title}-{hashlib.sha256(text.encode()).hexdigest()[:16]}'
    note = {'what': f'{title} in {self.folder}, pixels'}
    classes = tuple(
      dataclasses.replace(c, raw_label=c.label) for c in self.subset.classes
    )
    entry = store.get_or_create(
      'arrays', key, lambda: {'images': images(), 'labels': labels}, note
    )
    return SplitSource(classes, entry, key)


def dataset_dir(
  subset: Subset,
  *,
  data_dir: paths.PathLike | None = None,
  sample: bool = False,
) -> pathlib.Path:
  """Returns the folder of a prepared subset, without importing TFDS.

  Args:
    subset: The subset.
    data_dir: Where prepared datasets are; TFDS's default if None.
    sample: Whether the subset is one of `cmnist_sample` instead of `cmnist`.

  Returns:
    `<data_dir>/<dataset>/<config>/<version>`, the layout of TFDS.

  Raises:
    PreparationError: If `data_dir` is not a local folder.
  """
  dataset = SAMPLE if sample else DATASET
  return paths.data_root(data_dir) / dataset / subset.name / subsets.VERSION


def sample_hint(subset: Subset, data_dir: paths.PathLike | None) -> str:
  """Returns a sentence for who forgot to ask for the sample; '' for others."""
  folder = dataset_dir(subset, data_dir=data_dir, sample=True)
  if not (folder / INFO).exists():
    return ''
  return f' Its sample is in {folder}: sample=True or --sample takes it.'


def find_prepared(subset: Subset, folder: pathlib.Path) -> Prepared | None:
  """Finds a prepared subset.

  Args:
    subset: The subset.
    folder: The folder of the dataset, as `dataset_dir` returns it.

  Returns:
    The dataset; None if it is not prepared, or an extension in it has been
    declared differently since.

  Raises:
    PreparationError: If the files that describe it are damaged.
  """
  with parsing(folder / INFO):
    if not (folder / INFO).exists():
      return None
  found = read_prepared(subset, folder)
  return found if found.is_current else None


def read_prepared(subset: Subset, folder: pathlib.Path) -> Prepared:
  """Reads what describes a prepared subset. The shards are not looked at.

  Args:
    subset: The subset.
    folder: The folder of the dataset, as `dataset_dir` returns it.

  Raises:
    PreparationError: If a file is missing or damaged, or describes another
      subset.
  """
  path = folder / INFO
  with parsing(path):
    info = json.loads(path.read_bytes())
    file_format = str(info['fileFormat'])
    lengths: dict[str, list[int]] = {split: [] for split in SPLITS}
    num_bytes = {}
    for split in info['splits']:
      # Protocol buffers write numbers as text, and leave out empty lists.
      lengths[split['name']] = [*map(int, split.get('shardLengths', []))]
      num_bytes[split['name']] = int(split.get('numBytes', 0))
    if len(lengths) != len(SPLITS):
      raise ValueError(f'its splits are {", ".join(lengths)}')
  path = folder / 'metadata.json'
  with parsing(path):
    is_ours = path.exists()  # Other packages do not write it.
    metadata = json.loads(path.read_bytes()) if is_ours else {}
    if is_ours and metadata['subset'] != subset.name:
      raise ValueError(f'it describes {metadata["subset"]}')
  return Prepared(subset, folder, file_format, lengths, num_bytes, metadata)


def warn(found: Prepared) -> None:
  """Logs, once, reasons not to trust a prepared dataset."""
  unproved = [
    path
    for row in found.metadata.get('sources', [])
    for path, proof in row['verified'].items()
    if proof == Proof.NONE.value
  ]
  fault = (
    f'was built from unverified origin files: {", ".join(unproved)}.'
    if found.metadata
    else 'was not built by this package: it does not say how its origin files'
    ' were verified.'
  )
  # The name of the sample says that it is not CMNIST.
  if found.dataset != SAMPLE and (unproved or not found.metadata):
    warn_once(f'{found.folder} {fault}')


@contextlib.contextmanager
def parsing(path: pathlib.Path) -> Iterator[None]:
  """Turns the errors of reading a file of a dataset into one clear error.

  Args:
    path: The file.

  Yields:
    Nothing.

  Raises:
    PreparationError: If the block raises any error.
  """
  try:
    yield
  except OSError as error:
    # The store would take it for a fault of the cache folder.
    ask = READABLE * isinstance(error, PermissionError)
    raise PreparationError(f'{path}: {what_helps(error, ask)}') from error
  except (ImportError, MemoryError):
    raise
  except Exception as error:  # Parsers raise many classes of errors.
    reason = ' '.join(str(error).split())
    if isinstance(error, KeyError):
      reason = f'it has no {reason}'
    raise PreparationError(
      f'{path} is damaged: {reason}. {remedy(path.parent)}'
    ) from error


def remedy(folder: pathlib.Path) -> str:
  """Returns the sentence that says how to replace a damaged dataset.

  Args:
    folder: The folder of the dataset, as `dataset_dir` returns it.
  """
  command = ['cmnist', 'build', folder.parent.name, '--overwrite']
  if folder.parents[1].name == SAMPLE:
    command.append('--sample')
  command += ['--data_dir', str(folder.parents[2])]
  return f'Run `{shlex.join(command)}`, which builds the dataset again.'


def _tfrecords(path: pathlib.Path) -> Iterator[bytes]:
  with path.open('rb') as file:
    for number in itertools.count():
      header = file.read(tfrecord.HEADER_SIZE)
      if not header:
        return
      length = int.from_bytes(header[:8], 'little')
      if header != tfrecord.header(length):
        raise ValueError(f'the length of record {number} fails its checksum')
      record = file.read(length)
      crc = np.array([google_crc32c.value(record)], np.uint32)
      if file.read(tfrecord.FOOTER_SIZE) != tfrecord.footers(crc).tobytes():
        raise ValueError(f'record {number} fails its checksum')
      yield record


def _array_records(path: pathlib.Path) -> Iterator[bytes]:
  # Only readers of ArrayRecord need this library.
  from array_record.python import array_record_module  # type: ignore[import-untyped]

  path.open('rb').close()  # The library does not raise an OSError.
  reader = array_record_module.ArrayRecordReader(os.fspath(path))
  for number in range(reader.num_records()):
    yield reader.read([number])[0]


_READERS = {'tfrecord': _tfrecords, 'array_record': _array_records}


def _parse(
  records: Sequence[bytes], subset: Subset, first: int
) -> tuple[np.ndarray, np.ndarray]:
  """Returns the images and labels of records, the first of which has a number."""
  # Only this needs TFDS, which takes a third of a second to import.
  from google.protobuf import message  # type: ignore[import-untyped]
  from tensorflow_datasets.proto import tf_example_generated_pb2

  label_of = {
    tuple(f.value(c) for f in schema.INTEGERS): c.label for c in subset.classes
  }
  pngs, labels = [], []
  for number, record in enumerate(records, first):
    try:
      example = tf_example_generated_pb2.Example.FromString(record)
      features = example.features.feature
      pngs.append(features[schema.IMAGE.name].bytes_list.value[0])
      values = (features[f.name].int64_list.value[0] for f in schema.INTEGERS)
      labels.append(label_of[tuple(values)])
    except (message.DecodeError, LookupError) as error:
      raise ValueError(
        f'record {number} is not an example of {subset.title}'
      ) from error
  height, width, _ = schema.IMAGE.shape
  return png.decode(pngs, height, width, first), np.array(labels, np.int64)

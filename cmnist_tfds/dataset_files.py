# SPDX-License-Identifier: Apache-2.0
"""Reads and checks the files that describe a prepared dataset, without TFDS.

TFDS writes these files beside the shards. They are compared with what the code
says of the subset, so a damaged file never gives wrong class names.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import reprlib
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from cmnist_tfds import schema, subsets
from cmnist_tfds.origin import Proof
from cmnist_tfds.sources import SPLITS
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system.disk_errors import file_size
from cmnist_tfds.system.errors import OutdatedError, PreparationError

DATASET = 'cmnist'
SAMPLE = 'cmnist_sample'

# TFDS writes this file last.
_INFO = 'dataset_info.json'
_FEATURES = 'features.json'
_METADATA = 'metadata.json'
_LICENSE = 'LICENSE'
_SHARD_NAMES = '{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}'

# The files of the largest subset have less than 100 kB.
_MOST_BYTES = 1 << 24
_MOST_EXAMPLES = 1 << 32

# Number of characters of a reason that an error quotes.
_LONGEST_REASON = 200

# What a TFRecord file adds to each record.
_FRAME_BYTES = 16


@dataclasses.dataclass(frozen=True)
class Shard:
  """A shard file.

  Attributes:
    path: The file.
    num_examples: How many examples it holds.
  """

  path: pathlib.Path
  num_examples: int


@dataclasses.dataclass(frozen=True)
class SplitFiles:
  """The files of a split.

  Attributes:
    shards: The shards, in order.
    num_bytes: Bytes of all examples, without what the file format adds.
  """

  shards: tuple[Shard, ...]
  num_bytes: int

  @property
  def num_examples(self) -> int:
    """How many examples the shards hold."""
    return sum(shard.num_examples for shard in self.shards)


@dataclasses.dataclass(frozen=True)
class DatasetFiles:
  """What the files of a prepared dataset say.

  Attributes:
    file_format: Format of the shards, such as 'tfrecord'.
    splits: The files of each split.
    metadata: The metadata that the builder wrote: classes, counts, proofs,
      digests. It is empty if another package built the dataset.
  """

  file_format: str
  splits: Mapping[str, SplitFiles]
  metadata: Mapping[str, Any]


def read_dataset_files(
  subset: Subset, dataset: str, folder: pathlib.Path
) -> DatasetFiles:
  """Reads the files that describe a prepared dataset.

  The shards themselves are not looked at.

  Args:
    subset: The subset.
    dataset: 'cmnist' or 'cmnist_sample'.
    folder: The folder of the prepared dataset.

  Returns:
    What the files say. The class names in them are those of the subset.

  Raises:
    PreparationError: If a file is missing or damaged, or says something else
      than the code. The message names the file and the remedy.
  """
  remedy = how_to_rebuild(subset, dataset, folder)
  # An outdated dataset differs in its other files, which are not damaged.
  metadata = _read_metadata(subset, folder, remedy)
  if not subset.is_described_by(metadata):
    raise OutdatedError(
      f'{folder} was built when {", ".join(subset.declarations)} was declared'
      f' differently. {remedy}'
    )
  with _parsing(folder / _INFO, f'the description of {subset.title}', remedy):
    info = _read_json(folder / _INFO)
    for field, expected in (
      ('name', (DATASET, SAMPLE)),
      ('configName', (subset.name,)),
      ('version', (subsets.VERSION,)),
    ):
      if info[field] not in expected:
        raise ValueError(
          f'its {field} is {reprlib.repr(info[field])} instead of'
          f' {" or ".join(expected)}'
        )
    file_format = info['fileFormat']
    if not isinstance(file_format, str):
      raise TypeError('its fileFormat is no text')
    splits = {
      split['name']: _split_files(folder, info['name'], file_format, split)
      for split in info['splits']
    }
    licence = info['redistributionInfo']['license']
    # Sources that are a further test set give no training examples.
    named = [s for s in SPLITS if s == 'test' or subset.num_train != 0]
    if sorted(split['name'] for split in info['splits']) != sorted(named):
      raise ValueError(f'its splits are not {" and ".join(named)}')
  with _parsing(folder / _FEATURES, 'the features of an example', remedy):
    features = _read_json(folder / _FEATURES)['featuresDict']['features']
    if features.keys() != {feature.name for feature in schema.FEATURES}:
      raise ValueError('it has other features')
  for feature in schema.INTEGERS:
    if feature.names:
      path = folder / f'{feature.name}.labels.txt'
      with _parsing(path, f'the names of each {feature.name}', remedy):
        names = feature.names(subset)
        if _read_text(path) != ''.join(f'{name}\n' for name in names):
          raise ValueError(f'it has other names than {subset.title}')
  with _parsing(folder / _LICENSE, f'the licence in {_INFO}', remedy):
    if _read_text(folder / _LICENSE) != licence:
      raise ValueError('it has another text')
  if metadata:
    path = folder / _METADATA
    with _parsing(path, f'the metadata of {subset.title}', remedy):
      _check_metadata(metadata, subset, splits)
  return DatasetFiles(file_format, splits, metadata)


def _read_metadata(
  subset: Subset, folder: pathlib.Path, remedy: str
) -> dict[str, Any]:
  """Reads the metadata that our builder writes; empty if there are none."""
  path = folder / _METADATA
  if not os.path.lexists(path):
    return {}
  with _parsing(path, f'the metadata of {subset.title}', remedy):
    metadata = _read_json(path)
    if not isinstance(metadata, dict) or not metadata:
      raise TypeError('it is no table with entries')
    for row in metadata.get('sources', []):
      row.get('declaration')
      row['key']
  return metadata


def check_shards(
  files: DatasetFiles, subset: Subset, dataset: str, folder: pathlib.Path
) -> None:
  """Checks that all shards are there, and that none is cut.

  Args:
    files: What the files of the dataset say.
    subset: The subset.
    dataset: 'cmnist' or 'cmnist_sample'.
    folder: The folder of the prepared dataset.

  Raises:
    PreparationError: If a shard is missing, or the shards of a split have
      another size than their examples.
  """
  remedy = how_to_rebuild(subset, dataset, folder)
  for name, split in files.splits.items():
    sizes = []
    for shard in split.shards:
      with _parsing(shard.path, f'a shard of {name}', remedy):
        sizes.append(file_size(shard.path))
    framed = split.num_bytes + _FRAME_BYTES * split.num_examples
    if files.file_format == 'tfrecord' and sum(sizes) != framed:
      raise PreparationError(
        f'{folder}: the shards of {name} are damaged: they have'
        f' {sum(sizes):,} bytes instead of {framed:,}. {remedy}'
      )


def how_to_rebuild(subset: Subset, dataset: str, folder: pathlib.Path) -> str:
  """Returns the sentence that says how to replace a damaged dataset.

  Args:
    subset: The subset.
    dataset: 'cmnist' or 'cmnist_sample'.
    folder: The folder of the prepared dataset.
  """
  command = [
    *('cmnist', 'build', subset.name, '--overwrite'),
    *(['--sample'] if dataset == SAMPLE else []),
    *('--data_dir', str(folder.parents[2])),
  ]
  return f'Run `{shlex.join(command)}`, which builds the dataset again.'


@contextlib.contextmanager
def _parsing(path: pathlib.Path, expected: str, remedy: str) -> Iterator[None]:
  """Turns the errors of parsing a file into one clear error.

  An error raised in the block says what is wrong in words that follow 'is
  damaged:'.
  """
  try:
    yield
  except FileNotFoundError as error:
    raise PreparationError(
      f'{path.parent} is not a finished dataset: {path.name} is missing.'
      f' {remedy}'
    ) from error
  except (
    *(OSError, ValueError, LookupError, TypeError, AttributeError),
    RecursionError,
  ) as error:
    match error:
      case OSError():
        reason = error.strerror or str(error)
      case KeyError():
        reason = f'it has no {error}'
      case RecursionError():
        reason = 'it is nested too deeply'
      case ValueError():
        reason = str(error)
      case _:
        reason = f'it has another structure ({error})'
    # A damaged value may be long.
    reason = ' '.join(reason.split())[:_LONGEST_REASON]
    raise PreparationError(
      f'{path} is damaged: {reason}. Expected {expected}. {remedy}'
    ) from error


def _read_text(path: pathlib.Path) -> str:
  if file_size(path) > _MOST_BYTES:
    raise ValueError(f'it has more than {_MOST_BYTES:,} bytes')
  return path.read_bytes().decode()


def _read_json(path: pathlib.Path) -> Any:
  return json.loads(_read_text(path))


def _split_files(
  folder: pathlib.Path, dataset: str, file_format: str, split: Any
) -> SplitFiles:
  if split['filepathTemplate'] != _SHARD_NAMES:
    raise ValueError('it gives shards other names than TFDS does')
  # Protocol buffers leave out zeros and empty lists.
  lengths = [_count(length) for length in split.get('shardLengths', [])]
  names = [
    _SHARD_NAMES.format(
      DATASET=dataset,
      SPLIT=split['name'],
      FILEFORMAT=file_format,
      SHARD_X_OF_Y=f'{number:05d}-of-{len(lengths):05d}',
    )
    for number in range(len(lengths))
  ]
  found = SplitFiles(
    tuple(map(Shard, (folder / name for name in names), lengths)),
    _count(split.get('numBytes', 0)),
  )
  if bool(found.num_bytes) != bool(found.num_examples):
    raise ValueError(
      f'{found.num_examples:,} examples of {split["name"]} have'
      f' {found.num_bytes:,} bytes'
    )
  return found


def _count(number: object) -> int:
  """Returns a count, which protocol buffers write as text."""
  if isinstance(number, bool) or not isinstance(number, int | str):
    raise TypeError(f'{reprlib.repr(number)} is no count')
  if not 0 <= int(number) < _MOST_EXAMPLES:
    raise ValueError(f'{reprlib.repr(number)} is no count of examples')
  return int(number)


def _check_metadata(
  metadata: Any, subset: Subset, splits: Mapping[str, SplitFiles]
) -> None:
  """Raises a `ValueError` or the like if metadata is not that of a dataset."""
  for key, expected in (
    ('subset', subset.name),
    ('per_class', subset.per_class),
  ):
    if metadata[key] != expected:
      raise ValueError(f'its {key} is not {expected}')
  classes = metadata['classes']
  found = [
    (row['label'], row['name'], row['source'], row['source_label'])
    for row in classes
  ]
  if found != [
    (c.label, c.name, c.source.key, c.raw_label) for c in subset.classes
  ]:
    raise ValueError('its classes are others')
  for name, split in splits.items():
    counted = sum(_count(row[name]) for row in classes)
    if counted != split.num_examples:
      raise ValueError(
        f'it counts {counted:,} examples of {name}, and the shards hold'
        f' {split.num_examples:,}'
      )
  if not isinstance(metadata['balanced'], bool):
    raise TypeError('balanced is neither true nor false')
  sources = metadata['sources']
  if [row['key'] for row in sources] != [s.key for s in subset.sources]:
    raise ValueError('its sources are others')
  for row, source in zip(sources, subset.sources, strict=True):
    if row['verified'].keys() != {file.path for file in source.origin_files}:
      raise ValueError(f'it does not say how {source.key} was verified')
    for proof in row['verified'].values():
      Proof(proof)
  for digest in metadata.get('digests', {}).values():
    if not isinstance(digest, str):
      raise TypeError('its digests are no text')

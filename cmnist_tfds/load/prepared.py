# SPDX-License-Identifier: Apache-2.0
"""Prepared subsets: where they are, what is in them.

What TFDS wrote beside the shards is read as it is. TFDS itself is imported only
to prepare what is not there.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from cmnist_tfds import subsets
from cmnist_tfds.errors import PreparationError
from cmnist_tfds.origin import Proof
from cmnist_tfds.subsets import Subset

if TYPE_CHECKING:
  from cmnist_tfds.datasets.dataset_builder import CmnistBuilder

DATASET = 'cmnist'
SAMPLE = 'cmnist_sample'

# As TFDS has it.
_DATA_DIR = 'TFDS_DATA_DIR'
_DEFAULT_DATA_DIR = '~/tensorflow_datasets'
# A folder that has it is finished.
_INFO = 'dataset_info.json'
_METADATA = 'metadata.json'
_LABELS = 'label.labels.txt'

_PathLike = str | os.PathLike[str]


@dataclasses.dataclass(frozen=True)
class Shard:
  """A file of examples.

  Attributes:
    path: The file.
    num_examples: How many examples it holds.
  """

  path: pathlib.Path
  num_examples: int


@dataclasses.dataclass(frozen=True)
class Prepared:
  """A subset on disk.

  Attributes:
    subset: Which subset.
    dataset: 'cmnist' or 'cmnist_sample'.
    folder: Where it is.
    file_format: Format of the shards, 'tfrecord' or 'array_record'.
    shards: For each split, its shards, in order.
    class_names: The name of each label.
  """

  subset: Subset
  dataset: str
  folder: pathlib.Path
  file_format: str
  shards: Mapping[str, tuple[Shard, ...]]
  class_names: tuple[str, ...]

  @property
  def shard_lengths(self) -> dict[str, list[int]]:
    """For each split, how many examples each of its shards holds."""
    return {
      split: [shard.num_examples for shard in shards]
      for split, shards in self.shards.items()
    }

  @functools.cached_property
  def metadata(self) -> dict[str, Any]:
    """The metadata the builder wrote: classes, counts, proofs, digests."""
    return json.loads((self.folder / _METADATA).read_text('utf-8'))

  @property
  def class_counts(self) -> list[tuple[int, int]]:
    """For each label, how many examples train and test have."""
    rows = self.metadata['classes']
    return [(row['train'], row['test']) for row in rows]


def dataset_dir(
  subset: Subset, *, data_dir: _PathLike | None = None, sample: bool = False
) -> pathlib.Path:
  """Returns where a subset is once it is prepared, without asking TFDS.

  Args:
    subset: The subset.
    data_dir: Where prepared datasets are; TFDS's default if None.
    sample: Whether it is one of `cmnist_sample` in place of `cmnist`.

  Returns:
    `<data_dir>/<dataset>/<config>/<version>`, as TFDS lays datasets out.
  """
  root = data_dir or os.environ.get(_DATA_DIR) or _DEFAULT_DATA_DIR
  dataset = SAMPLE if sample else DATASET
  folder = pathlib.Path(root, dataset, subset.name, subsets.VERSION)
  return folder.expanduser()


def find_prepared(
  subset: Subset, *, data_dir: _PathLike | None = None, sample: bool = False
) -> Prepared | None:
  """Returns a subset as it is on disk, or None; see `find`."""
  return find(subset.name, data_dir=data_dir, sample=sample)


def find(
  name: str, *, data_dir: _PathLike | None = None, sample: bool = False
) -> Prepared | None:
  """Returns a subset as it is on disk.

  Args:
    name: Name of a subset.
    data_dir: Where prepared datasets are; TFDS's default if None.
    sample: Whether to look for `cmnist_sample` in place of `cmnist`.

  Returns:
    The subset, or None if it is not prepared.

  Raises:
    SubsetNameError: If there is no such subset.
    PreparationError: If what is there cannot be understood.
  """
  subset = subsets.subset(name)
  folder = dataset_dir(subset, data_dir=data_dir, sample=sample)
  return _read(subset, SAMPLE if sample else DATASET, folder)


def prepare(
  name: str, *, data_dir: _PathLike | None = None, sample: bool = False
) -> Prepared:
  """Prepares a subset, if TFDS does not find it anywhere.

  Args:
    name: Name of a subset.
    data_dir: Where prepared datasets are; TFDS's default if None.
    sample: Whether to take `cmnist_sample` in place of `cmnist`.

  Returns:
    The subset.

  Raises:
    SubsetNameError: If there is no such subset.
    OriginFileError: If a file it needs is missing or not the right one.
    PreparationError: If it cannot be written, or is no folder of this computer.
  """
  builder = get_builder(name, data_dir=data_dir, sample=sample)
  builder.download_and_prepare()
  # TFDS may know further places where datasets are.
  folder = pathlib.Path(builder.data_path)
  found = _read(builder.subset, builder.name, folder)
  if found is None:
    raise PreparationError(
      f'{builder.data_dir} is no folder of this computer. Copy it to one, or'
      ' read it with tfds.load.'
    )
  return found


def get_builder(
  name: str,
  *,
  data_dir: _PathLike | None = None,
  sample: bool = False,
  **kwargs: object,
) -> CmnistBuilder:
  """Returns the TFDS builder of a subset.

  Args:
    name: Name of a subset.
    data_dir: Where prepared datasets are; TFDS's default if None.
    sample: Whether to take `cmnist_sample` in place of `cmnist`.
    **kwargs: Further arguments of the builder.

  Returns:
    The builder.

  Raises:
    SubsetNameError: If there is no such subset.
  """
  from cmnist_tfds.datasets.cmnist import cmnist_dataset_builder
  from cmnist_tfds.datasets.cmnist_sample import cmnist_sample_dataset_builder

  module = cmnist_sample_dataset_builder if sample else cmnist_dataset_builder
  return module.Builder(
    data_dir=data_dir, config=subsets.subset(name).name, **kwargs
  )


def _read(
  subset: Subset, dataset: str, folder: pathlib.Path
) -> Prepared | None:
  if not (folder / _INFO).is_file():
    return None
  try:
    info = json.loads((folder / _INFO).read_text('utf-8'))
    names = (folder / _LABELS).read_text('utf-8').splitlines()
    file_format = info['fileFormat']
    shards = {
      split['name']: tuple(_shards(folder, info['name'], file_format, split))
      for split in info['splits']
    }
  except (ValueError, KeyError, TypeError, FileNotFoundError) as err:
    raise PreparationError(
      f'{folder} is no dataset as TFDS writes it: {err!r}. Remove the folder and'
      ' build again.'
    ) from err
  return Prepared(subset, dataset, folder, file_format, shards, tuple(names))


def _shards(
  folder: pathlib.Path, dataset: str, file_format: str, split: Any
) -> Iterable[Shard]:
  lengths = split['shardLengths']
  for number, length in enumerate(lengths):
    file = split['filepathTemplate'].format(
      DATASET=dataset,
      SPLIT=split['name'],
      FILEFORMAT=file_format,
      SHARD_X_OF_Y=f'{number:05d}-of-{len(lengths):05d}',
    )
    yield Shard(folder / file, int(length))


def warn(found: Prepared) -> None:
  """Says what a user should know before trusting the data."""
  names = tuple(c.name for c in found.subset.classes)
  if found.class_names != names:
    logging.warning(
      '%s was built by other code: its classes are not those of %s.',
      found.folder,
      found.subset.title,
    )
  if found.dataset == SAMPLE:
    return  # Its name says that it is not the real one.
  try:
    proofs = {
      path: proof
      for source in found.metadata['sources']
      for path, proof in source['verified'].items()
    }
  except (ValueError, KeyError, TypeError, AttributeError, FileNotFoundError):
    logging.warning(
      '%s was built by other code: it does not say how its origin files were'
      ' verified.',
      found.folder,
    )
    return
  unproved = [
    path for path, proof in proofs.items() if proof == Proof.NONE.value
  ]
  if unproved:
    logging.warning(
      '%s was built from origin files that nothing proves: %s.',
      found.folder,
      ', '.join(unproved),
    )

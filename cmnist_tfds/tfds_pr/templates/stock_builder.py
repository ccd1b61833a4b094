# SPDX-License-Identifier: Apache-2.0
"""CMNIST: MNIST-like datasets concatenated into 134 harder benchmarks."""

from __future__ import annotations

import gzip
import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow_datasets.public_api as tfds
from etils import epath
from tensorflow_datasets.datasets.cmnist import (
  config,
  errors,
  schema,
  sources,
  subsets,
)

_Paths = Mapping[str, epath.Path]


class Builder(tfds.core.GeneratorBasedBuilder):
  """CMNIST, built from the files its sources publish."""

  VERSION = tfds.core.Version(subsets.VERSION)
  RELEASE_NOTES = config.RELEASE_NOTES
  # TFDS's documentation takes the first one for the default.
  BUILDER_CONFIGS = sorted(
    config.declared_configs(), key=lambda c: c.name != subsets.DEFAULT
  )
  DEFAULT_BUILDER_CONFIG_NAME = subsets.DEFAULT

  def _info(self) -> tfds.core.DatasetInfo:
    info = config.dataset_info(self)
    for row, source in zip(
      info.metadata['sources'], self._subset.sources, strict=True
    ):
      row['verified'] = {
        file.path: 'sha256' if fetched(file).sha256 else 'md5'
        for file in source.origin_files
      }
    return info

  @property
  def _subset(self) -> subsets.Subset:
    return self.builder_config.subset

  def _split_generators(
    self, dl_manager: tfds.download.DownloadManager
  ) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
    to_fetch = {
      fetched(file).path: fetched(file)
      for source in self._subset.sources
      for file in source.origin_files
    }
    paths = dl_manager.download(
      {path: file.urls[0] for path, file in to_fetch.items()}
    )
    for path, file in to_fetch.items():
      if not file.sha256:
        check_md5(paths[path], file)
    return {
      split: self._generate_examples(split, paths) for split in sources.SPLITS
    }

  def _generate_examples(
    self, split: str, paths: _Paths
  ) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the examples, numbered along the concatenation of the sources."""
    table = self.info.metadata['classes']
    key = 0
    for number, (source, raw_labels) in enumerate(self._subset.members):
      images, raw = (
        _read(paths, file, source.layout) for file in source.splits[split].files
      )
      if source.transposed:
        images = images.transpose(0, 2, 1)
      rows = subsets.rows(raw, raw_labels, self._subset.train_limit(split))
      classes = {
        c.raw_label: c
        for c in self._subset.classes
        if c.source_number == number
      }
      for raw_label, count in zip(
        *np.unique(raw[rows], return_counts=True), strict=True
      ):
        table[classes[int(raw_label)].label][split] = int(count)
      for row in rows.tolist():
        yield (
          key,
          {
            schema.IMAGE.name: images[row, :, :, None],
            **schema.integers_of(classes[int(raw[row])]),
          },
        )
        key += 1


def fetched(file: sources.OriginFile) -> sources.OriginFile:
  """Returns the file that is downloaded for a file: itself, or its archive."""
  return file.archive or file


def check_md5(path: epath.Path, file: sources.OriginFile) -> None:
  """Checks a file whose SHA-256 has not been registered.

  Args:
    path: Where it is.
    file: Its record.

  Raises:
    OriginFileError: If it is another file.
  """
  found = hashlib.md5(path.read_bytes()).hexdigest()
  if found != file.md5:
    raise errors.OriginFileError(
      f'{path}: expected {file.path} with MD5 {file.md5}, found {found}. Delete'
      ' it, and it is fetched anew.'
    )


def _read(paths: _Paths, file: sources.OriginFile, layout: str) -> np.ndarray:
  """Returns the array in a file."""
  data = paths[fetched(file).path].read_bytes()
  if file.member:
    data = zipfile.ZipFile(io.BytesIO(data)).read(file.member)
  if layout == 'npz':
    return np.load(io.BytesIO(data))['arr_0']
  return _read_idx(gzip.decompress(data))


def _read_idx(data: bytes) -> np.ndarray:
  """Returns the array in an IDX file: bytes after the number of dimensions."""
  num_dims = data[3]
  shape = np.frombuffer(data, '>u4', num_dims, offset=4)
  return np.frombuffer(data, np.uint8, offset=4 + 4 * num_dims).reshape(shape)

# SPDX-License-Identifier: Apache-2.0
"""The TFDS builder that `cmnist` and `cmnist_sample` share."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import tensorflow_datasets.public_api as tfds

from cmnist_tfds import origin, schema, subsets
from cmnist_tfds.cache import prepared, split_sources
from cmnist_tfds.cache.split_sources import SplitSource
from cmnist_tfds.datasets import (
  atomic_replace,
  build_report,
  config,
  tfds_internals,
)
from cmnist_tfds.datasets.fast_path import write
from cmnist_tfds.formats import png
from cmnist_tfds.origin import audit
from cmnist_tfds.sample import sample_of
from cmnist_tfds.sources import SPLITS
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system import paths
from cmnist_tfds.system.disk_errors import disk_errors
from cmnist_tfds.system.errors import (
  OriginFileError,
  PreparationError,
  SubsetNameError,
)
from cmnist_tfds.system.extras import require_tensorflow


class _Configs(dict[str, config.CmnistConfig]):
  """The declared configs by name; `in` is true for every other valid name too.

  TFDS uses `in` to ask whether a builder has a config. If this were false for a
  prepared `-r-7`, TFDS would return a builder that can only read.
  """

  def __contains__(self, name: object) -> bool:
    try:
      return isinstance(name, str) and bool(subsets.subset(name))
    except SubsetNameError:
      return False


class CmnistBuilder(  # type: ignore[call-arg]
  tfds.core.GeneratorBasedBuilder, skip_registration=True
):
  """Builds any subset of CMNIST. Each dataset has a subclass.

  `schema` declares the features of an example. The metadata has the table of
  classes, whether they are balanced, and how each origin file was verified.
  """

  VERSION = tfds.core.Version(subsets.VERSION)
  RELEASE_NOTES: ClassVar[dict[str, str]] = config.RELEASE_NOTES
  BUILDER_CONFIGS: ClassVar[list[config.CmnistConfig]] = (
    config.declared_configs()
  )
  DEFAULT_BUILDER_CONFIG_NAME = subsets.DEFAULT
  is_sample = False

  def __init__(
    self,
    *,
    allow_unverified: bool = False,
    mirror: str | None = None,
    timeout: float | None = None,
    **kwargs: Any,
  ):
    """Constructs the builder.

    Args:
      allow_unverified: Whether to build from unverified origin files. The
        metadata of the dataset then says so.
      mirror: Folder or HTTP address with the origin files, which is tried
        before their origins. If None, the environment variable CMNIST_MIRROR
        names it.
      timeout: Seconds that a host may take to be reached, or send next to
        nothing; 20 if None.
      **kwargs: Arguments of `tfds.core.GeneratorBasedBuilder`.
    """
    options = {
      'allow_unverified': allow_unverified,
      'mirror': mirror,
      'timeout': timeout,
    }
    self._allow_unverified = allow_unverified
    self._mirror = mirror
    self._timeout = timeout
    super().__init__(**kwargs)
    # TFDS pickles a builder as these arguments. The process that reads them may
    # run in another folder.
    self._original_state |= {**options, 'data_dir': str(self.data_dir_root)}
    if self.info.prepared and not allow_unverified:
      prepared.warn(self.info.prepared)

  # Names -------------------------------------------------------------------

  @tfds.core.utils.classproperty
  @classmethod
  @tfds.core.utils.memoize()
  def builder_configs(cls) -> dict[str, config.CmnistConfig]:
    """The declared configs by name."""
    return _Configs({c.name: c for c in cls.BUILDER_CONFIGS})

  @classmethod
  def get_builder_config(
    cls, name: str, version: str | tfds.core.Version | None = None
  ) -> config.CmnistConfig:
    """Returns the config of a subset for any spelling of its name.

    Args:
      name: Name of a subset.
      version: Ignored, because every config has the version of the builder.

    Returns:
      The config.

    Raises:
      SubsetNameError: If there is no such subset.
    """
    del version
    return config.config_of(subsets.subset(name), sample=cls.is_sample)

  @property
  def subset(self) -> Subset:
    """The subset that this builder builds."""
    return self.builder_config.subset

  # Folders and files -------------------------------------------------------

  def _build_data_dir(self, given_data_dir: str | None) -> tuple[str, str]:
    """Returns the folder of all datasets and that of this dataset."""
    if given_data_dir and paths.is_remote(given_data_dir):
      return super()._build_data_dir(given_data_dir)
    ours = super()._build_data_dir(os.fspath(paths.data_root(given_data_dir)))
    atomic_replace.restore(pathlib.Path(ours[1]))
    if given_data_dir or os.path.exists(ours[1]):
      return ours
    # TFDS knows folders of its own: see `tfds.core.add_data_dir`.
    theirs = super()._build_data_dir(None)
    return theirs if os.path.exists(theirs[1]) else ours

  @tfds.core.utils.classproperty
  @classmethod
  def _checksums_path(cls) -> pathlib.Path:
    return paths.package_folder('checksums') / 'checksums.tsv'

  @property
  def url_infos(self) -> dict[str, tfds_internals.UrlInfo]:
    """One home of each file, which `tfds build --download_only` fetches."""
    infos = super().url_infos
    homes = [
      (file.urls or (file.archive or file).urls)[:1]
      for source in ([] if self.is_sample else self.subset.sources)
      for file in source.origin_files
    ]
    return {url: infos[url] for urls in homes for url in urls if url in infos}

  def _find_locations(
    self,
    dl_manager: tfds.download.DownloadManager,
    download_config: tfds.download.DownloadConfig,
  ) -> origin.Locations:
    """Returns where to find the origin files."""
    found = origin.default_locations(
      download_dir=dl_manager.download_dir,
      manual_dir=download_config.manual_dir,
      mirror=self._mirror,
      timeout=self._timeout,
    )
    return dataclasses.replace(found, verify_ssl=download_config.verify_ssl)

  # Description -------------------------------------------------------------

  def _info(self) -> tfds.core.DatasetInfo:
    described = sample_of(self.subset) if self.is_sample else self.subset
    return config.dataset_info(self, described)

  # TFDS prints these messages to standard output.
  def _log_download_bytes(self) -> None: ...

  def _log_download_done(self) -> None: ...

  # Preparation -------------------------------------------------------------

  def download_and_prepare(
    self,
    *,
    download_dir: os.PathLike[str] | str | None = None,
    download_config: tfds.download.DownloadConfig | None = None,
    **kwargs: Any,
  ) -> None:
    """Prepares the dataset like TFDS, but never loses finished data.

    A dataset of which an extension is declared differently now is overwritten.
    An old dataset is replaced only when the new one is finished.

    Args:
      download_dir: See `tfds.core.DatasetBuilder.download_and_prepare`.
      download_config: See `tfds.core.DatasetBuilder.download_and_prepare`.
      **kwargs: See `tfds.core.DatasetBuilder.download_and_prepare`.

    Raises:
      PreparationError: If the format is refused, the data folder is not local,
        or a dataset that is there is damaged and not overwritten.
      OriginFileError: If an origin file is missing or wrong.
    """
    download_config = download_config or tfds.download.DownloadConfig()
    arguments = {
      'download_dir': download_dir or self.data_dir_root / 'downloads',
      'download_config': download_config,
      'file_format': self.info.file_format,
      **kwargs,
    }
    overwrites = download_config.download_mode.overwrite_dataset
    stock = tfds.core.DatasetBuilder
    is_mocked = stock.download_and_prepare.__module__ != stock.__module__
    if is_mocked or (self.is_prepared() and not overwrites):
      super().download_and_prepare(**arguments)
      return
    paths.data_root(self.data_dir_root)  # Refuses remote addresses.
    data_path = pathlib.Path(self.data_path)
    with disk_errors(data_path), atomic_replace.locked(data_path):
      if not data_path.exists():
        super().download_and_prepare(**arguments)
        return
      # Another process may have built it meanwhile.
      self.info.read_from_directory(data_path)
      if overwrites or self.info.is_outdated:
        with atomic_replace.replacing(data_path) as folder:
          fresh = type(self)(**self._original_state | {'data_dir': folder})
          fresh.download_and_prepare(**arguments)
        self.info.read_from_directory(data_path)
      elif self.info.fault:
        raise self.info.fault

  def is_prepared(self) -> bool:
    """Returns whether the dataset is finished, and as it is declared now."""
    is_finished = (self.data_path / 'dataset_info.json').exists()
    return is_finished and not self.info.fault

  def _generate_splits(
    self,
    dl_manager: tfds.download.DownloadManager,
    download_config: tfds.download.DownloadConfig,
  ) -> Sequence[tfds.core.SplitInfo]:
    """Writes the shards of both splits, and the metadata about them."""
    self._locations = self._find_locations(dl_manager, download_config)
    if write.can_write(self.info.file_format, download_config):
      sources = self._open(split_sources.open_encoded)
      with write.shard_writer(
        self.info.file_format, download_config
      ) as write_shard:
        splits = [
          write.write_split(
            of_split,
            self._get_filename_template(split),
            download_config.get_shard_config(),
            self._same_shards(split, of_split),
            write_shard,
          )
          for split, of_split in sources.items()
          if any(map(len, of_split))
        ]
    else:
      if self.info.file_format is tfds.core.FileFormat.PARQUET:
        raise PreparationError(
          f'{self.info.full_name} cannot be written as Parquet: TFDS loses rows'
          ' in that format. Use tfrecord or array_record.'
        )
      if download_config.beam_runner or download_config.beam_options:
        logging.getLogger('cmnist_tfds').warning(
          '%s is written without Apache Beam, which does not count examples.',
          self.info.full_name,
        )
      require_tensorflow("TFDS's own way to write a dataset")
      sources = self._open(split_sources.open_raw)
      splits = super()._generate_splits(dl_manager, download_config)
    self.info.metadata.update(
      build_report.report(
        self.subset,
        sources,
        dict.fromkeys(sources, 0) | {s.name: s.num_examples for s in splits},
      )
    )
    return splits

  def _open(
    self, open_split: Callable[..., list[SplitSource]]
  ) -> dict[str, list[SplitSource]]:
    """Returns the examples of each source, for each split."""
    try:
      return {
        split: open_split(
          self.subset,
          split,
          self._locations,
          allow_unverified=self._allow_unverified,
        )
        for split in SPLITS
      }
    except OriginFileError as error:
      if not (missing := audit.missing(self.subset.sources, self._locations)):
        raise
      lines = [
        str(error),
        f'Files of {self.subset.name} that are not on this computer:',
        *missing,
      ]
      raise OriginFileError('\n'.join(lines)) from error

  def _same_shards(
    self, split: str, sources: Sequence[SplitSource]
  ) -> list[pathlib.Path]:
    """Returns the shards of the full subset if they have the same examples.

    A reduced subset has the same test split as the full one.
    """
    # The full subset is of no use if it is damaged.
    with contextlib.suppress(PreparationError):
      full = prepared.find_prepared(
        self.subset.full, data_dir=self.data_dir_root, sample=self.is_sample
      )
      digest = split_sources.digest(sources, sum(map(len, sources)))
      if (
        full
        and full.file_format == self.info.file_format.value
        and full.digests.get(split) == digest
      ):
        full.check_shards()
        return full.shards(split)
    return []

  # TFDS's own way to write a split ---

  def _split_generators(
    self, dl_manager: tfds.download.DownloadManager
  ) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
    del dl_manager
    return {
      split: self._generate_examples(sources)
      for split, sources in self._open(split_sources.open_raw).items()
      if any(map(len, sources))
    }

  def _generate_examples(
    self, sources: Sequence[SplitSource]
  ) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the examples, numbered along the concatenation."""
    integers = [schema.integers_of(c) for c in self.subset.classes]
    key = 0
    for source in sources:
      images = source.arrays['images']
      rows = range(len(source)) if source.rows is None else source.rows
      for row, label in zip(rows, source.labels(), strict=True):
        (image,) = png.encode(images[row : row + 1])
        yield key, {schema.IMAGE.name: image, **integers[label]}
        key += 1

  # Reading -----------------------------------------------------------------

  def as_dataset(self, *args: Any, **kwargs: Any) -> Any:
    """Reads the dataset like TFDS.

    Args:
      *args: See `tfds.core.DatasetBuilder.as_dataset`.
      **kwargs: See `tfds.core.DatasetBuilder.as_dataset`.

    Returns:
      A `tf.data.Dataset`, or a structure of them.

    Raises:
      MissingExtraError: If TensorFlow, the extra `tensorflow`, is not
        installed.
    """
    require_tensorflow(f'Reading {self.info.full_name} as tf.data.Dataset')
    return super().as_dataset(*args, **kwargs)

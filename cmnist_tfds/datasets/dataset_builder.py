# SPDX-License-Identifier: Apache-2.0
"""The TFDS builder that `cmnist` and `cmnist_sample` share."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import pathlib
from typing import Any, ClassVar

import tensorflow_datasets.public_api as tfds

from cmnist_tfds import origin, sample, subsets
from cmnist_tfds.cache import prepared, split_sources
from cmnist_tfds.cache.prepared import INFO, Prepared
from cmnist_tfds.cache.split_sources import SplitSource
from cmnist_tfds.datasets import atomic_replace, config, mapped, tfds_internals
from cmnist_tfds.datasets.fast_path import write
from cmnist_tfds.load import split_spec
from cmnist_tfds.origin import audit
from cmnist_tfds.sources import SPLITS
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system import errors, paths
from cmnist_tfds.system.errors import OriginFileError, PreparationError
from cmnist_tfds.system.extras import require_tensorflow
from cmnist_tfds.system.streams import warn_once


class CmnistBuilder(  # type: ignore[call-arg]
  tfds_internals.FileReaderBuilder, skip_registration=True
):
  """Builds any subset of CMNIST. Each dataset has a subclass.

  `schema` declares the features of an example. The metadata has the table of
  classes, whether they are balanced, and how each origin file was verified.
  """

  VERSION = tfds.core.Version(subsets.VERSION)
  RELEASE_NOTES: ClassVar[dict[str, str]] = {
    subsets.VERSION: 'The 134 subsets of the paper and reduced forms.'
  }
  builder_configs = config.declared_configs()
  BUILDER_CONFIGS = tuple(builder_configs.values())
  DEFAULT_BUILDER_CONFIG_NAME = subsets.DEFAULT
  is_sample = False

  def __init_subclass__(cls, **kwargs: Any):
    """Registers a dataset, in place of another package's of the same name."""
    name = cls.__module__.split('.')[-2]
    # TFDS refuses a second builder of a name.
    if other := tfds_internals.DATASETS.pop(name, None):
      warn_once(
        f'{other.__module__} has registered the dataset {name!r} too. From now'
        f' on tfds.load finds that of {cls.__module__}.'
      )
    super().__init_subclass__(**kwargs)

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
      **kwargs: `data_dir`, `config`, `version` and `file_format`, as in TFDS.
    """
    super().__init__(**kwargs)
    self._options: dict[str, Any] = {
      'allow_unverified': allow_unverified,
      'mirror': mirror,
      'timeout': timeout,
    }
    # TFDS pickles a builder as these arguments. It accepts only its own object
    # as a config, and the process that reads them may run in another folder.
    self._original_state |= self._options | {
      'config': self.builder_config.name,
      'data_dir': str(self.data_dir_root),
    }
    if self.info.found and not allow_unverified:
      prepared.warn(self.info.found)

  # Names -------------------------------------------------------------------

  @classmethod
  def get_builder_config(
    cls, name: str, version: str | tfds.core.Version | None = None
  ) -> tfds.core.BuilderConfig:
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
    return subsets.subset(self.builder_config.name)

  # Folders and files -------------------------------------------------------

  def _build_data_dir(self, given_data_dir: str | None) -> tuple[str, str]:
    """Returns the folder of all datasets and that of this dataset."""
    if given_data_dir and paths.is_remote(given_data_dir):
      return super()._build_data_dir(given_data_dir)
    ours = super()._build_data_dir(os.fspath(paths.data_root(given_data_dir)))
    if given_data_dir or os.path.exists(ours[1]):
      return ours
    # TFDS knows folders of its own: see `tfds.core.add_data_dir`.
    theirs = super()._build_data_dir(None)
    return theirs if os.path.exists(theirs[1]) else ours

  @property
  def url_infos(self) -> dict[str, tfds_internals.UrlInfo]:
    """One home of each file, which `tfds build --download_only` fetches."""
    homes = [
      file if file.urls else file.archive
      for source in ([] if self.is_sample else self.subset.sources)
      for file in source.origin_files
    ]
    # TFDS knows no other hash.
    return {
      home.urls[0]: tfds_internals.UrlInfo(home.size, home.sha256, home.path)
      for home in homes
      if home and home.urls and home.size and home.sha256
    }

  # Description -------------------------------------------------------------

  def _info(self) -> tfds.core.DatasetInfo:
    described = sample.sample_of(self.subset) if self.is_sample else self.subset
    return config.dataset_info(self, described, sample=self.is_sample)

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
        a dataset that is there is damaged and not overwritten, or what is there
        is not a dataset.
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
    is_mocked = _is_mocked('download_and_prepare')
    if is_mocked or (self.is_prepared() and not overwrites):
      super().download_and_prepare(**arguments)
      return
    paths.data_root(self.data_dir_root)  # Refuses remote addresses.
    data_path = pathlib.Path(self.data_path)
    with errors.disk_errors(data_path), atomic_replace.locked(data_path):
      if not data_path.exists():
        super().download_and_prepare(**arguments)
        return
      if not (data_path / INFO).exists():
        raise PreparationError(
          f'{data_path} is not a dataset: it has no {INFO}. Move it away, or'
          ' choose another data folder.'
        )
      # Another process may have built it meanwhile.
      self.info.read_from_directory(data_path)
      found = self.info.found
      if overwrites or (found and not found.is_current):
        with atomic_replace.replacing(data_path) as folder:
          fresh = type(self)(**self._original_state | {'data_dir': folder})
          fresh.download_and_prepare(**arguments)
        self.info.read_from_directory(data_path)
      elif self.info.fault:
        raise self.info.fault

  def is_prepared(self) -> bool:
    """Returns whether the dataset is finished, and as it is declared now."""
    return (self.data_path / INFO).exists() and not self.info.fault

  def _download_and_prepare(
    self,
    dl_manager: tfds.download.DownloadManager,
    download_config: tfds.download.DownloadConfig,
  ) -> None:
    """Writes the shards of both splits, and the metadata about them."""
    file_format = self.info.file_format
    if file_format not in write.WRITERS:
      raise PreparationError(
        f'{self.info.full_name} cannot be written as {file_format.value}. Use'
        f' {" or ".join(known.value for known in write.WRITERS)}.'
      )
    sources = self._open(dl_manager.download_dir, download_config)
    how = download_config, file_format, self._get_filename_template
    splits = write.write_splits(sources, *how, self._find_full())
    self.info.set_splits(tfds.core.SplitDict(splits))
    counts = {split.name: split.num_examples for split in splits}
    config.complete_metadata(self.info.metadata, sources, counts)

  def _open(
    self, download_dir: pathlib.Path, options: tfds.download.DownloadConfig
  ) -> dict[str, list[SplitSource]]:
    """Returns the examples of each source, for each split."""
    if self.is_sample:
      locations = sample.locations(self.subset)
    else:
      where = {'download_dir': download_dir, 'manual_dir': options.manual_dir}
      locations = origin.default_locations(**where, **self._options)
    locations = dataclasses.replace(locations, verify_ssl=options.verify_ssl)
    open_split = functools.partial(
      split_sources.open_split, self.subset, locations=locations, encoded=True
    )
    try:
      return {split: open_split(split) for split in SPLITS}
    except OriginFileError as error:
      if not (missing := audit.missing(self.subset.sources, locations)):
        raise
      title = f'Files of {self.subset.name} that are not on this computer:'
      raise OriginFileError('\n'.join([str(error), title, *missing])) from error

  def _find_full(self) -> Prepared | None:
    """Returns the full subset if it is prepared, in this format and not damaged.

    A reduced subset has the same test split, whose shards it shares.
    """
    subset = self.subset.full
    folder = pathlib.Path(self.data_path).parents[1] / subset.name
    with contextlib.suppress(PreparationError):
      full = prepared.find_prepared(subset, folder / subsets.VERSION)
      if full and full.file_format == self.info.file_format.value:
        full.check_shards()
        return full
    return None

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

  def _build_single_dataset(self, split: Any, **options: Any) -> Any:
    """Returns one split from the cache if it can be, else as TFDS does."""
    made = None
    if not _is_mocked('_as_dataset'):
      made = mapped.as_dataset(self, split, **options)
    stock = super()._build_single_dataset
    return stock(split, **options) if made is None else made

  def as_data_source(self, split: Any = None, **options: Any) -> Any:
    """Returns sequences of examples like TFDS, but of shards in any format.

    Args:
      split: See `tfds.core.DatasetBuilder.as_data_source`.
      **options: See `tfds.core.DatasetBuilder.as_data_source`. With any but a
        format, TFDS reads the shards, which then must be array_record.

    Returns:
      A sequence of dictionaries; a structure of sequences if `split` is one.
    """
    stock = functools.partial(super().as_data_source, **options)
    formats = tfds.core.FileFormat.ARRAY_RECORD, self.info.file_format
    plain = [None, tfds.decode.DeserializeMethod.DESERIALIZE_AND_DECODE]
    plain += [*formats, *(each.value for each in formats)]
    is_plain = all(value in plain for value in options.values())
    if not is_plain or _is_mocked('as_data_source'):
      return stock(split)

    def source(each: Any) -> Any:
      view = mapped.find_view(self, each)
      if view is not None and not len(view):
        raise errors.SplitError(f'There are no examples in {each!r}.')
      return mapped.DataSource(self, each, view) if view else stock(each)

    splits = {name: name for name in self.info.splits}
    return split_spec.map_splits(source, splits if split is None else split)


def _is_mocked(name: str) -> bool:
  """Returns whether `tfds.testing.mock_data` has replaced a method of TFDS."""
  stock = tfds_internals.FileReaderBuilder
  return bool(getattr(stock, name).__module__ != stock.__module__)

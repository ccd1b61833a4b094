# SPDX-License-Identifier: Apache-2.0
"""The TFDS builder that `cmnist` and `cmnist_sample` share."""

from __future__ import annotations

import pathlib
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets.public_api as tfds
from absl import logging
from etils import epath

from cmnist_tfds import origin, resources, schema, subsets
from cmnist_tfds.cache import split_sources
from cmnist_tfds.cache.split_sources import SplitSource
from cmnist_tfds.datasets import (
  atomic_replace,
  build_report,
  config,
  download_manager,
  tfds_internals,
)
from cmnist_tfds.datasets.fast_path import write
from cmnist_tfds.errors import PreparationError, SubsetNameError
from cmnist_tfds.sources import SOURCES, SPLITS
from cmnist_tfds.subsets import Subset

# TFDS 4.9.10 loses rows when it writes Parquet.
_REFUSED_FORMATS = ('parquet',)


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

  def __init__(
    self,
    *,
    allow_unverified: bool = False,
    mirror: str | None = None,
    **kwargs: Any,
  ):
    """Constructs the builder.

    Args:
      allow_unverified: Whether to build from unverified origin files. The
        metadata of the dataset then says so.
      mirror: Folder or HTTP address with the origin files, which is tried
        before their origins. If None, the environment variable CMNIST_MIRROR
        names it.
      **kwargs: Arguments of `tfds.core.GeneratorBasedBuilder`.
    """
    self._allow_unverified = allow_unverified
    self._mirror = origin.mirror_of_user(mirror)
    super().__init__(**kwargs)
    tfds_internals.check_instance(self)
    # TFDS pickles a builder as these arguments.
    self._original_state |= {
      'allow_unverified': allow_unverified,
      'mirror': mirror,
    }
    if self.data_path.exists() and self.is_prepared():
      self._restore()
      if not allow_unverified and self._unverified_sources():
        logging.warning(
          '%s was built from unverified files of %s. Overwrite it to build it'
          ' from verified files.',
          self.data_dir,
          ', '.join(self._unverified_sources()),
        )

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
    return config.config_of(subsets.subset(name))

  @property
  def subset(self) -> Subset:
    """The subset that this builder builds."""
    return self.builder_config.subset

  # Description -------------------------------------------------------------

  def _info(self) -> tfds.core.DatasetInfo:
    return config.dataset_info(self)

  # Origin files ------------------------------------------------------------

  @tfds.core.utils.classproperty
  @classmethod
  def _checksums_path(cls) -> epath.Path:
    return epath.Path(resources.folder('checksums') / 'checksums.tsv')

  def _make_download_manager(
    self,
    download_dir: epath.PathLike | None,
    download_config: tfds.download.DownloadConfig,
  ) -> download_manager.OriginDownloadManager:
    force = download_config.download_mode.force_download
    return download_manager.OriginDownloadManager(
      download_dir=download_dir or self.data_dir_root / 'downloads',
      extract_dir=download_config.extract_dir,
      manual_dir=download_config.manual_dir,
      mirror=self._mirror,
      sources=dict.fromkeys((*SOURCES, *self.subset.sources)),
      url_infos=self.url_infos,
      dataset_name=self.name,
      force_download=force,
      force_extraction=force,
      force_checksums_validation=download_config.force_checksums_validation,
      register_checksums=download_config.register_checksums,
      register_checksums_path=self._checksums_path,
      verify_ssl=download_config.verify_ssl,
      max_simultaneous_downloads=(
        download_config.override_max_simultaneous_downloads
      ),
    )

  def _locations(
    self, dl_manager: download_manager.OriginDownloadManager
  ) -> origin.Locations:
    """Returns the locations of origin files."""
    return dl_manager.locations

  # Preparation -------------------------------------------------------------

  def download_and_prepare(
    self,
    *,
    download_config: tfds.download.DownloadConfig | None = None,
    file_format: str | tfds.core.FileFormat | None = None,
    **kwargs: Any,
  ) -> None:
    """Prepares the dataset like TFDS, but never loses finished data.

    A dataset of which an extension is declared differently now is overwritten.
    When it overwrites a dataset, it builds the new one in a temporary folder
    and replaces the old one only when the new one is finished.

    Args:
      download_config: See `tfds.core.DatasetBuilder.download_and_prepare`.
      file_format: 'tfrecord' or 'array_record'; 'parquet' is refused.
      **kwargs: See `tfds.core.DatasetBuilder.download_and_prepare`.

    Raises:
      PreparationError: If the format is refused or the dataset cannot be
        written.
      OriginFileError: If an origin file is missing or wrong.
    """
    chosen = tfds.core.FileFormat.from_value(
      file_format or self.info.file_format
    )
    if chosen.value in _REFUSED_FORMATS:
      raise PreparationError(
        f'{self.info.full_name} cannot be written as {chosen.value}: TFDS'
        ' loses rows in that format. Use tfrecord or array_record.'
      )
    download_config = download_config or tfds.download.DownloadConfig()
    arguments = {
      **kwargs,
      'download_config': download_config,
      'file_format': chosen,
    }
    if self._is_finished() and not self._overwrites(download_config):
      super().download_and_prepare(**arguments)
      return
    _check_writable(self.data_dir_root)
    with atomic_replace.alone(pathlib.Path(self.data_path)):
      if not self._is_finished():
        super().download_and_prepare(**arguments)
      elif self._overwrites(download_config):
        self._replace(arguments)
      else:  # Another process has built it in the meantime.
        self._restore()

  def _overwrites(self, download_config: tfds.download.DownloadConfig) -> bool:
    """Returns whether to build a dataset anew that is finished."""
    return (
      download_config.download_mode.overwrite_dataset or self._is_outdated()
    )

  def is_prepared(self) -> bool:
    """Returns whether the dataset is finished, and as it is declared now."""
    return super().is_prepared() and not self._is_outdated()

  def _is_outdated(self) -> bool:
    """Returns whether an extension was declared otherwise at the build."""
    if not self.subset.declarations:
      return False
    built = tfds.core.MetadataDict()
    built.load_metadata(self.data_path)
    return not self.subset.is_described_by(built)

  def _unverified_sources(self) -> list[str]:
    """Returns the keys of the sources that have an unverified file."""
    return [
      row['key']
      for row in self.info.metadata.get('sources', [])
      if origin.Proof.NONE.value in row['verified'].values()
    ]

  def _is_finished(self) -> bool:
    """Returns whether the dataset is finished; raises if it is incomplete."""
    # `is_prepared` logs a warning if the folder does not exist.
    if not self.data_path.exists():
      return False
    if not super().is_prepared():
      raise PreparationError(
        f'{self.data_dir} is not a finished dataset: it lacks'
        ' dataset_info.json or features.json, which are written last. Remove'
        ' the folder and build the dataset again.'
      )
    return True

  def _replace(self, arguments: dict[str, Any]) -> None:
    """Builds the dataset in a temporary folder, then replaces the old one."""
    with atomic_replace.replacing(pathlib.Path(self.data_path)) as beside:
      fresh = type(self)(**{**self._original_state, 'data_dir': beside})
      downloads_dir = arguments.get('download_dir')
      fresh.download_and_prepare(
        **{
          **arguments,
          'download_dir': downloads_dir or self.data_dir_root / 'downloads',
        }
      )
    self._restore()

  def _restore(self) -> None:
    """Reads splits, counts and metadata from the finished dataset."""
    self.info.read_from_directory(self.data_dir)
    # TFDS loads metadata at the first use of [], but not of .get().
    self.info.metadata.load_metadata(self.data_dir)

  def _generate_splits(
    self,
    dl_manager: download_manager.OriginDownloadManager,
    download_config: tfds.download.DownloadConfig,
  ) -> Sequence[tfds.core.SplitInfo]:
    """Writes the shards of both splits, and the metadata about them."""
    if write.can_write(self.info.file_format, download_config):
      sources = self._open(split_sources.open_encoded, dl_manager)
      shard_config = download_config.get_shard_config()
      splits = [
        write.write_split(
          of_split,
          self._get_filename_template(split),
          self.info.file_format,
          shard_config,
          same=self._same_split(split, of_split),
        )
        for split, of_split in sources.items()
        if any(map(len, of_split))
      ]
    else:
      sources = self._open(split_sources.open_raw, dl_manager)
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
    self,
    open_split: Callable[..., list[SplitSource]],
    dl_manager: download_manager.OriginDownloadManager,
  ) -> dict[str, list[SplitSource]]:
    """Returns the examples of each source, for each split."""
    return {
      split: open_split(
        self.subset,
        split,
        self._locations(dl_manager),
        allow_unverified=self._allow_unverified,
      )
      for split in SPLITS
    }

  def _same_split(
    self, split: str, sources: Sequence[SplitSource]
  ) -> tfds.core.SplitInfo | None:
    """Returns the split of the full subset if it is prepared and equal.

    A reduced subset has the same test split as the full one.
    """
    if self.subset.per_class is None:
      return None
    full = type(self)(
      config=config.config_of(self.subset.full),
      data_dir=self.data_dir_root,
      allow_unverified=self._allow_unverified,
    )
    digest = split_sources.digest(sources, sum(map(len, sources)))
    if (
      not full.data_path.exists()
      or full.info.file_format != self.info.file_format
      or full.info.metadata.get('digests', {}).get(split) != digest
    ):
      return None
    return full.info.splits[split]

  # TFDS's own way to write a split ---

  def _split_generators(
    self, dl_manager: download_manager.OriginDownloadManager
  ) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
    return {
      split: self._generate_examples(sources)
      for split, sources in self._open(
        split_sources.open_raw, dl_manager
      ).items()
      if any(map(len, sources))
    }

  def _generate_examples(
    self, sources: Sequence[SplitSource]
  ) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the examples, numbered along the concatenation."""
    integers = [schema.integers_of(c) for c in self.subset.classes]
    key = 0
    for source in sources:
      images = source.kept.arrays['images']
      rows = range(len(source)) if source.rows is None else source.rows
      for row, label in zip(rows, source.labels(), strict=True):
        image = images[row, :, :, np.newaxis]
        yield key, {schema.IMAGE.name: image, **integers[label]}
        key += 1

  # Messages ----------------------------------------------------------------

  def _log_download_bytes(self) -> None:
    if sys.stdout.isatty():
      super()._log_download_bytes()

  def _log_download_done(self) -> None:
    if sys.stdout.isatty():
      super()._log_download_done()


def _check_writable(data_dir: epath.Path) -> None:
  """Raises a `PreparationError` if the data folder cannot be written."""
  try:
    data_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=data_dir):
      pass
  except OSError as error:
    raise PreparationError(
      f'Cannot write to the data folder {data_dir}: {error.strerror}. Choose'
      ' another folder with data_dir (--data_dir on the command line) or the'
      ' environment variable TFDS_DATA_DIR.'
    ) from error

# SPDX-License-Identifier: Apache-2.0
"""The TFDS builder that `cmnist` and `cmnist_sample` share."""

from __future__ import annotations

import contextlib
import glob
import logging
import os
import pathlib
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets.public_api as tfds
from etils import epath

from cmnist_tfds import origin, schema, subsets
from cmnist_tfds.cache import split_sources
from cmnist_tfds.cache.split_sources import SplitSource
from cmnist_tfds.datasets import (
  atomic_replace,
  build_report,
  checked_info,
  config,
  download_manager,
  tfds_internals,
)
from cmnist_tfds.datasets.fast_path import write
from cmnist_tfds.datasets.tfds_messages import restrained_messages
from cmnist_tfds.origin.limits import Limits
from cmnist_tfds.sample import sample_of
from cmnist_tfds.sources import SOURCES, SPLITS
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system import paths, resources, streams
from cmnist_tfds.system.atomic import sync_folder
from cmnist_tfds.system.disk_errors import disk_errors
from cmnist_tfds.system.errors import PreparationError, SubsetNameError
from cmnist_tfds.system.extras import require_tensorflow

# TFDS 4.9.10 loses rows when it writes Parquet.
_REFUSED_FORMATS = ('parquet',)

_log = logging.getLogger('cmnist_tfds')


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


class _LiteralPath(type(epath.Path())):  # type: ignore[misc]
  """A local path with `glob` as in pathlib: only the argument is a pattern.

  That of etils finds nothing in a folder whose path has `[1]`, and refuses `**`.
  """

  def glob(self, pattern: str) -> Iterator[_LiteralPath]:
    """Yields the paths below this one that match a pattern."""
    for found in glob.glob(pattern, root_dir=self):
      yield self / found


class _UrlInfos:
  """What TFDS knows of URLs: of all for a class, of one subset for a builder.

  `tfds build --download_only` fetches all those of a builder. So a builder has
  one home of each file that its subset needs.
  """

  def __get__(
    self, builder: CmnistBuilder | None, owner: type[CmnistBuilder]
  ) -> dict[str, tfds_internals.UrlInfo]:
    infos = super(CmnistBuilder, owner).url_infos  # type: ignore[misc]
    if builder is None:
      return infos
    if builder.is_sample:
      return {}  # Its files travel with the package.
    homes = [
      url
      for source in builder.subset.sources
      for file in source.origin_files
      for url in (file.urls or (file.archive or file).urls)[:1]
    ]
    return {url: infos[url] for url in homes if url in infos}


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
    limits: Limits | None = None,
    **kwargs: Any,
  ):
    """Constructs the builder.

    Args:
      allow_unverified: Whether to build from unverified origin files. The
        metadata of the dataset then says so.
      mirror: Folder or HTTP address with the origin files, which is tried
        before their origins. If None, the environment variable CMNIST_MIRROR
        names it.
      limits: When to give up on a host. If None, the environment variables
        CMNIST_TIMEOUT and CMNIST_MIN_SPEED set the limits.
      **kwargs: Arguments of `tfds.core.GeneratorBasedBuilder`.
    """
    self._allow_unverified = allow_unverified
    self._mirror = origin.mirror_of_user(mirror)
    self._limits = limits
    with restrained_messages():
      super().__init__(**kwargs)
    tfds_internals.check_instance(self)
    # TFDS pickles a builder as these arguments. The process that reads them may
    # run in another folder.
    self._original_state |= {
      'allow_unverified': allow_unverified,
      'mirror': mirror,
      'limits': limits,
      'data_dir': os.fspath(self.data_dir_root),
    }
    if not self._exists():
      return
    # TFDS has read it only if it has a dataset_info.json.
    self.info.read_from_directory(self.data_dir)
    if not allow_unverified and self._unverified_sources():
      _log.warning(
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
    return config.config_of(subsets.subset(name), sample=cls.is_sample)

  @property
  def subset(self) -> Subset:
    """The subset that this builder builds."""
    return self.builder_config.subset

  # Folders -----------------------------------------------------------------

  def _build_data_dir(self, given_data_dir: str | None) -> tuple[str, str]:
    """Returns the folder of all datasets and that of this dataset."""
    if given_data_dir and paths.is_remote(given_data_dir):
      _check_readable(given_data_dir)
      return super()._build_data_dir(given_data_dir)
    ours = super()._build_data_dir(os.fspath(paths.data_root(given_data_dir)))
    if given_data_dir or epath.Path(ours[1]).exists():
      return ours
    # TFDS knows folders of its own: see `tfds.core.add_data_dir`.
    theirs = super()._build_data_dir(None)
    return theirs if epath.Path(theirs[1]).exists() else ours

  @property
  def data_path(self) -> epath.Path:
    """The folder of this dataset."""
    path = super().data_path
    return path if paths.is_remote(path) else _LiteralPath(path)

  # Description -------------------------------------------------------------

  def _info(self) -> tfds.core.DatasetInfo:
    described = sample_of(self.subset) if self.is_sample else self.subset
    return config.dataset_info(self, described, checked_info.CheckedInfo)

  # Origin files ------------------------------------------------------------

  url_infos = _UrlInfos()

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
      limits=self._limits,
      sources=dict.fromkeys((*SOURCES, *self.subset.sources)),
      url_infos=type(self).url_infos,
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
    dl_manager.check_named_places(self.subset.sources)
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
    and replaces the old one only when the new one is finished and on disk. The
    old one may be damaged or unfinished.

    Args:
      download_config: See `tfds.core.DatasetBuilder.download_and_prepare`.
      file_format: 'tfrecord' or 'array_record'; 'parquet' is refused.
      **kwargs: See `tfds.core.DatasetBuilder.download_and_prepare`.

    Raises:
      PreparationError: If the format is refused, the dataset cannot be
        written, or a dataset that is there is damaged and not overwritten.
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
    if tfds_internals.is_replaced('download_and_prepare'):
      super().download_and_prepare(**arguments)  # Nothing is to be written.
      return
    with (
      restrained_messages(),
      disk_errors(
        self.data_dir,
        alternative='choose another folder with data_dir (--data_dir on the'
        ' command line)',
      ),
    ):
      self._prepare(arguments)

  def _prepare(self, arguments: dict[str, Any]) -> None:
    overwrites = self._overwrites(arguments['download_config'])
    # What seems damaged may be about to be replaced, so it is read again when
    # no other process builds.
    if not overwrites and self._exists() and not self._fault():
      super().download_and_prepare(**arguments)
      return
    if paths.is_remote(self.data_dir_root):
      raise paths.not_local(self.data_dir_root)
    paths.check_name(pathlib.Path(self.data_dir_root), to_build=True)
    _check_writable(self.data_dir_root)
    with atomic_replace.alone(pathlib.Path(self.data_path)):
      if not self._exists():
        super().download_and_prepare(**arguments)
      elif overwrites:
        self._replace(arguments)
      elif fault := self._fault():
        raise fault
      sync_folder(pathlib.Path(self.data_path.parent))

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
    metadata = pathlib.Path(self.data_path) / 'metadata.json'
    # Datasets that other packages built have no metadata.
    if not self.subset.declarations or not metadata.is_file():
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

  def _exists(self) -> bool:
    """Returns whether there is a dataset, even a damaged one."""
    return os.path.lexists(self.data_path) or self.data_path.exists()

  def _fault(self) -> PreparationError | None:
    """Reads the dataset, and returns what is wrong with it."""
    self.info.read_from_directory(self.data_dir)
    return self.info.fault

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
    self.info.read_from_directory(self.data_dir)

  def _generate_splits(
    self,
    dl_manager: download_manager.OriginDownloadManager,
    download_config: tfds.download.DownloadConfig,
  ) -> Sequence[tfds.core.SplitInfo]:
    """Writes the shards of both splits, and the metadata about them."""
    uses_beam = write.uses_beam(download_config)
    if write.can_write(self.info.file_format, download_config):
      sources = self._open(split_sources.open_encoded, dl_manager)
      shard_config = download_config.get_shard_config()
      with write.shards_writer(
        self.info.file_format, download_config
      ) as write_shards:
        splits = [
          write.write_split(
            of_split,
            self._get_filename_template(split),
            self.info.file_format,
            shard_config,
            same=self._same_split(split, of_split),
            write_shards=write_shards,
          )
          for split, of_split in sources.items()
          if any(map(len, of_split))
        ]
    else:
      if uses_beam:
        _log.warning(
          '%s is written without Apache Beam, which is only used for tfrecord'
          ' and array_record, and without max_examples_per_split.',
          self.info.full_name,
        )
      require_tensorflow("TFDS's own way to write a dataset")
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
      config=config.config_of(self.subset.full, sample=self.is_sample),
      data_dir=self.data_dir_root,
      allow_unverified=self._allow_unverified,
    )
    if full.info.fault:
      _log.warning('No shards of another subset are used: %s', full.info.fault)
      return None
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
      images = source.arrays['images']
      rows = range(len(source)) if source.rows is None else source.rows
      for row, label in zip(rows, source.labels(), strict=True):
        image = images[row, :, :, np.newaxis]
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

  # Messages ----------------------------------------------------------------

  def _log_download_bytes(self) -> None:
    if streams.is_terminal(sys.stdout):
      with _safe_stdout():
        super()._log_download_bytes()

  def _log_download_done(self) -> None:
    if streams.is_terminal(sys.stdout):
      with _safe_stdout():
        super()._log_download_done()


def _safe_stdout() -> contextlib.redirect_stdout[Any]:
  """Lets no message fail, for want of a character in an encoding for example."""
  out = streams.SafeStream(sys.stdout, required=False)
  return contextlib.redirect_stdout(out)


def _check_readable(data_dir: str) -> None:
  """Raises a `PreparationError` if TFDS cannot read at a remote address."""
  try:
    epath.Path(data_dir).exists()
  except Exception as error:  # Each file system has errors of its own.
    reason = (str(error).splitlines() or [''])[0]
    raise PreparationError(
      f'TensorFlow Datasets cannot read {data_dir}'
      f' ({type(error).__name__}: {reason}). {paths.not_local(data_dir)}'
    ) from error


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

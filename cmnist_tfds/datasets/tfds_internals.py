# SPDX-License-Identifier: Apache-2.0
"""The private parts of TensorFlow Datasets that we use.

We tried them with the versions in `TRIED`. Another version may rename them, so
importing this module and calling `check_instance` check that they exist.

This module imports these names for all other modules:

- core.checksums: UrlInfo, compute_url_info
- core.constants: INCOMPLETE_PREFIX
- core.dataset_collection_builder: DatasetCollection, DatasetCollectionInfo
- core.download.downloader: _Downloader, DownloadResult, read_url_info
- core.download.resource: get_dl_fname, is_locally_cached
- core.naming: DatasetReference, ShardedFileTemplate
- core.registered: _DATASET_COLLECTION_REGISTRY, _DATASET_REGISTRY
- core.utils.shard_utils: ShardConfig, get_shard_boundaries
- core.utils.tqdm_utils, of which `_active` tells whether progress bars are shown

`_METHODS` has the methods that we override or call, and `_ATTRIBUTES` has the
attributes that constructors set.
"""

from __future__ import annotations

import inspect
import logging

import tensorflow_datasets.public_api as tfds

from cmnist_tfds.system.errors import TfdsVersionError

# The versions of TFDS with which the package was tried.
TRIED = ('4.9.10',)


def _changed(missing: str) -> TfdsVersionError:
  tried = ' or '.join(TRIED)
  return TfdsVersionError(
    f'TensorFlow Datasets {tfds.__version__} lacks a part that cmnist_tfds'
    f' needs: {missing}. cmnist_tfds was tried with version {tried}. Run `pip'
    f' install tensorflow-datasets=={TRIED[-1]}`, or install a newer'
    ' cmnist_tfds.'
  )


try:
  from tensorflow_datasets.core.constants import INCOMPLETE_PREFIX
  from tensorflow_datasets.core.dataset_collection_builder import (
    DatasetCollection,
    DatasetCollectionInfo,
  )
  from tensorflow_datasets.core.download.checksums import (
    UrlInfo,
    compute_url_info,
  )
  from tensorflow_datasets.core.download.downloader import (
    DownloadResult,
    read_url_info,
  )
  from tensorflow_datasets.core.download.downloader import (
    _Downloader as Downloader,
  )
  from tensorflow_datasets.core.download.resource import (
    get_dl_fname,
    is_locally_cached,
  )
  from tensorflow_datasets.core.naming import (
    DatasetReference,
    ShardedFileTemplate,
  )
  from tensorflow_datasets.core.registered import (
    _DATASET_COLLECTION_REGISTRY,
    _DATASET_REGISTRY,
  )
  from tensorflow_datasets.core.utils import tqdm_utils
  from tensorflow_datasets.core.utils.shard_utils import (
    ShardConfig,
    get_shard_boundaries,
  )
except ImportError as error:
  raise _changed(str(error)) from error

_METHODS = {
  tfds.core.GeneratorBasedBuilder: (
    '_build_data_dir',
    '_checksums_path',
    '_download_and_prepare',
    '_generate_splits',
    '_get_filename_template',
    '_log_download_bytes',
    '_log_download_done',
    '_make_download_manager',
    'builder_configs',
    'data_dir_root',
    'get_builder_config',
    'url_infos',
  ),
  tfds.download.DownloadManager: (
    '__getstate__',
    '_download',
    '_downloader',
    '_get_checksum_dl_result',
    '_get_dl_path',
  ),
  tfds.core.DatasetInfo: ('initialize_from_bucket',),
  Downloader: ('_sync_download',),
}

_ATTRIBUTES = {
  tfds.core.GeneratorBasedBuilder: ('_original_state',),
  tfds.download.DownloadManager: (
    '_download_dir',
    '_force_download',
    '_max_simultaneous_downloads',
    '_url_infos',
    '_verify_ssl',
  ),
}


def check_classes() -> None:
  """Checks that TFDS's classes have the methods that we override or call.

  Raises:
    TfdsVersionError: If one is missing.
  """
  for owner, names in _METHODS.items():
    _require(owner, names, owner)


def check_instance(instance: object) -> None:
  """Checks that TFDS's constructors have set the attributes that we use.

  Args:
    instance: A builder or a download manager.

  Raises:
    TfdsVersionError: If one is missing.
  """
  for owner, names in _ATTRIBUTES.items():
    if isinstance(instance, owner):
      _require(instance, names, owner)


def register(
  cls: type[tfds.core.DatasetBuilder] | type[DatasetCollection],
) -> None:
  """Lets TFDS find a class of ours by its name.

  TFDS would raise a `ValueError` if another package has registered the name, or
  if our modules are imported anew.

  Args:
    cls: The class, which was defined with `skip_registration=True`.
  """
  registry: dict[str, type] = (
    _DATASET_COLLECTION_REGISTRY
    if issubclass(cls, DatasetCollection)
    else _DATASET_REGISTRY
  )
  if not cls.__module__.startswith(f'{__name__.partition(".")[0]}.'):
    # A tool has imported a file of ours by itself, under another name.
    registry.setdefault(cls.name, cls)
    return
  other = registry.get(cls.name, cls)
  if (other.__qualname__, other.__module__) != (
    cls.__qualname__,
    cls.__module__,
  ):
    logging.getLogger('cmnist_tfds').warning(
      '%s.%s has registered the name %r with TensorFlow Datasets, too. From now'
      ' on tfds.load finds that of %s.',
      other.__module__,
      other.__qualname__,
      cls.name,
      cls.__module__,
    )
  registry[cls.name] = cls


def is_replaced(method: str) -> bool:
  """Returns whether a method of `tfds.core.DatasetBuilder` is a stand-in.

  `tfds.testing.mock_data` replaces methods.

  Args:
    method: The name of the method.
  """
  builder = tfds.core.DatasetBuilder
  return getattr(builder, method).__module__ != builder.__module__


def _require(instance: object, names: tuple[str, ...], owner: type) -> None:
  for name in names:
    try:
      inspect.getattr_static(instance, name)  # Properties are not evaluated.
    except AttributeError as error:
      raise _changed(
        f'{owner.__module__}.{owner.__qualname__}.{name}'
      ) from error


check_classes()

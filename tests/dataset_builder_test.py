# SPDX-License-Identifier: Apache-2.0
"""The TFDS builder: each shape of config, names, metadata, what is refused."""

import errno
import os
import pathlib
import pickle

import pytest
import tensorflow_datasets as tfds
from preparing import prepare

from cmnist_tfds import subsets
from cmnist_tfds.datasets.cmnist import cmnist_dataset_builder
from cmnist_tfds.datasets.cmnist_sample import cmnist_sample_dataset_builder
from cmnist_tfds.system import paths
from cmnist_tfds.system.errors import PreparationError

_SAMPLE = paths.package_folder('dummy_data')


class CombinationTest(tfds.testing.DatasetBuilderTestCase):
  """Builds `cmnist` from the sample's files, as TFDS tests a dataset."""

  DATASET_CLASS = cmnist_dataset_builder.Builder
  EXAMPLE_DIR = str(_SAMPLE)
  BUILDER_CONFIG_NAMES_TO_TEST = ['3-EElKm-r-5']
  SPLITS = {'train': 46 * 5, 'test': 46 * 24}

  def _make_builder(self, config=None):
    return self.dataset_class(
      data_dir=self.tmp_dir,
      config=config or self.BUILDER_CONFIG_NAMES_TO_TEST[0],
      mirror=str(_SAMPLE),
      allow_unverified=True,
    )


class ReducedMixTest(CombinationTest):
  BUILDER_CONFIG_NAMES_TO_TEST = ['X-24-r-5']
  SPLITS = {'train': 24 * 5, 'test': 24 * 24}


class SampleTest(tfds.testing.DatasetBuilderTestCase):
  DATASET_CLASS = cmnist_sample_dataset_builder.Builder
  EXAMPLE_DIR = str(_SAMPLE)
  BUILDER_CONFIG_NAMES_TO_TEST = ['1-Km']
  SPLITS = {'train': 1200, 'test': 240}


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory) -> pathlib.Path:
  """A data folder that the tests share; what they build stays in it."""
  return tmp_path_factory.mktemp('data')


def _builder(name, data_dir, dataset='cmnist_sample', **kwargs):
  cls = tfds.builder_cls(dataset)
  return cls(config=name, data_dir=data_dir, **kwargs)


# Names -----------------------------------------------------------------------


def test_undeclared_config_comes_back_as_the_real_builder(data_dir):
  name = 'cmnist_sample/2-FKd-r-3'
  tfds.load(name, data_dir=data_dir)
  again = tfds.builder(name, data_dir=data_dir)
  assert isinstance(again, cmnist_sample_dataset_builder.Builder)
  assert again.subset is subsets.subset('2-FKd-r-3')
  assert again.info.splits['train'].num_examples == 60
  assert tfds.builder(f'{name}:1.0.0', data_dir=data_dir).info.splits


def test_a_builder_can_be_pickled(tmp_path, monkeypatch):
  config = cmnist_dataset_builder.Builder.builder_configs['X-12']
  monkeypatch.chdir(tmp_path)
  how = {'mirror': 'here', 'allow_unverified': True}
  data = pickle.dumps(_builder(config, 'data', 'cmnist', **how))
  monkeypatch.chdir('/')
  copy = pickle.loads(data)
  assert copy.builder_config is config
  assert copy.data_dir_root == tmp_path / 'data'
  assert copy._original_state['mirror'] == 'here'


# What is built ---------------------------------------------------------------


def test_a_description_is_of_the_sources(data_dir):
  info = _builder('2-FKd', data_dir).info
  assert info.features['label'].names[::10] == ['T-shirt/top', '೦']
  for cited in ('wenkel2019cmnist', 'xiao2017fashion', 'prabhu2019kannada'):
    assert cited in info.citation
  assert 'clanuwat' not in info.citation
  assert info.redistribution_info.license == 'Apache-2.0'
  assert 'synthetic' in info.description
  of_cmnist = _builder('2-FKd', data_dir, 'cmnist')
  assert 'Zalando' in of_cmnist.info.redistribution_info.license


@pytest.mark.parametrize(
  ('name', 'balanced', 'train'), [('X-12-r-5', True, 60), ('1-Em', False, 1214)]
)
def test_the_sample_describes_itself(name, balanced, train, data_dir):
  builder = prepare(data_dir, name)
  assert 'not CMNIST' in builder.builder_config.description
  counts = [c['train'] for c in builder.info.metadata['classes']]
  assert sum(counts) == train
  assert (len({*counts}) == 1) == builder.info.metadata['balanced'] == balanced


# Origin files ----------------------------------------------------------------


def test_download_only_fetches_one_home_of_what_a_subset_needs(tmp_path):
  builder = _builder('2-FKd-r-5', tmp_path, 'cmnist')
  files = [f for s in builder.subset.sources for f in s.origin_files]
  names = [url.rpartition('/')[2] for url in builder.url_infos]
  assert sorted(names) == sorted(file.name for file in files)
  for url, info in builder.url_infos.items():
    (file,) = (file for file in files if url in file.urls)
    assert (info.checksum, info.size) == (file.sha256, file.size)
  assert not _builder('2-FKd', tmp_path).url_infos


@pytest.mark.usefixtures('empty_cache')
def test_what_tfds_downloaded_is_not_fetched_again(
  tmp_path, origin_files, monkeypatch
):
  for scheme in ('http', 'https'):
    monkeypatch.setenv(f'{scheme}_proxy', 'http://127.0.0.1:9')
  monkeypatch.delenv('no_proxy', raising=False)
  folder = tmp_path / 'downloads/cmnist'
  folder.mkdir(parents=True)
  for path in (origin_files / 'fashion_mnist').iterdir():
    # TFDS puts address and checksum into the name.
    (folder / f'github.com_{path.name}_hash.gz').symlink_to(path)
  builder = _builder('1-F-r-1', tmp_path, 'cmnist')
  builder.download_and_prepare()
  (source,) = builder.info.metadata['sources']
  assert 'unverified' not in source['verified'].values()


def test_unverified_files_are_told_of(tmp_path, caplog):
  config = tfds.download.DownloadConfig(manual_dir=_SAMPLE)
  name, allowed = 'cmnist/2-FKd-r-1', {'allow_unverified': True}
  builder = tfds.builder(name, data_dir=tmp_path, **allowed)
  builder.download_and_prepare(download_config=config)
  again = tfds.builder(name, data_dir=tmp_path, **allowed)
  assert len(again.as_dataset(split='train')) == 20
  assert len(again.as_data_source(split='test')) == 480
  assert 'built from unverified' not in caplog.text
  assert len(tfds.load(name, data_dir=tmp_path, split='train')) == 20
  assert 'built from unverified origin files: fashion_mnist/' in caplog.text


# Overwriting -----------------------------------------------------------------------

_OVERWRITE = {'download_mode': tfds.GenerateMode.REUSE_CACHE_IF_EXISTS}


def _version(data_dir):
  """Returns the inode of the one version of a dataset that is there."""
  (folder,) = (data_dir / 'cmnist_sample/2-FKd-r-1').iterdir()
  assert folder.name == '1.0.0'
  return (folder / 'features.json').stat().st_ino


def test_the_new_dataset_replaces_the_old_one(tmp_path):
  how = {'file_format': 'array_record'}
  prepare(tmp_path, '2-FKd-r-1', **how)
  old = _version(tmp_path)
  builder = prepare(tmp_path, '2-FKd-r-1', **how, **_OVERWRITE)
  assert _version(tmp_path) != old
  assert builder.info.metadata['classes'][0]['train'] == 1
  assert 'array_record' in str(builder.info.splits['test'].filepaths[0])


def test_a_rename_that_fails_leaves_the_old_dataset(tmp_path, monkeypatch):
  prepare(tmp_path, '2-FKd-r-1')
  old, rename = _version(tmp_path), pathlib.Path.rename

  def fail(path, target):
    if 'incomplete' in str(path.parent):
      raise OSError(errno.EIO, os.strerror(errno.EIO))
    return rename(path, target)

  monkeypatch.setattr(pathlib.Path, 'rename', fail)
  with pytest.raises(PreparationError, match='Input/output error'):
    prepare(tmp_path, '2-FKd-r-1', **_OVERWRITE)
  assert _version(tmp_path) == old


# The collection ----------------------------------------------------------------


def test_tfds_finds_the_collection():
  assert 'cmnist_all' in tfds.list_dataset_collections()
  loader = tfds.dataset_collection('cmnist_all')
  names = [s.name for s in subsets.published()]
  assert list(loader.datasets) == names
  reference = loader.datasets['3-EElKm']
  assert reference.tfds_name() == 'cmnist/3-EElKm:1.0.0'
  assert 'wenkel2019cmnist' in loader.collection.info.citation


def test_a_subset_is_loaded_through_it(tmp_path):
  how = {'mirror': str(_SAMPLE), 'allow_unverified': True}
  _builder('2-FKd', tmp_path, 'cmnist', **how).download_and_prepare()
  where = {'data_dir': str(tmp_path), 'download': False}
  loader = tfds.dataset_collection('cmnist_all', loader_kwargs=where)
  splits = loader.load_dataset('2-FKd')
  assert [*map(len, splits.values())] == [2400, 480]


# What is refused -------------------------------------------------------------


@pytest.mark.parametrize('at_construction', [True, False])
def test_parquet_is_refused(at_construction, tmp_path):
  asked = {'file_format': 'parquet'}
  builder = _builder('2-FKd-r-1', tmp_path, **asked if at_construction else {})
  with pytest.raises(PreparationError, match=r'parquet\. Use tfrecord'):
    builder.download_and_prepare(**{} if at_construction else asked)
  assert not list(tmp_path.rglob('*dataset_info.json'))


def test_no_other_module_imports_private_names_of_tfds():
  package = pathlib.Path(cmnist_dataset_builder.__file__).parents[2]
  for path in package.rglob('*.py'):
    if path.name != 'tfds_internals.py':
      assert 'from tensorflow_datasets.core' not in path.read_text('utf-8')

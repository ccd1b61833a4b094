# SPDX-License-Identifier: Apache-2.0
"""The TFDS builder: each shape of config, names, metadata, what is refused."""

from __future__ import annotations

import json
import pathlib
import pickle

import numpy as np
import pytest
import tensorflow_datasets as tfds

from cmnist_tfds import origin, subsets
from cmnist_tfds.datasets.cmnist import cmnist_dataset_builder
from cmnist_tfds.datasets.cmnist_sample import cmnist_sample_dataset_builder
from cmnist_tfds.system import paths
from cmnist_tfds.system.errors import OriginFileError, PreparationError

_SAMPLE = paths.package_folder('dummy_data')


class _CmnistTestCase(tfds.testing.DatasetBuilderTestCase):
  """Builds `cmnist` from the sample's files, as TFDS tests a dataset."""

  __test__ = False

  DATASET_CLASS = cmnist_dataset_builder.Builder
  EXAMPLE_DIR = str(_SAMPLE)

  def _make_builder(self, config=None):
    return self.dataset_class(
      data_dir=self.tmp_dir,
      config=config or self.BUILDER_CONFIG_NAMES_TO_TEST[0],
      mirror=str(_SAMPLE),
      allow_unverified=True,
    )


class CombinationTest(_CmnistTestCase):
  __test__ = True
  BUILDER_CONFIG_NAMES_TO_TEST = ['3-EElKm']
  SPLITS = {'train': 1200 + 3120 + 1200, 'test': 240 + 624 + 240}


class ReducedMixTest(_CmnistTestCase):
  __test__ = True
  BUILDER_CONFIG_NAMES_TO_TEST = ['X-24-r-5']
  SPLITS = {'train': 24 * 5, 'test': 24 * 24}


class SingleSourceTest(_CmnistTestCase):
  __test__ = True
  BUILDER_CONFIG_NAMES_TO_TEST = ['1-Km-r-7']
  SPLITS = {'train': 70, 'test': 240}


class SampleTest(tfds.testing.DatasetBuilderTestCase):
  DATASET_CLASS = cmnist_sample_dataset_builder.Builder
  EXAMPLE_DIR = str(_SAMPLE)
  BUILDER_CONFIG_NAMES_TO_TEST = ['2-FKd']
  SPLITS = {'train': 2400, 'test': 480}


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory) -> pathlib.Path:
  """A data folder that the tests share; what they build stays in it."""
  return tmp_path_factory.mktemp('data')


def _builder(name, data_dir, **kwargs):
  return cmnist_sample_dataset_builder.Builder(
    data_dir=data_dir, config=name, **kwargs
  )


def _build(name, data_dir, **kwargs):
  builder = _builder(name, data_dir)
  builder.download_and_prepare(**kwargs)
  return builder


# Names -----------------------------------------------------------------------


def test_declared_configs():
  cls = cmnist_dataset_builder.Builder
  assert [c.name for c in cls.BUILDER_CONFIGS] == [
    s.name for s in subsets.declared()
  ]
  assert len(cls.builder_configs) == 804
  assert cls.default_builder_config.name == 'X-12'
  assert {'cmnist', 'cmnist_sample'} <= set(
    tfds.list_builders(with_community_datasets=False)
  )


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
  data = pickle.dumps(
    cmnist_dataset_builder.Builder(
      data_dir='data', config=config, mirror='here', allow_unverified=True
    )
  )
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
  of_cmnist = cmnist_dataset_builder.Builder(config='2-FKd', data_dir=data_dir)
  assert 'Zalando' in of_cmnist.info.redistribution_info.license


def test_the_sample_describes_itself(tmp_path):
  builder = _builder('X-12-r-5', tmp_path)
  assert 'not CMNIST' in builder.builder_config.description
  counts = {(c['train'], c['test']) for c in builder.info.metadata['classes']}
  assert counts == {(5, 24)}


def test_metadata_tells_classes_counts_and_proofs(data_dir):
  _build('2-FKd-r-5', data_dir)
  metadata = _builder('2-FKd-r-5', data_dir).info.metadata
  assert metadata['subset'] == '2-FKd-r-5'
  assert metadata['per_class'] == 5
  assert metadata['balanced'] is True
  assert metadata['classes'][10] == {
    'label': 10,
    'name': '೦',
    'source': 'Kd',
    'source_label': 0,
    'train': 5,
    'test': 24,
  }
  assert [s['key'] for s in metadata['sources']] == ['F', 'Kd']
  for source in metadata['sources']:
    assert len(source['verified']) == 4
    assert set(source['verified'].values()) == {'unverified'}


def test_metadata_of_unbalanced_subset_is_counted(data_dir):
  metadata = _build('1-Em', data_dir).info.metadata
  assert metadata['balanced'] is False
  trains = [c['train'] for c in metadata['classes']]
  assert sum(trains) == 1214
  assert len(set(trains)) > 1


def test_examples_are_the_files_rows_in_tfds_order(data_dir):
  """An oracle of its own: the files' arrays, and TFDS's order by md5."""
  from tensorflow_datasets.core import hashing

  builder = _build('X-24-r-5', data_dir)
  sample = origin.Locations(manual_dir=_SAMPLE, allow_unverified=True)
  for split in ('train', 'test'):
    expected = []
    for index, (source, raw_labels) in enumerate(builder.subset.members):
      arrays = origin.load_split.load_split(source, split, sample)
      kept = dict.fromkeys(raw_labels, 0)
      label_of = {
        c.raw_label: c.label
        for c in builder.subset.classes
        if c.source is source
      }
      for image, raw in zip(arrays.images, arrays.labels, strict=True):
        if raw in kept and not (split == 'train' and kept[raw] == 5):
          kept[raw] += 1
          expected.append((image, label_of[raw], index, int(raw)))
    hasher = hashing.Hasher(split)
    order = sorted(range(len(expected)), key=hasher.hash_key)
    found = list(builder.as_dataset(split=split).as_numpy_iterator())
    assert len(found) == len(expected)
    for key, example in zip(order, found, strict=True):
      image, *integers = expected[key]
      np.testing.assert_array_equal(example['image'][..., 0], image)
      names = ('label', 'source', 'source_label')
      assert [example[name] for name in names] == integers


def test_dataset_is_read_without_the_package_code(data_dir):
  built = _build('2-FKd-r-5', data_dir)
  plain = tfds.builder_from_directory(built.data_dir)
  assert type(plain).__name__ == 'ReadOnlyBuilder'
  ours, theirs = (b.as_dataset('train', batch_size=-1) for b in (built, plain))
  np.testing.assert_array_equal(ours['image'], theirs['image'])
  metadata = json.loads((built.data_path / 'metadata.json').read_text())
  assert metadata['subset'] == '2-FKd-r-5'


# Origin files ----------------------------------------------------------------


def test_download_only_fetches_one_home_of_what_a_subset_needs(tmp_path):
  builder = cmnist_dataset_builder.Builder(
    config='2-FKd-r-5', data_dir=tmp_path
  )
  files = [f for s in builder.subset.sources for f in s.origin_files]
  names = [url.rpartition('/')[2] for url in builder.url_infos]
  assert sorted(names) == sorted(file.name for file in files)
  for url, info in builder.url_infos.items():
    (file,) = (file for file in files if url in file.urls)
    assert (info.checksum, info.size) == (file.sha256, file.size)
  assert not _builder('2-FKd', tmp_path).url_infos


@pytest.fixture
def no_network(monkeypatch):
  for scheme in ('http', 'https'):
    monkeypatch.setenv(f'{scheme}_proxy', 'http://127.0.0.1:9')
  monkeypatch.delenv('no_proxy', raising=False)


@pytest.mark.usefixtures('no_network', 'empty_cache')
def test_what_tfds_downloaded_is_not_fetched_again(tmp_path, origin_files):
  folder = tmp_path / 'downloads/cmnist'
  folder.mkdir(parents=True)
  for path in (origin_files / 'fashion_mnist').iterdir():
    # TFDS puts address and checksum into the name.
    (folder / f'github.com_{path.name}_hash.gz').symlink_to(path)
  builder = cmnist_dataset_builder.Builder(config='1-F-r-1', data_dir=tmp_path)
  builder.download_and_prepare()
  (source,) = builder.info.metadata['sources']
  assert 'unverified' not in source['verified'].values()


@pytest.mark.usefixtures('no_network')
def test_unverified_files_are_refused_unless_asked_for(tmp_path, caplog):
  config = tfds.download.DownloadConfig(manual_dir=_SAMPLE)
  name = 'cmnist/2-FKd-r-1'
  with pytest.raises(OriginFileError, match=r'fashion_mnist/train-images-idx3'):
    tfds.builder(name, data_dir=tmp_path).download_and_prepare(
      download_config=config
    )
  assert not list(tmp_path.rglob('*.tfrecord*'))
  tfds.load(
    name,
    data_dir=tmp_path,
    builder_kwargs={'allow_unverified': True},
    download_and_prepare_kwargs={'download_config': config},
  )
  assert 'built from unverified' not in caplog.text
  ds, info = tfds.load(name, data_dir=tmp_path, split='train', with_info=True)
  assert len(ds) == 20
  assert 'built from unverified origin files: fashion_mnist/' in caplog.text
  verified = info.metadata['sources'][0]['verified']
  assert set(verified.values()) == {'unverified'}


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

# SPDX-License-Identifier: Apache-2.0
"""The TFDS builder: each shape of config, names, metadata, safety."""

from __future__ import annotations

import concurrent.futures
import json
import pathlib
import pickle

import numpy as np
import pytest
import tensorflow_datasets as tfds

from cmnist_tfds import origin, subsets
from cmnist_tfds.datasets.cmnist import cmnist_dataset_builder
from cmnist_tfds.datasets.cmnist_sample import cmnist_sample_dataset_builder
from cmnist_tfds.origin import locations
from cmnist_tfds.sources import SOURCES
from cmnist_tfds.system import resources
from cmnist_tfds.system.errors import (
  OriginFileError,
  PreparationError,
  SubsetNameError,
)

_SAMPLE = resources.folder('dummy_data')


# Where the sample has what is published at a URL.
_PATHS = {
  url: file.path
  for source in SOURCES
  for wanted in source.origin_files
  for file, url in locations.urls(wanted, None)
  # The sample has EMNIST's archive whole.
  if not file.archive
}


class _CmnistTestCase(tfds.testing.DatasetBuilderTestCase):
  """Builds `cmnist` from the sample's files, as TFDS tests a dataset."""

  __test__ = False

  DATASET_CLASS = cmnist_dataset_builder.Builder
  EXAMPLE_DIR = str(_SAMPLE)

  def _make_builder(self, config=None):
    return self.dataset_class(
      data_dir=self.tmp_dir,
      config=config or self.BUILDER_CONFIG_NAMES_TO_TEST[0],
      allow_unverified=True,
    )

  def _get_dl_download_result(self, url):
    if url not in _PATHS:
      raise OriginFileError(f'{url}: only whole files are here')
    self._add_url(url)
    return self.dummy_data / _PATHS[url]


class CombinationTest(_CmnistTestCase):
  __test__ = True
  BUILDER_CONFIG_NAMES_TO_TEST = ['3-EElKm']
  SPLITS = {'train': 1200 + 3120 + 1200, 'test': 240 + 624 + 240}


class MixTest(_CmnistTestCase):
  __test__ = True
  SKIP_CHECKSUMS = True  # One file's SHA-256 was never published.
  BUILDER_CONFIG_NAMES_TO_TEST = ['X-12']
  SPLITS = {'train': 12 * 120, 'test': 12 * 24}


class ReducedTest(_CmnistTestCase):
  __test__ = True
  BUILDER_CONFIG_NAMES_TO_TEST = ['2-FKd-r-10']
  SPLITS = {'train': 20 * 10, 'test': 20 * 24}


class ReducedMixTest(_CmnistTestCase):
  __test__ = True
  SKIP_CHECKSUMS = True  # One file's SHA-256 was never published.
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


# Names -----------------------------------------------------------------------


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory) -> pathlib.Path:
  """A data folder that the tests share; what they build stays in it."""
  return tmp_path_factory.mktemp('data')


def _build(name, data_dir, **kwargs):
  builder = cmnist_sample_dataset_builder.Builder(
    data_dir=data_dir, config=name
  )
  builder.download_and_prepare(**kwargs)
  return builder


def _examples(builder, split):
  return list(builder.as_dataset(split=split).as_numpy_iterator())


def test_the_sample_describes_itself(tmp_path):
  builder = cmnist_sample_dataset_builder.Builder(
    config='X-12-r-5', data_dir=tmp_path
  )
  assert 'not CMNIST' in builder.builder_config.description
  assert builder.info.redistribution_info.license == 'Apache-2.0'
  counts = {(c['train'], c['test']) for c in builder.info.metadata['classes']}
  assert counts == {(5, 24)}
  pickled = pickle.dumps(builder.builder_config)
  assert pickle.loads(pickled) is builder.builder_config


def test_download_only_fetches_one_home_of_what_a_subset_needs(tmp_path):
  Builder = cmnist_dataset_builder.Builder
  builder = Builder(config='2-FKd-r-5', data_dir=tmp_path)
  files = [f for s in builder.subset.sources for f in s.origin_files]
  names = [url.rpartition('/')[2] for url in builder.url_infos]
  assert sorted(names) == sorted(file.name for file in files)
  assert builder.url_infos.items() <= Builder.url_infos.items()
  sample = cmnist_sample_dataset_builder.Builder(data_dir=tmp_path)
  assert not sample.url_infos


def test_declared_configs():
  cls = cmnist_dataset_builder.Builder
  assert [c.name for c in cls.BUILDER_CONFIGS] == [
    s.name for s in subsets.declared()
  ]
  assert len(cls.builder_configs) == 804
  assert cls.default_builder_config.name == 'X-12'
  assert 'cmnist' in tfds.list_builders(with_community_datasets=False)


def test_aliases_load_one_dataset_from_one_place(data_dir):
  builders = [
    tfds.builder(f'cmnist_sample/{name}', data_dir=data_dir)
    for name in ('3-EEIKm', '3-EElKm', 'CMNIST-3-EElKm', '3-eelkm')
  ]
  assert {b.data_dir for b in builders} == {
    str(data_dir / 'cmnist_sample/3-EElKm/1.0.0')
  }
  ds = tfds.load('cmnist_sample/3-EEIKm', data_dir=data_dir)
  assert len(ds['train']) == 5520
  assert len(tfds.load('cmnist_sample/3-EElKm', data_dir=data_dir)['test'])


def test_undeclared_config_comes_back_as_the_real_builder(data_dir):
  name = 'cmnist_sample/2-FKd-r-3'
  tfds.load(name, data_dir=data_dir)
  again = tfds.builder(name, data_dir=data_dir)
  assert isinstance(again, cmnist_sample_dataset_builder.Builder)
  assert again.subset is subsets.subset('2-FKd-r-3')
  assert again.info.splits['train'].num_examples == 60
  assert tfds.builder(f'{name}:1.0.0', data_dir=data_dir).info.splits


def test_unknown_name_says_why(data_dir):
  with pytest.raises(SubsetNameError, match='Did you mean 3-EElKm'):
    tfds.load('cmnist/EElKm', data_dir=data_dir)
  with pytest.raises(SubsetNameError, match=r'in El .* and N'):
    tfds.builder('cmnist/2-ElN', data_dir=data_dir)


def test_config_object_and_pickle_give_the_same_config(data_dir):
  config = cmnist_dataset_builder.Builder.builder_configs['X-12']
  builder = cmnist_dataset_builder.Builder(
    data_dir=data_dir, config=config, allow_unverified=True
  )
  copy = pickle.loads(pickle.dumps(builder))
  assert copy.builder_config is config
  assert copy.data_dir == builder.data_dir
  assert copy._allow_unverified


# What is built ---------------------------------------------------------------


def test_features_and_info(data_dir):
  info = _build('2-FKd', data_dir).info
  assert info.supervised_keys == ('image', 'label')
  assert info.features['image'].shape == (28, 28, 1)
  assert info.features['image'].dtype == np.uint8
  assert info.features['label'].names[0] == 'T-shirt/top'
  assert info.features['label'].names[10] == '೦'
  assert info.features['source'].names == ['F', 'Kd']
  assert info.homepage == 'https://github.com/swenkel/cmnist'
  for cited in ('wenkel2019cmnist', 'xiao2017fashion', 'prabhu2019kannada'):
    assert cited in info.citation
  assert 'clanuwat' not in info.citation
  assert info.redistribution_info.license == 'Apache-2.0'
  of_cmnist = cmnist_dataset_builder.Builder(config='2-FKd', data_dir=data_dir)
  assert 'Zalando' in of_cmnist.info.redistribution_info.license
  assert 'synthetic' in info.description


def test_metadata_tells_classes_counts_and_proofs(data_dir):
  _build('2-FKd-r-5', data_dir)
  metadata = tfds.builder(
    'cmnist_sample/2-FKd-r-5', data_dir=data_dir
  ).info.metadata
  assert metadata.get('subset') == '2-FKd-r-5'
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
  sample = origin.Locations(manual_dir=_SAMPLE)
  for split in ('train', 'test'):
    expected = []
    for index, (source, raw_labels) in enumerate(builder.subset.members):
      arrays = origin.load_split.load_split(
        source, split, sample, allow_unverified=True
      )
      kept = dict.fromkeys(raw_labels, 0)
      for image, raw in zip(arrays.images, arrays.labels, strict=True):
        if raw not in kept or (split == 'train' and kept[raw] == 5):
          continue
        kept[raw] += 1
        label = next(
          c.label
          for c in builder.subset.classes
          if c.source is source and c.raw_label == raw
        )
        expected.append((image, label, index, int(raw)))
    hasher = hashing.Hasher(split)
    order = sorted(range(len(expected)), key=hasher.hash_key)
    found = _examples(builder, split)
    assert len(found) == len(expected)
    for key, example in zip(order, found, strict=True):
      image, label, source, raw = expected[key]
      np.testing.assert_array_equal(example['image'][..., 0], image)
      assert example['label'] == label
      assert example['source'] == source
      assert example['source_label'] == raw


def test_max_examples_per_split_counts_what_is_kept(data_dir, tmp_path):
  builder = _build(
    '2-FKd',
    tmp_path,
    download_config=tfds.download.DownloadConfig(max_examples_per_split=30),
  )
  classes = builder.info.metadata['classes']
  assert sum(c['train'] for c in classes) == 30
  assert sum(c['test'] for c in classes) == 30
  assert builder.info.splits['train'].num_examples == 30


# What is refused, and what survives -------------------------------------------


def _remains(folder: pathlib.Path) -> list[pathlib.Path]:
  """What looks like a dataset in a data folder."""
  return [*folder.rglob('dataset_info.json'), *folder.rglob('*.tfrecord*')]


def test_parquet_is_refused(tmp_path):
  for arguments in ({'file_format': 'parquet'}, {}):
    builder = cmnist_sample_dataset_builder.Builder(
      data_dir=tmp_path,
      config='2-FKd-r-1',
      **({} if arguments else {'file_format': 'parquet'}),
    )
    with pytest.raises(PreparationError, match='loses rows'):
      builder.download_and_prepare(**arguments)
  assert not _remains(tmp_path)


def test_unwritable_data_dir_is_told_before_the_work(tmp_path):
  blocked = tmp_path / 'file'
  blocked.write_text('a file where the folder should be')
  builder = cmnist_sample_dataset_builder.Builder(
    data_dir=blocked, config='2-FKd-r-1'
  )
  with pytest.raises(PreparationError, match='Cannot write to the data folder'):
    builder.download_and_prepare()


def test_unverified_files_are_refused_unless_asked_for(tmp_path):
  config = tfds.download.DownloadConfig(manual_dir=_SAMPLE)
  refusing = cmnist_dataset_builder.Builder(
    data_dir=tmp_path, config='2-FKd-r-1'
  )
  with pytest.raises(OriginFileError, match='no right copy of fashion_mnist'):
    refusing.download_and_prepare(download_config=config)
  assert not _remains(tmp_path)
  tfds.load(
    'cmnist/2-FKd-r-1',
    data_dir=tmp_path,
    builder_kwargs={'allow_unverified': True},
    download_and_prepare_kwargs={'download_config': config},
  )
  metadata = tfds.builder('cmnist/2-FKd-r-1', data_dir=tmp_path).info.metadata
  assert metadata['sources'][0]['verified'] == {
    f'fashion_mnist/{name}': 'unverified'
    for name in (
      'train-images-idx3-ubyte.gz',
      'train-labels-idx1-ubyte.gz',
      't10k-images-idx3-ubyte.gz',
      't10k-labels-idx1-ubyte.gz',
    )
  }


def test_dataset_from_unverified_files_is_used_and_told(tmp_path, caplog):
  cmnist_dataset_builder.Builder(
    data_dir=tmp_path, config='2-FKd-r-1', allow_unverified=True
  ).download_and_prepare(
    download_config=tfds.download.DownloadConfig(manual_dir=_SAMPLE)
  )
  assert not caplog.records
  ds = tfds.load('cmnist/2-FKd-r-1', data_dir=tmp_path, split='train')
  assert len(ds) == 20
  assert 'built from unverified files of F, Kd' in caplog.text


def test_failed_build_leaves_nothing_that_looks_finished(tmp_path, monkeypatch):
  def fail_at_the_second_source(source, *args, **kwargs):
    if source.key == 'Kd':
      raise OriginFileError('damaged on purpose')
    return load_pieces(source, *args, **kwargs)

  load_pieces = origin.load_split.load_pieces
  monkeypatch.setattr(
    origin.load_split, 'load_pieces', fail_at_the_second_source
  )
  builder = cmnist_sample_dataset_builder.Builder(
    data_dir=tmp_path, config='2-FKd-r-1'
  )
  with pytest.raises(OriginFileError, match='on purpose'):
    builder.download_and_prepare()
  assert not _remains(tmp_path)
  monkeypatch.undo()
  again = _build('2-FKd-r-1', tmp_path)
  assert again.info.splits['train'].num_examples == 20


def _overwriting() -> tfds.download.DownloadConfig:
  return tfds.download.DownloadConfig(
    download_mode=tfds.download.GenerateMode.REUSE_CACHE_IF_EXISTS
  )


def test_overwriting_replaces_the_dataset(tmp_path):
  _build('2-FKd-r-1', tmp_path)
  info_path = tmp_path / 'cmnist_sample/2-FKd-r-1/1.0.0/dataset_info.json'
  before = info_path.stat().st_ino
  builder = _build('2-FKd-r-1', tmp_path, download_config=_overwriting())
  assert info_path.stat().st_ino != before
  assert len(_examples(builder, 'train')) == 20
  assert builder.info.metadata['classes'][0]['train'] == 1
  assert not list(tmp_path.rglob('*incomplete*'))


def test_overwriting_keeps_the_format_asked_for(tmp_path):
  for options in ({}, {'download_config': _overwriting()}):
    builder = cmnist_sample_dataset_builder.Builder(
      data_dir=tmp_path, config='2-FKd-r-1', file_format='array_record'
    )
    builder.download_and_prepare(**options)
    assert len(builder.as_data_source(split='train')) == 20


def test_failed_overwriting_keeps_the_finished_dataset(tmp_path, monkeypatch):
  def fail(*args, **kwargs):
    raise OriginFileError('damaged on purpose')

  _build('2-FKd-r-1', tmp_path)
  monkeypatch.setattr(origin.load_split, 'load_pieces', fail)
  with pytest.raises(OriginFileError, match='on purpose'):
    _build('2-FKd-r-1', tmp_path, download_config=_overwriting())
  monkeypatch.undo()
  builder = tfds.builder('cmnist_sample/2-FKd-r-1', data_dir=tmp_path)
  assert len(_examples(builder, 'train')) == 20
  assert not list(tmp_path.rglob('*incomplete*'))


def test_remains_of_a_dataset_are_refused(tmp_path):
  folder = tmp_path / 'cmnist_sample/2-FKd-r-1/1.0.0'
  folder.mkdir(parents=True)
  (folder / 'cmnist_sample-train.tfrecord-00000-of-00001').touch()
  with pytest.raises(PreparationError, match='not a finished dataset'):
    _build('2-FKd-r-1', tmp_path)


def test_two_builds_at_once_end_with_one_dataset(tmp_path):
  with concurrent.futures.ThreadPoolExecutor(2) as pool:
    builds = [pool.submit(_build, '2-FKd-r-2', tmp_path) for _ in range(2)]
    builders = [build.result() for build in builds]
  folder = tmp_path / 'cmnist_sample/2-FKd-r-2'
  assert [p.name for p in folder.iterdir()] == ['1.0.0']
  for builder in builders:
    assert builder.info.splits['train'].num_examples == 40
    assert len(_examples(builder, 'test')) == 480


def test_remains_of_killed_builds_are_cleared(tmp_path):
  folder = tmp_path / 'cmnist_sample/2-FKd-r-1'
  (folder / 'incomplete.ABC123_1.0.0').mkdir(parents=True)
  (folder / 'incomplete.ABC123_1.0.0/half-a-shard').touch()
  _build('2-FKd-r-1', tmp_path)
  assert [p.name for p in folder.iterdir()] == ['1.0.0']


def test_killed_between_the_renames_of_overwriting_loses_nothing(tmp_path):
  folder = tmp_path / 'cmnist_sample/2-FKd-r-1'
  _build('2-FKd-r-1', tmp_path)
  inode = (folder / '1.0.0/features.json').stat().st_ino
  (folder / 'incomplete.ABC123_1.0.0').mkdir()
  (folder / '1.0.0').rename(folder / 'incomplete.ABC123_1.0.0/1.0.0')
  builder = _build('2-FKd-r-1', tmp_path)
  assert (folder / '1.0.0/features.json').stat().st_ino == inode
  assert len(_examples(builder, 'train')) == 20
  assert [p.name for p in folder.iterdir()] == ['1.0.0']


def test_dataset_is_read_without_the_package_code(data_dir):
  built = _build('2-FKd-r-5', data_dir)
  plain = tfds.builder_from_directory(built.data_dir)
  assert type(plain).__name__ == 'ReadOnlyBuilder'
  for ours, theirs in zip(
    _examples(built, 'train'), _examples(plain, 'train'), strict=True
  ):
    np.testing.assert_array_equal(ours['image'], theirs['image'])
  metadata = json.loads(
    (pathlib.Path(built.data_dir) / 'metadata.json').read_text('utf-8')
  )
  assert metadata['subset'] == '2-FKd-r-5'

# SPDX-License-Identifier: Apache-2.0
"""The collection `cmnist_all`, as TFDS finds and loads it."""

from __future__ import annotations

import tensorflow_datasets as tfds

import cmnist_tfds  # noqa: F401
from cmnist_tfds import build, origin, subsets
from cmnist_tfds.system import paths


def test_tfds_finds_the_collection():
  assert 'cmnist_all' in tfds.list_dataset_collections()
  loader = tfds.dataset_collection('cmnist_all')
  names = [s.name for s in subsets.published()]
  assert list(loader.datasets) == names
  reference = loader.datasets['3-EElKm']
  assert reference.tfds_name() == 'cmnist/3-EElKm:1.0.0'
  assert 'wenkel2019cmnist' in loader.collection.info.citation


def test_a_subset_is_loaded_through_it(tmp_path, monkeypatch):
  monkeypatch.setenv(
    origin.MIRROR_VARIABLE, str(paths.package_folder('dummy_data'))
  )
  (outcome,) = build.build(
    [subsets.subset('2-FKd')], data_dir=tmp_path, allow_unverified=True
  )
  assert not outcome.error
  loader = tfds.dataset_collection(
    'cmnist_all', loader_kwargs={'data_dir': str(tmp_path), 'download': False}
  )
  splits = loader.load_dataset('2-FKd')
  assert len(splits['train']) == 2400
  assert len(splits['test']) == 480

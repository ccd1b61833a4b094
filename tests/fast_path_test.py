# SPDX-License-Identifier: Apache-2.0
"""The fast path writes what TFDS's own path writes."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds

from cmnist_tfds.datasets.cmnist_sample import cmnist_sample_dataset_builder

# As many as ask for the stock path and leave no example out.
_ALL = 10**9


def _build(name, data_dir, file_format=None, **options):
  builder = cmnist_sample_dataset_builder.Builder(
    data_dir=data_dir, config=name
  )
  builder.download_and_prepare(
    download_config=tfds.download.DownloadConfig(**options),
    file_format=file_format,
  )
  return builder


def _files(builder):
  folder = pathlib.Path(builder.data_dir)
  return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


def _shards(builder, split=''):
  return {n: b for n, b in _files(builder).items() if f'-{split}' in n}


def _test_shard(builder):
  (path,) = builder.info.splits['test'].filepaths
  return pathlib.Path(path)


@pytest.mark.parametrize('num_shards', [None, 3])
@pytest.mark.parametrize('name', ['3-EElKm', 'X-24', '2-FKd-r-10', '2-EcF'])
def test_same_examples_and_metadata_as_the_stock_path(
  name, num_shards, tmp_path
):
  ours = _build(name, tmp_path / 'ours', num_shards=num_shards)
  stock = _build(
    name,
    tmp_path / 'stock',
    num_shards=num_shards,
    max_examples_per_split=_ALL,
  )
  for split in stock.info.splits:
    of_ours, of_stock = (
      b.as_dataset(split=split, batch_size=-1) for b in (ours, stock)
    )
    assert of_ours.keys() == of_stock.keys()
    for feature, values in of_stock.items():
      np.testing.assert_array_equal(of_ours[feature], values)
  # The images are encoded alike, so even sizes and digests are equal.
  files, stock_files = _files(ours), _files(stock)
  assert files.keys() == stock_files.keys()
  for file in files:
    if file.endswith('.json'):
      assert json.loads(files[file]) == json.loads(stock_files[file])
    elif '.tfrecord' not in file:
      assert files[file] == stock_files[file]


def test_max_examples_per_split_counts_what_is_written(tmp_path):
  builder = _build('2-FKd', tmp_path, max_examples_per_split=30)
  classes = builder.info.metadata['classes']
  for split in ('train', 'test'):
    assert sum(c[split] for c in classes) == 30
    assert builder.info.splits[split].num_examples == 30


def test_two_builds_are_the_same_byte_by_byte(tmp_path):
  once, again = (_files(_build('X-24', tmp_path / n)) for n in ('1', '2'))
  assert once == again


def test_array_record_gives_random_access(tmp_path):
  builder = _build('X-12', tmp_path, file_format='array_record')
  source = builder.as_data_source(split='test')
  plain = _build('X-12', tmp_path / 'plain')
  for mine, theirs in zip(
    source, plain.as_dataset(split='test').as_numpy_iterator(), strict=True
  ):
    for feature, value in theirs.items():
      np.testing.assert_array_equal(mine[feature], value)
  again = tfds.data_source(
    'cmnist_sample/X-12', split='test', data_dir=tmp_path
  )
  assert len(again) == 288


# Shards of the full subset ---------------------------------------------------


@pytest.mark.parametrize('file_format', ['tfrecord', 'array_record'])
def test_reduced_subset_shares_the_test_shards_of_the_full_one(
  file_format, tmp_path
):
  alone = _shards(_build('X-12-r-5', tmp_path / 'alone', file_format))
  full = _build('X-12', tmp_path, file_format)
  reduced = _build('X-12-r-5', tmp_path, file_format)
  assert _test_shard(full).samefile(_test_shard(reduced))
  assert _shards(reduced) == alone


def _change_digest(folder):
  metadata = json.loads((folder / 'metadata.json').read_text())
  metadata['digests']['test'] = '0'
  (folder / 'metadata.json').write_text(json.dumps(metadata))


def _cut(folder):
  (shard,) = folder.glob('*-test.*')
  os.truncate(shard, 1000)


@pytest.mark.parametrize(
  ('change', 'options'),
  [
    (_change_digest, {}),
    (_cut, {}),
    (lambda folder: next(folder.glob('*-test.*')).unlink(), {}),
    (lambda folder: (folder / 'metadata.json').write_text('{'), {}),
    (lambda folder: None, {'num_shards': 2}),
  ],
  ids=['other examples', 'cut', 'missing', 'damaged', 'other number'],
)
def test_shards_that_are_not_the_same_are_written(change, options, tmp_path):
  full = _build('X-12', tmp_path)
  change(pathlib.Path(full.data_dir))
  reduced = _build('X-12-r-5', tmp_path, **options)
  alone = _build('X-12-r-5', tmp_path / 'alone', **options)
  assert _shards(reduced) == _shards(alone)
  for path in reduced.info.splits['test'].filepaths:
    assert os.stat(path).st_nlink == 1


def test_tensorflow_is_not_imported_to_build(tmp_path):
  done = subprocess.run(
    [
      sys.executable,
      '-c',
      'import sys; from cmnist_tfds import cli; '
      'status = cli.main(sys.argv[1:]); '
      'assert "tensorflow" not in sys.modules; sys.exit(status)',
      *('build', 'X-12', '--sample', '--data_dir', str(tmp_path)),
    ],
    capture_output=True,
    text=True,
    check=False,
  )
  assert (done.returncode, done.stderr) == (0, '')

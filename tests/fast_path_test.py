# SPDX-License-Identifier: Apache-2.0
"""The fast path writes what TFDS's own path writes."""

from __future__ import annotations

import json
import logging
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds

from cmnist_tfds.cache import store
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


def _shards(builder):
  return {n: b for n, b in _files(builder).items() if 'tfrecord' in n}


@pytest.mark.parametrize(
  'name', ['3-EElKm', 'X-24', '2-FKd-r-10', 'X-12-r-5', '1-Km-r-7', '2-EcF']
)
def test_same_examples_in_the_same_order_as_the_stock_path(name, tmp_path):
  ours = _build(name, tmp_path / 'ours')
  stock = _build(name, tmp_path / 'stock', max_examples_per_split=_ALL)
  for split in ('train', 'test'):
    of_ours, of_stock = (
      b.as_dataset(split=split).as_numpy_iterator() for b in (ours, stock)
    )
    for mine, theirs in zip(of_ours, of_stock, strict=True):
      assert mine.keys() == theirs.keys()
      for feature, value in theirs.items():
        np.testing.assert_array_equal(mine[feature], value)
        assert np.asarray(mine[feature]).dtype == np.asarray(value).dtype
    assert (
      ours.info.splits[split].num_examples
      == stock.info.splits[split].num_examples
    )


def test_information_is_that_of_the_stock_path(tmp_path):
  ours = _files(_build('X-12-r-5', tmp_path / 'ours'))
  stock = _files(
    _build('X-12-r-5', tmp_path / 'stock', max_examples_per_split=_ALL)
  )
  assert ours.keys() == stock.keys()
  for name in ('features.json', 'label.labels.txt', 'source.labels.txt'):
    assert ours[name] == stock[name]
  info, stock_info = (
    json.loads(files['dataset_info.json']) for files in (ours, stock)
  )
  for split, stock_split in zip(
    info['splits'], stock_info['splits'], strict=True
  ):
    # PNGs of another encoder have other sizes.
    del split['numBytes'], stock_split['numBytes']
  assert info == stock_info
  metadata, stock_metadata = (
    json.loads(files['metadata.json']) for files in (ours, stock)
  )
  assert metadata['digests'].keys() == {'train', 'test'}
  assert metadata == stock_metadata


def test_two_builds_are_the_same_byte_by_byte(tmp_path):
  once = _files(_build('X-24', tmp_path / 'once'))
  again = _files(_build('X-24', tmp_path / 'again'))
  assert once == again


def test_size_of_a_split_is_what_tfds_counts(tmp_path):
  builder = _build('X-12', tmp_path)
  records = builder.as_dataset(
    split='train', decoders=tfds.decode.PartialDecoding({'label': True})
  )
  assert len(records) == 1440
  shards = _shards(builder)
  framed = sum(len(content) for content in shards.values())
  frames = 16 * sum(s.num_examples for s in builder.info.splits.values())
  assert framed - frames == sum(
    s.num_bytes for s in builder.info.splits.values()
  )


@pytest.mark.parametrize('num_shards', [1, 3])
def test_shard_options_are_honoured(num_shards, tmp_path):
  ours = _build('X-12', tmp_path / 'ours', num_shards=num_shards)
  stock = _build(
    'X-12',
    tmp_path / 'stock',
    num_shards=num_shards,
    max_examples_per_split=_ALL,
  )
  assert ours.info.splits['train'].num_shards == num_shards
  assert (
    ours.info.splits['train'].shard_lengths
    == stock.info.splits['train'].shard_lengths
  )
  assert _shards(ours).keys() == _shards(stock).keys()


def test_array_record_gives_random_access(tmp_path):
  builder = _build('X-12', tmp_path, file_format='array_record')
  source = builder.as_data_source(split='test')
  plain = _build('X-12', tmp_path / 'plain')
  assert len(source) == 288
  for mine, theirs in zip(
    source, plain.as_dataset(split='test').as_numpy_iterator(), strict=True
  ):
    for feature, value in theirs.items():
      np.testing.assert_array_equal(mine[feature], value)
  again = tfds.data_source(
    'cmnist_sample/X-12', split='test', data_dir=tmp_path
  )
  assert len(again) == 288


def test_reduced_subset_shares_the_test_shards_of_the_full_one(tmp_path):
  alone = _shards(_build('X-12-r-5', tmp_path / 'alone'))
  full = _build('X-12', tmp_path)
  reduced = _build('X-12-r-5', tmp_path)
  (of_full,) = full.info.splits['test'].filepaths
  (of_reduced,) = reduced.info.splits['test'].filepaths
  assert os.path.samefile(of_full, of_reduced)
  assert not os.path.samefile(
    full.info.splits['train'].filepaths[0],
    reduced.info.splits['train'].filepaths[0],
  )
  assert _shards(reduced) == alone


def _flip(path):
  content = bytearray(path.read_bytes())
  content[len(content) // 3] ^= 1
  path.write_bytes(content)


def _swap_images(path):
  """Puts other records, which are sound, in place of those of a shard."""
  shutil.copy(path.with_name(path.name.replace('-test.', '-train.')), path)


@pytest.mark.parametrize('file_format', ['tfrecord', 'array_record'])
@pytest.mark.parametrize(
  'damage',
  [
    pathlib.Path.unlink,
    _flip,
    _swap_images,
    lambda path: path.write_bytes(b''),
    lambda path: path.write_bytes(path.read_bytes()[:-1]),
    lambda path: path.write_bytes(path.read_bytes() + bytes(9)),
    lambda path: (path.unlink(), path.mkdir()),
  ],
  ids=['missing', 'flip', 'other', 'empty', 'cut', 'longer', 'folder'],
)
def test_damaged_shards_are_not_linked_to(
  damage, file_format, tmp_path, caplog
):
  full = _build('X-12', tmp_path, file_format)
  (shard,) = map(pathlib.Path, full.info.splits['test'].filepaths)
  right = list(full.as_data_source('test')) if 'array' in file_format else None
  damage(shard)
  with caplog.at_level(logging.WARNING, 'cmnist_tfds'):
    reduced = _build('X-12-r-5', tmp_path, file_format)
  assert 'overwrit' in caplog.text
  (written,) = map(pathlib.Path, reduced.info.splits['test'].filepaths)
  assert not os.path.samefile(shard.parent, written.parent)
  if right:
    for mine, theirs in zip(reduced.as_data_source('test'), right, strict=True):
      np.testing.assert_array_equal(mine['image'], theirs['image'])
  else:
    alone = _build('X-12-r-5', tmp_path / 'alone', file_format)
    assert _shards(reduced) == _shards(alone)


def test_array_records_are_linked_to(tmp_path):
  full = _build('X-12', tmp_path, 'array_record')
  reduced = _build('X-12-r-5', tmp_path, 'array_record')
  (of_full,) = full.info.splits['test'].filepaths
  (of_reduced,) = reduced.info.splits['test'].filepaths
  assert os.path.samefile(of_full, of_reduced)


def test_other_shards_than_the_full_subset_has_are_written(tmp_path):
  _build('X-12', tmp_path)
  reduced = _build('X-12-r-5', tmp_path, num_shards=2)
  assert reduced.info.splits['test'].num_shards == 2
  assert len(list(reduced.as_dataset(split='test'))) == 288


def test_full_subset_with_other_examples_is_not_linked_to(tmp_path):
  full = _build('X-12', tmp_path)
  metadata = pathlib.Path(full.data_dir) / 'metadata.json'
  metadata.write_text(
    metadata.read_text().replace(full.info.metadata['digests']['test'], '0')
  )
  reduced = _build('X-12-r-5', tmp_path)
  assert not os.path.samefile(
    full.info.splits['test'].filepaths[0],
    reduced.info.splits['test'].filepaths[0],
  )


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
  assert done.returncode == 0, done.stderr
  assert done.stderr == ''


def test_a_damaged_cache_is_made_anew(tmp_path, monkeypatch):
  monkeypatch.setenv('CMNIST_CACHE_DIR', str(tmp_path / 'cache'))
  once = _shards(_build('X-12', tmp_path / 'once'))
  assert store.entries('encoded')
  for path in (tmp_path / 'cache').rglob('*.npy'):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
  assert _shards(_build('X-12', tmp_path / 'again')) == once


def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path, monkeypatch):
  once = _files(_build('2-FKd', tmp_path / 'once'))
  (tmp_path / 'file').touch()
  monkeypatch.setenv('CMNIST_CACHE_DIR', str(tmp_path / 'file'))
  assert _files(_build('2-FKd', tmp_path / 'again')) == once

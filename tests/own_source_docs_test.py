# SPDX-License-Identifier: Apache-2.0
"""docs/your-own-source.md does what it says."""

from __future__ import annotations

import os
import pathlib
import re

import numpy as np
import pytest
import running

from cmnist_tfds.sources import declaration, registry

_TEXT = (running.REPOSITORY / 'docs/your-own-source.md').read_text('utf-8')
_HEAD, *_SOURCES = re.findall('^```toml\n(.*?)^```$', _TEXT, re.M | re.S)
_CODE = dict(running.snippets(_TEXT))


@pytest.mark.parametrize('source', _SOURCES)
def test_declarations_are_right(source):
  (found,) = declaration.parse(
    _HEAD + source, 'example', extension=True, beside=pathlib.Path()
  )
  assert found.splits['train'].num_examples == 1_000 - 100 * (
    found.layout != 'npz'
  )


def test_every_layout_has_an_example():
  described = set(re.findall('^### (.*):', _TEXT, re.M))
  named = {
    name for line in described for name in re.findall('`([a-z]+)`', line)
  }
  assert named == {'idx', 'npz', 'npy', 'folder', 'csv', 'parquet'}


def test_the_table_lists_what_the_package_has():
  rows = re.findall(r'^\| ([A-Z][a-z]+) \| (.*?) \| (\S+ / \S+) ', _TEXT, re.M)
  shipped = []
  for source in registry.registry().extensions:
    test = source.splits['test'].num_examples
    train = source.splits.get('train')
    counts = f'{train.num_examples:,}' if train else '–'
    title = source.title + (', fold 1' if source.key == 'Hy' else '')
    if source.owner.startswith('cmnist_tfds '):
      shipped.append((source.key, title, f'{counts} / {test:,}'))
  assert sorted(rows) == sorted(shipped)


def test_arrays_become_a_dataset(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv('CMNIST_SOURCES', '')
  monkeypatch.setenv('CMNIST_CACHE_DIR', str(tmp_path / 'cache'))
  monkeypatch.setenv('TFDS_DATA_DIR', str(tmp_path / 'data'))
  found = {}
  exec(_CODE['python'], found)
  squares = found['x_test'][found['y_test'] == 1]
  expected = found['x'][1::2]
  assert {i.tobytes() for i in squares} == {i.tobytes() for i in expected}


@pytest.mark.slow
def test_five_commands_lead_to_a_dataset(origin_files, tmp_path, monkeypatch):
  image = pytest.importorskip('PIL.Image')
  random = np.random.default_rng(0)
  for name in ('circle', 'square'):
    folder = tmp_path / 'shapes' / name
    folder.mkdir(parents=True)
    for number in range(21):
      pixels = random.integers(0, 256, (40, 32, 3), np.uint8)
      image.fromarray(pixels).save(folder / f'{number:03d}.png')
  assert len(_CODE['sh'].splitlines()) == 5
  monkeypatch.setenv('CMNIST_MIRROR', os.fspath(origin_files))
  # Other tests expect that Fashion-MNIST is not in the cache.
  monkeypatch.setenv('CMNIST_CACHE_DIR', str(tmp_path / 'cache'))
  monkeypatch.delenv('CMNIST_SOURCES', raising=False)
  running.run('sh', _CODE['sh'], tmp_path)
  text = (tmp_path / 'shapes.toml').read_text('utf-8')
  assert 'convert = ["grey", "invert", "resize"]' in text

# SPDX-License-Identifier: Apache-2.0
"""An error about a missing file names what lies near it, and why not."""

from __future__ import annotations

import re

import pytest
import synthetic

from cmnist_tfds import origin
from cmnist_tfds.origin import Locations, similar_names
from cmnist_tfds.sources import SOURCES
from cmnist_tfds.system.errors import OriginFileError


@pytest.mark.parametrize(
  ('name', 'content', 'why'),
  [
    ('toy/train-images (1).gz.part', b'cut', r'expected [\d,]+ bytes, found 3'),
    ('toy/Train_images.gz', b'<html>', 'it is an HTML page'),
    ('train-images', b'unpacked', r'expected [\d,]+ bytes, found 8'),
    ('toy/train-images.bak', None, 'it is the right file; move it to'),
  ],
)
def test_a_similar_name_is_explained(name, content, why, tmp_path):
  made = synthetic.make()
  file = made.source.splits['train'].images
  (tmp_path / 'toy').mkdir()
  right = made.files['toy/train-images.gz']
  (tmp_path / name).write_bytes(right if content is None else content)
  (tmp_path / 'toy/test-images.gz').write_bytes(b'another part')
  (line,) = similar_names.describe(file, Locations(manual_dir=tmp_path))
  assert line.startswith(f'{tmp_path / name}: ')
  assert re.search(why, line)


def test_other_origin_files_are_not_similar(tmp_path):
  kannada = {
    f.name: f for s in SOURCES if s.key == 'Kd' for f in s.origin_files
  }
  (tmp_path / 'kannada_mnist').mkdir()
  for name in kannada:
    (tmp_path / 'kannada_mnist' / name).write_bytes(b'cut')
  for file in kannada.values():
    assert similar_names.describe(file, Locations(manual_dir=tmp_path)) == []


def test_the_error_lists_it(tmp_path):
  made = synthetic.make()
  (tmp_path / 'toy').mkdir()
  (tmp_path / 'toy/train-images (1).gz').write_bytes(b'cut')
  with pytest.raises(
    OriginFileError,
    match=r'under similar names:\n- .*train-images \(1\).gz: expected',
  ):
    origin.load_split.load_split(
      made.source, 'train', Locations(manual_dir=tmp_path)
    )

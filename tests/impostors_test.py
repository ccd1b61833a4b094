# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gzip
import io

import pytest
import synthetic

from cmnist_tfds.origin import impostors
from cmnist_tfds.sources import SOURCES

_DATA = gzip.compress(b'what the file should hold ' * 9, mtime=0)
_FILE = synthetic.origin_file('toy/file.gz', _DATA)


def _recognize(data, file=_FILE, size=None):
  stream = io.BytesIO(data)
  wrong = impostors.recognize(file, stream, len(data) if size is None else size)
  assert stream.tell() == 0
  return wrong


@pytest.mark.parametrize(
  ('data', 'named'),
  [
    (b'', 'it is empty'),
    (b'<!DOCTYPE html><html>', 'it is an HTML page'),
    (b'\xef\xbb\xbf\r\n <HTML lang="en">', 'it is an HTML page'),
    (
      b'version https://git-lfs.github.com/spec/v1\noid sha256:0\n',
      'it is a Git LFS pointer',
    ),
    (gzip.compress(_DATA, mtime=0), 'wrapped in gzip once more'),
    (
      gzip.compress(synthetic.zipped({'a': b''}), mtime=0),
      'wrapped in gzip once more',
    ),
    (
      synthetic.zipped({'matlab/emnist-mnist.mat': b'', 'matlab/x': b''}),
      "EMNIST's matlab.zip",
    ),
  ],
)
def test_known_wrong_files_are_named(data, named):
  assert named in (_recognize(data) or '')


@pytest.mark.parametrize(
  'data', [_DATA, _DATA[:-3], _DATA + b'.', b'something else']
)
def test_others_are_not(data):
  assert _recognize(data) is None


def test_the_outdated_kmnist_is_named():
  (file,) = (
    split.images
    for source in SOURCES
    for split in source.splits.values()
    if split.images.outdated_size
  )
  assert file.name == 'kmnist-test-imgs.npz'
  head = b'PK\x03\x04' + bytes(99)
  assert 'outdated' in (_recognize(head, file, size=3_069_285) or '')
  assert 'outdated' not in (_recognize(head, file, size=3_079_479) or '')

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io

import numpy as np
import pytest
import synthetic

from cmnist_tfds.origin import verification
from cmnist_tfds.origin.verification import Proof
from cmnist_tfds.sources import SOURCES

_DATA = b'the bytes of a file'
_FILE = synthetic.origin_file('toy/file', _DATA)
_BLOB = hashlib.sha1(b'blob %d\0%s' % (len(_DATA), _DATA)).hexdigest()


def _prove(file, data=_DATA):
  return verification.prove(file, io.BytesIO(data), len(data))


@pytest.mark.parametrize(
  ('known', 'proof'),
  [
    ({}, Proof.SHA256),
    ({'sha256': None}, Proof.MD5),
    ({'sha256': None, 'size': None, 'git_blob': _BLOB}, Proof.MD5),
    ({'sha256': None, 'size': None}, None),
    ({'size': len(_DATA) + 1}, None),
    ({'sha256': '0' * 64}, None),
    ({'sha256': None, 'md5': '0' * 32}, None),
    ({'sha256': None, 'reported_sha256': _FILE.sha256}, Proof.SHA256),
    ({'sha256': None, 'reported_sha256': '0' * 64}, Proof.MD5),
    ({'sha256': None, 'md5': '0' * 32, 'reported_sha256': '0' * 64}, None),
    ({'sha256': None, 'size': None, 'git_blob': '0' * 40}, None),
  ],
)
def test_what_proves_a_file(known, proof):
  assert _prove(dataclasses.replace(_FILE, **known)) is proof


def test_other_bytes_are_not_proved():
  assert _prove(_FILE, _DATA[:-1] + b'.') is None


def test_a_file_of_the_wrong_size_is_not_read():
  stream = io.BytesIO(_DATA)
  assert verification.prove(_FILE, stream, 1 << 60) is None
  assert stream.tell() == 0


def test_the_fingerprint_is_that_of_shape_and_values():
  array = np.arange(6, dtype=np.uint8).reshape(2, 3)
  expected = hashlib.sha256(b'uint8 (2, 3)\n' + bytes(range(6))).hexdigest()
  assert verification.fingerprint(array) == expected
  assert verification.fingerprint(np.asfortranarray(array)) == expected
  assert verification.fingerprint(array.reshape(3, 2)) != expected
  assert verification.fingerprint(array.T) != expected
  assert verification.fingerprint(array.astype(np.int8)) != expected


@pytest.mark.parametrize(
  ('known', 'size', 'message'),
  [
    ({}, 3, 'expected 19 bytes, found 3'),
    ({}, 19, f'right size, but not the SHA-256 {_FILE.sha256}'),
    ({'sha256': None}, 19, f'it does not have the MD5 {_FILE.md5}'),
  ],
)
def test_a_mismatch_is_told(known, size, message):
  assert message in verification.mismatch(
    dataclasses.replace(_FILE, **known), size
  )


_GZIP = gzip.compress(b'what the file should hold ' * 9, mtime=0)
_GZIP_FILE = synthetic.origin_file('toy/file.gz', _GZIP)


def _recognize(data, file=_GZIP_FILE, size=None):
  stream = io.BytesIO(data)
  wrong = verification.recognize_wrong_file(
    file, stream, len(data) if size is None else size
  )
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
    (gzip.compress(_GZIP, mtime=0), 'compressed by gzip once more'),
    (
      gzip.compress(synthetic.zipped({'a': b''}), mtime=0),
      'compressed by gzip once more',
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
  'data', [_GZIP, _GZIP[:-3], _GZIP + b'.', b'something else']
)
def test_other_files_are_not(data):
  assert _recognize(data) is None


@pytest.mark.parametrize(
  ('split', 'outdated'), [('train', 18_252_235), ('test', 3_069_285)]
)
def test_the_outdated_kmnist_is_named(split, outdated):
  (source,) = (source for source in SOURCES if source.key == 'Km')
  file = source.splits[split].images
  head = b'PK\x03\x04' + bytes(99)
  assert 'outdated' in (_recognize(head, file, size=outdated) or '')
  assert 'outdated' not in (_recognize(head, file, size=file.size) or '')

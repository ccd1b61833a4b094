# SPDX-License-Identifier: Apache-2.0
import hashlib

import msgspec
import numpy as np
import pytest
import synthetic

from cmnist_tfds.origin import verification
from cmnist_tfds.origin.verification import Proof

_DATA = b'the bytes of a file'
_FILE = synthetic.origin_file('toy/file', _DATA)
_BLOB = hashlib.sha1(b'blob %d\0%s' % (len(_DATA), _DATA)).hexdigest()


def _prove(file, data=_DATA):
  return verification.prove(file, data)[0]


@pytest.mark.parametrize(
  ('known', 'proof'),
  [
    ({}, Proof.SHA256),
    ({'sha256': None}, Proof.MD5),
    ({'sha256': None, 'size': None, 'git_blob': _BLOB}, Proof.MD5),
    ({'sha256': None, 'size': None}, Proof.NONE),
    ({'size': len(_DATA) + 1}, Proof.NONE),
    ({'sha256': '0' * 64}, Proof.NONE),
    ({'sha256': None, 'md5': '0' * 32}, Proof.NONE),
    ({'sha256': None, 'reported_sha256': _FILE.sha256}, Proof.SHA256),
    ({'sha256': None, 'reported_sha256': '0' * 64}, Proof.MD5),
    (
      {'sha256': None, 'md5': '0' * 32, 'reported_sha256': '0' * 64},
      Proof.NONE,
    ),
    ({'sha256': None, 'size': None, 'git_blob': '0' * 40}, Proof.NONE),
  ],
)
def test_what_proves_a_file(known, proof):
  assert _prove(msgspec.structs.replace(_FILE, **known)) is proof


def test_other_bytes_are_not_proved():
  assert _prove(_FILE, _DATA[:-1] + b'.') is Proof.NONE


def test_the_fingerprint_is_that_of_shape_and_values():
  array = np.arange(6, dtype=np.uint8).reshape(2, 3)
  expected = hashlib.sha256(b'uint8 (2, 3)\n' + bytes(range(6))).hexdigest()
  assert verification.fingerprint(array) == expected
  assert verification.fingerprint(np.asfortranarray(array)) == expected
  assert verification.fingerprint(array.reshape(3, 2)) != expected
  assert verification.fingerprint(array.T) != expected
  assert verification.fingerprint(array.astype(np.int8)) != expected


@pytest.mark.parametrize(
  ('data', 'known', 'message'),
  [
    (_DATA, {}, ''),
    (b'', {}, 'it is empty'),
    (b'abc', {}, 'expected 19 bytes, found 3'),
    (_DATA + b'.', {}, 'expected 19 bytes, found more'),
    (_DATA[::-1], {}, f'expected the SHA-256 {_FILE.sha256}, found another'),
    (_DATA[::-1], {'sha256': None}, f'expected the MD5 {_FILE.md5}, found'),
    (_DATA, {'sha256': None, 'md5': None}, 'no hash of it is declared'),
    (b'<!DOCTYPE html><html>', {}, 'it is an HTML page'),
    (b'\xef\xbb\xbf\r\n <HTML lang="en">', {}, 'it is an HTML page'),
    (b'version https://git-lfs.github.com/spec/v1\n', {}, 'Git LFS pointer'),
  ],
)
def test_what_is_wrong_with_a_file_is_told(data, known, message, tmp_path):
  (tmp_path / 'file').write_bytes(data)
  file = msgspec.structs.replace(_FILE, **known)
  fault = verification.fault(file, tmp_path / 'file')
  assert message in fault
  assert bool(fault) == bool(message)

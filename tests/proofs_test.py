# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import hashlib
import io

import numpy as np
import pytest
import synthetic

from cmnist_tfds.origin import verification
from cmnist_tfds.origin.verification import Proof

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
    ({'sha256': None}, 19, f'it has not the MD5 {_FILE.md5}'),
  ],
)
def test_a_mismatch_is_told(known, size, message):
  assert message in verification.mismatch(
    dataclasses.replace(_FILE, **known), size
  )

# SPDX-License-Identifier: Apache-2.0
"""Verifies that a file is the one its origin published.

A file is verified by its hash. A file with another hash is verified by its
content if it holds the published array: compressing an array again changes the
bytes of the file and not the array.
"""

from __future__ import annotations

import enum
import hashlib
import pathlib
import re

import numpy as np

from cmnist_tfds.sources import OriginFile

# Wrong files that users are known to end up with, by how they begin.
_WRONG = {
  rb'\Z': 'it is empty: delete it and fetch it again',
  rb'<!|<html': 'it is an HTML page, which a server sent in place of the file:'
  ' see on the homepage where the file has moved',
  rb'version https://git-lfs': 'it is a Git LFS pointer, not the file it points'
  ' to: run `git lfs pull` where it came from, or fetch the file itself',
}


class Proof(str, enum.Enum):
  """What proves that an origin file is the right one.

  Attributes:
    SHA256: Its SHA-256 is the published one.
    MD5: Its MD5 and its size are the published ones. Where the size is not
      published, Git's hash of the file takes its place.
    FINGERPRINT: The file is not the published one, but the array in it is.
    NONE: Nothing proves it. The user allowed unverified files.
  """

  SHA256 = 'sha256'
  MD5 = 'md5'
  FINGERPRINT = 'fingerprint'
  NONE = 'unverified'


def fingerprint(array: np.ndarray) -> str:
  """Returns a hash of an array that does not depend on its file format.

  Args:
    array: An array as it is in the origin file. The images of EMNIST are
      therefore transposed.

  Returns:
    SHA-256, as 64 hexadecimal digits, of the line `<dtype> <shape>` (for
    example `uint8 (60000, 28, 28)`) and the bytes of the array in C order.
  """
  digest = hashlib.sha256(f'{array.dtype} {array.shape}\n'.encode())
  digest.update(np.ascontiguousarray(array).data)
  return digest.hexdigest()


def prove(file: OriginFile, data: bytes) -> tuple[Proof, str]:
  """Compares bytes with a published file.

  Args:
    file: The published file.
    data: The bytes of the file that was found.

  Returns:
    SHA256 or MD5, and ''. If the bytes differ from the published ones, NONE
    and a clause with what was expected and what was found.
  """
  if file.size not in (None, len(data)):
    found = f'{len(data):,}' if len(data) < (file.size or 0) else 'more'
    return Proof.NONE, f'expected {file.size:,} bytes, found {found}'
  found = hashlib.sha256(data).hexdigest()
  if found in (file.sha256, file.reported_sha256):
    return Proof.SHA256, ''
  if file.sha256:
    return Proof.NONE, f'expected the SHA-256 {file.sha256}, found another'
  if file.md5 is None:
    return Proof.NONE, 'no hash of it is declared; declare its sha256'
  blob = hashlib.sha1(b'blob %d\0' % len(data), usedforsecurity=False)
  blob.update(data)
  known = file.size is not None or blob.hexdigest() == file.git_blob
  md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
  if known and md5 == file.md5:
    return Proof.MD5, ''
  return Proof.NONE, f'expected the MD5 {file.md5}, found another'


def fault(file: OriginFile, path: pathlib.Path) -> str:
  """Returns why a file on disk is not the published one; '' if it is."""
  _, wrong = prove(file, path.read_bytes())
  return wrong and (recognize(path) or wrong)


def recognize(path: pathlib.Path) -> str:
  """Recognizes the wrong files that users are known to end up with.

  Args:
    path: The file that was found.

  Returns:
    A clause that says what the file is and what to do about it, '' if it is
    none of them.
  """
  try:
    with path.open('rb') as stream:
      head = stream.read(512).lstrip(b'\xef\xbb\xbf \t\r\n').lower()
  except OSError:  # Whoever reads it says why it cannot be read.
    return ''
  return next((w for begin, w in _WRONG.items() if re.match(begin, head)), '')

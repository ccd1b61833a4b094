# SPDX-License-Identifier: Apache-2.0
"""How it is known that a file is the one its origin published.

A file is proved by its hash, or else by its content: a copy that was packed
anew has other bytes and the same array.
"""

from __future__ import annotations

import enum
import hashlib
from typing import BinaryIO

import numpy as np

from cmnist_tfds.sources import OriginFile

_BLOCK = 1 << 20


class Proof(str, enum.Enum):
  """What shows that an origin file is the right one.

  Attributes:
    SHA256: Its SHA-256 is the published one.
    MD5: Its MD5 and its size are the published ones; where the size is not
      known, Git's hash of it stands in.
    FINGERPRINT: The array in it is the published one, the file is not.
    NONE: Nothing does; it was accepted because the user asked for that.
  """

  SHA256 = 'sha256'
  MD5 = 'md5'
  FINGERPRINT = 'fingerprint'
  NONE = 'unverified'


def fingerprint(array: np.ndarray) -> str:
  """Returns a hash of an array, whatever file format it came in.

  Args:
    array: An array as it stands in the origin file; EMNIST's images therefore
      before they are turned upright.

  Returns:
    SHA-256, as 64 hexadecimal digits, of the line `<dtype> <shape>` (as
    `uint8 (60000, 28, 28)`) and the array's bytes in C order.
  """
  digest = hashlib.sha256(f'{array.dtype} {array.shape}\n'.encode())
  digest.update(np.ascontiguousarray(array).data)
  return digest.hexdigest()


def prove(file: OriginFile, stream: BinaryIO, size: int) -> Proof | None:
  """Returns the proof that the bytes of a file are the published ones.

  Args:
    file: The file the bytes should be.
    stream: The bytes, from their start.
    size: How many there are; those of a wrong size are not read.

  Returns:
    SHA256 or MD5, None if the bytes are others.
  """
  if file.size is not None and size != file.size:
    return None
  if file.sha256 is not None:
    expected = {'sha256': file.sha256}
  elif file.size is not None:
    expected = {'md5': file.md5}
  elif file.git_blob is not None:
    expected = {'md5': file.md5, 'git_blob': file.git_blob}
  else:
    return None
  if hashes(stream, size, expected) != expected:
    return None
  return Proof.SHA256 if 'sha256' in expected else Proof.MD5


def hashes(
  stream: BinaryIO, size: int, names: dict[str, str] | tuple[str, ...]
) -> dict[str, str]:
  """Returns hashes of a stream, all from one reading.

  Args:
    stream: The bytes, from their start.
    size: How many there are.
    names: Which hashes: 'sha256', 'md5', 'git_blob'.

  Returns:
    By name, the hash in hexadecimal digits.
  """
  digests = {
    name: hashlib.sha1(b'blob %d\0' % size, usedforsecurity=False)
    if name == 'git_blob'
    else hashlib.new(name, usedforsecurity=False)
    for name in names
  }
  while block := stream.read(_BLOCK):
    for digest in digests.values():
      digest.update(block)
  return {name: digest.hexdigest() for name, digest in digests.items()}


def mismatch(file: OriginFile, size: int) -> str:
  """Says in what a file of that size that `prove` refused is not the right one.

  Args:
    file: The file it should be.
    size: Its size in bytes.

  Returns:
    What was expected and what was found.
  """
  if file.size is not None and size != file.size:
    return f'expected {file.size:,} bytes, found {size:,}'
  if file.sha256 is not None:
    return f'it has the right size, but not the SHA-256 {file.sha256}'
  return f'it has not the MD5 {file.md5}'

# SPDX-License-Identifier: Apache-2.0
"""Verifies that a file is the one its origin published.

A file is verified by its hash. A file with another hash is verified by its
content if it holds the published array: compressing an array again changes the
bytes of the file and not the array.
"""

from __future__ import annotations

import enum
import hashlib
import io
import pathlib
import re
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from cmnist_tfds.sources import OriginFile

if TYPE_CHECKING:
  from typing_extensions import Buffer

_BLOCK = 1 << 20

# Bytes at the start of a file by which wrong files are recognized.
_HEAD = 512

# Wrong files that users are known to end up with, by how they begin.
_WRONG = {
  rb'\Z': 'it is empty: delete it and fetch it again',
  rb'<!|<html': 'it is an HTML page, which a server sent in place of the file:'
  ' see on the homepage where the file has moved',
  rb'version https://git-lfs': 'it is a Git LFS pointer, not the file it points'
  ' to: run `git lfs pull` where it came from, or fetch the file itself',
}
_OUTDATED = (
  'it is the outdated version of the file, which still goes about under the same'
  ' name: fetch the new one'
)


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


def sha256(stream: BinaryIO) -> str:
  """Returns the SHA-256 of bytes, as 64 hexadecimal digits."""
  digest = hashlib.sha256()
  while block := stream.read(_BLOCK):
    digest.update(block)
  return digest.hexdigest()


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


class ProvingReader(io.RawIOBase):
  """Hashes the bytes of a file as they are read.

  One reading decodes and proves them: whatever writes to the file meanwhile,
  what is proved is what was decoded.
  """

  def __init__(self, file: OriginFile, stream: BinaryIO, size: int) -> None:
    """Constructs a reader.

    Args:
      file: The published file.
      stream: The bytes of the file that was found, from their start.
      size: The number of bytes.
    """
    self._file, self._stream, self._size = file, stream, size
    self._digests: dict[str, Any] = {'sha256': hashlib.sha256()}
    if file.sha256 is None:
      self._digests['md5'] = hashlib.md5(usedforsecurity=False)
      blob = hashlib.sha1(b'blob %d\0' % size, usedforsecurity=False)
      self._digests['git_blob'] = blob

  def readable(self) -> bool:
    """Returns True."""
    return True

  def readinto(self, buffer: Buffer, /) -> int:
    """Reads bytes into a buffer and returns how many, 0 at the end."""
    view = memoryview(buffer).cast('B')
    count: int = self._stream.readinto(view)  # type: ignore[attr-defined]
    for digest in self._digests.values():
      digest.update(view[:count])
    return count

  def proof(self) -> tuple[Proof, str]:
    """Reads what is left.

    Returns:
      SHA256 or MD5, and ''. If the bytes differ from the published ones, NONE
      and a clause with what was expected and what was found.
    """
    file, block = self._file, bytearray(_BLOCK)
    while self.readinto(block):
      pass
    found = {name: d.hexdigest() for name, d in self._digests.items()}
    if file.size not in (None, self._size):
      size = f'{self._size:,}' if self._size < (file.size or 0) else 'more'
      return Proof.NONE, f'expected {file.size:,} bytes, found {size}'
    if found['sha256'] in (file.sha256, file.reported_sha256):
      return Proof.SHA256, ''
    if file.sha256:
      return Proof.NONE, f'expected the SHA-256 {file.sha256}, found another'
    known = file.size is not None or found['git_blob'] == file.git_blob
    if known and found['md5'] == file.md5:
      return Proof.MD5, ''
    if file.md5:
      return Proof.NONE, f'expected the MD5 {file.md5}, found another'
    return Proof.NONE, 'no hash of it is declared; declare its sha256'


def fault(file: OriginFile, path: pathlib.Path) -> str:
  """Returns why a file on disk is not the published one; '' if it is."""
  with path.open('rb') as stream:
    _, wrong = ProvingReader(file, stream, path.stat().st_size).proof()
  return wrong and (recognize(file, path) or wrong)


def recognize(file: OriginFile, path: pathlib.Path) -> str:
  """Recognizes the wrong files that users are known to end up with.

  Args:
    file: The file that was expected.
    path: The file that was found.

  Returns:
    A clause that says what the file is and what to do about it, '' if it is
    none of them.
  """
  try:
    with path.open('rb') as stream:
      head = stream.read(_HEAD).lstrip(b'\xef\xbb\xbf \t\r\n').lower()
  except OSError:  # Whoever reads it says why it cannot be read.
    return ''
  if path.stat().st_size == file.outdated_size:
    return _OUTDATED
  return next((w for begin, w in _WRONG.items() if re.match(begin, head)), '')

# SPDX-License-Identifier: Apache-2.0
"""Verifies that a file is the one its origin published.

A file is verified by its hash. A file with another hash is verified by its
content if it holds the published array: compressing an array again changes the
bytes of the file and not the array.

A file that is neither is named if it is one of the wrong files that users are
known to end up with, such as an HTML page.
"""

from __future__ import annotations

import enum
import gzip
import hashlib
import io
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from cmnist_tfds.formats import idx_npz
from cmnist_tfds.sources import OriginFile

if TYPE_CHECKING:
  from typing_extensions import Buffer

_BLOCK = 1 << 20

# Bytes at the start of a file by which wrong files are recognized.
_HEAD = 512

# Bytes that are enough to decompress a few. A gzip header without an end, which
# Python's gzip reads byte by byte, does not delay the error.
_COMPRESSED_HEAD = 1 << 16

# Offset of the name of the first member in a zip file.
_NAME_IN_ZIP = 30


class Proof(str, enum.Enum):
  """What proves that an origin file is the right one.

  Attributes:
    SHA256: Its SHA-256 is the published one.
    MD5: Its MD5 and its size are the published ones. Where the size is not
      published, Git's hash of the file takes its place.
    RECREATED: The file is not the published one, but making that one again from
      the array in it gives the published hash.
    FINGERPRINT: The file is not the published one, but the array in it is.
    NONE: Nothing proves it. The user allowed unverified files.
  """

  SHA256 = 'sha256'
  MD5 = 'md5'
  RECREATED = 're-created'
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
      size: The number of bytes. No more are read.
    """
    self._stream = stream
    self._left = size
    self._expected = _expected_hashes(file, size)
    self._reported = file.reported_sha256
    names = {*self._expected, *(['sha256'] if self._reported else [])}
    self._digests = _digests(names, size)

  def readable(self) -> bool:
    """Returns True."""
    return True

  def readinto(self, buffer: Buffer, /) -> int:
    """Reads bytes into a buffer and returns how many, 0 at the end."""
    view = memoryview(buffer).cast('B')[: self._left]
    count = self._stream.readinto(view)  # type: ignore[attr-defined]
    self._left -= count
    for digest in self._digests.values():
      digest.update(view[:count])
    return count

  def readall(self) -> bytes:
    """Reads what is left, which `io.RawIOBase` does in small blocks."""
    data = self._stream.read(self._left)
    self._left = 0
    for digest in self._digests.values():
      digest.update(data)
    return data

  def proof(self) -> Proof | None:
    """Reads what is left and returns the proof.

    Returns:
      SHA256 or MD5, or None if the bytes differ from the published ones.
    """
    if not self._expected:
      return None
    block = bytearray(_BLOCK)
    while self.readinto(block):
      pass
    found = _hexdigests(self._digests)
    if self._reported and found['sha256'] == self._reported:
      return Proof.SHA256
    if not self._expected.items() <= found.items():
      return None
    return Proof.SHA256 if 'sha256' in self._expected else Proof.MD5


def prove(file: OriginFile, stream: BinaryIO, size: int) -> Proof | None:
  """Returns the proof that bytes are those of a published file.

  Args:
    file: The published file.
    stream: The bytes, from their start. They are not read if `size` is wrong.
    size: The number of bytes.

  Returns:
    SHA256 or MD5, or None if the bytes differ from the published ones.
  """
  return ProvingReader(file, stream, size).proof()


def _expected_hashes(file: OriginFile, size: int) -> dict[str, str]:
  """Returns the hashes that together prove a file, none if nothing does."""
  if file.size is not None and size != file.size:
    return {}
  if file.sha256 is not None:
    return {'sha256': file.sha256}
  if file.md5 is None:
    return {}
  if file.size is not None:
    return {'md5': file.md5}
  if file.git_blob is not None:
    return {'md5': file.md5, 'git_blob': file.git_blob}
  return {}


def hashes(stream: BinaryIO, size: int, names: Iterable[str]) -> dict[str, str]:
  """Computes several hashes of a stream and reads it once.

  Args:
    stream: The bytes, from their start.
    size: The number of bytes.
    names: Names of the hashes: 'sha256', 'md5', 'git_blob'.

  Returns:
    The hashes by name, in hexadecimal digits.
  """
  digests = _digests(names, size)
  while block := stream.read(_BLOCK):
    for digest in digests.values():
      digest.update(block)
  return _hexdigests(digests)


def _digests(names: Iterable[str], size: int) -> dict[str, Any]:
  return {
    name: hashlib.sha1(b'blob %d\0' % size, usedforsecurity=False)
    if name == 'git_blob'
    else hashlib.new(name, usedforsecurity=False)
    for name in names
  }


def _hexdigests(digests: Mapping[str, Any]) -> dict[str, str]:
  return {name: digest.hexdigest() for name, digest in digests.items()}


def mismatch(file: OriginFile, size: int) -> str:
  """Describes how a file that `prove` refused differs from the published one.

  Args:
    file: The published file.
    size: The size of the refused file in bytes.

  Returns:
    A clause with what was expected and what was found.
  """
  if file.size is not None and size != file.size:
    return f'expected {file.size:,} bytes, found {size:,}'
  if file.sha256 is not None:
    size_known = 'it has the right size, but not' if file.size else 'it has not'
    return f'{size_known} the SHA-256 {file.sha256}'
  if file.md5 is None:
    return 'no hash of it is declared; declare its sha256'
  return f'it does not have the MD5 {file.md5}'


def recognize_wrong_file(
  file: OriginFile, stream: BinaryIO, size: int
) -> str | None:
  """Recognizes the wrong files that users are known to end up with.

  Args:
    file: The file that was expected.
    stream: The file that was found, seekable, at its start.
    size: The size in bytes of the file that was found.

  Returns:
    A clause that says what the file is and what to do about it, or None if it
    is no known wrong file.
  """
  head = stream.read(_HEAD)
  stream.seek(0)
  text = head.lstrip(b'\xef\xbb\xbf \t\r\n').lower()
  if not head:
    return 'it is empty: delete it and fetch it anew'
  if text.startswith((b'<!', b'<html')):
    return (
      'it is an HTML page, which a server sent in place of the file: look on'
      ' the homepage where the file has moved, and put it in the manual folder'
    )
  if text.startswith(b'version https://git-lfs.github.com/spec/'):
    return (
      'it is a Git LFS pointer, not the file it points to: run `git lfs pull`'
      ' in the repository it came from, or fetch the file itself'
    )
  if size == file.outdated_size:
    return (
      'it is the outdated version of the file, which its authors have replaced'
      ' and which is still distributed under the same name: fetch the new one'
    )
  if head.startswith((idx_npz.GZIP_MAGIC, idx_npz.ZIP_MAGIC)):
    return _recognize_compressed(stream, head)
  return None


def _recognize_compressed(stream: BinaryIO, head: bytes) -> str | None:
  """Recognizes the known wrong files that are gzip or zip files."""
  if _decompressed_head(stream).startswith(
    (idx_npz.GZIP_MAGIC, idx_npz.ZIP_MAGIC)
  ):
    return (
      'it is compressed by gzip once more than the published file: run'
      ' `gunzip` on it once and give it its old name again'
    )
  if head[_NAME_IN_ZIP:].startswith(b'matlab'):
    return (
      "it is EMNIST's matlab.zip, which holds MATLAB's format: fetch gzip.zip"
      ' from the same page'
    )
  return None


def _decompressed_head(stream: BinaryIO) -> bytes:
  """Returns the first bytes inside a gzip file, none if it is not one."""
  head = io.BytesIO(stream.read(_COMPRESSED_HEAD))
  stream.seek(0)
  try:
    with gzip.open(head) as decompressed:
      return decompressed.read(4)
  except idx_npz.DAMAGE:
    return b''

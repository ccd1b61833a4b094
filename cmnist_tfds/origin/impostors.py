# SPDX-License-Identifier: Apache-2.0
"""Names the wrong files that are known to turn up in place of the right ones.

A hash can only say that a file is another one. For the wrong files people
really meet this says which one it is, and what to do.
"""

from __future__ import annotations

import gzip
from typing import BinaryIO

from cmnist_tfds.formats import idx_npz
from cmnist_tfds.sources import OriginFile

_HEAD = 512

# Where the name of the first member begins in a zip file.
_NAME_IN_ZIP = 30


def recognize(file: OriginFile, stream: BinaryIO, size: int) -> str | None:
  """Says which known wrong file a file is.

  Args:
    file: The file it should be.
    stream: The file found, seekable, at its start.
    size: Its size in bytes.

  Returns:
    What it is and what to do about it; None if it is none of those known.
  """
  head = stream.read(_HEAD)
  stream.seek(0)
  text = head.lstrip(b'\xef\xbb\xbf \t\r\n').lower()
  packed = head.startswith((idx_npz.GZIP_MAGIC, idx_npz.ZIP_MAGIC))
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
      ' where it came from, or fetch the file itself'
    )
  if size == file.outdated_size:
    return (
      'it is the outdated version of the file, which its authors have replaced'
      ' and which still goes about under the same name: fetch the new one'
    )
  if packed:
    return _recognize_packed(stream, head)
  return None


def _recognize_packed(stream: BinaryIO, head: bytes) -> str | None:
  """Says which known wrong file a gzip or zip file is."""
  if _unpacked_head(stream).startswith((idx_npz.GZIP_MAGIC, idx_npz.ZIP_MAGIC)):
    return (
      'it is wrapped in gzip once more than at its origin: run `gunzip` on it'
      ' once and give it its old name again'
    )
  if head[_NAME_IN_ZIP:].startswith(b'matlab'):
    return (
      "it is EMNIST's matlab.zip, which holds MATLAB's format: fetch gzip.zip"
      ' from the same page'
    )
  return None


def _unpacked_head(stream: BinaryIO) -> bytes:
  try:
    with gzip.open(stream) as unpacked:
      return unpacked.read(4)
  except idx_npz.DAMAGE:
    return b''
  finally:
    stream.seek(0)

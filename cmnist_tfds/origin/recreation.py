# SPDX-License-Identifier: Apache-2.0
"""Proves an array by making the published file again from it.

Origin files were written by deterministic tools. From the right array, in the
right order, the same tool makes the same bytes, and their hash is published. So
an array in any packing can be proved, even if no complete file was ever at
hand.

Classic zlib made the compressed files. Other implementations, such as zlib-ng,
make other bytes; a Python with one of them proves only files that are not
compressed.
"""

from __future__ import annotations

import io
import json
import pathlib
import struct
import time
import zipfile
import zlib
from collections.abc import Iterator

import numpy as np

from cmnist_tfds.origin import verification
from cmnist_tfds.origin.verification import Proof
from cmnist_tfds.sources import OriginFile
from cmnist_tfds.system import atomic
from cmnist_tfds.system.errors import PreparationError

# Name of the file in the cache in which is kept what proofs have taught.
LEARNT = 'learnt.json'

# Seconds for which the time in the header of a gzip file is searched.
_SEARCH = 60

# Seconds from a known time where the size of the file does not tell whether the
# search is worth while.
_REACH = 30

# The times in the headers of gzip files, in seconds since 1970, where files of
# the set were at hand. Missing files were written near them.
_TIMES = {
  'emnist': {
    'balanced-train-labels': 1487374158,
    'balanced-test-labels': 1487374159,
    'letters-train-labels': 1487374626,
    'letters-test-labels': 1487374626,
  },
  'kmnist': {
    't10k-images': 1549161456,
    't10k-labels': 1549161460,
    'train-labels': 1549161460,
  },
  'notmnist': {
    't10k-images': 1455893405,
    't10k-labels': 1455893405,
    'train-labels': 1455895376,
  },
}

# What a gzip header says of the system that wrote it.
_UNIX, _UNKNOWN = 3, 255

# The type of each value that IDX files have.
_IDX_TYPES = {'u1': 8, 'i1': 9, 'i2': 11, 'i4': 12}


def recreate(
  file: OriginFile, array: np.ndarray, learnt: pathlib.Path | None = None
) -> Proof | None:
  """Makes a published file again from an array and compares its hash.

  Args:
    file: The published file. Its equivalents do not count.
    array: An array that may be the one in the file, as the file has it.
    learnt: JSON file in which what is learnt is kept: the time in the header of
      a gzip file, which a later call tries first, and the fingerprint. No proof
      rests on it.

  Returns:
    RECREATED, or None if the file cannot be made from this array.
  """
  if file.name.endswith('.npz'):
    made = _npz(file, array)
    return Proof.RECREATED if _is_published(file, made) else None
  if not file.name.endswith('.gz'):
    return None
  folder = file.path.partition('/')[0]
  if folder not in _TIMES or array.dtype.str[1:] not in _IDX_TYPES:
    return None
  rest = _gzip_after_time(file, array, _UNIX if folder == 'notmnist' else None)
  if file.size is not None and file.size != len(rest) + 8:
    return None
  known = read_learnt(learnt).get(file.path, {}).get('time')
  end = time.monotonic() + _SEARCH
  for seconds in _times(file, folder, known):
    if _is_published(file, _GZIP_HEADER + struct.pack('<I', seconds) + rest):
      _keep(file, array, seconds, learnt)
      return Proof.RECREATED
    if time.monotonic() > end:
      break
  return None


def read_learnt(learnt: pathlib.Path | None) -> dict[str, dict[str, object]]:
  """Returns what earlier proofs have taught.

  Args:
    learnt: The JSON file, which need not exist.

  Returns:
    For the path of each file that was made again, the 'time' in its header and
    the 'fingerprint' of its array. Nothing if the file is missing or damaged.
  """
  if learnt is None:
    return {}
  try:
    found = json.loads(learnt.read_text('utf-8'))
    return {path: dict(facts) for path, facts in found.items()}
  except (OSError, ValueError, TypeError, AttributeError, RecursionError):
    return {}


def _keep(
  file: OriginFile,
  array: np.ndarray,
  seconds: int,
  learnt: pathlib.Path | None,
) -> None:
  if learnt is None:
    return
  facts = {'time': seconds, 'fingerprint': verification.fingerprint(array)}
  found = read_learnt(learnt)
  if found.get(file.path) == facts:
    return
  try:
    learnt.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_file(
      learnt, json.dumps(found | {file.path: facts}, indent=1).encode()
    )
  except (OSError, PreparationError):
    return  # The next proof searches again.


def _times(file: OriginFile, folder: str, known: object) -> Iterator[int]:
  """Yields times, those that are known first, then their neighbours."""
  if isinstance(known, int) and 0 <= known < 1 << 32:
    yield known
  of_set = _TIMES[folder]
  near = [t for name, t in of_set.items() if name in file.name]
  if near:
    yield from near
    return
  # Files of one split, or of one set of EMNIST, were written together.
  stem = file.name.removeprefix('emnist-').split('-')[0]
  near = [t for name, t in of_set.items() if name.startswith(stem)]
  tried = set()
  starts = sorted(set(near or of_set.values()))
  # Without a known size, every array is searched for.
  for distance in range(_REACH if file.size is None else 1 << 20):
    for start in starts:
      for seconds in (start - distance, start + distance):
        if seconds not in tried:
          tried.add(seconds)
          yield seconds


# Deflated, with the name of the file that was packed.
_GZIP_HEADER = b'\x1f\x8b\x08\x08'


def _gzip_after_time(
  file: OriginFile, array: np.ndarray, system: int | None
) -> bytes:
  """Returns a gzip file of an IDX file, without its first eight bytes."""
  stored = array.astype(array.dtype.newbyteorder('>'), copy=False)
  idx = b''.join(
    (
      bytes((0, 0, _IDX_TYPES[array.dtype.str[1:]], array.ndim)),
      struct.pack(f'>{array.ndim}I', *array.shape),
      stored.tobytes(),
    )
  )
  deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
  return b''.join(
    (
      bytes((2, _UNKNOWN if system is None else system)),
      file.name.removesuffix('.gz').encode() + b'\0',
      deflate.compress(idx),
      deflate.flush(),
      struct.pack('<II', zlib.crc32(idx), len(idx) & 0xFFFFFFFF),
    )
  )


def _npz(file: OriginFile, array: np.ndarray) -> bytes:
  """Returns an NPZ file as NumPy of the time wrote it."""
  npy = io.BytesIO()
  np.lib.format.write_array(npy, array, version=(1, 0))
  # Not compressed, as `numpy.savez` does, if it is larger than the array.
  stored = file.size is not None and file.size > array.nbytes
  method = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
  info = zipfile.ZipInfo(f'{file.array}.npy', (1980, 1, 1, 0, 0, 0))
  info.compress_type = method
  info.create_system = _UNIX
  info.external_attr = 0o600 << 16
  made = io.BytesIO()
  with zipfile.ZipFile(made, 'w', method) as archive:
    archive.writestr(info, npy.getvalue(), compresslevel=6)
  return made.getvalue()


def _is_published(file: OriginFile, made: bytes) -> bool:
  return verification.prove(file, io.BytesIO(made), len(made)) is not None

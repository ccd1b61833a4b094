# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gzip
import io
import struct
import zipfile

import numpy as np
import pytest
import synthetic
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from cmnist_tfds.errors import OriginFileError
from cmnist_tfds.formats import idx_npz

_ARRAY = np.arange(3 * 28 * 28, dtype=np.uint8).reshape(3, 28, 28)


def _read(data: bytes, shape: tuple[int, ...] | None = None) -> np.ndarray:
  def check_shape(found):
    if shape is not None and found != shape:
      raise OriginFileError(f'expected {shape}, found {found}')

  return idx_npz.read_array(io.BytesIO(data), check_shape)


def _zip(members: dict[str, bytes]) -> bytes:
  return synthetic.zipped(members)


@given(
  st_numpy.arrays(
    np.uint8, st_numpy.array_shapes(min_dims=1, max_dims=4, min_side=0)
  ),
  st.sampled_from([synthetic.idx, synthetic.npz]),
)
def test_what_is_written_is_read(array, write):
  found = _read(write(array), array.shape)
  np.testing.assert_array_equal(found, array)
  assert found.dtype == np.uint8
  assert found.flags.c_contiguous
  assert found.flags.writeable


def test_an_array_in_columns_is_read():
  found = _read(synthetic.npz(np.asfortranarray(_ARRAY)), _ARRAY.shape)
  np.testing.assert_array_equal(found, _ARRAY)
  assert found.flags.c_contiguous


@given(st.binary(max_size=200), st.sampled_from(['', 'gzip', 'idx', 'npz']))
def test_any_bytes_give_an_array_or_the_one_error(data, wrapped):
  if wrapped == 'gzip':
    data = gzip.compress(data, mtime=0)
  elif wrapped == 'idx':
    data = gzip.compress(b'\0\0\x08' + data, mtime=0)
  elif wrapped == 'npz':
    data = _zip({'arr_0.npy': data})
  try:
    _read(data, (1,))
  except OriginFileError:
    return
  assert data


@given(st.data())
def test_any_damage_gives_an_array_or_the_one_error(data):
  whole = bytearray(data.draw(st.sampled_from(_WHOLE)))
  at = data.draw(st.integers(0, len(whole) - 1))
  whole[at] ^= data.draw(st.integers(1, 255))
  try:
    found = _read(bytes(whole), _ARRAY.shape)
  except OriginFileError:
    return
  # Names and times in headers may change.
  np.testing.assert_array_equal(found, _ARRAY)


_WHOLE = [synthetic.idx(_ARRAY), synthetic.npz(_ARRAY)]


@pytest.mark.parametrize('whole', _WHOLE, ids=range(len(_WHOLE)))
def test_a_file_cut_anywhere_is_refused(whole):
  for size in range(0, len(whole), 7):
    with pytest.raises(OriginFileError):
      _read(whole[:size], _ARRAY.shape)


def _npz_of_pickles() -> bytes:
  out = io.BytesIO()
  np.savez(out, np.array([{'any': 'object'}], object))
  return out.getvalue()


def _header(shape: tuple[int, ...]) -> bytes:
  return b'\0\0\x08' + bytes([len(shape)]) + struct.pack('>3I', *shape)


@pytest.mark.parametrize(
  ('data', 'message'),
  [
    (b'', 'expected a gzip file .* found a file that begins with nothing'),
    (b'text', 'expected a gzip file .* begins with 74 65 78 74'),
    (
      gzip.compress(b'ab', mtime=0),
      'expected an IDX header, found only 2 bytes',
    ),
    (
      gzip.compress(b'\0\0\x0d\x03' + bytes(12), mtime=0),
      'expected IDX data of uint8 .* found 00 00 0d 03',
    ),
    (
      gzip.compress(_header((3, 28, 28)) + bytes(10), mtime=0),
      'expected 2,352 values, found 10: it is cut short',
    ),
    (
      gzip.compress(_header((3, 28, 28)) + bytes(2353), mtime=0),
      'expected 2,352 values, found more',
    ),
    (
      synthetic.idx(_ARRAY)[:-4],
      'damaged or cut short: Compressed file ended',
    ),
    (synthetic.npz(_ARRAY)[:-4], 'damaged or cut short: File is not a zip'),
    (
      synthetic.npz(_ARRAY, key='images'),
      'an NPZ file with the array arr_0, found images.npy in it',
    ),
    (_zip({}), 'expected a gzip file'),
    (_npz_of_pickles(), r'found Python objects \(pickles\)'),
    (synthetic.npz(_ARRAY.astype(np.float32)), 'values, found float32'),
    (_zip({'arr_0.npy': b'none'}), 'its NPY header is damaged'),
  ],
)
def test_a_fault_is_named(data, message):
  with pytest.raises(OriginFileError, match=message):
    _read(data, (3, 28, 28))


def test_nothing_is_allocated_for_a_refused_shape():
  huge = gzip.compress(_header((4_000_000_000, 4_000_000_000, 28)), mtime=0)
  with pytest.raises(OriginFileError, match=r'expected .* found'):
    _read(huge, (3, 28, 28))


def test_a_bomb_is_not_inflated():
  bomb = io.BytesIO()
  with gzip.open(bomb, 'wb') as out:
    out.write(_header((3, 28, 28)))
    for _ in range(64):
      out.write(bytes(1 << 20))
  with pytest.raises(OriginFileError, match='2,352 values, found more'):
    _read(bomb.getvalue(), (3, 28, 28))


def test_a_member_packed_in_an_unknown_way_is_refused():
  packed = bytearray(synthetic.npz(_ARRAY))
  with zipfile.ZipFile(io.BytesIO(packed)) as archive:
    start = archive.start_dir
  packed[start + 10] = 97  # the method in the directory's first entry
  packed[8] = 97  # and in the member's own header
  with pytest.raises(OriginFileError, match='That compression method is not'):
    _read(bytes(packed), _ARRAY.shape)

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gzip
import io
import struct
import zipfile
from unittest import mock

import numpy as np
import pytest
import synthetic
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from cmnist_tfds.formats import idx_npz
from cmnist_tfds.system.errors import OriginFileError

_ARRAY = np.arange(3 * 28 * 28, dtype=np.uint8).reshape(3, 28, 28)


def _read(data: bytes, shape: tuple[int, ...] | None = None) -> np.ndarray:
  def check_shape(found):
    if shape is not None and found != shape:
      raise OriginFileError(f'expected {shape}, found {found}')

  return idx_npz.read_array(
    io.BufferedReader(io.BytesIO(data)), len(data), check_shape
  )


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
      'expected 4 bytes of a header, found only 2',
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
      r'expected a member arr_0\.npy, found images\.npy in it',
    ),
    (_zip({}), 'expected a gzip file'),
    (_npz_of_pickles(), r'found Python objects \(pickles\)'),
    (
      synthetic.npz(_ARRAY.astype(np.float32)),
      'expected uint8 values .*, found .*<f4',
    ),
    (
      _zip({'arr_0.npy': b'none'}),
      'expected 8 bytes of a header, found only 4',
    ),
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
  with pytest.raises(OriginFileError, match='found the compression method 97'):
    _read(bytes(packed), _ARRAY.shape)


def _npy(header: str | bytes, version: bytes = b'\1\0') -> bytes:
  header = header.encode() if isinstance(header, str) else header
  size = len(header).to_bytes(2 if version == b'\1\0' else 4, 'little')
  return _zip({'arr_0.npy': b'\x93NUMPY' + version + size + header + bytes(3)})


_U1 = "{'descr': '|u1', 'fortran_order': False, 'shape': %s}"


@pytest.mark.parametrize(
  'header',
  [
    _U1 % '(3,)' + ' ' * 50 + '\n',
    _U1 % '(3L,)',
    '{"shape":(3,),"fortran_order":True,"descr":"uint8",}',
    "{ 'shape' : (3,) , 'descr' : '<u1' , 'fortran_order' : False , }",
  ],
)
@pytest.mark.parametrize('version', [b'\1\0', b'\2\0', b'\3\0'])
def test_legal_headers_of_npy_files_are_read(header, version):
  np.testing.assert_array_equal(_read(_npy(header, version), (3,)), [0, 0, 0])


@pytest.mark.parametrize(
  'header',
  [
    '',
    '{',
    '{}',
    '(' * 9999,
    '[' * 9999,
    '-' * 9999 + '1',
    '{' + "'a':" * 2000,
    _U1 % '3',
    _U1 % '(-3,)',
    _U1 % '(3.0,)',
    _U1 % '(3 3)',
    _U1 % "('3',)",
    _U1 % '(True,)',
    _U1 % '(3,' + '#',
    _U1 % ('(' + '9' * 5000 + ',)'),
    _U1 % ('(' + '1,' * 64 + ')'),
    _U1 % ('(' + '999999999999,' * 8 + ')'),
    _U1 % '(3,)' + '\n  x\n y',
    _U1 % '(3,)' + "'" * 3,
    _U1 % '(3,)' + '; import os',
    "{'descr': 3, 'fortran_order': False, 'shape': (3,)}",
    "{'descr': '', 'fortran_order': False, 'shape': (3,)}",
    "{'descr': 'x' * 9, 'fortran_order': False, 'shape': (3,)}",
    "{'descr': [('a', '|u1')], 'fortran_order': False, 'shape': (3,)}",
    "{'descr': '|u1', 'fortran_order': 0, 'shape': (3,)}",
    "{'descr': '|u1', 'fortran_order': False}",
    "{'descr': False, 'fortran_order': (3,), 'shape': '|u1'}",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (3,), 'x': 1}",
    b'\xff\xfe\0' * 99,
    _U1 % '(3,)' + ' ' * 20_000,
  ],
)
def test_other_headers_of_npy_files_are_refused(header):
  with pytest.raises(OriginFileError, match=r'expected .* found'):
    _read(_npy(header), (3,))


@pytest.mark.parametrize('version', [b'\0\0', b'\4\0', b'\1\1'])
def test_other_versions_of_npy_files_are_refused(version):
  with pytest.raises(OriginFileError, match='its NPY header is damaged'):
    _read(_npy(_U1 % '(3,)', version), (3,))


def test_a_huge_npy_header_is_not_read():
  data = b'\x93NUMPY\2\0' + (1 << 31).to_bytes(4, 'little') + bytes(1 << 20)
  with pytest.raises(
    OriginFileError, match='at most 10,000 bytes, found 2,147'
  ):
    _read(_zip({'arr_0.npy': data}), (3,))


def test_a_zip_file_of_very_many_members_is_not_listed():
  out = io.BytesIO()
  with zipfile.ZipFile(out, 'w') as archive:
    for number in range(9000):
      archive.writestr(f'{number}', b'')
  with (
    mock.patch('zipfile.ZipFile', side_effect=AssertionError),
    pytest.raises(OriginFileError, match='directory of at most 262,144 bytes'),
  ):
    _read(out.getvalue(), (3,))


@pytest.mark.parametrize('method', [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packings_that_can_need_much_memory_are_refused(method):
  out = io.BytesIO()
  with zipfile.ZipFile(out, 'w', method) as archive:
    archive.writestr('arr_0.npy', bytes(99))
  with pytest.raises(OriginFileError, match='found the compression method 1'):
    _read(out.getvalue(), (3,))

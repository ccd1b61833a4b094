# SPDX-License-Identifier: Apache-2.0
"""Arrays are read from IDX, NPZ and NPY files; other bytes give one error."""

import contextlib
import functools
import gzip
import io
import struct

import numpy as np
import pytest
import synthetic
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from cmnist_tfds.formats import idx_npz
from cmnist_tfds.system.errors import OriginFileError

_ARRAY = np.arange(3 * 28 * 28, dtype=np.uint8).reshape(3, 28, 28)


def _read(data: bytes, shape=None, **kwargs) -> np.ndarray:
  return idx_npz.read_array(data, shape, **kwargs)


def _npy(array: np.ndarray, version=None) -> bytes:
  out = io.BytesIO()
  np.lib.format.write_array(out, array, version)
  return out.getvalue()


def _npz(array: np.ndarray) -> bytes:
  """An NPZ file that is not compressed, with an array that is not asked for."""
  out = io.BytesIO()
  np.savez(out, array, other=np.array([{}]))
  return out.getvalue()


_PLAIN = functools.partial(synthetic.idx, packed=False)
_WRITERS = [synthetic.idx, _PLAIN, synthetic.npz, _npz, _npy]


@given(
  st_numpy.arrays(
    np.uint8, st_numpy.array_shapes(min_dims=1, max_dims=4, min_side=0)
  ),
  st.sampled_from(_WRITERS),
)
def test_what_is_written_is_read(array, write):
  found = _read(write(array), array.shape)
  np.testing.assert_array_equal(found, array)
  assert found.dtype == np.uint8
  assert found.flags.c_contiguous
  assert found.flags.writeable


@pytest.mark.parametrize('dtype', ['<i8', '>i4', '|i1', '>u2'])
@pytest.mark.parametrize('order', ['C', 'F'])
@pytest.mark.parametrize('version', [(1, 0), (2, 0)])
def test_integers_of_any_form_are_read_where_wanted(dtype, order, version):
  array = np.array([[1, 2, 3], [4, 5, 6]], dtype, order=order)
  data = _npy(array, version)
  found = _read(data, (2, 3), integers=True)
  np.testing.assert_array_equal(found, array)
  assert found.dtype.isnative
  assert found.flags.c_contiguous
  with pytest.raises(OriginFileError, match='expected uint8 values'):
    _read(data)


_gz = functools.partial(gzip.compress, mtime=0)


def _as_idx(data: bytes) -> bytes:
  return b'\0\0\x08' + data


def _zip(data: bytes) -> bytes:
  return synthetic.zipped({'arr_0.npy': data})


@given(st.binary(max_size=200), st.sampled_from([bytes, _gz, _as_idx, _zip]))
def test_any_bytes_give_an_array_or_the_one_error(data, wrap):
  with contextlib.suppress(OriginFileError):
    _read(wrap(data), (1,))


@given(st.sampled_from(_WRITERS[::2]), st.data())
def test_any_damage_gives_an_array_or_the_one_error(write, data):
  whole = bytearray(write(_ARRAY))
  at = data.draw(st.integers(0, len(whole) - 1))
  if data.draw(st.booleans()):
    with pytest.raises(OriginFileError):
      _read(bytes(whole[:at]), _ARRAY.shape)
  whole[at] ^= data.draw(st.integers(1, 255))
  try:
    found = _read(bytes(whole), _ARRAY.shape)
  except OriginFileError:
    return
  # Names and times in headers may change; NPY files have no checksum.
  assert found.shape == _ARRAY.shape
  if write is not _npy:
    np.testing.assert_array_equal(found, _ARRAY)


def _header(*shape: int) -> bytes:
  return b'\0\0\x08' + struct.pack(f'>B{len(shape)}I', len(shape), *shape)


def _npy_header(text: str) -> bytes:
  data = text.encode('latin-1')
  return b'\x93NUMPY\2\0' + len(data).to_bytes(4, 'little') + data + bytes(3)


_U1 = "{'descr': '|u1', 'fortran_order': False, 'shape': %s}"


@pytest.mark.parametrize(
  ('data', 'fault'),
  [
    (b'', 'found data that begin with nothing'),
    (b'text', 'found data that begin with 74 65 78 74'),
    (_gz(b'ab'), 'begin with 61 62'),
    (_gz(b'\0\0\x0d\x03' + bytes(12)), 'begin with 00 00 0d 03'),
    (_header(3, 28, 28) + bytes(10), '2,352 values, found fewer'),
    (_header(3, 28, 28) + bytes(2353), '2,352 values, found more'),
    (_gz(_header(3) + bytes(1 << 26)), '3 values, found more'),
    (_gz(_header(4_000_000_000, 4_000_000_000)), 'cannot be read'),
    (synthetic.idx(_ARRAY)[:-4], 'cannot be read'),
    (synthetic.npz(_ARRAY)[:-4], 'cannot be read: File is not a zip'),
    (synthetic.npz(_ARRAY, key='x'), r"no item named 'arr_0\.npy'"),
    (_npy(np.array([{}])), r'found Python objects \(pickles\)'),
    (_npy(_ARRAY.astype(np.float32)), 'expected uint8 .*, found .*float32'),
    (_npy(np.zeros(3, [('a', 'u1')])), 'expected uint8 values'),
    (_zip(b'none'), 'found data that begin'),
    *(
      (_npy_header(text), 'cannot be read')
      for text in (
        *('', '{}', '(' * 9999, _U1 % '3', _U1 % f'({1 << 70},)', _U1 % '(-3,)'),
        *(_U1 % f'(0, {1 << 62}, 9)', _U1 % '(3,)' + '; import os'),
        *(_U1 % ('(' + '9' * 5000 + ',)'), _U1 % '(3,)' + ' ' * 20_000),
      )
    ),
    (b'\x93NUMPY\2\0\xff\xff\xff\x7f' + bytes(99), 'cannot be read'),
  ],
)  # fmt: skip
def test_a_fault_is_named(data, fault):
  with pytest.raises(OriginFileError, match=fault):
    _read(data)

# SPDX-License-Identifier: Apache-2.0
"""Serialises examples as `tf.train.Example` protocol buffers, and parses them.

`schema` declares the features: the image as PNG, and integers that follow from
the class. Protocol buffers allow any order of features. Here the image comes
first, then the integers in the order of their names. So an example is a head
that depends only on lengths, then the PNG, then a tail that depends on the
class.

These are the messages, by field number (see example.proto and feature.proto in
tensorflow/core/example): Example {1: Features}, Features {1: map of string to
Feature}, Feature {1: BytesList, 3: Int64List}, both lists {1: values}.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from cmnist_tfds import schema
from cmnist_tfds.system.errors import PreparationError

_LENGTH_DELIMITED = 2
_NAMES = sorted(feature.name for feature in schema.INTEGERS)


# Many splits have PNGs of the same lengths.
@functools.lru_cache(maxsize=4096)
def head(png_length: int, tail_length: int) -> bytes:
  """Returns the part of an example before the PNG.

  Args:
    png_length: Number of bytes in the PNG.
    tail_length: Number of bytes in the tail.

  Returns:
    The bytes.
  """
  bytes_list = _opening(1, png_length)
  feature = _opening(1, len(bytes_list) + png_length) + bytes_list
  entry = _entry_opening(schema.IMAGE.name, len(feature) + png_length) + feature
  return _opening(1, len(entry) + png_length + tail_length) + entry


def tail(integers: Mapping[str, int]) -> bytes:
  """Returns the part of an example after the PNG.

  Args:
    integers: The value of each integer feature, by its name.

  Returns:
    The bytes.
  """
  return b''.join(_int64_entry(name, integers[name]) for name in _NAMES)


def decode_all(
  records: Sequence[bytes],
) -> tuple[list[bytes], dict[str, np.ndarray]]:
  """Parses examples that this module or TensorFlow has serialised.

  Args:
    records: Serialised `tf.train.Example`s with their features in any order.

  Returns:
    The PNG of each example, and the values of each integer feature, int64 (n,),
    by its name.

  Raises:
    PreparationError: If a record is not such an example. The message says what
      is wrong.
  """
  pngs: list[bytes] = []
  numbers: list[int] = []
  # Examples of a class share their tail, so each tail is parsed once.
  tails: dict[bytes, int] = {}
  try:
    for record in records:
      end = _end_of_png(record)
      if end:
        png, rest = record[_HEAD_LENGTH:end], record[end:]
      else:
        features = _features(b''.join(data for _, data in _fields(record)))
        png, rest = features[schema.IMAGE.name], tail(_integers(features))
      pngs.append(png)
      numbers.append(tails.setdefault(rest, len(tails)))
    parsed = [_integers(_features(rest)) for rest in tails]
  except KeyError as err:
    raise PreparationError(f'it has no {err}.') from err
  except ValueError as err:
    raise PreparationError(str(err)) from err
  return pngs, {
    name: np.array([values[name] for values in parsed], np.int64)[numbers]
    for name in _NAMES
  }


def _end_of_png(record: bytes) -> int:
  """Returns where the tail begins; 0 if the head is not a usual one."""
  for tail_length in _TAIL_LENGTHS:
    end = len(record) - tail_length
    if end < _HEAD_LENGTH:
      return 0
    expected = head(end - _HEAD_LENGTH, tail_length)
    if record.startswith(expected) and len(expected) == _HEAD_LENGTH:
      return end
  return 0


def _integers(features: Mapping[str, bytes]) -> dict[str, int]:
  """Returns the values of the integer features."""
  return {name: _integer(features[name]) for name in _NAMES}


def _features(data: bytes) -> dict[str, bytes]:
  """Returns the first value of each feature.

  Args:
    data: Entries of the map of features, one after the other.

  Returns:
    By name, the bytes of a BytesList, or the encoded values of an Int64List.
  """
  features: dict[str, bytes] = {}
  for _, entry in _fields(data):
    parts = dict(_fields(entry))
    for _, values in _fields(parts.get(2, b'')):
      for _, value in _fields(values):
        name = parts.get(1, b'').decode(errors='replace')
        features.setdefault(name, value)
  return features


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
  """Yields the number and the contents of each field of a message."""
  at = 0
  while at < len(data):
    tag, at = _read_varint(data, at)
    length, at = _read_varint(data, at)
    if tag & 7 != _LENGTH_DELIMITED or at + length > len(data):
      raise ValueError('it is not a tf.train.Example of images and integers.')
    yield tag >> 3, data[at : at + length]
    at += length


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
  """Returns an integer that `_varint` wrote, and where the next one begins."""
  value = shift = 0
  for byte in data[at:]:
    at += 1
    value |= (byte & 0x7F) << shift
    shift += 7
    if byte <= 0x7F:
      return value, at
  raise ValueError('it ends within a number.')


def _integer(data: bytes) -> int:
  """Returns the first of the encoded values of an Int64List."""
  value, _ = _read_varint(data, 0)
  return value - 2**64 if value >= 2**63 else value


def _int64_entry(name: str, value: int) -> bytes:
  # Protocol buffers write a negative number as its two's complement of 64 bits.
  values = _field(1, _varint(value % 2**64))
  feature = _field(3, values)
  return _entry_opening(name, len(feature)) + feature


def _entry_opening(name: str, feature_length: int) -> bytes:
  """Returns an entry of the map of features, up to the feature itself."""
  key = _field(1, name.encode()) + _opening(2, feature_length)
  return _opening(1, len(key) + feature_length) + key


def _field(number: int, data: bytes) -> bytes:
  return _opening(number, len(data)) + data


def _opening(number: int, length: int) -> bytes:
  """Returns the tag and the length that precede a field of `length` bytes."""
  return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(length)


def _varint(value: int) -> bytes:
  """Encodes a non-negative integer in groups of seven bits, lowest first."""
  groups = bytearray()
  while value > 0x7F:
    groups.append(value & 0x7F | 0x80)
    value >>= 7
  groups.append(value)
  return bytes(groups)


# In a usual head each length takes two bytes, because PNGs of 28 x 28 pixels
# are shorter than 2,048 bytes. In a usual tail each integer takes one or two
# bytes.
_SHORTEST_TAIL = len(tail(dict.fromkeys(_NAMES, 0)))
_TAIL_LENGTHS = range(_SHORTEST_TAIL, _SHORTEST_TAIL + len(_NAMES) + 1)
_HEAD_LENGTH = len(head(2048, _SHORTEST_TAIL))

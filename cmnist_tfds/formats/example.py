# SPDX-License-Identifier: Apache-2.0
"""Serialises examples as `tf.train.Example` protocol buffers.

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
from collections.abc import Mapping

from cmnist_tfds import schema

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

# Copyright 2026 The cmnist_tfds Authors.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.


"""Examples of CMNIST as serialised `tf.train.Example` protocol buffers.

An example has the features 'image' (PNG), 'label', 'source' and 'source_label'
(integers). Protocol buffers leave the order of features open; here it is that
of their names. So an example is a head that depends on lengths alone, the PNG,
and a tail that depends on the class alone.

The messages, by field number (tensorflow/core/example/example.proto and
feature.proto): Example {1: Features}, Features {1: map of string to Feature},
Feature {1: BytesList, 3: Int64List}, both lists {1: values}.
"""

from __future__ import annotations

import functools


def encode(png: bytes, label: int, source: int, source_label: int) -> bytes:
  """Serialises one example.

  Args:
    png: The image.
    label: Label in the subset.
    source: Number of the source in the subset.
    source_label: Raw label in the source.

  Returns:
    The serialised `tf.train.Example`.
  """
  end = tail(label, source, source_label)
  return head(len(png), len(end)) + png + end


# The same lengths occur in split after split.
@functools.lru_cache(maxsize=4096)
def head(png_length: int, tail_length: int) -> bytes:
  """Returns what stands before the PNG, given the bytes of PNG and tail."""
  bytes_list = _opening(1, png_length)
  feature = _opening(1, len(bytes_list) + png_length) + bytes_list
  entry = _entry_opening('image', len(feature) + png_length) + feature
  return _opening(1, len(entry) + png_length + tail_length) + entry


def tail(label: int, source: int, source_label: int) -> bytes:
  """Returns what stands after the PNG."""
  return (
    _int64_entry('label', label)
    + _int64_entry('source', source)
    + _int64_entry('source_label', source_label)
  )


def _int64_entry(name: str, value: int) -> bytes:
  # Negative numbers are written as unsigned ones of 64 bits.
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
  """Returns the tag and length that stand before a field of `length` bytes."""
  length_delimited = 2
  return _varint(number << 3 | length_delimited) + _varint(length)


def _varint(value: int) -> bytes:
  """Returns a non-negative integer in groups of seven bits, lowest first."""
  groups = bytearray()
  while value > 0x7F:
    groups.append(value & 0x7F | 0x80)
    value >>= 7
  groups.append(value)
  return bytes(groups)

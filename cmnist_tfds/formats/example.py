# SPDX-License-Identifier: Apache-2.0
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

import dataclasses
import functools
from collections.abc import Iterator, Sequence

import numpy as np

from cmnist_tfds.formats.byte_ranges import take

_LENGTH_DELIMITED = 2


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


@dataclasses.dataclass(frozen=True, eq=False)
class Decoded:
  """Examples, their images still encoded.

  Attributes:
    data: uint8, holds the PNGs.
    begins: int64 (n,), where each PNG begins.
    ends: int64 (n,), where each ends.
    integers: int64 (n, 3), of each example label, number of the source and raw
      label.
  """

  data: np.ndarray
  begins: np.ndarray
  ends: np.ndarray
  integers: np.ndarray


def decode_all(records: Sequence[bytes]) -> Decoded:
  """Reads examples, be they serialised here or by TensorFlow.

  Args:
    records: Serialised `tf.train.Example`s, their features in any order.

  Returns:
    The examples, in that order.

  Raises:
    ValueError: If one is no such example; says what is wrong.
  """
  data = np.frombuffer(b''.join(records), np.uint8)
  lengths = np.fromiter(map(len, records), np.int64, len(records))
  record_ends = np.cumsum(lengths)
  begins = record_ends - lengths + _USUAL_HEAD
  ends = record_ends - len(_USUAL_TAIL)
  usual = _are_usual(data, begins, ends)
  integers = np.empty((len(records), 3), np.int64)
  integers[usual] = take(data, ends[usual], len(_USUAL_TAIL))[:, _VALUES]
  others = np.flatnonzero(~usual)
  if others.size:
    images = []
    for number in others.tolist():
      image, *integers[number] = decode(records[number])
      images.append(image)
    lengths = np.fromiter(map(len, images), np.int64, len(images))
    ends[others] = len(data) + np.cumsum(lengths)
    begins[others] = ends[others] - lengths
    data = np.concatenate([data, np.frombuffer(b''.join(images), np.uint8)])
  return Decoded(data, begins, ends, integers)


def _are_usual(
  data: np.ndarray, begins: np.ndarray, ends: np.ndarray
) -> np.ndarray:
  """Returns which examples are as `encode` writes nearly all: bool (n,).

  Args:
    data: uint8, holds the examples.
    begins: int64 (n,), where PNGs begin if heads have the usual length.
    ends: int64 (n,), where PNGs end if tails have the usual length.
  """
  heads = _usual_heads()
  usual = (ends - begins >= 0) & (ends - begins < len(heads))
  found = take(data, begins[usual] - _USUAL_HEAD, _USUAL_HEAD)
  expected = heads[(ends - begins)[usual]]
  usual[usual] = (found == expected).all(axis=1)
  found = take(data, ends[usual], len(_USUAL_TAIL)) & _TAIL_MASK
  usual[usual] = (found == np.frombuffer(_USUAL_TAIL, np.uint8)).all(axis=1)
  return usual


@functools.cache
def _usual_heads() -> np.ndarray:
  """Returns the heads of usual length, by length of the PNG: uint8 (k, 22).

  Where the length has another head, zeros stand.
  """
  heads = [head(length, len(_USUAL_TAIL)) for length in range(_USUAL_PNGS)]
  padded = [h if len(h) == _USUAL_HEAD else bytes(_USUAL_HEAD) for h in heads]
  return np.frombuffer(b''.join(padded), np.uint8).reshape(-1, _USUAL_HEAD)


def decode(data: bytes) -> tuple[bytes, int, int, int]:
  """Reads one example, be it serialised here or by TensorFlow.

  Args:
    data: A serialised `tf.train.Example`, its features in any order.

  Returns:
    As `encode` takes them: PNG, label, number of the source, raw label.

  Raises:
    ValueError: If it is no such example; says what is wrong.
  """
  features: dict[str, bytes] = {}
  for _, field in _fields(data):
    features |= _features(field)
  try:
    label, source, source_label = (
      _signed(_read_varint(features[name], 0)[0])
      for name in ('label', 'source', 'source_label')
    )
    return features['image'], label, source, source_label
  except KeyError as err:
    raise ValueError(f'it has no {err}, but {sorted(features)}') from err


def _features(data: bytes) -> dict[str, bytes]:
  """Returns the first value of each feature: bytes, or an integer's bytes."""
  features: dict[str, bytes] = {}
  for _, entry in _fields(data):
    parts = dict(_fields(entry))
    for _, values in _fields(parts.get(2, b'')):
      for _, value in _fields(values):
        name = parts.get(1, b'').decode(errors='replace')
        features.setdefault(name, value)
  return features


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
  """Yields number and contents of each field of a message."""
  at = 0
  while at < len(data):
    tag, at = _read_varint(data, at)
    length, at = _read_varint(data, at)
    if tag & 7 != _LENGTH_DELIMITED or at + length > len(data):
      raise ValueError('it is no tf.train.Example of images and integers')
    yield tag >> 3, data[at : at + length]
    at += length


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
  """Returns an integer written by `_varint`, and where the next one begins."""
  value = shift = 0
  for byte in data[at:]:
    at += 1
    value |= (byte & 0x7F) << shift
    shift += 7
    if byte <= 0x7F:
      return value, at
  raise ValueError('it ends within a number')


def _signed(value: int) -> int:
  return value - 2**64 if value >= 2**63 else value


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
  return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(length)


def _varint(value: int) -> bytes:
  """Returns a non-negative integer in groups of seven bits, lowest first."""
  groups = bytearray()
  while value > 0x7F:
    groups.append(value & 0x7F | 0x80)
    value >>= 7
  groups.append(value)
  return bytes(groups)


# Examples are usual if the lengths in their heads take two bytes each, and their
# integers one. PNGs of 28 x 28 pixels are shorter than this.
_USUAL_PNGS = 2048
_USUAL_TAIL = tail(0, 0, 0)
_USUAL_HEAD = len(head(_USUAL_PNGS, len(_USUAL_TAIL)))
# Where the integers stand in the tail. One byte holds what is below 128.
_VALUES = (
  np.cumsum(
    [len(_int64_entry(name, 0)) for name in ('label', 'source', 'source_label')]
  )
  - 1
)
_TAIL_MASK = np.full(len(_USUAL_TAIL), 0xFF, np.uint8)
_TAIL_MASK[_VALUES] = 0x80

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib

import framing
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from hypothesis import given
from hypothesis import strategies as st

from cmnist_tfds.formats import example, png
from cmnist_tfds.system.errors import PreparationError

INT64 = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 300)


def by_protobuf(image, integers):
  feature = {
    name: tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
    for name, value in integers.items()
  }
  bytes_list = tf.train.BytesList(value=[image])
  feature['image'] = tf.train.Feature(bytes_list=bytes_list)
  return tf.train.Example(features=tf.train.Features(feature=feature))


def integers_of(label, source, source_label):
  return {'label': label, 'source': source, 'source_label': source_label}


ONE = integers_of(1, 2, 3)


def decode_all(records):
  """Returns image and integers of each record."""
  pngs, integers = example.decode_all(records)
  assert integers.keys() == ONE.keys()
  for values in integers.values():
    assert values.dtype == np.int64
    assert values.shape == (len(records),)
  return [
    (image, {name: int(values[at]) for name, values in integers.items()})
    for at, image in enumerate(pngs)
  ]


def check(image, integers):
  ours = framing.encode(image, integers)
  theirs = by_protobuf(image, integers)
  assert tf.train.Example.FromString(ours) == theirs
  # No varint is longer than need be, and no field is unknown.
  assert len(ours) == theirs.ByteSize()


INTEGERS = st.fixed_dictionaries(dict.fromkeys(ONE, INT64))
IMAGES = st.binary(max_size=300) | st.integers(0, 3000).map(bytes)


@given(IMAGES, INTEGERS)
def test_examples_are_those_of_protobuf(image, integers):
  check(image, integers)


@given(IMAGES, INTEGERS, st.permutations(('image', *ONE)))
def test_reads_what_protobuf_writes_in_any_order(image, integers, names):
  whole = by_protobuf(image, integers).features.feature
  # Messages that are serialised apart and joined are merged.
  joined = b''.join(
    tf.train.Example(
      features=tf.train.Features(feature={name: whole[name]})
    ).SerializeToString()
    for name in names
  )
  assert decode_all([joined]) == [(image, integers)]
  assert decode_all([framing.encode(image, integers)]) == [(image, integers)]


def test_reads_pngs_of_all_lengths():
  for image in png.encode(np.eye(28, dtype=np.uint8)[None] * 9):
    for data in (image, image + image, image[:-1], image[1:], b''):
      integers = integers_of(300, 1, 2)
      record = framing.encode(data, integers)
      assert decode_all([record]) == [(data, integers)]


def test_reads_no_records():
  assert decode_all([]) == []


@given(st.lists(st.tuples(IMAGES, INTEGERS, st.booleans())))
def test_reads_many_as_it_reads_one(examples):
  records = [
    by_protobuf(image, integers).SerializeToString()
    if by_tensorflow
    else framing.encode(image, integers)
    for image, integers, by_tensorflow in examples
  ]
  expected = [(image, integers) for image, integers, _ in examples]
  assert decode_all(records) == expected


@given(st.integers(0, 200), st.integers(1, 255))
def test_changed_bytes_are_read_alike_in_any_company(at, change):
  good = framing.encode(b'png' * 40, ONE)
  changed = bytearray(good)
  changed[at % len(good)] ^= change
  try:
    (expected,) = decode_all([bytes(changed)])
  except PreparationError:
    with pytest.raises(PreparationError, match='it '):
      decode_all([good, bytes(changed)])
  else:
    assert decode_all([good, bytes(changed)])[1] == expected


@given(st.binary(max_size=60))
def test_other_bytes_are_refused_or_read(data):
  with contextlib.suppress(PreparationError):
    decode_all([data])


@given(st.binary(max_size=20), st.integers(0, 100))
def test_bytes_in_place_of_a_tail_are_refused_or_read(data, length):
  good = framing.encode(b'png' * 40, ONE)
  with contextlib.suppress(PreparationError):
    decode_all([good[: len(good) - length] + data])


@pytest.mark.parametrize('missing', ['image', 'source_label'])
def test_says_which_feature_is_missing(missing):
  whole = by_protobuf(b'png', ONE)
  del whole.features.feature[missing]
  with pytest.raises(PreparationError, match=f"no '{missing}'"):
    decode_all([whole.SerializeToString()])


def test_lengths_at_which_varints_grow():
  for length in [*range(16), *range(60, 130), *range(16_200, 16_400)]:
    check(bytes(length), integers_of(127, 128, 16_384))


def test_features_stand_in_the_order_of_their_names():
  data = framing.encode(b'png', ONE)
  names = [b'\x05image', b'\x05label', b'\x06source', b'\x0csource_label']
  at = [data.index(name) for name in names]
  assert at == sorted(at)


def test_tfds_reads_the_features():
  features = tfds.features.FeaturesDict(
    {
      'image': tfds.features.Image(shape=(28, 28, 1), encoding_format='png'),
      'label': tfds.features.ClassLabel(num_classes=131),
      'source': tfds.features.ClassLabel(num_classes=4),
      'source_label': np.int64,
    }
  )
  image = np.arange(784).reshape(28, 28).astype(np.uint8)
  (encoded,) = png.encode(image[None])
  integers = integers_of(130, 3, 61)
  serialized = framing.encode(encoded, integers)
  decoded = features.deserialize_example(serialized)
  np.testing.assert_array_equal(decoded['image'][..., 0], image)
  assert {name: int(decoded[name]) for name in integers} == integers
  by_tfds = features.serialize_example({'image': encoded, **integers})
  assert tf.train.Example.FromString(by_tfds) == tf.train.Example.FromString(
    serialized
  )

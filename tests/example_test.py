# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from hypothesis import given
from hypothesis import strategies as st

from cmnist_tfds.formats import example, png

INT64 = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 300)


def by_protobuf(image, label, source, source_label):
  def int64(value):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

  return tf.train.Example(
    features=tf.train.Features(
      feature={
        'image': tf.train.Feature(bytes_list=tf.train.BytesList(value=[image])),
        'label': int64(label),
        'source': int64(source),
        'source_label': int64(source_label),
      }
    )
  )


def check(image, label, source, source_label):
  ours = example.encode(image, label, source, source_label)
  theirs = by_protobuf(image, label, source, source_label)
  assert tf.train.Example.FromString(ours) == theirs
  # No varint is longer than need be, and no field is unknown.
  assert len(ours) == theirs.ByteSize()


@given(st.binary(max_size=300), INT64, INT64, INT64)
def test_examples_are_those_of_protobuf(image, label, source, source_label):
  check(image, label, source, source_label)


@given(st.binary(max_size=300), INT64, INT64, INT64, st.permutations(range(4)))
def test_reads_what_protobuf_writes_in_any_order(
  image, label, source, source_label, order
):
  values = (image, label, source, source_label)
  whole = by_protobuf(*values).features.feature
  # Entries of a map that are serialised apart may be joined in any order.
  names = ['image', 'label', 'source', 'source_label']
  data = b''.join(
    tf.train.Features(feature={names[i]: whole[names[i]]}).SerializeToString()
    for i in order
  )
  joined = b'\n' + example._varint(len(data)) + data
  assert example.decode(joined) == values
  assert example.decode(example.encode(*values)) == values


def test_reads_pngs_at_any_place_and_length():
  for image in png.encode(np.eye(28, dtype=np.uint8)[None] * 9):
    for data in (image, image + image, image[:-1], image[1:]):
      assert example.decode(example.encode(data, 300, 1, 2)) == (
        *(data, 300, 1, 2),
      )


def decode_all(records):
  decoded = example.decode_all(records)
  bounds = zip(decoded.begins, decoded.ends, strict=True)
  images = [decoded.data[begin:end].tobytes() for begin, end in bounds]
  return [
    (image, *integers)
    for image, integers in zip(images, decoded.integers.tolist(), strict=True)
  ]


@given(
  st.lists(
    st.tuples(
      st.binary(max_size=300) | st.integers(0, 3000).map(bytes),
      st.integers(0, 260) | INT64,
      st.integers(0, 4) | INT64,
      st.integers(0, 130) | INT64,
      st.booleans(),
    )
  )
)
def test_reads_many_as_it_reads_one(examples):
  values = [whole[:4] for whole in examples]
  records = [
    by_protobuf(*whole[:4]).SerializeToString()
    if whole[4]
    else example.encode(*whole[:4])
    for whole in examples
  ]
  assert decode_all(records) == values


@given(st.integers(0, 200), st.integers(1, 255))
def test_changed_bytes_are_read_alike_in_any_company(at, change):
  good = example.encode(b'png' * 40, 1, 2, 3)
  changed = bytearray(good)
  changed[at % len(good)] ^= change
  try:
    expected = example.decode(bytes(changed))
  except ValueError:
    with pytest.raises(ValueError, match='it '):
      decode_all([good, bytes(changed)])
  else:
    assert decode_all([good, bytes(changed)])[1] == expected


@given(st.binary(max_size=60))
def test_other_bytes_are_refused_or_read(data):
  with contextlib.suppress(ValueError):
    example.decode(data)


@pytest.mark.parametrize('missing', ['image', 'source_label'])
def test_says_which_feature_is_missing(missing):
  whole = by_protobuf(b'png', 1, 2, 3)
  del whole.features.feature[missing]
  with pytest.raises(ValueError, match=f'no .?{missing}'):
    example.decode(whole.SerializeToString())


def test_lengths_at_which_varints_grow():
  for length in [*range(16), *range(60, 130), *range(16_200, 16_400)]:
    check(bytes(length), 127, 128, 16_384)


def test_features_stand_in_the_order_of_their_names():
  data = example.encode(b'png', 1, 2, 3)
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
  decoded = features.deserialize_example(example.encode(encoded, 130, 3, 61))
  np.testing.assert_array_equal(decoded['image'][..., 0], image)
  assert decoded['label'] == 130
  assert decoded['source'] == 3
  assert decoded['source_label'] == 61
  by_tfds = features.serialize_example(
    {'image': encoded, 'label': 130, 'source': 3, 'source_label': 61}
  )
  assert tf.train.Example.FromString(by_tfds) == tf.train.Example.FromString(
    example.encode(encoded, 130, 3, 61)
  )

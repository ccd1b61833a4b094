# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gzip
import io
import zlib

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from cmnist_tfds.formats import png
from cmnist_tfds.system import errors

IMAGES = hnp.arrays(
  np.uint8, st.tuples(st.integers(1, 3), st.just(28), st.just(28))
)
PATTERNS = np.stack(
  [
    np.zeros((28, 28), np.uint8),
    np.full((28, 28), 255, np.uint8),
    np.indices((28, 28)).sum(axis=0).astype(np.uint8) % 2 * 255,
    np.arange(784).reshape(28, 28).astype(np.uint8),
    np.eye(28, dtype=np.uint8) * 200,
    np.random.default_rng(0).integers(0, 256, (28, 28)).astype(np.uint8),
  ]
)


def smooth_images(seed, count):
  """Images on which encoders choose all kinds of filters."""
  rng = np.random.default_rng(seed)
  steps = rng.integers(-9, 10, (count, 28, 28))
  return np.cumsum(np.cumsum(steps, 1), 2).astype(np.uint8)


@given(IMAGES)
def test_tensorflow_decodes_what_is_encoded(images):
  decoded = [tf.io.decode_png(p, channels=1) for p in png.encode(images)]
  np.testing.assert_array_equal(np.stack(decoded)[..., 0], images)


@given(IMAGES)
def test_decoding_undoes_encoding(images):
  np.testing.assert_array_equal(png.decode(png.encode(images)), images)


def test_extreme_images():
  pngs = png.encode(PATTERNS)
  np.testing.assert_array_equal(png.decode(pngs), PATTERNS)
  decoded = [tf.io.decode_png(p, channels=1) for p in pngs]
  np.testing.assert_array_equal(np.stack(decoded)[..., 0], PATTERNS)


def test_no_images():
  assert png.encode(np.zeros((0, 28, 28), np.uint8)) == []
  assert png.decode([]).shape == (0, 28, 28)


def test_an_image_is_encoded_alike_in_any_company():
  one_by_one = [png.encode(image[None])[0] for image in PATTERNS]
  assert png.encode(PATTERNS) == one_by_one
  assert png.encode(PATTERNS[::-1])[::-1] == one_by_one


def test_one_by_another_encoder_among_many():
  pngs = png.encode(PATTERNS)
  pngs[2] = tf.io.encode_png(PATTERNS[2][..., None]).numpy()
  pngs[4] = with_rows(np.pad(PATTERNS[4], [(0, 0), (1, 0)]).tobytes())
  np.testing.assert_array_equal(png.decode(pngs), PATTERNS)


@pytest.mark.parametrize('which', [0, 3, 5])
@given(st.integers(0, 10_000), st.integers(1, 255))
def test_damage_is_found_among_many(which, at, change):
  pngs = png.encode(PATTERNS)
  damaged = bytearray(pngs[which])
  # The checksum of the chunk is the last that is looked at: pixels have theirs.
  covered = [*range(33), *range(37, len(damaged) - 16), *range(-12, 0)]
  damaged[covered[at % len(covered)]] ^= change
  pngs[which] = bytes(damaged)
  try:
    decoded = png.decode(pngs)
  except errors.PreparationError as err:
    assert f'Image {which} of' in str(err)
  else:
    # Bits that decide nothing, as those that fill up the last byte of a block.
    np.testing.assert_array_equal(decoded, PATTERNS)


def test_views_that_are_not_contiguous():
  upright = PATTERNS.transpose(0, 2, 1)
  assert png.encode(upright) == png.encode(upright.copy())


def test_layout():
  for data in png.encode(PATTERNS):
    with Image.open(io.BytesIO(data)) as image:
      image.verify()
      assert image.mode == 'L'
    kinds = []
    at = 8
    while at < len(data):
      length = int.from_bytes(data[at : at + 4], 'big')
      kinds.append(data[at + 4 : at + 8])
      at += 12 + length
    assert kinds == [b'IHDR', b'IDAT', b'IEND']


@pytest.mark.parametrize('seed', range(3))
def test_decodes_the_filtered_images_of_others(seed):
  images = smooth_images(seed, 20)
  by_tensorflow = [tf.io.encode_png(i[..., None]).numpy() for i in images]
  np.testing.assert_array_equal(png.decode(by_tensorflow), images)
  by_pillow = []
  for image in images:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, 'PNG')
    by_pillow.append(buffer.getvalue())
  np.testing.assert_array_equal(png.decode(by_pillow), images)


def test_all_filters_occur_in_that_test():
  filters = set()
  for image in smooth_images(0, 20):
    data = tf.io.encode_png(image[..., None]).numpy()
    raw = tf.io.decode_compressed(data[41:-16], 'ZLIB').numpy()
    filters |= set(raw[::29])
  assert filters >= {1, 2, 3, 4}


def test_filtered_and_unfiltered_images_in_one_call():
  images = smooth_images(0, 2)
  pngs = png.encode(images) + [
    tf.io.encode_png(i[..., None]).numpy() for i in images
  ]
  np.testing.assert_array_equal(
    png.decode(pngs), np.concatenate([images, images])
  )


@pytest.mark.parametrize('shape', [(27, 28, 1), (28, 28, 3)])
def test_refuses_other_shapes(shape):
  other = tf.io.encode_png(np.zeros(shape, np.uint8)).numpy()
  good = png.encode(PATTERNS[:1])
  with pytest.raises(errors.PreparationError, match='Image 1 of'):
    png.decode([*good, other])


@pytest.mark.parametrize('at', [0, 20, 45, 60, -1])
def test_refuses_damage(at):
  damaged = bytearray(png.encode(PATTERNS[-1:])[0])
  damaged[at] ^= 0xFF
  with pytest.raises(errors.PreparationError, match='Image 0 of'):
    png.decode([bytes(damaged)])


@pytest.mark.parametrize('length', [0, 10, 50, 100])
def test_refuses_truncation(length):
  with pytest.raises(errors.PreparationError, match='Image 0 of'):
    png.decode([png.encode(PATTERNS[-1:])[0][:length]])


def with_rows(rows):
  data = png.encode(PATTERNS[:1])[0]
  return data[:41] + zlib.compress(rows) + data[-16:]


@pytest.mark.parametrize('length', [0, 1, 28 * 28, 28 * 29 - 1, 28 * 29 + 1])
def test_refuses_too_few_or_too_many_pixels(length):
  with pytest.raises(errors.PreparationError, match='Image 0 of'):
    png.decode([with_rows(bytes(length))])


def test_refuses_unknown_filters():
  rows = bytearray(28 * 29)
  rows[29] = 5
  good = png.encode(PATTERNS)
  with pytest.raises(errors.PreparationError, match='Image 6 of'):
    png.decode([*good, with_rows(rows)])


def test_real_images_are_hardly_larger_than_with_zlib(origin_files):
  ours = zlibs = 0
  for folder in ('fashion_mnist', 'kmnist', 'notmnist', 'mnist'):
    with gzip.open(origin_files / folder / 't10k-images-idx3-ubyte.gz') as file:
      pixels = file.read(16 + 1000 * 784)[16:]
    images = np.frombuffer(pixels, np.uint8).reshape(1000, 28, 28)
    pngs = png.encode(images)
    np.testing.assert_array_equal(png.decode(pngs), images)
    rows = np.pad(images, [(0, 0), (0, 0), (1, 0)])
    overhead = len(pngs[0]) - int.from_bytes(pngs[0][33:37], 'big')
    ours += sum(map(len, pngs))
    zlibs += sum(
      len(zlib.compress(image.tobytes(), 6)) + overhead for image in rows
    )
  assert ours <= 1.12 * zlibs

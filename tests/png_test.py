# SPDX-License-Identifier: Apache-2.0
"""PNG images that other libraries read, and that we read of others."""

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

_IMAGES = hnp.arrays(np.uint8, st.tuples(*[st.integers(1, 30)] * 3))
_PATTERNS = np.zeros((4, 28, 28), np.uint8)
_PATTERNS[1] = 255
_PATTERNS[2] = np.eye(28) * 200
_PATTERNS[3] = np.random.default_rng(0).integers(0, 256, (28, 28))
# Encoders choose all kinds of filters for these.
_SMOOTH = np.random.default_rng(1).integers(-9, 10, (20, 28, 28))
_SMOOTH = np.cumsum(np.cumsum(_SMOOTH, 1), 2).astype(np.uint8)


def _decode(pngs):
  return png.decode(pngs, 28, 28)


def _by_tensorflow(image):
  return tf.io.encode_png(image[..., None]).numpy()


def _by_pillow(image):
  buffer = io.BytesIO()
  Image.fromarray(image).save(buffer, 'PNG')
  return buffer.getvalue()


@given(_IMAGES)
def test_what_is_encoded_is_decoded(images):
  pngs = png.encode(images)
  np.testing.assert_array_equal(png.decode(pngs, *images.shape[1:]), images)
  decoded = [tf.io.decode_png(p, channels=1) for p in pngs]
  np.testing.assert_array_equal(np.stack(decoded)[..., 0], images)
  for data, image in zip(pngs, images, strict=True):
    with Image.open(io.BytesIO(data)) as opened:
      opened.verify()
    assert png.encode(image[None]) == [data]


def test_no_images():
  assert png.encode(np.zeros((0, 28, 28), np.uint8)) == []
  assert _decode([]).shape == (0, 28, 28)


def test_views_that_are_not_contiguous():
  upright = _PATTERNS.transpose(0, 2, 1)
  assert png.encode(upright) == png.encode(upright.copy())


@pytest.mark.parametrize('encode', [_by_tensorflow, _by_pillow])
def test_filtered_images_of_others_are_decoded(encode):
  pngs = [*map(encode, _SMOOTH), *png.encode(_PATTERNS)]
  rows = [zlib.decompress(data[41:-16])[::29] for data in pngs[: len(_SMOOTH)]]
  assert {*b''.join(rows)} >= {1, 2, 4}
  expected = np.concatenate([_SMOOTH, _PATTERNS])
  np.testing.assert_array_equal(_decode(pngs), expected)


@given(st.integers(0, 3), st.integers(0, 10_000), st.integers(1, 255))
def test_damage_is_named_or_changes_no_pixel(which, at, change):
  pngs = png.encode(_PATTERNS)
  damaged = bytearray(pngs[which])
  damaged[at % len(damaged)] ^= change
  pngs[which] = bytes(damaged)
  try:
    decoded = _decode(pngs)
  except ValueError as error:
    assert str(error).startswith(f'image {which} ')
  else:
    np.testing.assert_array_equal(decoded, _PATTERNS)


def _with_rows(length):
  data = png.encode(_PATTERNS[:1])[0]
  return data[:41] + zlib.compress(bytes(length)) + data[-16:]


@pytest.mark.parametrize(
  'wrong',
  [
    b'',
    png.encode(_PATTERNS)[3][:100],
    _by_tensorflow(np.zeros((27, 28), np.uint8)),
    tf.io.encode_png(np.zeros((28, 28, 3), np.uint8)).numpy(),
    *map(_with_rows, [0, 28 * 28, 28 * 29 - 1, 28 * 29 + 1]),
  ],
)
def test_what_is_no_such_image_is_named(wrong):
  with pytest.raises(ValueError, match=r'^image 1 .* 28 x 28 gray pixels'):
    _decode([*png.encode(_PATTERNS[:1]), wrong])


def test_real_images_are_hardly_larger_than_with_zlib(origin_files):
  ours = zlibs = 0
  for folder in ('fashion_mnist', 'kmnist', 'notmnist'):
    with gzip.open(origin_files / folder / 't10k-images-idx3-ubyte.gz') as file:
      pixels = file.read(16 + 1000 * 784)[16:]
    images = np.frombuffer(pixels, np.uint8).reshape(1000, 28, 28)
    pngs = png.encode(images)
    np.testing.assert_array_equal(_decode(pngs), images)
    rows = np.pad(images, [(0, 0), (0, 0), (1, 0)])
    ours += sum(map(len, pngs))
    # All but the pixels takes 57 bytes.
    zlibs += sum(57 + len(zlib.compress(i.tobytes(), 6)) for i in rows)
  assert ours <= 1.12 * zlibs

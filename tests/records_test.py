# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import encoded_sources
import framing
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmnist_tfds.datasets.fast_path.records import SplitRecords
from cmnist_tfds.formats import png

# So many images of each kind, from tiny PNGs to the largest there are.
EACH = 12
COUNT = 3 * EACH


def images_and_labels(seed):
  rng = np.random.default_rng(seed)
  noise = rng.integers(0, 256, (EACH, 28, 28))
  sparse = noise * (rng.random((EACH, 28, 28)) < 0.1)
  images = np.concatenate([noise, sparse, np.zeros((EACH, 28, 28))])
  images = rng.permutation(images.astype(np.uint8))
  return images, rng.integers(0, 62, COUNT).astype(np.uint8)


def joined(found, start, stop):
  data, ends = found.join(start, stop)
  assert data.dtype == np.uint8
  assert ends[-1] == len(data)
  return [part.tobytes() for part in np.split(data, ends[:-1])]


ROWS = st.none() | st.lists(
  st.integers(0, COUNT - 1), min_size=1, max_size=20
).map(sorted)


@settings(max_examples=50)
@given(st.data())
def test_records_are_examples_in_frames(data):
  sources = [
    encoded_sources.encode(
      *images_and_labels(number),
      number=number,
      first_label=62 * number,
      rows=data.draw(ROWS),
    )
    for number in range(3)
  ]
  count = sum(map(len, sources))
  order = np.array(data.draw(st.permutations(range(count))), np.uint32)
  found = SplitRecords(sources, order)
  along = encoded_sources.serialized(sources)
  expected = [along[number] for number in order]
  assert len(found) == count
  assert found.num_bytes == sum(map(len, expected))
  assert joined(found, 0, count) == list(map(framing.frame, expected))
  start = data.draw(st.integers(0, count - 1))
  stop = data.draw(st.integers(start + 1, count))
  run = expected[start:stop]
  assert joined(found, start, stop) == list(map(framing.frame, run))
  assert list(found.examples(start, stop)) == run


def test_images_of_every_length():
  rng = np.random.default_rng(0)
  amounts = np.linspace(0, 1, 600)[:, None, None]
  images = rng.integers(0, 256, (600, 28, 28)) * (
    rng.random((600, 28, 28)) < amounts
  )
  labels = rng.integers(0, 62, 600).astype(np.uint8)
  source = encoded_sources.encode(images.astype(np.uint8), labels)
  assert len(set(source.arrays['lengths'].tolist())) > 300
  order = rng.permutation(600)
  along = encoded_sources.serialized([source])
  assert joined(SplitRecords([source], order), 0, 600) == [
    framing.frame(along[number]) for number in order
  ]


def test_labels_of_two_bytes_and_many_sources():
  images, _ = images_and_labels(0)
  labels = np.array([0, 1, 2], np.uint8).repeat(EACH)
  raw_labels = (0, 1, 2)
  sources = [
    encoded_sources.encode(
      *(images, labels),
      number=number,
      first_label=3 * number,
      raw_labels=raw_labels,
    )
    for number in range(60)
  ]
  count = COUNT * 60
  along = encoded_sources.serialized(sources)
  found = SplitRecords(sources, np.arange(count))
  assert list(found.examples(0, count)) == along


@pytest.mark.parametrize('raw_labels', [(7,), (61, 7)])
def test_classes_of_a_subset_may_be_some_of_the_source(raw_labels):
  images, labels = images_and_labels(0)
  labels[:4] = [7, 61, 7, 3]
  rows = np.flatnonzero(np.isin(labels, raw_labels))
  source = encoded_sources.encode(
    images, labels, raw_labels=raw_labels, rows=rows
  )
  found = SplitRecords([source], np.arange(len(rows)))
  assert list(found.examples(0, len(rows))) == encoded_sources.serialized(
    [source]
  )


def test_longest_png_fits_its_fields():
  noise = np.random.default_rng(0).integers(0, 256, (100, 28, 28))
  assert max(map(len, png.encode(noise.astype(np.uint8)))) < 2**16

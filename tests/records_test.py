# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmnist_tfds.cache import split_sources, store
from cmnist_tfds.datasets.fast_path import records
from cmnist_tfds.formats import example, png, tfrecord

# So many images of each kind, from tiny PNGs to the largest there are.
EACH = 12


def images_and_labels(seed):
  rng = np.random.default_rng(seed)
  noise = rng.integers(0, 256, (EACH, 28, 28))
  sparse = noise * (rng.random((EACH, 28, 28)) < 0.1)
  images = np.concatenate([noise, sparse, np.zeros((EACH, 28, 28))])
  images = rng.permutation(images.astype(np.uint8))
  return images, rng.integers(0, 62, len(images)).astype(np.uint8)


@pytest.fixture(scope='module')
def stores(tmp_path_factory):
  folder = tmp_path_factory.mktemp('cache')
  return [
    store.open_or_encode(
      str(seed),
      lambda seed=seed: store.Loaded(*images_and_labels(seed), {}),
      folder,
    )
    for seed in range(3)
  ]


def label_table(first):
  return np.arange(first, first + 256)


def piece(of, rows, first_label, source):
  return split_sources.Piece(
    of, np.array(rows, np.int64), label_table(first_label), source
  )


def expected_examples(pieces, order):
  along = [
    example.encode(
      p.store.png(row),
      int(p.labels[p.store.labels[row]]),
      p.source,
      int(p.store.labels[row]),
    )
    for p in pieces
    for row in p.rows
  ]
  return [along[i] for i in order]


def joined(found, start, stop):
  data, ends = found.join(start, stop)
  assert data.dtype == np.uint8
  assert ends[-1] == len(data)
  return [part.tobytes() for part in np.split(data, ends[:-1])]


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_records_are_examples_in_frames(stores, data):
  rows = st.lists(st.integers(0, 3 * EACH - 1), max_size=20).map(sorted)
  pieces = [
    piece(of, data.draw(rows), data.draw(st.integers(0, 200)), source)
    for source, of in enumerate(stores)
  ]
  count = sum(len(p.rows) for p in pieces)
  if not count:
    return
  order = np.array(data.draw(st.permutations(range(count))), np.uint32)
  found = records.Records(pieces, order)
  expected = expected_examples(pieces, order)
  assert len(found) == count
  assert found.num_bytes == sum(map(len, expected))
  assert joined(found, 0, count) == list(map(tfrecord.frame, expected))
  start = data.draw(st.integers(0, count - 1))
  stop = data.draw(st.integers(start + 1, count))
  run = expected[start:stop]
  assert joined(found, start, stop) == list(map(tfrecord.frame, run))
  assert list(found.examples(start, stop)) == run


def test_images_of_every_length(tmp_path):
  rng = np.random.default_rng(0)
  amounts = np.linspace(0, 1, 600)[:, None, None]
  images = rng.integers(0, 256, (600, 28, 28)) * (
    rng.random((600, 28, 28)) < amounts
  )
  images = images.astype(np.uint8)
  labels = np.zeros(600, np.uint8)
  found = store.open_or_encode(
    'all', lambda: store.Loaded(images, labels, {}), tmp_path
  )
  assert len(set(found.lengths.tolist())) > 300
  pieces = [piece(found, np.arange(600), 127, 10)]
  order = rng.permutation(600)
  expected = expected_examples(pieces, order)
  assert joined(records.Records(pieces, order), 0, 600) == list(
    map(tfrecord.frame, expected)
  )


def test_labels_without_meaning_are_left_out(stores):
  raw_label = int(stores[0].labels[3])
  table = np.full(256, -1)
  table[raw_label] = 7
  rows = np.flatnonzero(stores[0].labels == raw_label)
  pieces = [split_sources.Piece(stores[0], rows, table, 2)]
  order = np.arange(len(rows))
  found = records.Records(pieces, order)
  assert list(found.examples(0, len(rows))) == [
    example.encode(stores[0].png(row), 7, 2, raw_label) for row in rows
  ]


def test_longest_png_fits_its_fields():
  noise = np.random.default_rng(0).integers(0, 256, (100, 28, 28))
  assert max(map(len, png.encode(noise.astype(np.uint8)))) < 2**16

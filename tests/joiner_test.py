# SPDX-License-Identifier: Apache-2.0
"""Joined records are those that TensorFlow would write."""

import google_crc32c
import numpy as np
import preparing
import synthetic
import tensorflow as tf
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from cmnist_tfds.cache import store
from cmnist_tfds.cache.shuffle_order import shuffle_order
from cmnist_tfds.cache.split_sources import SplitSource
from cmnist_tfds.datasets.fast_path.joiner import SplitRecords
from cmnist_tfds.formats import png
from cmnist_tfds.subsets import SubsetClass

# So many images of each kind, from tiny PNGs to the largest there are.
EACH = 12
COUNT = 3 * EACH

# The raw labels of each source. Three sources have labels of two bytes, too.
CLASSES = (*range(62), 128, 20_000)


def _images(seed):
  rng = np.random.default_rng(seed)
  noise = rng.integers(0, 256, (EACH, 28, 28))
  sparse = noise * (rng.random((EACH, 28, 28)) < 0.1)
  images = np.concatenate([noise, sparse, np.zeros((EACH, 28, 28))])
  return rng.permutation(images.astype(np.uint8))


def _source(images, raw_labels, *, number=0, limit=None):
  """Returns what a source gives to a split."""
  pngs = png.encode(images)
  arrays = {
    'pngs': np.frombuffer(b''.join(pngs), np.uint8),
    'lengths': np.array([*map(len, pngs)], np.uint16),
    'crcs': np.array([*map(google_crc32c.value, pngs)], np.uint32),
    'labels': np.array(raw_labels, np.uint16),
  }
  declared = synthetic.make().source
  return SplitSource(
    classes=tuple(
      SubsetClass(label, str(label), declared, number, raw_label, None, None)
      for label, raw_label in enumerate(CLASSES, number * len(CLASSES))
    ),
    entry=store.Entry(arrays, {}),
    key=f'source {number}',
    limit=limit,
  )


def _examples(source):
  """Returns the examples that a split takes from a source."""
  described = {c.raw_label: c for c in source.classes}
  pngs = np.split(
    source.arrays['pngs'], np.cumsum(source.arrays['lengths'])[:-1]
  )
  found = []
  for row in range(len(pngs)) if source.rows is None else source.rows:
    c = described[int(source.arrays['labels'][row])]
    integers = c.label, c.source_number, c.raw_label
    found.append(preparing.example(pngs[row].tobytes(), *integers))
  return found


def _check(sources, count, start, stop, tmp_path):
  """Checks that some records are those examples, in frames of TensorFlow."""
  records = SplitRecords('train', sources, count)
  order = shuffle_order('train', count)
  along = [example for source in sources for example in _examples(source)]
  expected = [along[number] for number in order]
  assert len(records) == len(order)
  assert records.num_bytes == sum(e.ByteSize() for e in expected)
  found = list(records.examples(start, stop))
  for ours, theirs in zip(found, expected[start:stop], strict=True):
    assert tf.train.Example.FromString(ours) == theirs
    # No number takes more bytes than it needs, and no field is unknown.
    assert len(ours) == theirs.ByteSize()
  joined, ends = records.join(start, stop)
  with tf.io.TFRecordWriter(str(tmp_path / 'file')) as writer:
    for example in found:
      writer.write(example)
  assert joined.tobytes() == (tmp_path / 'file').read_bytes()
  frames = np.diff(ends, prepend=0).tolist()
  assert frames == [len(example) + 16 for example in found]


@settings(max_examples=20, phases=[Phase.generate])
@given(data=st.data(), random=st.randoms())
def test_records_are_examples_in_frames(data, random, tmp_path_factory):
  sources = [
    _source(
      _images(number),
      random.choices(CLASSES, k=COUNT),
      number=number,
      limit=data.draw(st.none() | st.just(1)),
    )
    for number in range(3)
  ]
  count = data.draw(st.integers(1, sum(map(len, sources))))
  start = data.draw(st.integers(0, count - 1))
  stop = data.draw(st.integers(start + 1, count))
  _check(sources, count, start, stop, tmp_path_factory.mktemp('records'))


def test_images_of_every_length(tmp_path):
  rng = np.random.default_rng(0)
  amounts = np.linspace(0, 1, 600)[:, None, None]
  noise = rng.integers(0, 256, (600, 28, 28))
  images = noise * (rng.random((600, 28, 28)) < amounts)
  source = _source(images.astype(np.uint8), rng.integers(0, 62, 600).tolist())
  assert len({*source.arrays['lengths'].tolist()}) > 300
  _check([source], 600, 0, 600, tmp_path)

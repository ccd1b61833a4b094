# SPDX-License-Identifier: Apache-2.0
"""Joins the framed records of a split from encoded images.

A record has a head (the header of the frame and the example up to the PNG), the
PNG, a tail (the rest of the example) and the footer of the frame. Heads depend
on lengths and tails on classes, so there are few of each. The checksum in the
footer follows from those of the parts: the checksum of A + B is the checksum of
A, shifted by the length of B, XOR the checksum of B. So a record only needs its
parts to be copied, and this module copies them for many records at once.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import google_crc32c
import numpy as np
from tensorflow_datasets.proto import tf_feature_generated_pb2 as pb

from cmnist_tfds import schema
from cmnist_tfds.cache.shuffle_order import shuffle_order
from cmnist_tfds.cache.split_sources import SplitSource
from cmnist_tfds.formats import tfrecord


class SplitRecords:
  """The framed records of a split, in the order of the shards.

  Attributes:
    split: 'train' or 'test'.
    sources: The examples of each source, as encoded images.
    num_bytes: Number of bytes of all serialized examples without frames. TFDS
      records it as the size of the split.
  """

  def __init__(
    self, split: str, sources: Sequence[SplitSource], num_examples: int
  ):
    """Lays out the records.

    Args:
      split: 'train' or 'test'.
      sources: The examples of each source, as encoded images, in the order of
        the subset.
      num_examples: Number of examples, from the start of the concatenation of
        the sources.
    """
    self.split = split
    self.sources = sources
    self._order = shuffle_order(split, num_examples)
    self._source_ends = np.cumsum([len(source) for source in sources])
    # Each example along the concatenation has a start, a length and a checksum
    # of its PNG, the number of its tail, which is its label, and of its head.
    self._start = np.concatenate([_starts(source) for source in sources])
    self._length = np.concatenate([s.take('lengths') for s in sources])
    self._crc = np.concatenate([s.take('crcs') for s in sources])
    self._tail = np.concatenate([source.labels() for source in sources])

    integers = [schema.integers_of(c) for s in sources for c in s.classes]
    tails = [_wrap(1000, each)[2] for each in integers]
    self._tails, self._tail_length = _pad(tails)
    self._tail_crc = np.array([*map(google_crc32c.value, tails)], np.uint32)
    step = max(map(len, tails)) + 1
    pairs, self._head = np.unique(
      self._length * np.int64(step) + self._tail_length[self._tail],
      return_inverse=True,
    )
    # Of classes whose tails are equally long, any one gives the head.
    by_length = dict(zip(map(len, tails), integers, strict=True))
    heads, head_crcs = [], []
    for pair in pairs.tolist():
      rest = sum(divmod(pair, step))
      head, *_ = _wrap(pair // step, by_length[pair % step])
      heads.append(tfrecord.header(len(head) + rest) + head)
      head_crcs.append(_shift(google_crc32c.value(head), rest))
    self._heads, self._head_length = _pad(heads)
    self._head_crc = np.array(head_crcs, np.uint32)
    # By the length of the tail, the place of a byte in a checksum and its value:
    # what it contributes to the shifted checksum.
    self._shifts = np.zeros((step, 4, 256), np.uint32)
    for length in {*map(len, tails)}:
      self._shifts[length] = [
        [_shift(value << 8 * byte, length) for value in range(256)]
        for byte in range(4)
      ]
    num_bytes = self._head_length[self._head] - tfrecord.HEADER_SIZE
    num_bytes += self._length + self._tail_length[self._tail]
    self.num_bytes = int(num_bytes[self._order].sum())

  def __len__(self) -> int:
    return len(self._order)

  def __reduce__(self) -> tuple[Any, ...]:
    # Other processes lay them out anew, from the same cache.
    return SplitRecords, (self.split, self.sources, len(self))

  def join(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns consecutive records.

    Args:
      start: Number of the first record.
      stop: Number of the first record after them.

    Returns:
      The framed records, one after the other, uint8, and the end of each, int64
      (stop - start,).
    """
    rows = self._order[start:stop]
    head, tail = self._head[rows], self._tail[rows]
    tail_length = self._tail_length[tail]
    ends = np.cumsum(
      self._head_length[head]
      + self._length[rows]
      + tail_length
      + tfrecord.FOOTER_SIZE
    )
    tail_at = ends - tfrecord.FOOTER_SIZE - tail_length
    png_at = tail_at - self._length[rows]
    crc = self._crc[rows].astype('<u4').view(np.uint8).reshape(-1, 4)
    shifted = self._shifts[tail_length[:, None], np.arange(4), crc]
    crcs = np.bitwise_xor.reduce(shifted, axis=1)
    crcs ^= self._head_crc[head] ^ self._tail_crc[tail]

    # Parts are padded to one width. Those put later replace the padding.
    joined = np.empty(ends[-1] + self._tails.itemsize, np.uint8)
    _put(joined, tail_at, self._tails[tail])
    _put(joined, ends - tfrecord.FOOTER_SIZE, tfrecord.footers(crcs))
    _put(joined, png_at - self._head_length[head], self._heads[head])
    source = np.searchsorted(self._source_ends, rows, side='right')
    pngs = [s.arrays['pngs'].data for s in self.sources]
    data = joined.data
    places = (source, png_at, self._start[rows], self._length[rows])
    columns = [column.tolist() for column in places]
    for number, at, first, length in zip(*columns, strict=True):
      data[at : at + length] = pngs[number][first : first + length]
    return joined[: ends[-1]], ends

  def examples(self, start: int, stop: int) -> Iterator[bytes]:
    """Yields consecutive serialized examples, without frames."""
    joined, ends = self.join(start, stop)
    data = joined.tobytes()
    for begin, end in itertools.pairwise([0, *ends.tolist()]):
      yield data[begin + tfrecord.HEADER_SIZE : end - tfrecord.FOOTER_SIZE]


def _starts(source: SplitSource) -> np.ndarray:
  """Returns the start of the PNG of each row: int64 (m,)."""
  lengths = source.arrays['lengths']
  starts = np.cumsum(lengths, dtype=np.int64) - lengths
  return starts if source.rows is None else starts[source.rows]


def _wrap(png_length: int, integers: Mapping[str, int]) -> Sequence[bytes]:
  """Returns what is before a PNG in an example, a stand-in, and the rest."""
  stand_in = b'\xff' * png_length
  image = pb.Feature(bytes_list=pb.BytesList(value=[stand_in]))
  entries = {name: _integer(name, value) for name, value in integers.items()}
  entries[schema.IMAGE.name] = _entry(schema.IMAGE.name, image)
  # TFDS sorts the names; protocol buffers have another order.
  joined = b''.join(entries[name] for name in sorted(entries))
  # Like an `Example`, a `BytesList` has one field, 1, whose length comes first.
  return pb.BytesList(value=[joined]).SerializeToString().partition(stand_in)


@functools.cache
def _integer(name: str, value: int) -> bytes:
  return _entry(name, pb.Feature(int64_list=pb.Int64List(value=[value])))


def _entry(name: str, feature: pb.Feature) -> bytes:
  # Messages that are serialized one by one and joined are one message.
  return pb.Features(feature={name: feature}).SerializeToString()


def _pad(parts: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
  """Returns parts as uint8 (k, longest), and the length of each."""
  width = max(map(len, parts))
  padded = b''.join(part.ljust(width, b'\0') for part in parts)
  return np.frombuffer(padded, f'V{width}'), np.array([*map(len, parts)])


def _put(data: np.ndarray, at: np.ndarray, parts: np.ndarray) -> None:
  """Copies parts of one width into an array, to the places `at`."""
  width = parts.itemsize
  places = len(data) - width + 1
  np.ndarray(places, parts.dtype, data, strides=(1,))[at] = parts


def _shift(crc: int, length: int) -> int:
  """Returns what, XOR the checksum of B, is that of A + B.

  Args:
    crc: The checksum of A.
    length: The length of B.
  """
  zeros = bytes(length)
  return google_crc32c.extend(crc, zeros) ^ google_crc32c.value(zeros)

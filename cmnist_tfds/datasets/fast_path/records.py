# SPDX-License-Identifier: Apache-2.0
"""Joins the framed records of a split from encoded images.

A record has a head (the header of the frame and the example up to the PNG), the
PNG, a tail (the rest of the example) and the footer of the frame. Heads depend
on lengths and tails on classes, so there are few of each. Footers follow from
the checksums of the parts. So a record only needs its parts to be copied, and
this module copies them for many records at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import google_crc32c
import numpy as np

from cmnist_tfds import schema
from cmnist_tfds.cache.split_sources import MARGIN, SplitSource
from cmnist_tfds.formats import crc32c, example, tfrecord
from cmnist_tfds.formats.byte_ranges import put, windows

# PNGs are copied together with the bytes that follow them in the cache, so that
# their widths are multiples of this number and there are few widths.
_STEP = MARGIN


class SplitRecords:
  """The framed records of a split, in the order of the shards.

  Attributes:
    sources: The examples of each source, as encoded images.
    num_bytes: Number of bytes of all serialised examples without frames. TFDS
      records it as the size of the split.
  """

  def __init__(self, sources: Sequence[SplitSource], order: np.ndarray):
    """Lays out the records.

    Args:
      sources: The examples of each source, as encoded images, in the order of
        the subset.
      order: Integers (num_examples,): the numbers of the examples along the
        concatenation of the sources, in the order in which to write them.
    """
    self.sources = sources
    # Each example along the concatenation has a start, a length and a checksum
    # of its PNG, and the number of its tail, which is its label.
    self._start = np.concatenate([_starts(s) for s in sources])
    self._length = np.concatenate([s.take('lengths') for s in sources])
    self._crc = np.concatenate([s.take('crcs') for s in sources])
    self._tail = np.concatenate([s.labels() for s in sources])
    self._tails = _tabulate_tails(
      [
        example.tail(schema.integers_of(c))
        for source in sources
        for c in source.classes
      ]
    )
    self._heads = _tabulate_heads(self._length, self._tails.different_lengths)
    self._pngs = [source.arrays['pngs'] for source in sources]
    self._source_ends = np.cumsum([len(source) for source in sources])
    self._order = order

    head_bytes = self._heads.length[self._tails.kind[self._tail], self._length]
    self.num_bytes = int(
      head_bytes.sum()
      + self._length.sum(dtype=np.int64)
      + self._tails.length[self._tail].sum()
      - len(order) * tfrecord.HEADER_SIZE
    )

  def __len__(self) -> int:
    return len(self._order)

  def join(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns a run of records.

    Args:
      start: Number of the first record in the run.
      stop: Number of the first record after the run.

    Returns:
      The framed records, one after the other, uint8, and the end of each, int64
      (stop - start,).
    """
    picked = self._order[start:stop]
    length, tail = self._length[picked], self._tail[picked]
    kind = self._tails.kind[tail]
    head_length = self._heads.length[kind, length]
    tail_length = self._tails.length[tail]
    ends = np.cumsum(head_length + length + tail_length + tfrecord.FOOTER_SIZE)
    tail_at = ends - tfrecord.FOOTER_SIZE - tail_length
    png_at = tail_at - length
    crc = crc32c.shift_all(
      self._heads.crc[kind, length] ^ self._crc[picked],
      self._tails.shift_tables,
      kind,
    )
    crc ^= self._tails.crc[tail]

    # Parts are padded, so that they have few widths. The next part overwrites
    # the padding of the one before it.
    joined = np.empty(ends[-1], np.uint8)
    put(joined, png_at - head_length, self._heads.padded[kind, length])
    self._put_pngs(joined, png_at, picked)
    put(joined, tail_at, self._tails.padded[tail])
    put(joined, ends - tfrecord.FOOTER_SIZE, tfrecord.footers(crc))
    return joined, ends

  def examples(self, start: int, stop: int) -> Iterator[bytes]:
    """Yields the serialised examples of a run of records, without frames."""
    joined, ends = self.join(start, stop)
    data = joined.tobytes()
    begin = 0
    for end in ends.tolist():
      yield data[begin + tfrecord.HEADER_SIZE : end - tfrecord.FOOTER_SIZE]
      begin = end

  def _put_pngs(
    self, joined: np.ndarray, png_at: np.ndarray, picked: np.ndarray
  ) -> None:
    """Copies PNGs from the cache, all of one width at once."""
    source = np.searchsorted(self._source_ends, picked, side='right')
    steps = (self._length[picked] - 1) // _STEP + 1
    group = (source * (steps.max() + 1) + steps).astype(np.uint16)
    by_group = np.argsort(group, kind='stable')
    borders = np.flatnonzero(np.diff(group[by_group])) + 1
    for members in np.split(by_group, borders):
      width = int(steps[members[0]]) * _STEP
      pngs = windows(self._pngs[source[members[0]]], width)
      into = windows(joined, width)
      into[png_at[members]] = pngs[self._start[picked[members]]]


def _starts(source: SplitSource) -> np.ndarray:
  """Returns the start of the PNG of each row: int64 (m,)."""
  lengths = source.arrays['lengths']
  starts = np.cumsum(lengths, dtype=np.int64) - lengths
  return starts if source.rows is None else starts[source.rows]


@dataclasses.dataclass(frozen=True, eq=False)
class _Tails:
  """The k tails, which have w different lengths.

  Attributes:
    padded: uint8 (k, longest tail), padded on the right.
    length: int64 (k,), the length of each tail.
    crc: uint32 (k,), the CRC-32C of each tail.
    kind: Integers (k,), the number of the length of each tail, 0 to w - 1.
    different_lengths: int64 (w,), ascending.
    shift_tables: uint32 (w, 4, 256), to shift the checksum of the bytes before.
  """

  padded: np.ndarray
  length: np.ndarray
  crc: np.ndarray
  kind: np.ndarray
  different_lengths: np.ndarray
  shift_tables: np.ndarray


def _tabulate_tails(tails: Sequence[bytes]) -> _Tails:
  length = np.array([len(tail) for tail in tails])
  different_lengths, kind = np.unique(length, return_inverse=True)
  # The padding of a part must not reach beyond the next part.
  assert length.min() + tfrecord.FOOTER_SIZE >= _STEP
  assert length.max() - length.min() <= tfrecord.FOOTER_SIZE
  return _Tails(
    padded=_pad(tails),
    length=length,
    crc=np.array([google_crc32c.value(tail) for tail in tails], np.uint32),
    kind=kind,
    different_lengths=different_lengths,
    shift_tables=np.stack(
      [crc32c.shift_table(int(length)) for length in different_lengths]
    ),
  )


@dataclasses.dataclass(frozen=True, eq=False)
class _Heads:
  """The heads, by the number of the tail's length and the length of the PNG.

  Attributes:
    padded: uint8 (w, longest PNG + 1, longest head), padded on the right.
    length: int64 (w, longest PNG + 1), the length of each head.
    crc: uint32 (w, longest PNG + 1), the checksum of the head without the
      header of the frame, shifted by the length of the PNG.
  """

  padded: np.ndarray
  length: np.ndarray
  crc: np.ndarray


def _tabulate_heads(
  png_lengths: np.ndarray, tail_lengths: np.ndarray
) -> _Heads:
  shape = (len(tail_lengths), int(png_lengths.max()) + 1)
  length = np.zeros(shape, np.int64)
  crc = np.zeros(shape, np.uint32)
  heads = {}
  for png_length in np.flatnonzero(np.bincount(png_lengths)).tolist():
    for kind, tail_length in enumerate(tail_lengths.tolist()):
      head = example.head(png_length, tail_length)
      header = tfrecord.header(len(head) + png_length + tail_length)
      heads[kind, png_length] = header + head
      length[kind, png_length] = len(header + head)
      crc[kind, png_length] = crc32c.shift(
        google_crc32c.value(head), png_length
      )
  padded = np.zeros((*shape, int(length.max())), np.uint8)
  padded[tuple(zip(*heads, strict=True))] = _pad(list(heads.values()))
  return _Heads(padded, length, crc)


def _pad(parts: Sequence[bytes]) -> np.ndarray:
  """Returns byte strings as rows of an array, padded with zeros."""
  width = max(map(len, parts))
  padded = b''.join(part.ljust(width, b'\0') for part in parts)
  return np.frombuffer(padded, np.uint8).reshape(len(parts), width)

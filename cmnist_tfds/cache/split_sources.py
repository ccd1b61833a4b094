# SPDX-License-Identifier: Apache-2.0
"""The examples that sources give to a split: raw pixels or encoded images.

Origin files are read once, into raw pixels in the cache. Encoded images are
made from these when a dataset is built, and stay in the cache too. A source may
be larger than memory, so it is read, encoded and written in chunks.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import google_crc32c
import msgspec
import numpy as np

from cmnist_tfds import origin, subsets
from cmnist_tfds.cache import store
from cmnist_tfds.formats import png
from cmnist_tfds.sources import Source
from cmnist_tfds.subsets import Subset, SubsetClass
from cmnist_tfds.system import streams

# How many images are encoded together.
_CHUNK = 1024

# Begins the keys of what is read from unverified files, as those of the sample.
_UNVERIFIED = 'unverified '


@dataclasses.dataclass(frozen=True, eq=False)
class SplitSource:
  """The examples that one source gives to a split of a subset.

  Attributes:
    classes: The classes that the subset takes from the source.
    entry: The arrays of the whole split of the source.
    key: Identifies the arrays: equal keys mean equal arrays.
    limit: The subset takes so many examples of each class; None for all.
    writer_block: So many examples of a class, in the order of the source's
      files, are by one writer; 1 where writers are not known, 0 where the order
      is not, but that of shards.
  """

  classes: tuple[SubsetClass, ...]
  entry: store.Entry
  key: str
  limit: int | None = None
  writer_block: int = 0

  def __len__(self) -> int:
    return len(self.take('labels'))

  @functools.cached_property
  def rows(self) -> np.ndarray | None:
    """The examples that the subset takes; None for all.

    Integers (m,), in the order of the source.
    """
    labels, known = self.arrays['labels'], self.classes[0].source.class_names
    if self.limit is None and len(self.classes) >= len(known):
      return None
    raw_labels = [c.raw_label for c in self.classes]
    taken = subsets.rows(labels, raw_labels, self.limit)
    # All rows are None, so that equal examples have equal digests.
    return None if len(taken) == len(labels) else taken

  @property
  def arrays(self) -> Mapping[str, np.ndarray]:
    """The arrays by name.

    'labels', uint8 (n,), has the raw labels; uint16 if the source has any over
    255. Raw pixels are in 'images', uint8 (n, 28, 28). Encoded images are in
    'pngs', uint8, which has the PNGs one after the other; 'lengths', uint16
    (n,), has the number of bytes of each PNG, and 'crcs', uint32 (n,), the
    CRC-32C of each PNG.
    """
    return self.entry.arrays

  def take(self, name: str) -> np.ndarray:
    """Returns the rows of one array that the subset takes."""
    whole = self.arrays[name]
    return whole if self.rows is None else whole[self.rows]

  @functools.cached_property
  def label_of(self) -> np.ndarray:
    """The label in the subset of each raw label, int64; -1 for none."""
    raw_labels = [c.raw_label for c in self.classes]
    label_of = np.full(max(raw_labels) + 1, -1, np.int64)
    label_of[raw_labels] = [c.label for c in self.classes]
    return label_of

  def labels(self) -> np.ndarray:
    """Returns the label of each row in the subset: int64 (m,)."""
    return self.label_of[self.take('labels')]

  def __reduce__(self) -> tuple[Any, ...]:
    # A source is pickled as its key, which other machines may not know. A copy
    # is pickled with all that it declares.
    source = msgspec.structs.replace(self.classes[0].source)
    classes = tuple(dataclasses.replace(c, source=source) for c in self.classes)
    facts = self.entry, self.key, self.limit, self.writer_block
    return SplitSource, (classes, *facts)


def open_split(
  subset: Subset,
  split: str,
  locations: origin.Locations,
  *,
  encoded: bool = False,
) -> list[SplitSource]:
  """Returns the examples of each source for a split, which enter the cache.

  Args:
    subset: The subset.
    split: 'train' or 'test'.
    locations: Where origin files are looked for.
    encoded: Whether to return encoded images instead of raw pixels.

  Returns:
    One record per source, in the order of the subset.

  Raises:
    OriginFileError: If an origin file is missing or not the right one.
  """
  make = _encoded if encoded else _raw
  opened = []
  for source in subset.sources:
    read: _Read = functools.partial(
      origin.load_split.load_pieces, source, split, locations
    )
    key = _verified_key(source, split)
    if locations.allow_unverified:
      key = _unverified_key(source, split, read) or key
    opened.append((key, make(source, split, key, read)))
  return _split_sources(subset, split, opened)


def find_raw(subset: Subset, split: str) -> list[SplitSource]:
  """Returns the examples of each source for a split, if the cache has them.

  Args:
    subset: The subset.
    split: 'train' or 'test'.

  Returns:
    One record per source, in the order of the subset, as raw pixels; none if
    the cache lacks a source, or has it only from unverified files.
  """
  keys = [_verified_key(source, split) for source in subset.sources]
  found = [(k, e) for k in keys if (e := store.find('arrays', _entry_name(k)))]
  return _split_sources(subset, split, found) if len(found) == len(keys) else []


def digest(sources: Sequence[SplitSource], num_examples: int) -> str:
  """Returns a hash of everything that determines the examples of a split.

  Args:
    sources: The examples of each source.
    num_examples: How many examples are taken from the start of the
      concatenation.

  Returns:
    SHA-256 as 64 hexadecimal digits.
  """
  facts = [
    (
      source.key,
      [(c.label, c.raw_label) for c in source.classes],
      source.rows if source.rows is None else _sha256(source.rows.tobytes()),
    )
    for source in sources
  ]
  return _sha256(json.dumps([facts, num_examples]).encode())


def _sha256(data: bytes) -> str:
  return hashlib.sha256(data).hexdigest()


_Read = Callable[[], Iterable[origin.SplitArrays]]


def _verified_key(source: Source, split: str) -> str:
  """Returns the key of a split of a source whose origin files were verified."""
  files = source.splits[split].files if split in source.splits else ()
  # What an extension declares may change while its files stay the same.
  facts = [source.digest, *(file.sha256 or file.md5 for file in files)]
  return f'{source.key} {split}: {" ".join(filter(None, facts))}'


def _unverified_key(source: Source, split: str, read: _Read) -> str | None:
  """Returns the key of what is read; None if all origin files are verified."""
  prints: list[str] = []
  for chunk in read():
    prints += map(origin.fingerprint, (chunk.images, chunk.labels))
    proofs = chunk.proofs
  if origin.Proof.NONE not in proofs.values():
    return None
  # What an extension declares may change while its pixels stay the same.
  text = ' '.join([source.digest or '', *prints])
  return f'{_UNVERIFIED}{source.key} {split}: {_sha256(text.encode())}'


def _title(key: str) -> str:
  """Returns what a key says for people. Hashes follow the colon."""
  return key.partition(':')[0]


def _entry_name(key: str) -> str:
  return f'{_title(key).replace(" ", "-")}-{_sha256(key.encode())[:16]}'


def _raw(source: Source, split: str, key: str, read: _Read) -> store.Entry:
  """Returns raw pixels."""
  note: dict[str, Any] = {'what': f'{_title(key)}, pixels'}
  total = source.splits[split].num_examples if split in source.splits else 0

  def make() -> dict[str, store.Chunks]:
    labels: list[np.ndarray] = []

    def images() -> Iterator[np.ndarray]:
      with _progress(key, 'reading', total) as progress:
        for chunk in read():
          labels.append(chunk.labels)
          yield chunk.images
          progress.update(len(chunk.labels))
          proofs = chunk.proofs
      note['proofs'] = {path: proof.value for path, proof in proofs.items()}

    return {'images': images(), 'labels': labels}

  return store.get_or_create('arrays', _entry_name(key), make, note)


def _encoded(source: Source, split: str, key: str, read: _Read) -> store.Entry:
  """Returns encoded images."""
  note: dict[str, Any] = {}

  def make() -> dict[str, store.Chunks]:
    raw = _raw(source, split, key, read)
    note.update(raw.note, what=f'{_title(key)}, PNG')
    labels = raw.arrays['labels']
    lengths: list[np.ndarray] = []
    crcs: list[np.ndarray] = []

    def pngs() -> Iterator[np.ndarray]:
      with _progress(key, 'encoding', len(labels)) as progress:
        for encoded in map(png.encode, raw.chunks('images', _CHUNK)):
          lengths.append(np.array([len(png) for png in encoded], np.uint16))
          crcs.append(np.array([*map(google_crc32c.value, encoded)], np.uint32))
          yield np.frombuffer(b''.join(encoded), np.uint8)
          progress.update(len(encoded))

    return {'pngs': pngs(), 'lengths': lengths, 'crcs': crcs, 'labels': labels}

  return store.get_or_create('encoded', _entry_name(key), make, note)


def _progress(key: str, doing: str, total: int) -> Any:
  """Returns a progress bar."""
  return streams.progress_bar(
    desc=f'{_title(key)}: {doing}', total=total, unit=' images', unit_scale=True
  )


def _split_sources(
  subset: Subset, split: str, opened: Sequence[tuple[str, store.Entry]]
) -> list[SplitSource]:
  limit = subset.train_limit(split)
  found = []
  for number, (key, entry) in enumerate(opened):
    classes = tuple(c for c in subset.classes if c.source_number == number)
    # Writers of test sets are not known, and nobody wrote the sample.
    has_writers = split == 'train' and not key.startswith(_UNVERIFIED)
    block = subset.sources[number].writer_block if has_writers else 1
    found.append(SplitSource(classes, entry, key, limit, block))
  return found

# SPDX-License-Identifier: Apache-2.0
"""The examples that sources give to a split: raw pixels or encoded images.

The cache keeps both kinds for each split of a source. It makes each kind when
it is first needed: raw pixels when a subset is read, encoded images when one is
built. So a build for TFDS does not pay for raw pixels, which take 784 bytes per
example and a tenth of the time. Each kind is made from the other one if the
cache has that. Origin files are read only if the cache has neither.

A source may be larger than memory, so it is read, encoded and kept in pieces.
Where files can be read group by group, the encoded images of each group are an
entry of their own until all are there: a killed process loses one group.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import google_crc32c
import numpy as np

from cmnist_tfds import origin, subsets
from cmnist_tfds.cache import store
from cmnist_tfds.formats import png
from cmnist_tfds.sources import IMAGE_SIZE, Source
from cmnist_tfds.sources.records import PAIRS
from cmnist_tfds.subsets import Subset, SubsetClass
from cmnist_tfds.system import streams
from cmnist_tfds.system.errors import OriginFileError, PreparationError
from cmnist_tfds.system.prefetch import prefetch

if TYPE_CHECKING:
  import tqdm

# Stands for all classes of a source.
ALL_CLASSES = slice(None)

# Readers may read this many bytes past the end of every PNG.
MARGIN = 32

# How many images are encoded or decoded together.
_AT_ONCE = 1024

# Work that takes less seconds shows no progress.
_QUICK = 2

# Takes the place of a missing array in checks.
_NOTHING = np.empty(0, object)


@dataclasses.dataclass(frozen=True, eq=False)
class SplitSource:
  """The examples that one source gives to a split of a subset.

  Attributes:
    classes: The classes that the subset takes from the source.
    kept: The arrays of the whole split of the source. 'labels', uint8 (n,), has
      the raw labels; uint16 if the source has any over 255. Raw pixels are in 'images', uint8 (n, 28, 28). Encoded
      images are in 'pngs', uint8, which has the PNGs one after the other and
      then `MARGIN` bytes; 'lengths', uint16 (n,), has the number of bytes of
      each PNG, and 'crcs', uint32 (n,), the CRC-32C of each PNG.
    rows: Integers (m,), the examples that the subset takes, in the order of
      the source; None for all.
    key: Identifies the arrays: equal keys mean equal arrays.
    limit: The subset takes so many examples of each class; None for all.
  """

  classes: tuple[SubsetClass, ...]
  kept: store.Kept
  rows: np.ndarray | None
  key: str
  limit: int | None = None

  def __len__(self) -> int:
    if self.rows is None:
      return len(self.kept.arrays['labels'])
    return len(self.rows)

  def take(self, array: str) -> np.ndarray:
    """Returns the rows of one array that the subset takes."""
    whole = self.kept.arrays[array]
    return whole if self.rows is None else whole[self.rows]

  def labels(self) -> np.ndarray:
    """Returns the label of each row in the subset: int64 (m,)."""
    raw_labels = [c.raw_label for c in self.classes]
    label_of = np.full(max(raw_labels) + 1, -1, np.int64)
    label_of[raw_labels] = [c.label for c in self.classes]
    return label_of[self.take('labels')]

  @property
  def proofs(self) -> dict[str, str]:
    """The proof of each origin file, by its path."""
    return dict(self.kept.note['proofs'])


@dataclasses.dataclass(frozen=True)
class SharedSource:
  """The examples that one source gives to a split, for another process.

  It is small, so that it can be sent to many processes.

  Attributes:
    classes: See `SplitSource`.
    place: Where the arrays are.
    is_whole: Whether the subset takes all examples of the source.
    key: See `SplitSource`.
    limit: See `SplitSource`.
  """

  classes: tuple[SubsetClass, ...]
  place: store.Place
  is_whole: bool
  key: str
  limit: int | None

  def open(self) -> SplitSource:
    """Returns the examples.

    Raises:
      PreparationError: If this process cannot read the arrays.
    """
    kept = store.reopen(self.place)
    rows = None
    if not self.is_whole:
      raw_labels = [c.raw_label for c in self.classes]
      rows = subsets.rows(kept.arrays['labels'], raw_labels, self.limit)
    return SplitSource(self.classes, kept, rows, self.key, self.limit)


def share(sources: Sequence[SplitSource]) -> tuple[SharedSource, ...] | None:
  """Returns what other processes need to open the examples of a split.

  Args:
    sources: The examples of each source.

  Returns:
    One record per source; None if only this process has some of the arrays.
  """
  shared = [
    SharedSource(
      _by_value(s.classes), s.kept.place, s.rows is None, s.key, s.limit
    )
    for s in sources
    if s.kept.place is not None
  ]
  return tuple(shared) if len(shared) == len(sources) else None


def _by_value(classes: tuple[SubsetClass, ...]) -> tuple[SubsetClass, ...]:
  """Returns classes of a source that is pickled with all it declares.

  A registered source is pickled as its key, which other machines may not know.
  """
  source = dataclasses.replace(classes[0].source)
  return tuple(dataclasses.replace(c, source=source) for c in classes)


def open_raw(
  subset: Subset,
  split: str,
  locations: origin.Locations,
  *,
  allow_unverified: bool,
) -> list[SplitSource]:
  """Returns the examples of each source for a split, as raw pixels.

  Args:
    subset: The subset.
    split: 'train' or 'test'.
    locations: Where origin files are looked for.
    allow_unverified: Whether to accept unverified files.

  Returns:
    One record per source, in the order of the subset.

  Raises:
    OriginFileError: If an origin file is missing or not the right one.
  """
  return _open(_keep_raw, subset, split, locations, allow_unverified)


def open_encoded(
  subset: Subset,
  split: str,
  locations: origin.Locations,
  *,
  allow_unverified: bool,
) -> list[SplitSource]:
  """Returns the examples of each source for a split, as encoded images.

  Args:
    subset: The subset.
    split: 'train' or 'test'.
    locations: Where origin files are looked for.
    allow_unverified: Whether to accept unverified files.

  Returns:
    One record per source, in the order of the subset.

  Raises:
    OriginFileError: If an origin file is missing or not the right one.
  """
  return _open(_keep_encoded, subset, split, locations, allow_unverified)


def find_raw(subset: Subset, split: str) -> list[SplitSource] | None:
  """Returns the examples of each source for a split, if the cache has them.

  Args:
    subset: The subset.
    split: 'train' or 'test'.

  Returns:
    One record per source, in the order of the subset, as raw pixels; None if
    the cache lacks a source, or has it only from unverified files.
  """
  found = []
  for source in subset.sources:
    item = _Item(source, split, _proved_key(source, split))
    kept = _find_raw(item) or _keep_decoded(item)
    if kept is None:
      return None
    found.append((item.key, kept))
  return _split_sources(subset, split, found)


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
      None
      if source.rows is None
      else hashlib.sha256(source.rows.tobytes()).hexdigest(),
    )
    for source in sources
  ]
  text = json.dumps([facts, num_examples])
  return hashlib.sha256(text.encode()).hexdigest()


@dataclasses.dataclass(frozen=True)
class _Item:
  """A split of a source with the key of its arrays, or some of its classes."""

  source: Source
  split: str
  key: str
  classes: slice = dataclasses.field(default_factory=lambda: ALL_CLASSES)

  @property
  def name(self) -> str:
    """The name of its entries in the cache."""
    hashed = hashlib.sha256(self.key.encode()).hexdigest()
    name = f'{self.source.key}-{self.split}-{hashed[:16]}'
    if self.classes != ALL_CLASSES:
      name += f'-{self.classes.start}-{self.classes.stop}'
    return name

  @property
  def class_counts(self) -> tuple[int, ...] | None:
    """How many examples of each class verified files have, where known."""
    files = self.source.splits.get(self.split)
    counts = files.class_counts if files else None
    return counts and counts[self.classes]

  @property
  def num_examples(self) -> int:
    """How many examples verified files have."""
    files = self.source.splits.get(self.split)
    if self.classes != ALL_CLASSES and self.class_counts:
      return sum(self.class_counts)
    return files.num_examples if files else 0

  @property
  def proved(self) -> bool:
    """Whether the key is that of verified files."""
    return self.key == _proved_key(self.source, self.split)


# Reads pieces of a split: those of `classes`, if given, else all.
_Read = Callable[..., Iterable[origin.SplitArrays]]


def _proved_key(source: Source, split: str) -> str:
  """Returns the key of a split of a source whose origin files were verified."""
  files = source.splits[split].files if split in source.splits else ()
  # What an extension declares may change while its files stay the same.
  declared = [source.digest] if source.digest else []
  return f'{source.key} {split}: ' + ' '.join(
    declared + [str(file.sha256 or file.md5) for file in files]
  )


def _open(
  keep: Callable[[_Item, _Read], store.Kept],
  subset: Subset,
  split: str,
  locations: origin.Locations,
  allow_unverified: bool,
) -> list[SplitSource]:
  opened = []
  for source in subset.sources:
    read: _Read = functools.partial(
      origin.load_split.load_pieces, source, split, locations
    )
    key = _proved_key(source, split)
    if allow_unverified:
      read = functools.partial(read, allow_unverified=True)
      if source.layout in PAIRS:
        # They are one piece, which is kept in memory and not read again.
        pieces = list(read())
        read = functools.partial(_held, pieces)
        del pieces
      prints, proofs = _prints_and_proofs(read())
      if origin.Proof.NONE in proofs.values():
        found = prints[0]
        if len(prints) > 1:
          found = hashlib.sha256(' '.join(prints).encode()).hexdigest()
        # What an extension declares may change while its pixels stay the same.
        declared = f'{source.digest} ' if source.digest else ''
        key = f'unverified {source.key} {split}: {declared}{found}'
        if source.layout not in PAIRS:
          read = functools.partial(_reread, read, prints)
    opened.append((key, keep(_Item(source, split, key), read)))
  return _split_sources(subset, split, opened)


def _held(pieces: list[origin.SplitArrays]) -> list[origin.SplitArrays]:
  return pieces


def _prints_and_proofs(
  pieces: Iterable[origin.SplitArrays],
) -> tuple[list[str], dict[str, origin.Proof]]:
  prints = []
  for piece in pieces:
    prints.append(_prints(piece))
    proofs = piece.proofs
  return prints, proofs


def _prints(piece: origin.SplitArrays) -> str:
  return ' '.join(map(origin.fingerprint, (piece.images, piece.labels)))


def _reread(read: _Read, prints: Sequence[str]) -> Iterator[origin.SplitArrays]:
  """Reads unverified pieces a second time, and yields those read before."""
  for number, piece in enumerate(read()):
    if prints[number : number + 1] != [_prints(piece)]:
      raise OriginFileError(
        f'{", ".join(piece.proofs)}: changed while being read. Try again.'
      )
    yield piece


def _split_sources(
  subset: Subset, split: str, kept: Sequence[tuple[str, store.Kept]]
) -> list[SplitSource]:
  limit = subset.train_limit(split)
  found = []
  for number, ((source, raw_labels), (key, arrays)) in enumerate(
    zip(subset.members, kept, strict=True)
  ):
    labels = arrays.arrays['labels']
    whole = limit is None and len(raw_labels) == len(source.class_names)
    rows = None if whole else subsets.rows(labels, raw_labels, limit)
    # A selection of all rows is None, so that equal examples have equal
    # digests.
    if rows is not None and len(rows) == len(labels):
      rows = None
    found.append(
      SplitSource(
        classes=tuple(c for c in subset.classes if c.source_number == number),
        kept=arrays,
        rows=rows,
        key=key,
        limit=limit,
      )
    )
  return found


# Raw pixels -------------------------------------------------------------------


def _find_raw(item: _Item) -> store.Kept | None:
  return store.find_kept('arrays', item.name, _check_raw(item))


def _keep_raw(item: _Item, read: _Read) -> store.Kept:
  return (
    _find_raw(item)
    or _keep_decoded(item)
    or store.keep(
      'arrays', item.name, lambda: _make_raw(item, read), _check_raw(item)
    )
  )


def _keep_decoded(item: _Item) -> store.Kept | None:
  """Makes raw pixels from encoded images, if the cache has those."""
  encoded = _find_encoded(item)
  if encoded is None:
    return None
  decode = functools.partial(_decode, item, encoded)
  try:
    return store.keep('arrays', item.name, decode, _check_raw(item))
  except PreparationError as error:
    logging.getLogger('cmnist_tfds').warning(
      'The images of %s in the cache are not used: %s',
      _description(item, 'PNG'),
      error,
    )
    return None


def _make_raw(item: _Item, read: _Read) -> store.Made:
  labels: list[np.ndarray] = []
  note: dict[str, Any] = {}

  def images() -> Iterator[np.ndarray]:
    with _progress(item, 'reading') as progress:
      for piece in _load(item, read, note):
        labels.append(piece.labels)
        yield piece.images
        progress.update(len(piece.labels))

  return store.Made(
    {'images': images(), 'labels': labels}, note, _description(item, 'pixels')
  )


def _decode(item: _Item, encoded: store.Kept) -> store.Made:
  pngs = encoded.arrays['pngs']
  ends = np.cumsum(encoded.arrays['lengths'], dtype=np.int64)
  begins = ends - encoded.arrays['lengths']

  def images() -> Iterator[np.ndarray]:
    with _progress(item, 'decoding') as progress:
      for batch in _batches(len(ends)):
        bounds = zip(begins[batch].tolist(), ends[batch].tolist(), strict=True)
        yield png.decode([pngs[begin:end].tobytes() for begin, end in bounds])
        progress.update(len(ends[batch]))

  return store.Made(
    {'images': images(), 'labels': encoded.arrays['labels']},
    encoded.note,
    _description(item, 'pixels'),
  )


def _check_raw(item: _Item) -> store.Check:
  return lambda kept: next(_raw_faults(item, kept), None)


def _raw_faults(item: _Item, kept: store.Kept) -> Iterator[str]:
  images = kept.arrays.get('images', _NOTHING)
  shape = (*images.shape[:1], IMAGE_SIZE, IMAGE_SIZE)
  if images.dtype != np.uint8 or images.shape != shape:
    yield f'expected images uint8 {shape}, found {images.dtype} {images.shape}'
  yield from _label_faults(item, kept, len(images))
  if not kept.is_trusted:
    yield from _foreign_faults(item, images, kept.arrays['labels'])


# Encoded images ---------------------------------------------------------------


def _find_encoded(item: _Item) -> store.Kept | None:
  return store.find_kept('encoded', item.name, _check_encoded(item))


def _keep_encoded(item: _Item, read: _Read) -> store.Kept:
  groups = _groups(item)
  with contextlib.ExitStack() as shown:

    def make() -> store.Made:
      progress = shown.enter_context(_progress(item, 'encoding'))
      return _make_encoded(item, groups, read, progress)

    kept = store.keep('encoded', item.name, make, _check_encoded(item))
  for group in groups:
    store.discard('encoded', group.name)
  return kept


def _groups(item: _Item) -> list[_Item]:
  """Returns the classes that are encoded one after the other; [] if all are."""
  del item
  return []


def _make_encoded(
  item: _Item, groups: Sequence[_Item], read: _Read, progress: _Progress
) -> store.Made:
  raw = _find_raw(item)
  if raw:
    whole = origin.SplitArrays(raw.arrays['images'], raw.arrays['labels'], {})
    return _encode(item, [whole], raw.note, progress)
  if groups:
    kept = [_keep_group(group, read, progress) for group in groups]
    return _join(item, kept)
  note: dict[str, Any] = {}
  return _encode(item, _load(item, read, note), note, progress)


def _keep_group(item: _Item, read: _Read, progress: _Progress) -> store.Kept:
  """Returns the encoded images of some classes."""
  note: dict[str, Any] = {}
  read = functools.partial(read, classes=item.classes)
  before = progress.n
  kept = store.keep(
    'encoded',
    item.name,
    lambda: _encode(item, _load(item, read, note), note, progress),
    _check_encoded(item),
  )
  # A process that was killed may have encoded them.
  progress.update(before + item.num_examples - progress.n)
  return kept


def _join(item: _Item, groups: list[store.Kept]) -> store.Made:
  """Joins the encoded images of all classes, and empties the list."""

  def pngs() -> Iterator[np.ndarray]:
    # A group that is written need not stay in memory.
    while groups:
      yield groups.pop(0).arrays['pngs'][:-MARGIN]
    yield np.zeros(MARGIN, np.uint8)

  proofs: dict[str, str] = {}
  for group in groups:
    proofs |= group.note['proofs']
  others = {
    name: np.concatenate([group.arrays[name] for group in groups])
    for name in ('lengths', 'crcs', 'labels')
  }
  return store.Made(
    {'pngs': pngs(), **others},
    {'key': item.key, 'proofs': proofs},
    _description(item, 'PNG'),
  )


def _encode(
  item: _Item,
  pieces: Iterable[origin.SplitArrays],
  note: Mapping[str, Any],
  progress: _Progress,
) -> store.Made:
  lengths: list[np.ndarray] = []
  crcs: list[np.ndarray] = []
  labels: list[np.ndarray] = []

  def batches() -> Iterator[np.ndarray]:
    for piece in pieces:
      labels.append(piece.labels)
      for batch in _batches(len(piece.images)):
        yield piece.images[batch]

  def encode() -> Iterator[np.ndarray]:
    # More threads would not help, because they would wait for the interpreter.
    # Several processes do help: see `cmnist build --jobs`.
    for pngs in prefetch(png.encode, batches()):
      lengths.append(np.fromiter(map(len, pngs), np.uint16, len(pngs)))
      crcs.append(
        np.fromiter(map(google_crc32c.value, pngs), np.uint32, len(pngs))
      )
      yield np.frombuffer(b''.join(pngs), np.uint8)
      progress.update(len(pngs))
    yield np.zeros(MARGIN, np.uint8)

  arrays: dict[str, store.Chunks] = {
    'pngs': encode(),
    'lengths': lengths,
    'crcs': crcs,
    'labels': labels,
  }
  return store.Made(arrays, note, _description(item, 'PNG'))


def _check_encoded(item: _Item) -> store.Check:
  return lambda kept: next(_encoded_faults(item, kept), None)


def _encoded_faults(item: _Item, kept: store.Kept) -> Iterator[str]:
  for name, dtype in (
    ('pngs', np.uint8),
    ('lengths', np.uint16),
    ('crcs', np.uint32),
  ):
    array = kept.arrays.get(name, _NOTHING)
    if array.dtype != dtype or array.ndim != 1:
      yield f'expected {name} in one dimension of {np.dtype(dtype)}'
  pngs, lengths, crcs = (kept.arrays[n] for n in ('pngs', 'lengths', 'crcs'))
  if len(pngs) != lengths.sum(dtype=np.int64) + MARGIN:
    yield 'the lengths do not add up to the bytes of the PNGs'
  if len(crcs) != len(lengths):
    yield f'expected {len(lengths):,} checksums, found {len(crcs):,}'
  yield from _label_faults(item, kept, len(lengths))
  if not kept.is_trusted:
    decoded = _decode(item, kept).arrays
    try:
      images = np.concatenate(list(decoded['images']))
    except PreparationError as error:
      yield str(error)
    else:
      yield from _foreign_faults(item, images, kept.arrays['labels'])


# Both kinds -------------------------------------------------------------------


def _load(
  item: _Item, read: _Read, note: dict[str, Any]
) -> Iterator[origin.SplitArrays]:
  """Yields pieces of the origin files, and then completes the note."""
  for piece in read():
    yield piece
    proofs = piece.proofs
  note['key'] = item.key
  note['proofs'] = {path: proof.value for path, proof in proofs.items()}


def _description(item: _Item, kind: str) -> str:
  # Hashes follow the colon.
  whole = f'{item.key.partition(":")[0]}, {kind}'
  if item.classes == ALL_CLASSES:
    return whole
  first, last = item.classes.start, item.classes.stop - 1
  return f'{whole} of classes {first} to {last}, until all are encoded'


if TYPE_CHECKING:
  _Progress = tqdm.tqdm[Any]


def _progress(item: _Item, doing: str) -> _Progress:
  """Returns a progress bar, which is shown if work takes long."""
  bar: _Progress = streams.progress_bar(
    desc=f'{item.source.key} {item.split}: {doing}',
    total=item.num_examples,
    unit=' images',
    unit_scale=True,
    delay=_QUICK,
    leave=False,
  )
  return bar


def _label_faults(
  item: _Item, kept: store.Kept, num_images: int
) -> Iterator[str]:
  """Yields the faults of the labels and the note, which both kinds have."""
  source, files = item.source, item.source.splits.get(item.split)
  labels = kept.arrays.get('labels', _NOTHING)
  if labels.dtype != source.label_dtype or labels.shape != (num_images,):
    yield f'expected {num_images:,} labels in {source.label_dtype}'
  raw_labels = list(source.raw_labels[item.classes])
  counts = np.bincount(labels, minlength=raw_labels[-1] + 1)
  if counts[raw_labels].sum() != num_images:
    yield f'expected labels of {source.title}, found others'
  proofs: Any = kept.note.get('proofs')
  if kept.note.get('key') != item.key or not isinstance(proofs, dict):
    yield f'expected {item.key}, found {kept.note.get("key")}'
  # Pictures may come from a folder, or from an archive in its place.
  if source.layout in PAIRS and proofs.keys() != {
    file.path for file in (files.files if files else ())
  }:
    yield f'expected the proofs of {item.key}, found those of others'
  known = [proof.value for proof in origin.Proof]
  if any(proof not in known for proof in proofs.values()):
    yield f'unknown proofs: {", ".join(map(str, proofs.values()))}'
  if item.proved == (origin.Proof.NONE.value in proofs.values()):
    yield f'expected the proofs of {item.key}, found others'
  if item.proved:
    if num_images != item.num_examples:
      yield f'expected {item.num_examples:,} examples, found {num_images:,}'
    found = tuple(counts[raw_labels].tolist())
    if item.class_counts not in (None, found):
      yield f'expected {item.class_counts} examples of classes, found {found}'
  # Only pairs of files have fingerprints of all images and labels.
  if not kept.is_trusted and source.layout not in PAIRS:
    yield 'it belongs to another user, and no fingerprint proves it'


def _foreign_faults(
  item: _Item, images: np.ndarray, labels: np.ndarray
) -> Iterator[str]:
  """Yields why arrays of another user are not those of the key."""
  files = item.source.splits[item.split]
  if not item.proved:
    known = item.key.split()[-2:]
  else:
    known = [
      (file and file.fingerprint) or '' for file in (files.images, files.labels)
    ]
    # Fingerprints are those of arrays as they are in the files.
    if item.source.steps == ('transpose',):
      images = images.transpose(0, 2, 1)
  if known != list(map(origin.fingerprint, (images, labels))):
    yield 'it belongs to another user, and no fingerprint proves it'


def _batches(count: int) -> Iterator[slice]:
  # The cache needs at least one batch of each array, even if it is empty.
  for start in range(0, max(count, 1), _AT_ONCE):
    yield slice(start, start + _AT_ONCE)

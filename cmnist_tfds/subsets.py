# SPDX-License-Identifier: Apache-2.0
"""The subsets of CMNIST: names, classes, rows, and the rule for combinations.

    CMNIST-3-EElKm-r-10
           | |      `-- only the first 10 training examples of each class
           | `--------- keys of the sources, letters before digits
           `----------- number of sources

A combination is valid if no class name occurs in two of its sources (section 3
of the paper). CMNIST-X mixes some classes of several sources, which the
published generator lists. Its name gives its number of classes.

Names of the eleven sources of the paper need nothing else. A name with another
key makes `sources.registry` look for extensions.
"""

from __future__ import annotations

import collections
import dataclasses
import difflib
import functools
import itertools
import re
import reprlib
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cmnist_tfds import sources as sources_lib
from cmnist_tfds.sources import Source, registry
from cmnist_tfds.system.errors import SubsetNameError

if TYPE_CHECKING:
  import numpy as np

# Training examples of each class in the reduced subsets of the paper.
REDUCED_SIZES = (1, 5, 10, 50, 100)

# The paper's reference dataset.
DEFAULT = 'X-12'

# Version of the prepared datasets. Raise it when examples or their order
# change.
VERSION = '1.0.0'

# Year, month and day of the paper.
PUBLISHED = (2019, 9, 24)

HOMEPAGE = 'https://github.com/swenkel/cmnist'

CITATION = """\
@misc{wenkel2019cmnist,
  title = {Concatenated {MNIST} ({CMNIST}): Making 784 pixels challenging
           again},
  author = {Wenkel, S.},
  year = {2019},
  howpublished = {\\url{https://github.com/swenkel/cmnist}},
}"""

_NAME = re.compile(
  r'(?:cmnist[-/])?(?P<base>.*?)(?:-r-(?P<per_class>.*))?',
  re.DOTALL | re.IGNORECASE,
)
_BASE = re.compile(r'(?P<count>[0-9]{1,4}|x)-(?P<keys>[^-]+)', re.IGNORECASE)
# No class has a billion examples, and a folder's name may not be too long.
_PER_CLASS = re.compile('0*[1-9][0-9]{0,8}')


@dataclasses.dataclass(frozen=True)
class SubsetClass:
  """One class of a subset.

  Attributes:
    label: Its number in the subset, from 0 without gaps.
    name: Its name; unique in the subset.
    source: The source it comes from.
    source_number: Position of that source in the subset, from 0.
    raw_label: Its number in the source's files.
    train: Number of its training examples in the subset; None if the counts of
      the source are not known before its files are read.
    test: Number of its test examples; None for the same reason.
  """

  label: int
  name: str
  source: Source
  source_number: int
  raw_label: int
  train: int | None
  test: int | None

  def __repr__(self) -> str:
    name = reprlib.repr(self.name)
    return f'<SubsetClass {self.label}: {name}, {self.raw_label} in {self.source.key}>'


@dataclasses.dataclass(frozen=True)
class Subset:
  """One subset of CMNIST.

  Attributes:
    name: Canonical name, without the prefix `CMNIST-`.
    members: The sources in order, each with the raw labels that the subset
      takes from it, in order.
    per_class: How many training examples of each class it keeps; None for all.
  """

  name: str
  members: tuple[tuple[Source, tuple[int, ...]], ...]
  per_class: int | None = None

  def __repr__(self) -> str:
    train, test = (
      '?' if n is None else f'{n:,}' for n in (self.num_train, self.num_test)
    )
    sizes = f'{self.num_classes} classes, {train} train, {test} test'
    return textwrap.shorten(
      f'<Subset {self.name}: {sizes}>', 80, placeholder=' ...>'
    )

  def __reduce__(self) -> tuple[Any, ...]:
    # There is one record of each subset in a process.
    return subset, (self.name,)

  @property
  def title(self) -> str:
    """The name as the paper writes it."""
    return f'CMNIST-{self.name}'

  @property
  def sources(self) -> tuple[Source, ...]:
    """The sources, in order."""
    return tuple(source for source, _ in self.members)

  @functools.cached_property
  def classes(self) -> tuple[SubsetClass, ...]:
    """The classes, by ascending label."""
    taken = (
      (number, source, raw)
      for number, (source, raw_labels) in enumerate(self.members)
      for raw in raw_labels
    )
    return tuple(
      SubsetClass(
        label=label,
        name=source.class_names[source.class_numbers[raw]],
        source=source,
        source_number=number,
        raw_label=raw,
        train=_count(source, 'train', raw, self.per_class),
        test=_count(source, 'test', raw),
      )
      for label, (number, source, raw) in enumerate(taken)
    )

  @property
  def balanced(self) -> bool:
    """Whether all classes are known to have equally many training examples."""
    counts = {c.train for c in self.classes}
    return len(counts) == 1 and None not in counts

  @property
  def imbalance(self) -> float | None:
    """How many times the smallest class fits the largest, in train.

    To two decimals; None if a class has no training examples, or nobody knows
    how many.
    """
    counts = [c.train or 0 for c in self.classes]
    return round(max(counts) / min(counts), 2) if min(counts) else None

  @property
  def class_names(self) -> tuple[str, ...]:
    """The name of each class, by label."""
    return tuple(c.name for c in self.classes)

  @property
  def num_classes(self) -> int:
    """The number of classes."""
    return sum(len(raw_labels) for _, raw_labels in self.members)

  @property
  def num_train(self) -> int | None:
    """Number of training examples; None if only the files tell."""
    return self._num_examples('train')

  @property
  def num_test(self) -> int | None:
    """Number of test examples; None if only the files tell."""
    return self._num_examples('test')

  @property
  def description(self) -> str:
    """One sentence with the sources, the number of classes and the sizes."""
    parts = ' + '.join(f'{s.key} ({s.title})' for s in self.sources)
    kept = (
      f', the first {self.per_class:,} training examples of each class'
      if self.per_class
      else ''
    )
    train, test = (
      'an unknown number of' if n is None else f'{n:,}'
      for n in (self.num_train, self.num_test)
    )
    return (
      f'{self.title}: {parts}; {self.num_classes} classes{kept};'
      f' {train} train, {test} test.'
    )

  @property
  def declarations(self) -> dict[str, str]:
    """The digest of what each extension among the sources declares, by key."""
    return {s.key: s.digest for s in self.sources if s.digest}

  def is_described_by(self, metadata: Mapping[str, Any]) -> bool:
    """Returns whether the metadata of a dataset are of these declarations.

    Args:
      metadata: What the builder wrote. Metadata of other builders, which list
        no sources, are taken to be right.
    """
    rows = metadata.get('sources')
    return rows is None or self.declarations == {
      row['key']: row['declaration'] for row in rows if row.get('declaration')
    }

  @property
  def citation(self) -> str:
    """BibTeX of CMNIST and of the sources, each entry once."""
    return citations(self.sources)

  @property
  def license(self) -> str:
    """The licenses of the sources."""
    return '; '.join(f'{s.title}: {s.license}' for s in self.sources)

  def train_limit(self, split: str) -> int | None:
    """Returns how many examples of each class a split keeps; None for all.

    Reduced subsets keep fewer training examples. The test set stays whole.

    Args:
      split: 'train' or 'test'.
    """
    return self.per_class if split == 'train' else None

  @property
  def full(self) -> Subset:
    """The subset with all training examples."""
    return (
      self if self.per_class is None else subset(self.name.partition('-r-')[0])
    )

  def _num_examples(self, split: str) -> int | None:
    if self.train_limit(split):
      return _total(c.train for c in self.classes)
    # The total of a source is known even if the counts of its classes are not.
    return _total(
      source.splits[split].num_examples
      if split in source.splits and len(raw_labels) == len(source.class_names)
      else _total(_count(source, split, raw) for raw in raw_labels)
      for source, raw_labels in self.members
    )


def _count(
  source: Source, split: str, raw_label: int, limit: int | None = None
) -> int | None:
  """Returns how many examples of a class a split has; None if not known."""
  if split not in source.splits:
    return 0
  counts = source.splits[split].class_counts
  if counts is None:
    enough = limit is not None and limit <= source.min_train_per_class
    return limit if enough else None
  count = counts[source.class_numbers[raw_label]]
  return count if limit is None else min(count, limit)


def _total(counts: Iterable[int | None]) -> int | None:
  counts = list(counts)
  known = [count for count in counts if count is not None]
  return sum(known) if len(known) == len(counts) else None


def rows(
  labels: np.ndarray, raw_labels: Sequence[int], limit: int | None
) -> np.ndarray:
  """Returns the rows of one split of a source that a subset takes.

  Args:
    labels: (n,) raw labels, in the order of the file.
    raw_labels: The classes that are taken.
    limit: How many examples of each class are taken, counted from the start of
      the file; None for all.

  Returns:
    (m,) int64, the rows in ascending order, which is the order of the file.
  """
  import numpy as np

  if limit is None:
    # Comparing the range of the labels is much faster than comparing each
    # label, and it suffices if the subset takes the whole source.
    if labels.size and set(raw_labels) >= set(
      range(labels.min(), labels.max() + 1)
    ):
      return np.arange(len(labels), dtype=np.int64)
    return np.flatnonzero(np.isin(labels, raw_labels))
  # The rank of an example among those of its class follows from a stable sort.
  order = np.argsort(labels, kind='stable')
  counts = np.bincount(labels, minlength=max(raw_labels) + 1)
  begins = np.cumsum(counts) - counts
  rank = np.arange(len(labels)) - np.repeat(begins, counts)
  taken = np.zeros(len(counts), bool)
  taken[list(raw_labels)] = True
  return np.sort(order[(rank < limit) & np.repeat(taken, counts)])


def citations(cited: Iterable[Source]) -> str:
  """Returns BibTeX of CMNIST and of the sources, each entry once."""
  return '\n\n'.join(dict.fromkeys([CITATION, *(s.citation for s in cited)]))


def collisions(combined: Iterable[Source]) -> str:
  """Says which class names occur in two or more of the sources.

  Args:
    combined: The sources of a combination.

  Returns:
    A phrase with the names and the sources. Names are compared in Unicode's
    form NFC. It is empty for a valid combination.
  """
  holders = collections.defaultdict(list)
  for source in combined:
    for name in source.class_names:
      holders[unicodedata.normalize('NFC', name)].append(source)
  names_by_sources = collections.defaultdict(list)
  for name, held in holders.items():
    if len(held) > 1:
      names_by_sources[tuple(held)].append(name)
  return '; '.join(
    f'{textwrap.shorten(" ".join(names), 400, placeholder=" ...")}'
    f' {"are" if len(names) > 1 else "is"} in'
    f' {" and ".join(f"{s.key} ({s.title})" for s in held_by)}'
    for held_by, names in names_by_sources.items()
  )


def combine(combined: Sequence[Source]) -> Subset:
  """Returns the subset that concatenates whole sources."""
  return _combine(tuple(combined))


# These are cached, since there is one record of each subset in a process.
@functools.cache
def _combine(combined: tuple[Source, ...]) -> Subset:
  return Subset(
    name=f'{len(combined)}-{_joined(combined)}',
    members=tuple((s, tuple(s.raw_labels)) for s in combined),
  )


@functools.cache
def mix(num_classes: int) -> Subset:
  """Returns CMNIST-X with the classes that the sources list for this size."""
  return Subset(
    name=f'X-{num_classes}',
    members=tuple(
      (s, s.mix_labels[num_classes])
      for s in sources_lib.SOURCES
      if num_classes in s.mix_labels
    ),
  )


@functools.cache
def reduce(full: Subset, per_class: int) -> Subset:
  """Returns the subset with the first training examples of each class only."""
  return dataclasses.replace(
    full, name=f'{full.name}-r-{per_class}', per_class=per_class
  )


def combinations(
  available: Sequence[Source] = sources_lib.SOURCES,
) -> Iterator[Subset]:
  """Yields each valid combination of two or more sources, small ones first."""
  for count in range(2, len(available) + 1):
    for combined in itertools.combinations(available, count):
      if not collisions(combined):
        yield combine(combined)


def _mix_sizes() -> list[int]:
  return sorted({n for s in sources_lib.SOURCES for n in s.mix_labels})


@functools.cache
def published() -> tuple[Subset, ...]:
  """Returns the 134 subsets of the paper, in its order."""
  return (*combinations(), *map(mix, _mix_sizes()))


@functools.cache
def declared() -> tuple[Subset, ...]:
  """Returns the 134 subsets and then their 670 reduced forms in the paper."""
  return published() + tuple(
    reduce(full, per_class)
    for full in published()
    for per_class in REDUCED_SIZES
  )


def subset(name: str) -> Subset:
  """Returns the subset that a name stands for.

  A name may have the prefix `CMNIST-` or `cmnist/`, and any letter case. It may
  have `EI` for `El`, because scanned copies of the paper print it so. Every
  spelling gives the same record. Single sources (`1-Km`), reduced forms of any
  size (`2-FKd-r-7`) and combinations with extensions (`2-FMn`) are subsets too.

  Args:
    name: A name such as '3-EElKm', 'X-24' or '2-FKd-r-10'.

  Returns:
    The subset; the same object for all spellings of one name.

  Raises:
    SubsetNameError: If there is no such subset. The message says why, and
      suggests a name.
  """
  match = _NAME.fullmatch(name.strip())
  assert match is not None, 'the pattern matches every string'
  number = match['per_class']
  full = _full(name, match['base'])
  if full.declarations:
    registry.warn_of_faults()
  if number is None:
    return full
  if not _PER_CLASS.fullmatch(number):
    raise _no_subset(
      name,
      '-r-N keeps the first N training examples of each class, N a whole'
      f' number of at least 1 and at most nine digits, not {number!r}',
    )
  return reduce(full, int(number))


def _full(name: str, base: str) -> Subset:
  """Returns the subset that a name without prefix and `-r-N` stands for."""
  match = _BASE.fullmatch(base)
  if match is None:
    raise _no_subset(
      name,
      'a name is <number of sources>-<their keys>, X-12 or X-24, then'
      ' optionally -r-<training examples a class>',
    )
  count, keys = match['count'], match['keys']
  if count in 'xX':
    if keys not in map(str, _mix_sizes()):
      sizes = ' or '.join(map(str, _mix_sizes()))
      raise _no_subset(name, f'CMNIST-X has {sizes} classes, not {keys}')
    return mix(int(keys))
  known = sources_lib.SOURCES
  readings = _read(_folded(keys), known)
  # Extensions are looked for only if they can make a difference.
  if not any(_joined(reading) == keys for reading in readings):
    known = (*known, *registry.extensions())
    readings = _read(_folded(keys), known)
  exact = [reading for reading in readings if _joined(reading) == keys]
  faults = {r: _fault(r, int(count)) for r in exact or readings}
  valid = [combine(reading) for reading, wrong in faults.items() if not wrong]
  if len(valid) == 1:
    return valid[0]
  if valid:
    ways = (f'{s.name} ({" + ".join(t.key for t in s.sources)})' for s in valid)
    raise _no_subset(
      name,
      f'it can be read as {" and as ".join(ways)}; write keys in their own'
      ' letter case',
    )
  for wrong in faults.values():
    if wrong:
      raise _no_subset(name, *wrong)
  raise _no_subset(
    name,
    f'it is not made of the keys of sources: {" ".join(s.key for s in known)}.'
    f' {registry.SOURCES_VARIABLE} or --sources names the declaration of'
    ' another source',
  )


def _joined(combined: Iterable[Source]) -> str:
  return ''.join(source.key for source in combined)


def _read(keys: str, known: Sequence[Source]) -> list[tuple[Source, ...]]:
  """Returns the ways to read folded keys, in whatever order."""
  readings: list[list[tuple[Source, ...]]] = [[()]]
  for end in range(1, len(keys) + 1):
    readings.append(
      [
        (*before, source)
        for source in known
        if keys[:end].endswith(_folded(source.key))
        for before in readings[end - len(source.key)]
      ]
    )
  return readings[-1]


def _folded(key: str) -> str:
  # Scanned copies of the paper print the l of a key as a capital i.
  return key.casefold().replace('i', 'l')


def _fault(combined: Sequence[Source], count: int) -> tuple[str, str] | None:
  """Returns why sources are not combined so, and what was likely meant."""
  ordered = sorted(
    set(combined), key=lambda s: [(c.isdigit(), c) for c in s.key]
  )
  if collided := collisions(ordered):
    return f'class names may not occur twice, and {collided}', ''
  meant = combine(ordered).name
  if len(ordered) < len(combined):
    return 'a source is named twice', meant
  if ordered != list(combined):
    order = ' '.join(s.key for s in ordered)
    return f'keys are out of order, which is {order}', meant
  if count != len(combined):
    return f'it says {count} sources and names {len(combined)}', meant
  return None


def _no_subset(name: str, why: str, meant: str = '') -> SubsetNameError:
  """Returns the error that says why, and suggests names."""
  suggested = [meant]
  if not meant:
    singles = [combine([source]) for source in sources_lib.SOURCES]
    names = {_letters(s.name): s.name for s in (*declared(), *singles)}
    close = difflib.get_close_matches(_letters(name), names)
    suggested = [names[letters] for letters in close]
  elif _PER_CLASS.fullmatch(number := name.partition('-r-')[2]):
    suggested = [f'{meant}-r-{int(number)}']
  hint = f' Did you mean {", ".join(suggested)}?' if suggested else ''
  # The key may be that of a declaration that cannot be used.
  faults = ''.join(
    f' A declaration is wrong: {fault}' for fault in registry.registry().faults
  )
  return SubsetNameError(
    f'{name!r} is not a CMNIST subset: {why}.{hint} `cmnist list` shows all.'
    f'{faults}'
  )


def _letters(text: str) -> str:
  """Returns the letters and digits of a name, without what tells spellings."""
  plain = _folded(unicodedata.normalize('NFKC', text))
  return re.sub('[^a-z0-9]', '', plain).removeprefix('cmnlst')

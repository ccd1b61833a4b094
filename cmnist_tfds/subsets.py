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
# No class has a billion examples, and a folder's name may not be too long.
_PER_CLASS = re.compile('0*[1-9][0-9]{0,8}')
_DIGITS = '0123456789'

# How many names an error suggests.
_SUGGESTED = 3
_BASE = re.compile(r'(?P<count>[0-9]+|x)-(?P<keys>[^-]+)', re.IGNORECASE)

# A key begins with the only capital letter in it.
_KEY = re.compile('[A-Z][a-z0-9]*')

# Readings of a spelling that are looked at, and class names that are listed.
_MOST_READINGS = 1000
_MOST_LISTED = 60


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
    train, test = ('?' if n is None else f'{n:,}' for n in self._sizes)
    return textwrap.shorten(
      f'<Subset {self.name}: {self.num_classes} classes, {train} train, {test}'
      ' test>',
      80,
      placeholder=' ...>',
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
        train=self._train_count(source, raw),
        test=_class_count(source, 'test', raw),
      )
      for label, (number, source, raw) in enumerate(taken)
    )

  @property
  def balanced(self) -> bool:
    """Whether all classes are known to have equally many training examples."""
    counts = {c.train for c in self.classes}
    return len(counts) == 1 and None not in counts

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
    if self.per_class is None:
      return self._num_examples('train')
    return _total(
      # No class has fewer examples, so their exact counts do not matter.
      self.per_class * len(raw_labels)
      if self.per_class <= source.min_train_per_class
      else _total(self._train_count(source, raw) for raw in raw_labels)
      for source, raw_labels in self.members
    )

  @property
  def num_test(self) -> int | None:
    """Number of test examples; None if only the files tell."""
    return self._num_examples('test')

  @property
  def _sizes(self) -> tuple[int | None, int | None]:
    return self.num_train, self.num_test

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
      'an unknown number of' if n is None else f'{n:,}' for n in self._sizes
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
    """The licences of the sources."""
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

  def _train_count(self, source: Source, raw_label: int) -> int | None:
    count = _class_count(source, 'train', raw_label)
    if self.per_class is None:
      return count
    if count is None:
      return (
        self.per_class if self.per_class <= source.min_train_per_class else None
      )
    return min(count, self.per_class)

  def _num_examples(self, split: str) -> int | None:
    # The total of a source is known even if the counts of its classes are not.
    return _total(
      source.splits[split].num_examples
      if split in source.splits and len(raw_labels) == len(source.class_names)
      else _total(_class_count(source, split, raw) for raw in raw_labels)
      for source, raw_labels in self.members
    )


def _class_count(source: Source, split: str, raw_label: int) -> int | None:
  if split not in source.splits:
    return 0
  counts = source.splits[split].class_counts
  return counts[source.class_numbers[raw_label]] if counts else None


def _total(counts: Iterable[int | None]) -> int | None:
  total = 0
  for count in counts:
    if count is None:
      return None
    total += count
  return total


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


def _place(source: Source) -> list[tuple[bool, str]]:
  """Returns what keys are sorted by in a name: letters before digits."""
  return [(character.isdigit(), character) for character in source.key]


def shared_class_names(combined: Sequence[Source]) -> dict[str, list[Source]]:
  """Returns the class names that occur in two or more of the sources.

  Args:
    combined: The sources of a combination.

  Returns:
    The sources of each such name, in Unicode's form NFC, in which names are
    compared; empty for a valid combination.
  """
  holders = collections.defaultdict(list)
  for source in combined:
    for name in source.class_names:
      holders[unicodedata.normalize('NFC', name)].append(source)
  return {name: held for name, held in holders.items() if len(held) > 1}


def combine(combined: Sequence[Source]) -> Subset:
  """Returns the subset that concatenates whole sources."""
  keys = ''.join(source.key for source in combined)
  return Subset(
    name=f'{len(combined)}-{keys}',
    members=tuple((s, tuple(s.raw_labels)) for s in combined),
  )


def mix(
  num_classes: int, available: Sequence[Source] = sources_lib.SOURCES
) -> Subset:
  """Returns CMNIST-X with the classes that the sources list for this size."""
  return Subset(
    name=f'X-{num_classes}',
    members=tuple(
      (s, s.mix_labels[num_classes])
      for s in available
      if num_classes in s.mix_labels
    ),
  )


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
      if not shared_class_names(combined):
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


@functools.cache
def _declared_by_name() -> dict[str, Subset]:
  return {s.name: s for s in declared()}


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
  if name in _declared_by_name():
    return _declared_by_name()[name]
  match = _match(name)
  base = _BASE.fullmatch(match['base'])
  # Extensions are looked for only if they can make a difference.
  if base and _exact(base['keys'], sources_lib.SOURCES):
    return _resolve(name, sources_lib.SOURCES)
  found = _resolve(name, (*sources_lib.SOURCES, *registry.extensions()))
  # The error of a name that is wrong tells the faults itself.
  registry.warn_of_faults()
  return found


def _match(name: str) -> re.Match[str]:
  match = _NAME.fullmatch(name.strip())
  assert match is not None, 'the pattern matches every string'
  return match


@functools.lru_cache(maxsize=4096)
def _resolve(name: str, known: tuple[Source, ...]) -> Subset:
  """Returns the subset that a name stands for, among the known sources."""
  match = _match(name)
  full = _full(name, match['base'], known)
  if match['per_class'] is None:
    found = full
  else:
    found = reduce(full, _per_class(name, full, match['per_class']))
  # The canonical name gives the one record, so every spelling does.
  return found if found.name == name else subset(found.name)


def _full(name: str, base: str, known: tuple[Source, ...]) -> Subset:
  """Returns the subset that a name without `-r-N` stands for.

  Args:
    name: The name as the user wrote it, for messages.
    base: The name without prefix and `-r-N`.
    known: The sources that names may have keys of.

  Returns:
    The subset.

  Raises:
    SubsetNameError: If there is no such subset.
  """
  match = _BASE.fullmatch(base)
  if match is None:
    raise _no_subset(
      name,
      'a name is <number of sources>-<their keys>, X-12 or X-24, then'
      ' optionally -r-<training examples a class>',
      _guess(name, known),
    )
  if match['count'].casefold() == 'x':
    return _named_mix(name, match['keys'])
  exact = _exact(match['keys'], known)
  readings = _readings(match['keys'], known)
  if not readings:
    raise _no_subset(
      name,
      'it is not made of the keys of sources:'
      f' {" ".join(s.key for s in known)}',
      _guess(name, known),
    )
  valid: dict[str, Subset] = {}
  faults = []
  for reading in [*([exact] if exact else []), *readings]:
    try:
      found = _combination(name, match['count'], reading)
    except SubsetNameError as error:
      faults.append(error)
      continue
    if reading is exact:
      return found
    valid[found.name] = found
  if len(valid) > 1:
    first, second, *_ = (
      f'{n} ({" + ".join(s.key for s in s.sources)})' for n, s in valid.items()
    )
    raise _no_subset(
      name,
      f'it can be read as {first} and as {second}; write keys in their own'
      ' letter case',
      list(valid),
    )
  if not valid:
    raise faults[0]
  return valid.popitem()[1]


def _named_mix(name: str, size: str) -> Subset:
  """Returns the mix with the number of classes that a name gives."""
  size = size.casefold()
  if size not in map(str, _mix_sizes()):
    sizes = ' or '.join(map(str, _mix_sizes()))
    mixes = [f'X-{n}' for n in _mix_sizes()]
    raise _no_subset(
      name,
      f'CMNIST-X has {sizes} classes, not {size}',
      list(dict.fromkeys([*_close_names(name), *mixes]))[:_SUGGESTED],
    )
  return mix(int(size))


def _combination(name: str, count: str, combined: list[Source]) -> Subset:
  """Returns the combination of some sources, if they may be combined so."""
  ordered = sorted(set(combined), key=_place)
  collisions = shared_class_names(ordered)
  if collisions:
    raise _no_subset(name, _say_collisions(collisions), _close_names(name))
  meant = combine(ordered)
  if len(ordered) < len(combined):
    raise _no_subset(name, 'a source is named twice', [meant.name])
  if ordered != combined:
    order = ' '.join(s.key for s in ordered)
    raise _no_subset(
      name, f'keys are out of order, which is {order}', [meant.name]
    )
  # `int` fails on more than 4,300 digits, and nine are enough.
  if int(count[-9:]) != len(combined):
    raise _no_subset(
      name,
      f'it says {count} sources and names {len(combined)}',
      list(dict.fromkeys([meant.name, *_close_names(name)]))[:_SUGGESTED],
    )
  return meant


def _per_class(name: str, full: Subset, text: str) -> int:
  """Returns the N of `-r-N`."""
  if not _PER_CLASS.fullmatch(text):
    _, digits = _split_reduction(name)
    raise _no_subset(
      name,
      '-r-N keeps the first N training examples of each class, N a whole'
      f' number of at least 1 and at most nine digits, not {text!r}',
      [full.name]
      if digits
      else [f'{full.name}-r-{n}' for n in REDUCED_SIZES[:3]],
    )
  return int(text)


def _exact(keys: str, known: Sequence[Source]) -> list[Source] | None:
  """Returns the sources of keys in their own letter case; None if it is not."""
  by_key = {s.key: s for s in known}
  found = _KEY.findall(keys)
  if ''.join(found) != keys or not by_key.keys() >= set(found):
    return None
  return [by_key[key] for key in found]


@functools.lru_cache(maxsize=8)
def _keys_by_spelling(known: tuple[Source, ...]) -> dict[str, list[Source]]:
  spellings: dict[str, list[Source]] = collections.defaultdict(list)
  for source in known:
    key = source.key.casefold()
    # Scanned copies of the paper print the l of a key as a capital i.
    for spelling in dict.fromkeys((key, key.replace('l', 'i'))):
      spellings[spelling].append(source)
  return spellings


def _readings(keys: str, known: tuple[Source, ...]) -> list[list[Source]]:
  """Returns the ways to read keys in any letter case, long keys first."""
  spellings = _keys_by_spelling(known)
  longest_first = sorted(spellings, key=len, reverse=True)
  folded = keys.casefold()
  # Where no reading begins that reaches the end; without this, many ways to
  # read the beginning would all be tried.
  dead: set[int] = set()

  def read(start: int) -> Iterator[list[Source]]:
    if start == len(folded):
      yield []
      return
    found = False
    for spelling in longest_first:
      if folded.startswith(spelling, start):
        end = start + len(spelling)
        for rest in read(end) if end not in dead else ():
          found = True
          for source in spellings[spelling]:
            yield [source, *rest]
    if not found:
      dead.add(start)

  # No name has more keys than there are sources.
  if len(folded) > sum(len(s.key) for s in known):
    return []
  return list(itertools.islice(read(0), _MOST_READINGS))


def _say_collisions(collisions: dict[str, list[Source]]) -> str:
  """Returns a phrase that says which class names occur in which sources."""
  names_by_sources = collections.defaultdict(list)
  for name, holders in collisions.items():
    names_by_sources[tuple(holders)].append(name)
  return 'class names may not occur twice, and ' + '; '.join(
    f'{_list(names)} {"are" if len(names) > 1 else "is"} in '
    + ' and '.join(f'{s.key} ({s.title})' for s in holders)
    for holders, names in names_by_sources.items()
  )


def _list(names: Sequence[str]) -> str:
  more = len(names) - _MOST_LISTED
  return ' '.join(names[:_MOST_LISTED]) + (
    f' and {more:,} more' if more > 0 else ''
  )


def _guess(name: str, known: tuple[Source, ...]) -> list[str]:
  """Returns names of full subsets that a user may have meant."""
  text, _ = _split_reduction(name)
  return (
    _same_letters(text, known) or _close_names(text) or _close_keys(name, known)
  )


def _close_keys(name: str, known: tuple[Source, ...]) -> list[str]:
  """Returns names with other keys in place of one that no source has."""
  by_key = {source.key: source for source in known}
  keys = _KEY.findall(_match(name)['base'])
  unknown = [key for key in keys if key not in by_key]
  if len(unknown) != 1:
    return []
  kept = {by_key[key] for key in keys if key in by_key}
  close = difflib.get_close_matches(unknown[0], by_key, cutoff=0.5)
  meant = [sorted({*kept, by_key[key]}, key=_place) for key in close]
  return [combine(m).name for m in meant if not shared_class_names(m)]


def _split_reduction(name: str) -> tuple[str, str]:
  """Returns the parts of a name before and after an `-r-` of any spelling.

  Args:
    name: The name, as '2-FKd-r10', '2_FKd_10' or '2-FKd'.

  Returns:
    The case-folded name of the full subset, and the digits of the N of `-r-N`;
    no digits if there are none that give an N.
  """
  # Full-width letters and the like become plain ones.
  text = unicodedata.normalize('NFKC', name).casefold().strip()
  text = text.removeprefix('cmnist')
  known = (*sources_lib.SOURCES, *registry.extensions())
  if _same_letters(text, known):
    return text, ''
  full, _, tail = text.rpartition('r')
  digits = re.sub('[^0-9]', '', tail)
  if full:
    return full, digits if _PER_CLASS.fullmatch(digits) else ''
  match = re.fullmatch(f'(.+?)[^a-z0-9]*({_PER_CLASS.pattern})', text)
  # With extensions, too many letters before a K49 would have such a reading.
  if match and _same_letters(match[1], sources_lib.SOURCES):
    return match[1], match[2]
  return text, ''


def _same_letters(text: str, known: tuple[Source, ...]) -> list[str]:
  """Returns the name of the subset that has the keys in a text, if any."""
  letters = _letters(text)
  for size in _mix_sizes():
    if letters == f'x{size}':
      return [f'X-{size}']
  for reading in _readings(letters.lstrip(_DIGITS), known):
    meant = sorted(set(reading), key=_place)
    if meant and not shared_class_names(meant):
      return [combine(meant).name]
  return []


def _close_names(text: str) -> list[str]:
  """Returns the names of the subsets that are most like a text."""
  text, _ = _split_reduction(text)
  # Scanned copies of the paper print l as a capital i.
  typed = _letters(text).replace('i', 'l')
  singles = [combine([source]) for source in sources_lib.SOURCES]
  names = [s.name for s in (*published(), *singles)]
  # Many leave the number of sources out.
  skipped = '' if typed[:1] in _DIGITS else _DIGITS
  by_letters = {_letters(name).lstrip(skipped): name for name in names}
  close = difflib.get_close_matches(typed, by_letters, n=_SUGGESTED)
  return [by_letters[letters] for letters in close]


def _letters(text: str) -> str:
  """Returns the letters and digits of a text, case-folded."""
  return re.sub('[^a-z0-9]', '', text.casefold())


def _no_subset(name: str, why: str, meant: Sequence[str]) -> SubsetNameError:
  """Returns the error that says why, and suggests names of full subsets."""
  _, per_class = _split_reduction(name)
  if per_class:
    meant = [f'{full}-r-{int(per_class)}' for full in meant]
  hint = f' Did you mean {", ".join(meant)}?' if meant else ''
  # The key may be that of a declaration that cannot be used.
  faults = ''.join(f'\nA declaration is wrong: {f}' for f in registry.faults())
  return SubsetNameError(
    f'{name!r} is no CMNIST subset: {why}.{hint} `cmnist list` shows all.'
    f'{faults}'
  )

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

import dataclasses
import difflib
import functools
import itertools
import math
import re
import sys
import textwrap
import types
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cmnist_tfds import sources as sources_lib
from cmnist_tfds.sources import Source, licenses, registry
from cmnist_tfds.system.errors import SubsetNameError, counted

if TYPE_CHECKING:
  import numpy as np

# Training examples of each class in the reduced subsets of the paper.
REDUCED_SIZES = (1, 5, 10, 50, 100)

# The paper's reference dataset.
DEFAULT = 'X-12'

# The names of the datasets.
DATASET = 'cmnist'
SAMPLE = 'cmnist_sample'

# Version of the prepared datasets. Raise it when examples or their order
# change.
VERSION = '1.0.0'

# The date of the paper.
PUBLISHED = '2019-09-24'

AUTHOR = 'S. Wenkel'
HOMEPAGE = 'https://github.com/swenkel/cmnist'

CITATION = """\
@misc{wenkel2019cmnist,
  title = {Concatenated {MNIST} ({CMNIST}): Making 784 pixels challenging
           again},
  author = {Wenkel, S.},
  year = {2019},
  howpublished = {\\url{https://github.com/swenkel/cmnist}},
}"""

# No class has a billion examples, and a folder's name may not be too long.
_NAME = re.compile(
  '(?:cmnist(?:-|(?:_sample)?/))?(?:x-(12|24)|([0-9]{1,4})-([^-]{1,99}))'
  '(?:-r-0*([1-9][0-9]{0,8}))?',
  re.IGNORECASE,
)


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
    sizes = self._sizes(unknown='?')
    return f'<Subset {self.name}: {self.num_classes} classes, {sizes}>'

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
    labels = itertools.count()
    return tuple(
      SubsetClass(
        label=next(labels),
        name=source.class_names[source.class_numbers[raw]],
        source=source,
        source_number=number,
        raw_label=raw,
        train=_counts(source, raw_labels, 'train', self.per_class)[raw],
        test=_counts(source, raw_labels, 'test', None)[raw],
      )
      for number, (source, raw_labels) in enumerate(self.members)
      for raw in raw_labels
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
  def mean(self) -> float | None:
    """Mean of the training pixels divided by 255, to normalize images with.

    It is exact, and of all training examples for reduced subsets too. It is
    None if only the files tell, and the cache does not have them.
    """
    return self._normalization()[0]

  @property
  def std(self) -> float | None:
    """Standard deviation of the same pixels; None where the mean is."""
    return self._normalization()[1]

  def _normalization(self) -> tuple[float | None, float | None]:
    # The cache, which has pixels, is above this module. The package knows it.
    package: Any = sys.modules['cmnist_tfds']
    return package.normalization(self)

  @property
  def description(self) -> str:
    """One sentence with the sources, the number of classes and the sizes."""
    parts = ' + '.join(f'{s.key} ({s.title})' for s in self.sources)
    kept = ', the first {:,} training examples of each class'
    return (
      f'{self.title}: {parts}; {self.num_classes} classes'
      f'{kept.format(self.per_class) if self.per_class else ""};'
      f' {self._sizes(unknown="an unknown number of")}.'
    )

  def _sizes(self, unknown: str) -> str:
    sizes = {'train': self.num_train, 'test': self.num_test}
    return ', '.join(
      f'{unknown if n is None else format(n, ",")} {split}'
      for split, n in sizes.items()
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
    return '; '.join(f'{s.title}: {s.stated_license}' for s in self.sources)

  @property
  def hosting(self) -> str:
    """Whether others may host it, by the licenses of its sources.

    'no' if a source states no license, else 'unknown' if one has a license that
    `sources.licenses` does not know, else 'yes'.
    """
    found = {licenses.find(s.license).sharing for s in self.sources}
    return min(found, key=('no', 'unknown', 'yes').index)

  def train_limit(self, split: str) -> int | None:
    """Returns how many examples of each class a split keeps; None for all.

    Reduced subsets keep fewer training examples. The test set stays whole.

    Args:
      split: 'train' or 'test'.
    """
    return self.per_class if split == 'train' else None

  @functools.cached_property
  def full(self) -> Subset:
    """The subset with all training examples."""
    return subset(self.name.partition('-r-')[0]) if self.per_class else self

  def _num_examples(self, split: str) -> int | None:
    limit = self.train_limit(split)
    parts = (_counts(s, raw, split, limit).values() for s, raw in self.members)
    counts = [*itertools.chain.from_iterable(parts)]
    if None in counts and not limit:
      # It has whole sources, whose totals are known.
      found = [s.splits.get(split) for s in self.sources]
      counts = [each.num_examples if each else 0 for each in found]
    return None if None in counts else sum(counts)


@functools.cache
def _counts(
  source: Source, raw_labels: Sequence[int], split: str, limit: int | None
) -> dict[int, Any]:
  """Returns how many examples of each class a subset takes; None if unknown."""
  if (found := source.splits.get(split)) is None:
    return dict.fromkeys(raw_labels, 0)
  if found.class_counts is None:
    known = (limit or math.inf) <= source.min_train_per_class
    return dict.fromkeys(raw_labels, limit if known else None)
  counts = {r: found.class_counts[source.class_numbers[r]] for r in raw_labels}
  return {raw: min(count, limit or count) for raw, count in counts.items()}


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

  if limit is not None:
    order = np.argsort(labels, kind='stable')
    in_order, taken = labels[order], np.array(raw_labels, labels.dtype)
    begins = np.searchsorted(in_order, taken)
    ends = np.searchsorted(in_order, taken, 'right')
    first = map(slice, begins, np.minimum(ends, begins + limit))
    return np.sort(np.concatenate([order[rows] for rows in first]))
  # Comparing the range of the labels is much faster than comparing each label,
  # and it suffices if the subset takes the whole source.
  if labels.size and {*raw_labels} >= {*range(labels.min(), labels.max() + 1)}:
    return np.arange(len(labels), dtype=np.int64)
  return np.flatnonzero(np.isin(labels, raw_labels))


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
  pairs = itertools.combinations(combined, 2)
  return '; '.join(filter(None, itertools.starmap(_collision, pairs)))


@functools.cache
def _collision(a: Source, b: Source) -> str:
  nfc = functools.partial(unicodedata.normalize, 'NFC')
  first, second = map(nfc, a.class_names), {*map(nfc, b.class_names)}
  names = ' '.join(name for name in first if name in second)
  shown = textwrap.shorten(names, 400, placeholder=' ...')
  return names and f'{a.key} ({a.title}) and {b.key} ({b.title}) share {shown}'


# These are cached, since there is one record of each subset in a process.
@functools.cache
def combine(*combined: Source) -> Subset:
  """Returns the subset that concatenates whole sources."""
  name = f'{len(combined)}-{"".join(source.key for source in combined)}'
  return Subset(name, tuple((s, tuple(s.raw_labels)) for s in combined))


@functools.cache
def mix(num_classes: int) -> Subset:
  """Returns CMNIST-X with the classes that the sources list for this size."""
  mixed = [s for s in sources_lib.SOURCES if num_classes in s.mix_labels]
  members = tuple((source, source.mix_labels[num_classes]) for source in mixed)
  return Subset(f'X-{num_classes}', members)


@functools.cache
def reduce(full: Subset, per_class: int) -> Subset:
  """Returns the subset with the first training examples of each class only."""
  name = f'{full.name}-r-{per_class}'
  return dataclasses.replace(full, name=name, per_class=per_class)


def combinations() -> Iterator[Subset]:
  """Yields each valid combination of two or more sources, small ones first."""
  for count in range(2, len(sources_lib.SOURCES) + 1):
    for combined in itertools.combinations(sources_lib.SOURCES, count):
      if not collisions(combined):
        yield combine(*combined)


@functools.cache
def published() -> tuple[Subset, ...]:
  """Returns the 134 subsets of the paper, in its order."""
  return (*combinations(), mix(12), mix(24))


@functools.cache
def declared() -> tuple[Subset, ...]:
  """Returns the 134 subsets and then their 670 reduced forms in the paper."""
  reduced = (reduce(s, n) for s in published() for n in REDUCED_SIZES)
  return (*published(), *reduced)


def subset(name: str) -> Subset:
  """Returns the subset that a name stands for.

  A name may have the prefix `CMNIST-`, `cmnist/` or `cmnist_sample/`, and any
  letter case. It may have `EI` for `El`, because scanned copies of the paper
  print it so. Every spelling gives the same record. Single sources (`1-Km`),
  reduced forms of any size (`2-FKd-r-7`) and combinations with extensions
  (`2-FMn`) are subsets too.

  Args:
    name: A name such as '3-EElKm', 'X-24' or '2-FKd-r-10'.

  Returns:
    The subset; the same object for all spellings of one name.

  Raises:
    SubsetNameError: If there is no such subset. The message says why, and
      suggests a name.
  """
  name = str(name)
  match = _NAME.fullmatch(name.strip())
  if match is None:
    raise _no_subset(
      name,
      'a name is <number of sources>-<their keys>, X-12 or X-24, then'
      ' optionally -r-N, which keeps the first N training examples of each'
      ' class, N a whole number of at least 1 and at most nine digits',
    )
  size, count, keys, per_class = match.groups()
  found = mix(int(size)) if size else _combination(name, int(count), keys)
  if found.declarations:
    registry.warn_of_faults()
  return reduce(found, int(per_class)) if per_class else found


def names_sample(name: str) -> bool:
  """Returns whether a name says that its sample is meant."""
  return str(name).strip().casefold().startswith(f'{SAMPLE}/')


def find_subsets(
  *,
  containing: Sequence[str] = (),
  without: Sequence[str] = (),
  max_classes: int | None = None,
  balanced: bool = False,
  reduced: bool = False,
  extensions: bool = False,
  among: Iterable[Subset] | None = None,
) -> list[Subset]:
  """Returns the subsets that meet all conditions, as `cmnist list` does.

  `cmnist_tfds.subsets(...)` is the same.

      cmnist_tfds.subsets(containing=['F', 'Kd'], max_classes=30)

  Args:
    containing: Keys of sources, all of which the subsets have.
    without: Keys of sources, none of which they have.
    max_classes: How many classes they have at most; None for any number.
    balanced: Whether all their classes have equally many training examples.
    reduced: Whether to return reduced subsets too.
    extensions: Whether to return each source that is not of the paper too.
    among: The subsets to choose from; those of the paper if None.

  Returns:
    The subsets, in the order of the paper, or in that of `among`.

  Raises:
    SubsetNameError: If there is no such key.
  """
  further = registry.registry().extensions
  known = {s.key.casefold(): s for s in (*sources_lib.SOURCES, *further)}
  keys = [key for key in (*containing, *without) if key.casefold() not in known]
  if keys:
    raise SubsetNameError(
      f'There is no source {keys[0].capitalize()!r}. The keys are'
      f' {", ".join(s.key for s in known.values())}.'
    )
  wanted = {known[key.casefold()] for key in containing}
  unwanted = {known[key.casefold()] for key in without}
  if among is None:
    among = declared() if reduced else published()
  return [
    found
    for found in (*among, *map(combine, further if extensions else ()))
    if wanted <= {*found.sources}
    and unwanted.isdisjoint(found.sources)
    and (max_classes or found.num_classes) >= found.num_classes
    and (found.balanced or not balanced)
  ]


def _combination(name: str, count: int, keys: str) -> Subset:
  """Returns the subset of a name that has a number and keys of sources."""
  known = sources_lib.SOURCES
  readings = _read(keys, known, str)
  if not readings:
    # Extensions are looked for only if they can make a difference.
    known = (*known, *registry.registry().extensions)
    readings = _read(keys, known, str) or _read(_folded(keys), known, _folded)
  faults = {reading: _fault(reading, count) for reading in readings}
  valid = [combine(*reading) for reading, (why, _) in faults.items() if not why]
  if len(valid) == 1:
    return valid[0]
  why, meant = next(iter(faults.values()), ('', ''))
  if valid:
    ways = (f'{s.name} ({" + ".join(t.key for t in s.sources)})' for s in valid)
    why = (
      f'it can be read as {" and as ".join(ways)}; write keys in their own'
      ' letter case'
    )
  elif not faults:
    why = (
      f'it is not made of the keys of sources: {" ".join(s.key for s in known)}.'
      f' {registry.SOURCES_VARIABLE} or --sources names the declaration of'
      ' another source'
    )
  raise _no_subset(name, why, meant)


def _read(
  keys: str, known: Sequence[Source], fold: Callable[[str], str]
) -> list[tuple[Source, ...]]:
  """Returns the ways to read keys, in whatever order."""
  if not keys:
    return [()]
  return [
    (source, *others)
    for source in known
    if keys.startswith(key := fold(source.key))
    for others in _read(keys[len(key) :], known, fold)
  ]


def _folded(key: str) -> str:
  # Scanned copies of the paper print the l of a key as a capital i.
  return key.casefold().replace('i', 'l')


def _fault(combined: Sequence[Source], count: int) -> tuple[str, str]:
  """Returns why sources are not combined so, and what was likely meant."""
  order = sorted(set(combined), key=lambda s: [(c.isdigit(), c) for c in s.key])
  if collided := collisions(order):
    return f'class names may not occur twice, and {collided}', ''
  keys = ' '.join(source.key for source in order)
  faults = {
    'a source is named twice': len(order) < len(combined),
    f'keys are out of order, which is {keys}': order != list(combined),
    f'it says {counted(count, "source")} and names {len(combined)}': count
    != len(order),
  }
  why = next((why for why, found in faults.items() if found), '')
  return why, combine(*order).name


def _no_subset(name: str, why: str, meant: str = '') -> SubsetNameError:
  """Returns the error that says why, and suggests names."""
  extensions, wrong = registry.registry()
  suggested = [meant + ''.join(name.strip().partition('-r-')[1:])]
  if not meant:
    is_reduced = re.search(r'r[\W\d]*\Z', name, re.IGNORECASE)
    paper = declared() if is_reduced else published()
    names = {_letters(s.name): s.name for s in paper}
    for source in (*sources_lib.SOURCES, *extensions):
      single = combine(source).name
      names |= dict.fromkeys(map(_letters, (single, source.title)), single)
    letters = _letters(name.rpartition('/')[2])
    close = [n for n in names if letters and n.startswith(letters)][:6]
    close = close or difflib.get_close_matches(letters, names)
    suggested = list(dict.fromkeys(names[found] for found in close))
  hint = f' Did you mean {", ".join(suggested)}?' if suggested else ''
  # The key may be that of a declaration that cannot be used.
  faults = ''.join(f' A declaration is wrong: {fault}' for fault in wrong)
  return SubsetNameError(
    f'{name!r} is not a CMNIST subset: {why}.{hint} `cmnist list` shows the'
    f' subsets of the paper, `cmnist source list` all keys.{faults}'
  )


def _letters(text: str) -> str:
  """Returns the letters and digits of a name, without what tells spellings."""
  plain = _folded(unicodedata.normalize('NFKC', text))
  return re.sub('[^a-z0-9]', '', plain).removeprefix('cmnlst')


class _Callable(types.ModuleType):
  """Lets `cmnist_tfds.subsets(...)` find subsets, beside this module's names."""

  __call__ = staticmethod(find_subsets)


subsets = sys.modules[__name__]
subsets.__class__ = _Callable

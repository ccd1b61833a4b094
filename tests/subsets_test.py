# SPDX-License-Identifier: Apache-2.0
"""The names, the rule of composition, and every fact of the paper's table."""

from __future__ import annotations

import csv
import pathlib
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmnist_tfds import schema, subsets
from cmnist_tfds.sources import SOURCES
from cmnist_tfds.system.errors import SubsetNameError

_TABLE = pathlib.Path(__file__).with_name('subsets.tsv')
_KEYS = [s.key for s in SOURCES]


def test_paper_table_is_reproduced_row_by_row():
  with _TABLE.open(encoding='utf-8') as table:
    rows = [tuple(row) for row in csv.reader(table, delimiter='\t')]
  assert rows[0] == ('name', 'sources', 'classes', 'balanced', 'train', 'test')
  assert len(rows) == 1 + 134
  for s, row in zip(subsets.published(), rows[1:], strict=True):
    keys = ','.join(source.key for source in s.sources)
    balanced = 'Yes' if s.balanced else 'No'
    counts = (s.num_classes, balanced, s.num_train, s.num_test)
    assert (s.name, keys, *map(str, counts)) == row


@pytest.mark.parametrize('subset', subsets.declared(), ids=lambda s: s.name)
def test_every_declared_subset(subset):
  assert subsets.subset(subset.name) is subset
  assert [c.label for c in subset.classes] == list(range(len(subset.classes)))
  assert len(set(subset.class_names)) == len(subset.classes)
  assert subset.full.name == subset.name.partition('-r-')[0]
  if subset.per_class:
    assert subset.num_train == len(subset.classes) * subset.per_class
    assert subset.balanced
  assert subset.num_test == subset.full.num_test
  limits = [subset.train_limit(split) for split in ('train', 'test')]
  assert limits == [subset.per_class, None]
  for c in subset.classes:
    integers = [*schema.integers_of(c).values()]
    assert integers == [c.label, c.source_number, c.raw_label]
  assert [*subset.sources] == sorted(subset.sources, key=SOURCES.index)
  assert f'{subset.name}: {subset.num_classes} classes, ' in repr(subset)
  assert pickle.loads(pickle.dumps(subset)) is subset
  assert subset.citation.count('@misc{wenkel2019cmnist') == 1
  for source in subset.sources:
    assert subset.citation.count(source.citation) == 1
    assert source.license in subset.license
    assert source.title in subset.description


@pytest.mark.parametrize('key', _KEYS)
def test_single_sources(key):
  single = subsets.subset(f'1-{key}')
  assert single.sources[0].key == key
  assert single not in subsets.declared()
  assert single.num_train == single.sources[0].splits['train'].num_examples
  assert subsets.subset(f'1-{key}-r-10').num_train == 10 * len(single.classes)


@pytest.mark.parametrize(
  ('name', 'why', 'meant'),
  [
    ('2-ElN', f'(EMNIST Letters) and N (notMNIST) share {" ".join("ABCDEFGHIJ")}', ''),
    ('2-EEd', 'and Ed (EMNIST Digits) share 0 1 2 3 4 5 6 7 8 9', ''),
    ('2-KmK49', 'Km (KMNIST) and K49 (Kuzushiji-49) share', ''),
    ('2-EElKm', 'it says 2 sources and names 3', '3-EElKm'),
    ('0-FKd', 'it says 0 sources and names 2', '2-FKd'),
    ('2-KdF', 'out of order, which is F Kd', '2-FKd'),
    ('2-FF', 'named twice', '1-F'),
    ('2-FQ', 'CMNIST_SOURCES or --sources names', ''),
    ('12345-FKd', 'a name is <number of sources>', '2-FKd'),
    ('3-kmeel', 'out of order, which is E El Km', '3-EElKm'),
    ('X-13', 'X-12 or X-24', 'X-12'),
    ('EElKm', 'a name is <number of sources>', '3-EElKm'),
    ('3EElKm', 'a name is <number of sources>', '3-EElKm'),
    ('3-EElKn', 'not made of the keys', '3-EElKm'),
    ('', 'a name is <number of sources>', ''),
    ('2-FKd-r-0', 'at least 1 and at most nine digits', '2-FKd-r'),
    ('2-FKd-r--5', 'N a whole number', '2-FKd-r-5'),
    ('2-FKd-r-', 'N a whole number', '2-FKd-r-'),
    ('2-FKd-r-\u0663', 'N a whole number', ''),
    ('2-FKd-r-9999999999', 'at most nine digits', ''),
    ('2-FKd-r-5-r-5', 'N a whole number', '2-FKd-r-5'),
    ('2-FKd-r10', '', '2-FKd-r-10'),
    ('FKd r 10', '', '2-FKd-r-10'),
    ('2 - F + Kd', '', '2-FKd'),
    ('cmnist:2-FKd', '', '2-FKd'),
    ('\uff12-FKd', '', '2-FKd'),
    ('2\u2013FKd', '', '2-FKd'),
    ('EEIKm', '', '3-EElKm'),
    ('X12', '', 'X-12'),
    ('K49', '', '1-K49'),
    ('3-FKd-r-5', '', '2-FKd-r-5'),
    ('2-KdF-r-5', '', '2-FKd-r-5'),
    ('2-FKe', '', '2-FKd'),
    ('1-FKd', 'it says 1 source and names 2', '2-FKd'),
    ('2-FKm2', 'CMNIST_SOURCES or --sources names', '2-FKm'),
    ('2-FK', 'not made of the keys', '2-FKd'),
    ('mnist', '', '1-Mn'),
    ('fashion-mnist', '', '1-F'),
    ('Fashion MNIST', '', '1-F'),
    ('kannada', '', '1-Kd'),
    ('kmnist', '', '1-Km'),
    ('emnist', '', '1-El'),
    ('emnist/letters', '', '1-El'),
    ('notMNIST', '', '1-N'),
    ('cmnist_sample/X-13', '', 'X-12'),
  ],
)  # fmt: skip
def test_names_that_are_none_say_why_and_what_was_meant(name, why, meant):
  with pytest.raises(SubsetNameError) as raised:
    subsets.subset(name)
  message = str(raised.value)
  assert repr(name) in message
  assert why in message
  if meant:
    suggested = _suggested(raised.value)
    assert suggested[0].startswith(meant) if why else meant in suggested


def _suggested(error):
  _, _, suggested = str(error).partition('Did you mean ')
  return suggested.partition('?')[0].split(', ')


def test_most_misspellings_get_the_right_suggestion():
  """One character is left out, doubled, exchanged or swapped."""
  found = []
  for subset in subsets.published()[::15]:
    for at, char in enumerate(subset.name):
      before, after = subset.name[:at], subset.name[at + 1 :]
      for misspelled in (
        before + after,
        before + char + char + after,
        f'{before}?{after}',
        before + after[:1] + char + after[1:],
      ):
        try:
          subsets.subset(misspelled)
        except SubsetNameError as error:
          found.append(subset.name in _suggested(error))
  # Others lack what would tell several subsets apart.
  assert found.count(True) > 6 * found.count(False)


_SUBSETS = st.sampled_from(subsets.declared())


_PREFIXES = st.sampled_from(['', ' CMNIST-', 'cmnist-', 'cmnist/'])


@given(_SUBSETS, _PREFIXES, st.data())
def test_any_letter_case_and_prefix_resolves(subset, prefix, data):
  either = (st.sampled_from([c.lower(), c.upper()]) for c in subset.name)
  cased = ''.join(map(data.draw, either))
  scanned = cased.replace('l', 'I').replace('L', 'I')
  assert subsets.subset(prefix + cased) is subset
  assert subsets.subset(prefix + scanned) is subset


@given(_SUBSETS, st.integers(1, 10**9 - 1))
def test_any_reduction_resolves(subset, per_class):
  reduced = subsets.subset(f'{subset.full.name}-r-{per_class}')
  assert reduced.per_class == per_class
  assert reduced.full is subset.full
  if reduced.num_train is not None:
    assert reduced.num_train <= subset.full.num_train
    assert reduced.num_train <= per_class * len(reduced.classes)


@given(st.permutations(SOURCES), st.integers(1, 5))
def test_a_combination_resolves_only_if_valid_and_in_order(order, count):
  combined = order[:count]
  name = subsets.combine(*combined).name
  in_order = sorted(combined, key=SOURCES.index) == combined
  if in_order and not subsets.collisions(combined):
    assert subsets.subset(name).sources == tuple(combined)
  else:
    with pytest.raises(SubsetNameError):
      subsets.subset(name)


@given(st.text(max_size=20))
def test_any_text_resolves_or_is_refused_with_its_name(text):
  try:
    found = subsets.subset(text)
  except SubsetNameError as error:
    assert repr(text) in str(error)
  else:
    assert subsets.subset(found.name) is found


@pytest.mark.parametrize(
  ('raw', 'limit', 'taken'),
  [
    ((1, 3), None, [0, 1, 2, 3, 5, 7]),
    ((1, 3), 2, [0, 1, 2, 5]),
    ((2,), 9, [4, 6]),
    ((1, 2, 3), None, list(range(8))),
    ((1, 2, 3, 4), None, list(range(8))),
    ((4,), None, []),
    ((4,), 1, []),
  ],
)
def test_rows_keep_the_first_of_each_class_in_file_order(raw, limit, taken):
  labels = np.array([3, 1, 3, 3, 2, 1, 2, 1], np.uint8)
  found = subsets.rows(labels, raw, limit)
  assert found.dtype == np.int64
  assert found.tolist() == taken

# SPDX-License-Identifier: Apache-2.0
"""The pages about scores have the right fields and figures."""

from __future__ import annotations

import re

from running import REPOSITORY

from cmnist_tfds import subsets
from cmnist_tfds.scoring import predictions, results


def test_the_documented_fields_are_those_of_the_file():
  text = (REPOSITORY / 'docs/evaluating.md').read_text('utf-8')
  for field in predictions.ABOUT:
    assert f'`{field}`' in text
  assert predictions.FORMAT in text


def test_the_table_of_subsets_is_right():
  scores = {
    (row.subset.name, row.method): row.scores['accuracy']['value']
    for row in results.read_results(REPOSITORY / 'results')
  }
  text = (REPOSITORY / 'docs/choosing.md').read_text('utf-8')
  rows = re.findall(r'^\| `(.*?)` \| (.*) \|$', text, re.M)
  assert len(rows) == 8
  for name, rest in rows:
    classes, train, balanced, _, *figures = rest.split(' | ')
    subset = subsets.subset(name)
    assert int(classes) == subset.num_classes
    assert int(train.replace(',', '')) == subset.num_train
    ratio = (
      ''
      if subset.imbalance is None
      else f', {float(f"{subset.imbalance:.3g}"):g}'
    )
    assert balanced == ('yes' if subset.balanced else f'no{ratio}')
    known = (f'{name}-r-10', 'knn-1') in scores
    assert bool(figures) == known
    if known:
      expected = [scores[n, 'knn-1'] for n in (f'{name}-r-10', name)]
      assert figures[0] == ' / '.join(f'{s:.4f}' for s in expected)

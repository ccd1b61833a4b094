# SPDX-License-Identifier: Apache-2.0
"""The pages about scores: snippets run, and figures are right."""

from __future__ import annotations

import pathlib
import re

import pytest
import running

from cmnist_tfds import subsets
from cmnist_tfds.scoring import predictions, results

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_TEXT = (_REPOSITORY / 'docs/evaluating.md').read_text('utf-8')
_CHOOSING = (_REPOSITORY / 'docs/choosing.md').read_text('utf-8')


_SNIPPETS = re.findall('^```([a-z]+)\n(.*?)^```$', _TEXT, re.M | re.S)
_OF_NETWORKS = [each for each in _SNIPPETS if 'baseline net' in each[1]]


def test_snippets_run(tmp_path):
  assert len(_SNIPPETS) > 4
  for language, code in _SNIPPETS:
    if (language, code) not in _OF_NETWORKS:
      running.run(language, code, tmp_path)


@pytest.mark.slow
def test_the_snippet_of_networks_runs(tmp_path):
  pytest.importorskip('torch', reason='PyTorch is not installed')
  ((language, code),) = _OF_NETWORKS
  running.run(language, code, tmp_path)


def test_the_documented_fields_are_those_of_the_file():
  for field in predictions.ABOUT:
    assert f'`{field}`' in _TEXT
  assert predictions.FORMAT in _TEXT


def test_the_table_of_subsets_is_right():
  scores = {
    (row.subset.name, row.method): row.scores.accuracy.value
    for row in results.read_results(_REPOSITORY / 'results')
  }
  rows = re.findall(r'^\| `(.*?)` \| (.*) \|$', _CHOOSING, re.M)
  assert len(rows) == 8
  for name, rest in rows:
    classes, train, balanced, _, *figures = rest.split(' | ')
    subset = subsets.subset(name)
    assert int(classes) == subset.num_classes
    assert int(train.replace(',', '')) == subset.num_train
    ratio = subset.imbalance
    assert balanced == (
      'yes'
      if subset.balanced
      else 'no'
      if ratio is None
      else f'no, {float(f"{ratio:.3g}"):g}'
    )
    known = (f'{name}-r-10', 'knn-1') in scores
    assert bool(figures) == known
    if known:
      expected = [scores[n, 'knn-1'] for n in (f'{name}-r-10', name)]
      assert figures[0] == ' / '.join(f'{s:.4f}' for s in expected)

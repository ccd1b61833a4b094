# SPDX-License-Identifier: Apache-2.0
"""Every number among the results follows from predictions that are there."""

from __future__ import annotations

import json
import pathlib
import runpy

import numpy as np
import pytest

from cmnist_tfds import cli, subsets
from cmnist_tfds.load.open_subset import open_subset
from cmnist_tfds.scoring import evaluation, predictions, report, results
from cmnist_tfds.system.errors import PredictionsError

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_RESULTS = _REPOSITORY / 'results'
_SCRIPT = runpy.run_path(
  str(_REPOSITORY / 'scripts' / 'write_derived_files.py')
)


@pytest.fixture(scope='module')
def runs():
  return _SCRIPT['read_report']()


def test_scores_are_recomputed_from_the_predictions(runs):
  recomputed = _SCRIPT['scores']()
  assert len(recomputed) >= 132
  # The page of results, and the difficulty of subsets, follow from the scores.
  page, difficulties = (
    _SCRIPT['page_of_results'](runs),
    _SCRIPT['difficulties'](),
  )
  for path, text in {**recomputed, **page, **difficulties}.items():
    assert (_REPOSITORY / path).read_text('utf-8') == text, path
  rows = [
    row for row in ''.join(page.values()).splitlines() if ', bal' not in row
  ]
  assert '\n'.join(rows).count('| 0.') == len(recomputed)


def test_learning_curves_show_the_results(runs):
  for path, shown in _SCRIPT['curves'](runs).items():
    for picture in (path, path.with_stem(path.stem + '-dark')):
      text = (_REPOSITORY / picture).read_text('utf-8')
      assert _SCRIPT['digest'](shown) in text, picture


def test_two_of_them_compare_as_known(capsys):
  files = [str(_RESULTS / f'2-FKd/knn-{k}.npz') for k in (5, 1)]
  arguments = ['compare', '2-FKd', *files, '--trust-labels']
  assert cli.main([*arguments, '--format', 'json']) == 0
  printed = json.loads(capsys.readouterr().out)
  assert (printed['only_first'], printed['only_second']) == (626, 512)
  assert printed['first']['about']['code'] == 'cmnist baseline knn'
  assert printed['p'] == pytest.approx(0.0008, abs=5e-5)
  assert printed['difference'] == pytest.approx(
    {'value': 0.0057, 'low': 0.0024, 'high': 0.0090}, abs=5e-5
  )
  # The sentences below the table fit a terminal.
  assert cli.main(arguments) == 0
  sentences = capsys.readouterr().out.splitlines()[4:]
  assert max(map(len, sentences)) <= 80


def test_labels_are_those_of_the_real_data(origin_files, empty_cache, tmp_path):
  data = ('--manual_dir', str(origin_files), '--data_dir', str(tmp_path))
  for name in {path.name.partition('-r-')[0] for path in _RESULTS.iterdir()}:
    if cli.main(['build', name, *data]):
      pytest.skip(f'{name} cannot be built from {origin_files}')
    opened = open_subset(subsets.subset(name), data_dir=tmp_path)
    labels = opened.split('test').labels
    for path in _RESULTS.glob(f'{name}*/*.npz'):
      found = predictions.read_predictions(path)
      np.testing.assert_array_equal(found.labels, labels, str(path))


# Folders of results -----------------------------------------------------------


_LABELS = np.tile(np.arange(20), 1000)


def _write(folder, predicted=_LABELS, **kwargs):
  given = subsets.subset('2-FKd'), predicted, _LABELS
  about = {'method': 'perfect'}
  made = predictions.make_predictions(*given, about=about, **kwargs)
  place = folder / '2-FKd/perfect.npz'
  place.parent.mkdir()
  predictions.write_predictions(place, made)
  scores = evaluation.score(made)
  place.with_suffix('.json').write_text(results.scores_json(scores), 'utf-8')
  return scores


def _change(folder, change):
  """Writes a result of which others have changed the scores."""
  _write(folder)
  path = folder / '2-FKd/perfect.json'
  path.write_text(json.dumps(json.loads(path.read_text('utf-8')) | change))


def test_results_without_predictions_are_reported(tmp_path):
  assert _write(tmp_path).accuracy.value == 1
  reported = {'dataset': 'cmnist', 'subset': '2-FKd-r-10', 'split': 'test'}
  reported |= {'accuracy': {'value': 0.5}, 'balanced_accuracy': {'value': 0.4}}
  reported['about'] = {'method': 'of a paper'}
  (tmp_path / '2-FKd-r-10').mkdir()
  (tmp_path / '2-FKd-r-10/paper.json').write_text(json.dumps(reported))
  _, *rows = results.to_table(results.read_results(tmp_path))
  assert [' '.join(row) for row in rows] == [
    '2-FKd perfect 1.0000 0.9998–1.0000 1.0000 1 recomputed',
    '2-FKd-r-10 of a paper 0.5000  0.4000 1 reported',
  ]


@pytest.mark.parametrize(
  'change',
  [
    {'dataset': 'cmnist_sample'},
    {'subset': '2-FKm'},
    {'split': 'train'},
    {'accuracy': {'value': 85}},
    {'accuracy': 0.85},
    {'accuracy': {'value': True}},
    {'accuracy': {'value': 0.5, 'low': 0.7, 'high': 0.3}},
    {'accuracy': {'value': 0.5, 'low': 0.6, 'high': 0.7}},
    {'accuracy': {'value': 0.5, 'low': 'a'}},
    {'accuracy': {'value': float('nan')}},
    {'runs': 5},
    {'accuracy_spread': [1]},
    {'accuracy_spread': {'<b>': 0.1}},
    {'about': ['method']},
    {'about': {'method': 5}},
    {'about': {'method': '\x1b[31m'}},
    {'balanced_accuracy': None},
    {'about': {}},
  ],
)
def test_other_scores_are_refused(tmp_path, change):
  _change(tmp_path, change)
  with pytest.raises(PredictionsError, match=r'perfect\.json') as caught:
    results.read_results(tmp_path)
  assert str(caught.value).isprintable()


def test_what_others_write_stays_in_its_cell(tmp_path):
  method = '<script>x</script> a\n\n# b | c [d](e) `f`'
  _change(tmp_path, {'about': {'method': method}})
  rows = results.to_table(results.read_results(tmp_path))
  text = report.to_markdown([report.Section('2-FKd', rows)])
  assert len(text.splitlines()) == 5
  escaped = r'\<script>x\</script> a # b \| c \[d](e) \`f\`'
  assert f'| 2-FKd | {escaped} | 1.0000 |' in text


def test_other_predictions_have_no_place_among_results(tmp_path):
  _write(tmp_path, dataset='cmnist_sample')
  with pytest.raises(PredictionsError, match='cmnist_sample'):
    results.recompute_scores(tmp_path / '2-FKd/perfect.npz')
  with pytest.raises(PredictionsError, match='cmnist_sample'):
    results.read_results(tmp_path)
  (tmp_path / '2-FKd').rename(tmp_path / '2-FKm')
  with pytest.raises(PredictionsError, match='expected predictions for'):
    results.recompute_scores(tmp_path / '2-FKm/perfect.npz')


def test_several_runs_have_a_spread(tmp_path):
  worse = (_LABELS + (np.arange(20_000) < 2000)) % 20
  scores = _write(tmp_path, np.stack([_LABELS, worse]), seed=[1, 2])
  _, row = results.to_table(results.read_results(tmp_path))
  assert row[5] == f'2, ± {scores.accuracy_spread.seeds:.4f} between seeds'

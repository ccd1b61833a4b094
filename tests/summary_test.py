# SPDX-License-Identifier: Apache-2.0
"""A report of many results says what follows from their predictions."""

from __future__ import annotations

import functools
import html.parser
import json
import pathlib
import runpy

import numpy as np
import pytest
import running
from command_line import run

from cmnist_tfds import subsets
from cmnist_tfds.load.open_subset import open_or_prepare
from cmnist_tfds.scoring import (
  difficulty,
  family,
  predictions,
  results,
  summary,
)

pd = pytest.importorskip('pandas', reason='pandas, of the extra scoring')

_RESULTS = running.REPOSITORY / 'results'
_OPEN = functools.partial(open_or_prepare, sample=True)


def _labels(name):
  return _OPEN(subsets.subset(name)).split('test').labels


def _predict(name, share, runs, seed):
  """Predictions, of which about a share is right."""
  labels, rng = _labels(name), np.random.default_rng(seed)
  wrong = rng.random((runs, len(labels))) > share
  other = rng.integers(subsets.subset(name).num_classes, size=wrong.shape)
  return np.where(wrong, other, labels)


def _save(folder, name, method, predicted, **kwargs):
  path = folder / name / f'{method}.npz'
  path.parent.mkdir(parents=True, exist_ok=True)
  about = {'dataset': 'cmnist_sample', 'about': {'method': method}}
  given = subsets.subset(name), predicted, _labels(name)
  made = predictions.make_predictions(*given, **(about | kwargs))
  predictions.write_predictions(path, made)
  return made


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """Results of two methods in `own`, and of another in `others`."""
  made = tmp_path_factory.mktemp('summary')
  for seed, name in enumerate(('1-F-r-1', '2-FKd-r-1', '2-FKd')):
    for method, share in (('good', 0.9), ('poor', 0.5)):
      predicted = _predict(name, share, 3, (seed, method == 'good'))
      _save(made / 'own', name, method, predicted, seed=[1, 2, 3])
  drawn = {'draw': [1, 2], 'seed': [1, 1]}
  predicted = _predict('2-FKd-r-1', 0.7, 2, 9)
  _save(made / 'own', '2-FKd-r-1', 'good-draws', predicted, **drawn)
  for name in ('1-F-r-1', '1-Km-r-1', '2-FKd-r-1'):
    _save(made / 'others', name, 'other', _predict(name, 0.9, 1, 7)[0])
  return made


@pytest.fixture(scope='module')
def report(folder):
  from command_line import status

  where = ('--sample', '--data_dir', folder / 'data')
  beside = ('--beside', folder / 'others')
  argv = ('report', folder / 'own', *beside, *where, '-o', folder / 'report')
  assert status(*argv) == 0
  return folder / 'report'


def test_each_run_source_and_metric_has_a_row(folder, report):
  rows = pd.read_csv(report / 'runs.csv')
  columns = (
    'method,subset,images per class,draw,seed,source,metric,value,seconds'
  )
  assert [*rows] == columns.split(',')
  # One source has a row for itself and one for all.
  runs = {'1-F': 3 + 3 + 1, '2-FKd': 2 * (3 + 3) + 2 + 1}
  expected = {
    name: runs[name] * 3 * n for name, n in (('1-F', 2), ('2-FKd', 3))
  }
  assert rows['subset'].value_counts().to_dict() == expected
  path = folder / 'own/2-FKd-r-1/good-draws.npz'
  found = predictions.read_predictions(path)
  (row,) = rows.query(
    'method == "good" and subset == "2-FKd" and `images per class` == 1'
    ' and draw == 2 and source == "Kd" and metric == "accuracy"'
  )['value']
  of_kd = found.labels >= 10
  right = (found.predicted[1] == found.labels)[of_kd]
  assert row == pytest.approx(right.mean(), abs=1e-6)


def test_all_metrics_are_those_of_scikit_learn(tmp_path):
  metrics = pytest.importorskip('sklearn.metrics')
  labels, rng = _labels('2-FKd'), np.random.default_rng(0)
  scores = rng.dirichlet(np.ones(20), (2, len(labels)))
  predicted = scores.argmax(axis=-1)
  how = {'scores': scores, 'score_kind': 'probability', 'seed': [1, 2]}
  _save(tmp_path, '2-FKd', 'sure', predicted, **how)
  ((runs,), faults) = summary.read([tmp_path], 'cmnist_sample', _OPEN)
  assert (faults, runs.found.scores) == ([], None)
  found = {row[1:4]: row[4] for row in runs.rows}
  for seed, p in enumerate(scores, 1):
    y, f1 = predicted[seed - 1], {'average': 'macro'}
    of_kd = metrics.f1_score(labels, y, labels=range(10, 20), **f1)
    for place, expected in (
      (('all', 'macro F1'), metrics.f1_score(labels, y, **f1)),
      (('Kd', 'macro F1'), of_kd),
      (('all', 'log loss'), metrics.log_loss(labels, p)),
      (('all', 'top 3'), metrics.top_k_accuracy_score(labels, p, k=3)),
    ):
      assert found[(seed, *place)] == pytest.approx(expected), place
    assert {(seed, 'all', name) for name in ('auroc', 'brier', 'ece')} <= {
      *found
    }


def test_published_and_other_draws_of_one_file_stay_apart(tmp_path):
  predicted = _predict('2-FKd-r-1', 0.7, 3, 5)
  _save(tmp_path, '2-FKd-r-1', 'mixed', predicted, draw=[0, 1, 2])
  found, _ = summary.read([tmp_path], 'cmnist_sample', _OPEN)
  assert [r.found.draws for r in found] == [(0,), (1, 2)]
  ((value, low, high),) = summary.curves(found)['2-FKd']['mixed'].values()
  right = (predicted[1:] == found[0].found.labels).mean()
  assert value == pytest.approx(right)
  assert low < value < high


def test_the_band_of_two_draws_that_disagree_has_no_impossible_accuracy(
  tmp_path,
):
  wrong, right = (_predict('1-F-r-1', share, 1, 3)[0] for share in (0.2, 0.9))
  _save(tmp_path, '1-F-r-1', 'm', np.stack([wrong, right]), draw=[1, 2])
  found, _ = summary.read([tmp_path], 'cmnist_sample', _OPEN)
  assert summary.curves(found)['1-F']['m'][1][1:] == (0, 1)


@pytest.mark.parametrize(
  'said, expected',
  [('1.50 s; 2.25 s', [1.5, 2.25]), ('a day', [None] * 2), ('', [None] * 2)],
)
def test_the_seconds_of_baselines_are_those_of_each_run(
  tmp_path, said, expected
):
  about = {'method': 'timed', 'time': said}
  predicted = _predict('1-F', 0.9, 2, 0)
  _save(tmp_path, '1-F', 'timed', predicted, seed=[1, 2], about=about)
  ((runs,), _) = summary.read([tmp_path], 'cmnist_sample', _OPEN)
  assert [row[-1] for row in runs.rows if row[2:4] == ('F', 'accuracy')] == (
    expected
  )


def test_reported_scores_stand_beside_the_others(tmp_path, capsys):
  scores = {'dataset': 'cmnist', 'split': 'test', 'accuracy': {'value': 0.9}}
  scores |= {'about': {'method': 'p'}, 'balanced_accuracy': {'value': 0.8}}
  for name, method in (('1-F', 'paper'), ('1-F-r-10', 'paper-draws')):
    place = tmp_path / 'own' / name / f'{method}.json'
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps(scores | {'subset': name}))
  argv = ('report', tmp_path / 'own', '-o', tmp_path / 'report')
  assert run(capsys, *argv)[::2] == (0, '')
  text = (tmp_path / 'report/report.md').read_text('utf-8')
  assert '| paper, reported | published | 1 |  | 0.9000 |' in text
  assert '| paper, reported, balanced | published | 1 |  | 0.8000 |' in text
  assert '| paper, reported | other draws | 1 | 0.9000 |  |' in text
  status, _, err = run(capsys, *argv, '--sample')
  assert status == 1
  assert err.count('is of cmnist, not of cmnist_sample') == 2


def test_what_not_all_methods_share_is_named(folder, tmp_path, capsys):
  for name, methods in {'2-FKd': ('a', 'b'), '1-F': ('b',)}.items():
    for method in methods:
      predicted = _predict(name, 0.9, 2, ord(method))
      _save(tmp_path / 'own', name, method, predicted, seed=[1, 2])
  where = ('--sample', '--data_dir', folder / 'data', '-o', tmp_path / 'made')
  assert run(capsys, 'report', tmp_path / 'own', *where)[0] == 0
  text = (tmp_path / 'made/report.md').read_text('utf-8')
  assert 'all published: 2-FKd; methods and subsets left out: 1-F.' in text


def test_tables_say_what_was_compared(report):
  text = (report / 'report.md').read_text('utf-8')
  _, of_f, of_fkd, origins, pairs, notes = text.split('### ')
  assert of_f.startswith('Accuracy on 1-F\n')
  assert '| method | training | runs | 1 | all |' in of_fkd
  assert '| good | other draws | 2 | 0.7' in of_fkd
  assert '| poor | published | 3 | 0.5' in of_fkd
  assert (
    '| images per class | training | method | Fashion-MNIST | Kannada'
    in origins
  )
  # Others stand beside, where they are on the same subsets.
  assert '| 1 | published | other | 0.9' in origins
  assert 'all published: 2-FKd; methods and subsets left out: none' in origins
  assert '| 1 | other draws | good | 0.7' in origins
  assert '1-Km' not in text
  rows = [line.strip('| ').split(' | ') for line in pairs.splitlines()]
  found = {
    tuple(row[2:4]): row for row in rows if row[:2] == ['1', 'published']
  }
  assert found.keys() == {
    ('good', 'poor'),
    ('good', 'other'),
    ('poor', 'other'),
  }
  *_, p, adjusted = found['good', 'poor']
  assert (p, adjusted) == ('0.0010', '0.0030')
  assert float(found['good', 'other'][-1]) > 0.05
  assert 'synthetic sample' in notes


def test_holm_adjusts_as_it_is_defined():
  means = {
    'a': np.r_[1.0, np.full(1999, 1.0), -1.0],
    'b': np.r_[0.0, np.zeros(2000)],
    'c': np.r_[0.5, np.full(1970, 0.5), np.full(30, 1.5)],
  }
  rows = [*summary._pairs(means, {'a'})]
  # p of the pairs: 4, 2 and 62 of 2002.
  assert [row['A'] + row['B'] for row in rows] == ['bc', 'ab', 'ac']
  assert [row['p'] for row in rows] == ['0.0010', '0.0020', '0.0310']
  assert [row['over'] for row in rows] == ['runs, images', 'images', 'images']
  assert [row['p, Holm'] for row in rows] == ['0.0030', '0.0040', '0.0310']


def test_the_bootstrap_is_as_wide_as_it_should_be():
  labels = np.arange(10_000) % 10
  right = np.random.default_rng(0).random((4, 10_000)) < 0.8
  right[0] |= np.random.default_rng(1).random(10_000) < 0.5
  made = predictions.make_predictions(
    subsets.subset('1-F'), np.where(right, labels, (labels + 1) % 10), labels
  )
  ((values,),) = [drawn.values() for drawn in family.draw([[made]])]
  assert values[0] == pytest.approx(right.mean())
  runs = right.mean(axis=1).var(ddof=1) / 4
  images = right.mean(axis=0).var() / 10_000
  assert values[1:].var() == pytest.approx(runs + images, rel=0.2)
  again = family.draw([[made]])[0]['Fashion-MNIST']
  np.testing.assert_array_equal(values, again)


def test_pictures_and_pages_are_whole(report):
  assert (report / 'learning-curves.png').read_bytes()[:4] == b'\x89PNG'
  svg = (report / 'learning-curves.svg').read_text('utf-8')
  assert svg.count('training images of each class') == 2
  text = (report / 'report.html').read_text('utf-8')
  links = []

  class Parser(html.parser.HTMLParser):
    def handle_starttag(self, tag, attrs):
      links.extend(v for n, v in attrs if n in ('src', 'href'))

  Parser().feed(text)
  assert links
  assert all((report / link).exists() for link in links)
  assert text.count('<table') == 4
  latex = (report / 'tables.tex').read_text('utf-8')
  assert latex.count(r'\begin{tabular}') == latex.count(r'\end{tabular}') == 4


def test_what_is_wrong_is_a_line_and_the_rest_goes_on(capsys, folder, tmp_path):
  damaged = tmp_path / 'own/1-F-r-1/damaged.npz'
  damaged.parent.mkdir(parents=True)
  damaged.write_bytes(b'no')
  good = _save(tmp_path / 'own', '1-F-r-1', 'good', _labels('1-F-r-1'))
  real = tmp_path / 'own/1-F-r-1/real.npz'
  real.write_bytes((_RESULTS / '1-F-r-1/knn-1.npz').read_bytes())
  mixed = tmp_path / 'own/1-F-r-1/mixed'
  mixed.mkdir()
  for seed, data in ((1, 'old'), (2, 'new')):
    path = mixed / f'0-{seed}.npz'
    predictions.write_predictions(path, good)
    record = {'format': 'cmnist fit 1', 'subset': '1-F-r-1', 'draw': 0}
    record |= {'seed': seed, 'code': 'c', 'data': {'test': data}}
    path.with_suffix('.json').write_text(json.dumps(record))
  failed = record | {'seed': 3, 'error': 'it did not end'}
  (mixed / '0-3.json').write_text(json.dumps(failed))
  where = ('--sample', '--data_dir', folder / 'data', '-o', tmp_path / 'report')
  status, out, err = run(capsys, 'report', tmp_path / 'own', *where)
  assert status == 1
  assert '1 run:' in out
  lines = err.splitlines()
  assert len(lines) == 4
  for told in (
    'damaged.npz is not',
    '0-3.json: it did not end',
    'several versions: test is new and old. Keep',
    'real.npz: expected 240 examples of cmnist_sample/1-F-r-1',
  ):
    assert sum(told in line for line in lines) == 1
  status, _, err = run(capsys, 'report', tmp_path / 'nothing', *where)
  assert status == 1
  assert 'nothing has no files <subset>/<method>.npz' in err


@pytest.mark.slow
def test_results_of_the_repository_make_a_report(capsys, tmp_path):
  files = _RESULTS.glob('*/*.npz')
  count = sum(len(predictions.read_predictions(f).predicted) for f in files)
  status, out, err = run(capsys, 'report', _RESULTS, '-o', tmp_path / 'report')
  assert (status, err) == (0, '')
  assert f'{count:,} runs' in out


# Submission ---------------------------------------------------------------------


def test_scores_of_a_method_are_written_for_the_catalog(capsys, tmp_path):
  place = tmp_path / '2-FKd/knn-1.json'
  place.parent.mkdir()
  argv = ('evaluate', '2-FKd', _RESULTS / '2-FKd/knn-1.npz', '--trust_labels')
  status, out, _ = run(capsys, *argv, '-o', place)
  assert status == 0
  assert 'accuracy' in out
  (row,) = results.read_results(tmp_path)
  (known,) = [
    row
    for row in results.read_results(_RESULTS)
    if (row.subset.name, row.method) == ('2-FKd', 'knn-1')
  ]
  assert row.scores.accuracy == known.scores.accuracy
  assert (row.recomputed, known.recomputed) == (False, True)


def test_derived_files_are_written_with_an_installed_package(monkeypatch):
  script = runpy.run_path(
    str(running.REPOSITORY / 'scripts/write_derived_files.py')
  )
  monkeypatch.setattr(difficulty, 'TABLE', pathlib.Path('/site/difficulty.tsv'))
  ((path, text),) = script['difficulties']().items()
  assert (running.REPOSITORY / path).read_text('utf-8') == text

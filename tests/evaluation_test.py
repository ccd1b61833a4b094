# SPDX-License-Identifier: Apache-2.0
"""Scores agree with scikit-learn's, and reports tell all of them."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil

import numpy as np
import pytest
from command_line import run as _run
from sklearn import metrics

import cmnist_tfds
from cmnist_tfds import subsets
from cmnist_tfds.load.open_subset import open_subset
from cmnist_tfds.scoring import (
  comparison,
  evaluation,
  predictions,
  report,
)
from cmnist_tfds.system.errors import PredictionsError

# Its classes are of very different sizes: 62 and 10 and 49 of them.
_SUBSET = subsets.subset('3-EcFK49')


def _labels(count, seed=0):
  rng = np.random.default_rng(seed)
  shares = rng.dirichlet(np.full(_SUBSET.num_classes, 0.5))
  labels = rng.choice(_SUBSET.num_classes, count, p=shares)
  # Class 7 has no examples.
  return np.where(labels == 7, 8, labels)


def _noisy(labels, seed, share=0.8):
  rng = np.random.default_rng(seed)
  guesses = rng.integers(0, _SUBSET.num_classes, len(labels))
  return np.where(rng.random(len(labels)) < share, labels, guesses)


def _made(runs=1, count=5000, **kwargs):
  labels = _labels(count)
  predicted = [_noisy(labels, seed + 1) for seed in range(runs)]
  return predictions.make_predictions(_SUBSET, predicted, labels, **kwargs)


def test_scores_are_those_of_scikit_learn():
  made = _made()
  scored = evaluation.score(made)
  labels, predicted = made.labels, made.predicted[0]
  assert scored.accuracy.value == pytest.approx(
    metrics.accuracy_score(labels, predicted)
  )
  assert scored.balanced_accuracy.value == pytest.approx(
    metrics.recall_score(
      labels, predicted, labels=np.unique(labels), average='macro'
    )
  )
  every = np.arange(_SUBSET.num_classes)
  np.testing.assert_array_equal(
    scored.confusion, metrics.confusion_matrix(labels, predicted, labels=every)
  )
  recalls, precisions = (
    of(labels, predicted, labels=every, average=None, zero_division=np.nan)
    for of in (metrics.recall_score, metrics.precision_score)
  )
  for c in scored.classes:
    assert c.examples == np.sum(labels == c.label)
    if not c.examples:
      assert c.accuracy is None
    else:
      assert c.accuracy.value == pytest.approx(recalls[c.label])
    assert c.precision == pytest.approx(precisions[c.label])


def test_sources_are_scored_apart():
  made = _made()
  scored = evaluation.score(made)
  source = np.array([c.source_number for c in _SUBSET.classes])
  true, predicted = source[made.labels], source[made.predicted[0]]
  between = metrics.confusion_matrix(true, predicted, normalize='true')
  for number, found in enumerate(scored.sources):
    rows = true == number
    assert found.key == _SUBSET.sources[number].key
    assert found.examples == rows.sum()
    assert found.accuracy.value == pytest.approx(
      metrics.accuracy_score(made.labels[rows], made.predicted[0][rows])
    )
    np.testing.assert_allclose(found.predicted, between[number])


def test_the_worst_pairs_are_those_with_the_largest_share():
  labels = np.repeat([0, 1, 2], [100, 10, 1000])
  predicted = labels.copy()
  predicted[:7] = 3
  predicted[100:104] = 5
  predicted[200:203] = 9
  made = predictions.make_predictions(_SUBSET, predicted, labels)
  pairs = evaluation.score(made).worst_pairs
  assert [(p.label, p.predicted, p.examples, p.share) for p in pairs] == [
    (1, 5, 4, 0.4),
    (0, 3, 7, 0.07),
    (2, 9, 3, 0.003),
  ]


def test_spreads_of_seeds_and_of_draws_are_apart():
  labels = np.zeros(1000, np.int64)
  rights = [[500, 510, 520], [700, 710, 720]]
  predicted = [np.arange(1000) >= n for draw in rights for n in draw]
  reduced = subsets.subset(f'{_SUBSET.name}-r-10')
  made = predictions.make_predictions(
    reduced,
    np.array(predicted, int),
    labels,
    seed=[0, 1, 2, 0, 1, 2],
    draw=[1, 1, 1, 2, 2, 2],
  )
  scored = evaluation.score(made)
  assert scored.accuracy.value == pytest.approx(0.61)
  assert scored.accuracy_spread.seeds == pytest.approx(0.01)
  assert scored.accuracy_spread.draws == pytest.approx(0.2 / 2**0.5)
  assert [run.accuracy for run in scored.runs[:2]] == [0.5, 0.51]
  only_draws = predictions.make_predictions(
    reduced, np.array(predicted[:2], int), labels, draw=[1, 2]
  )
  spread = evaluation.score(only_draws).accuracy_spread
  assert spread.seeds is None
  assert spread.draws == pytest.approx(0.01 / 2**0.5)
  assert evaluation.score(_made()).accuracy_spread == (
    evaluation.Spread(None, None)
  )


def test_reports_have_every_figure():
  scored = evaluation.score(_made(runs=2, seed=[3, 4], about={'method': 'x|y'}))
  printed = json.loads(report.to_json(scored))
  assert printed.keys() == vars(scored).keys()
  assert printed['subset'] == '3-EcFK49'
  assert printed['accuracy'] == scored.accuracy._asdict()
  assert printed['confusion'] == scored.confusion.tolist()
  assert [run['seed'] for run in printed['runs']] == [3, 4]
  assert printed['classes'][7]['accuracy'] is None  # It has no examples.
  text = report.to_markdown(report.evaluation_sections(scored))
  assert all(
    f'| {c.label} | {c.name} | {c.source} |' in text for c in scored.classes
  )
  assert f'| accuracy | {scored.accuracy.value:.4f} |' in text
  assert '- method: x|y' in text
  # Figures, runs, sources, classes and confusions have rows of one width each.
  widths = [line.count(' | ') for line in text.splitlines() if '| ---' in line]
  assert sorted(widths) == [3, 3, 4, 6, 8]


# Two methods ------------------------------------------------------------------


def _pair(only_first, only_second, count=20_000):
  """Two methods of which one alone is right on so many test images."""
  subset = subsets.subset('2-FKd')
  labels = np.arange(count) % 20
  wrong = (labels + 1) % 20
  first, second = labels.copy(), labels.copy()
  first[:only_second] = wrong[:only_second]
  second[-only_first:] = wrong[-only_first:]
  return [
    predictions.make_predictions(subset, predicted, labels)
    for predicted in (first, second)
  ]


def test_a_comparison_counts_disagreements():
  first, second = _pair(626, 512)
  compared = comparison.compare_files(first.subset, first, second, None)
  assert (compared.only_first, compared.only_second) == (626, 512)
  assert compared.p == pytest.approx(0.0008, abs=5e-5)
  np.testing.assert_allclose(
    compared.difference, (0.0057, 0.0024, 0.0090), atol=5e-5
  )
  text = report.to_markdown(report.comparison_sections(compared))
  assert '+0.0057' in text and '626' in text and '512' in text


def test_runs_are_compared_by_their_means():
  first, second = _pair(626, 512)
  several = dataclasses.replace(first, predicted=first.predicted[[0, 0, 0]])
  compared = comparison.compare_files(first.subset, several, second, None)
  assert compared.p is None
  single = comparison.compare_files(first.subset, first, second, None)
  assert compared.difference == pytest.approx(single.difference)
  same = comparison.compare_files(first.subset, several, several, None)
  assert same.difference.low < 0 < same.difference.high
  assert any('means over runs' in note for note in compared.notes)


def test_reduced_forms_are_compared_on_the_same_test_images():
  first, second = _pair(5, 1)
  reduced = dataclasses.replace(second, subset=subsets.subset('2-FKd-r-10'))
  compared = comparison.compare_files(first.subset, first, reduced, None)
  assert compared.second.trained_on == '2-FKd-r-10'
  assert any('2-FKd-r-10' in note for note in compared.notes)
  with pytest.raises(PredictionsError, match='expected predictions for'):
    cmnist_tfds.evaluate('2-FKd', reduced, trust_labels=True)


def test_methods_may_have_any_name():
  first, second = (
    dataclasses.replace(one, about={'method': 'a|b'})
    for one in _pair(10_000, 0)
  )
  compared = comparison.compare_files(first.subset, first, second, None)
  text = report.to_markdown(report.comparison_sections(compared))
  assert r'| a\|b |' in text
  assert 'p < 1e-300' in text


def test_other_test_images_are_not_compared():
  first, second = _pair(5, 1)
  backwards = dataclasses.replace(second, labels=second.labels[::-1])
  with pytest.raises(PredictionsError, match='not of the same test images'):
    comparison.compare_files(first.subset, first, backwards, None)
  with pytest.raises(PredictionsError, match='expected predictions for'):
    comparison.compare_files(subsets.subset('2-FKm'), first, second, None)


# The commands -----------------------------------------------------------------


@pytest.fixture(scope='module')
def data(sample_dir):
  return ('--sample', '--data_dir', str(sample_dir))


@pytest.fixture(scope='module')
def files(sample_dir, tmp_path_factory):
  """Files of predictions of X-12 of the sample: two methods."""
  folder = tmp_path_factory.mktemp('predictions')
  opened = open_subset(subsets.subset('X-12'), data_dir=sample_dir, sample=True)
  labels = predictions.true_labels(opened, 'test')
  for number in range(3):
    rng = np.random.default_rng(number)
    guesses = rng.integers(0, 12, len(labels))
    right = rng.random(len(labels)) < 0.8
    cmnist_tfds.save_predictions(
      folder / f'{number}.npz',
      'X-12',
      np.where(right, labels, guesses),
      labels,
      method='b' if number == 2 else 'a',
      seed=number,
      sample=True,
      data_dir=sample_dir,
    )
  np.save(folder / 'bare.npy', labels)
  shutil.copy(folder / '0.npz', folder / 'copy.npz')
  with np.load(folder / '0.npz') as file:
    np.savez(folder / 'split.npz', **{**file, 'split': 'tst'})
  return folder


def test_evaluate_prints_scores_of_runs(capsys, files, data, sample_dir):
  several = [files / '0.npz', files / '1.npz']
  status, out, err = _run(capsys, 'evaluate', 'x-12', *several, *data)
  assert (status, err) == (0, '')
  assert 'cmnist_sample/X-12 test: 288 examples, 12 classes, 2 runs' in out
  assert evaluation.SAMPLE_SCORED in out
  status, out, _ = _run(
    capsys, 'evaluate', 'X-12', *several, '--format', 'json', *data
  )
  printed = json.loads(out)
  scored = cmnist_tfds.evaluate(
    'X-12', several, data_dir=sample_dir, sample=True
  )
  assert printed['accuracy'] == scored.accuracy._asdict()
  assert 0.7 < scored.accuracy.value < 0.9
  assert scored.accuracy_spread.seeds > 0


@pytest.mark.parametrize('suffix', ['png', 'svg'])
def test_evaluate_draws_the_confusion(capsys, files, data, tmp_path, suffix):
  picture = tmp_path / f'confusion.{suffix}'
  file = files / '0.npz'
  arguments = ['evaluate', 'X-12', file, '--confusion', picture, *data]
  assert _run(capsys, *arguments)[0] == 0
  assert picture.stat().st_size > 1000


@pytest.mark.parametrize(
  ('names', 'message'),
  [
    (['0.npz', '2.npz'], "expected runs of one method, 'a'.* found .* 'b'"),
    (['0.npz', '0.npz'], 'each file once, not twice'),
    (['0.npz', 'copy.npz'], 'same seed'),
    (['split.npz'], r"split\.npz: There is no split 'tst'"),
    (['none.npz'], 'No such file'),
  ],
)
def test_files_that_are_not_runs_of_one_method_are_refused(
  capsys, files, data, names, message
):
  paths = [files / name for name in names]
  status, _, err = _run(capsys, 'evaluate', 'X-12', *paths, *data)
  assert status == 1
  assert re.search(message, err)


def test_order_is_assumed_loudly_and_on_request_only(
  capsys, caplog, files, data
):
  bare = ('evaluate', 'X-12', files / 'bare.npy', *data)
  status, _, err = _run(capsys, *bare)
  assert status == 1
  assert '--assume-order' in err
  status, out, err = _run(capsys, *bare, '--assume-order')
  assert status == 0
  assert 'ORDER ASSUMED' in out
  assert 'ORDER ASSUMED' in err + caplog.text
  status, _, err = _run(capsys, *bare, '--assume-order', '--trust-labels')
  assert status == 1


def test_other_data_are_refused(capsys, files, data):
  file = files / '0.npz'
  status, _, err = _run(capsys, 'evaluate', '2-FKd', file, '--trust-labels')
  assert status == 1
  assert 'expected predictions for CMNIST-2-FKd, found some for CMNIST-X' in err
  status, _, err = _run(capsys, 'evaluate', 'X-12', file, '--trust-labels')
  assert status == 1
  assert 'cmnist_sample' in err
  split = files / 'split.npz'
  status, _, err = _run(capsys, 'compare', 'X-12', split, split, *data)
  assert status == 1
  assert f"{split}: There is no split 'tst'" in err


@pytest.mark.usefixtures('empty_cache')
def test_evaluate_says_how_to_build_what_is_not_prepared(capsys, tmp_path):
  labels = np.tile(np.arange(20), 1000)
  cmnist_tfds.save_predictions(
    *(tmp_path / 'p.npz', '2-FKd', labels, labels),
    method='perfect',
    data_dir=tmp_path,
  )
  command = ('evaluate', '2-FKd', tmp_path / 'p.npz', '--data_dir', tmp_path)
  status, _, err = _run(capsys, *command)
  assert status == 1
  assert 'cmnist build 2-FKd --data_dir' in err


def test_labels_of_unprepared_subsets_are_compared_with_known_sizes(tmp_path):
  subset = subsets.subset('2-FKd')
  labels = np.tile(np.arange(20), 1000)
  good = predictions.make_predictions(subset, labels, labels)
  scored = cmnist_tfds.evaluate('2-FKd', good, trust_labels=True)
  assert scored.accuracy.value == 1
  assert scored.notes == (evaluation.LABELS_TRUSTED,)
  labels = np.append(labels[1:], 1)
  bad = predictions.make_predictions(subset, labels, labels)
  with pytest.raises(PredictionsError, match='expected 1,000 test examples'):
    cmnist_tfds.evaluate('2-FKd', bad, trust_labels=True)
  short = predictions.make_predictions(subset, labels[:9], labels[:9])
  with pytest.raises(PredictionsError, match='test examples'):
    cmnist_tfds.evaluate('2-FKd', short, trust_labels=True)


def test_compare_prints_both_methods(capsys, files, data):
  two = (files / '0.npz', files / '2.npz')
  status, out, err = _run(capsys, 'compare', 'X-12', *two, *data)
  assert (status, err) == (0, '')
  assert "McNemar's exact test" in out
  status, out, _ = _run(
    capsys, 'compare', 'X-12', *two, '--format', 'json', *data
  )
  printed = json.loads(out)
  assert printed['first']['about'] == {'method': 'a'}
  assert 0 <= printed['p'] <= 1


def test_files_may_be_those_of_a_folder(files, sample_dir):
  scored = cmnist_tfds.evaluate(
    'X-12', files.glob('[01].npz'), data_dir=sample_dir, sample=True
  )
  assert {run.seed for run in scored.runs} == {0, 1}


def test_no_files_are_an_error(tmp_path):
  for none in ([], tmp_path.glob('*.npz')):
    with pytest.raises(PredictionsError, match='at least one file'):
      cmnist_tfds.evaluate('2-FKd', none, trust_labels=True)

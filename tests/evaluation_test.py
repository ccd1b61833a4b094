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
from scipy import stats
from sklearn import metrics

import cmnist_tfds
from cmnist_tfds import subsets
from cmnist_tfds.cache.shuffle_order import shuffle_order
from cmnist_tfds.scoring import evaluation, predictions, report
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
  pair = (made.labels, made.predicted[0])
  assert scored.accuracy.value == pytest.approx(metrics.accuracy_score(*pair))
  assert scored.balanced_accuracy.value == pytest.approx(
    metrics.recall_score(*pair, labels=np.unique(made.labels), average='macro')
  )
  every = np.arange(_SUBSET.num_classes)
  matrix = metrics.confusion_matrix(*pair, labels=every)
  np.testing.assert_array_equal(scored.confusion, matrix)
  precisions, recalls, _, counts = metrics.precision_recall_fscore_support(
    *pair, labels=every, zero_division=np.nan
  )
  assert [c.examples for c in scored.classes] == counts.tolist()
  assert scored.classes[7].accuracy is None  # It has no examples.
  found = [c.accuracy.value if c.examples else np.nan for c in scored.classes]
  np.testing.assert_allclose(found, recalls)
  np.testing.assert_allclose([c.precision for c in scored.classes], precisions)


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


@pytest.mark.parametrize(
  ('fewest', 'noted'), [(1, True), (9, True), (10, False)]
)
def test_few_images_of_a_class_are_noted(fewest, noted):
  labels = np.repeat(np.arange(3), [20, fewest, 30])
  made = predictions.make_predictions(_SUBSET, labels, labels)
  note = f'A class has {fewest} examples. Below ten, balanced intervals are too'
  assert evaluation.score(made).notes == (f'{note} narrow.',) * noted


def test_spreads_of_seeds_and_of_draws_are_apart():
  rights = [[500, 510, 520], [700, 710, 720]]
  predicted = [np.arange(1000) >= n for draw in rights for n in draw]

  def score(runs, **kwargs):
    reduced = subsets.subset(f'{_SUBSET.name}-r-10')
    right, labels = np.array(predicted[:runs], int), np.zeros(1000, int)
    return evaluation.score(
      predictions.make_predictions(reduced, right, labels, **kwargs)
    )

  scored = score(6, seed=[0, 1, 2, 0, 1, 2], draw=[1, 1, 1, 2, 2, 2])
  assert scored.accuracy.value == pytest.approx(0.61)
  assert scored.accuracy_spread.seeds == pytest.approx(0.01)
  # Of the variance between the means, seeds make up a third of theirs.
  draws = (0.2**2 / 2 - 0.01**2 / 3) ** 0.5
  assert scored.accuracy_spread.draws == pytest.approx(draws)
  assert [run.accuracy for run in scored.runs[:2]] == [0.5, 0.51]
  spread = score(2, draw=[1, 2]).accuracy_spread
  assert spread == (evaluation.Spread(None, pytest.approx(0.01 / 2**0.5)))
  assert score(1).accuracy_spread == evaluation.Spread(None, None)
  # With one seed a draw, nobody can tell what the seeds do.
  scored = score(2, seed=[1, 1], draw=[1, 2])
  assert scored.accuracy_spread == evaluation.Spread(None, None, spread.draws)
  text = report.to_markdown(report.evaluation_sections(scored))
  assert '| between draws and seeds |' in text


def test_reports_have_every_figure():
  made = _made(runs=2, seed=[3, 4], about={'method': 'x|<b>'})
  scored = evaluation.score(made)
  printed = scored.to_dict()
  assert json.loads(json.dumps(printed)) == printed
  assert printed.keys() == vars(scored).keys()
  assert printed['subset'] == '3-EcFK49'
  assert printed['accuracy'] == vars(scored.accuracy)
  assert printed['confusion'] == scored.confusion.tolist()
  assert [run['seed'] for run in printed['runs']] == [3, 4]
  assert printed['classes'][7]['accuracy'] is None
  text = report.to_markdown(report.evaluation_sections(scored))
  assert all(
    f'| {c.label} | {c.name} | {c.source} |' in text for c in scored.classes
  )
  assert f'| accuracy | {scored.accuracy.value:.4f} |' in text
  assert r'- method: x\|\<b>' in text
  # Figures, runs, sources, classes and confusions have rows of one width each.
  widths = [line.count(' | ') for line in text.splitlines() if '| ---' in line]
  assert sorted(widths) == [3, 3, 3, 6, 8]


# Writers ------------------------------------------------------------------------


def _kannada(rights, name='1-Kd', **kwargs):
  """Predictions of which each of 8 writers has a share that is right."""
  in_files = np.arange(10_000) % 10
  drawn = np.random.default_rng(0).random(10_000)
  wrong = drawn >= np.repeat(rights, 1280)[:10_000]
  order = shuffle_order('test', 10_000)
  labels = in_files[order]
  predicted = (labels + wrong[order]) % 10
  runs = [predicted] * len(kwargs.get('draw', 'x'))
  subset = subsets.subset(name)
  return predictions.make_predictions(subset, runs, labels, **kwargs)


def test_writers_are_scored():
  rights = [0.9, 0.8, 0.95, 0.95, 0.9, 0.9, 0.92, 0.99]
  scored = evaluation.score(_kannada(rights))
  (found,) = scored.writers
  assert (found.source, found.writers) == ('Kd', 8)
  assert found.worst == pytest.approx(0.8, abs=0.04)
  assert found.accuracy.value == scored.accuracy.value
  half = stats.t.ppf(0.975, 7) * np.std(rights, ddof=1) / 8**0.5
  assert found.accuracy.high - found.accuracy.value == pytest.approx(half, 0.2)
  text = report.to_markdown(report.evaluation_sections(scored))
  assert '| Kd | 8 |' in text
  assert not evaluation.score(_made()).writers


def test_the_draw_that_is_one_writer_is_not_mixed_in_silence():
  for draw, said in (([0, 1], True), ([1, 2], False), ([0, 0], False)):
    scored = evaluation.score(_kannada([0.5] * 8, '1-Kd-r-10', draw=draw))
    assert any('Draw 0 is one writer' in n for n in scored.notes) == said


# Two methods ------------------------------------------------------------------


def _runs(rights, name='1-Kd-r-10', **kwargs):
  """Runs that recognize so many of the first test images."""
  labels = np.arange(10_000) % 10
  wrong = np.arange(10_000) >= np.array(rights)[:, None]
  return predictions.make_predictions(
    subsets.subset(name), (labels + wrong) % 10, labels, **kwargs
  )


def _compare(first, second, name='1-Kd-r-10'):
  return cmnist_tfds.compare(name, first, second, trust_labels=True)


def test_runs_are_compared_by_their_means():
  first, second = _runs([6200]), _runs([6100])
  compared = _compare(_runs([6200] * 3), second)
  assert compared.p is None
  single = _compare(first, second)
  assert single.first.accuracy == evaluation.score(first).accuracy
  assert vars(compared.difference) == pytest.approx(vars(single.difference))
  same = _compare(_runs([6200] * 3), _runs([6200] * 3))
  assert same.difference.low < 0 < same.difference.high


@pytest.mark.parametrize(
  ('first', 'second', 'over'),
  [
    ({'draw': [1, 2, 3]}, {'draw': [3, 1, 2]}, 'paired draws and images'),
    ({'draw': [1, 2, 3]}, {'draw': [4, 5, 6]}, 'draws and images'),
    (
      {'draw': [1, 2, 3], 'seed': [1, 1, 1]},
      {'draw': [3, 1, 2]},
      'paired draws and images',
    ),
    ({'seed': [1, 2, 3]}, {'seed': [3, 1, 2]}, 'paired seeds and images'),
    ({'seed': [1, 2, 3]}, {'seed': [1, 2, 4]}, 'seeds and images'),
    ({}, {}, 'seeds and images'),
    ({'draw': [1, 2, 3]}, {'seed': [1, 2, 3]}, 'runs and images'),
  ],
)
def test_methods_are_compared_over_runs(first, second, over):
  rights = np.array([6000, 7000, 8000])
  # The second method has the runs of the first, in another order, and 100 more.
  a = _runs(rights, **first)
  b = _runs(rights[[2, 0, 1]] + 100, **second)
  compared = _compare(a, b)
  assert compared.interval_over.startswith(over)
  assert compared.difference.value == pytest.approx(-0.01)
  # What differs from run to run is the same for both where they are paired.
  is_narrow = compared.difference.high - compared.difference.low < 0.05
  assert is_narrow == over.startswith('paired')
  text = report.to_markdown(report.comparison_sections(compared))
  assert f'95 % interval over {over}' in text
  assert 'missing' not in text
  assert any('several draws' in n for n in compared.notes) == ('runs' in over)


@pytest.mark.parametrize('count', [1, 3])
def test_a_single_run_compares_trained_models(count):
  compared = _compare(_runs([6000]), _runs(range(6100, 6100 + count)))
  assert (compared.interval_over, compared.p is None) == ('images', count > 1)
  text = report.to_markdown(report.comparison_sections(compared))
  assert 'over images alone, as runs are missing' in text
  assert 'Runs are missing' in compared.to_dict()['notes'][0]
  assert ('These two trained models: A alone' in text) == (count == 1)


def test_several_runs_are_compared_over_writers():
  rights = [0.95, 0.5] * 4, [0.55] * 8
  first, second = (_kannada(each, draw=[0, 0]) for each in rights)
  compared = _compare(first, second, '1-Kd')
  half = stats.t.ppf(0.975, 7) * np.std([0.4, -0.05] * 4, ddof=1) / 8**0.5
  found = compared.difference
  assert found.high - found.value == pytest.approx(half, 0.1)
  assert compared.interval_over == 'seeds and images or writers'
  single = _compare(*map(_kannada, rights), '1-Kd')
  assert single.difference.high - single.difference.value < half / 4
  assert 'images of a writer as independent' in single.notes[0]


def test_methods_are_compared_over_origins():
  # Test images that are in two subsets count once.
  names = ['1-F-r-10', '1-F-r-5', '1-N-r-10', '1-Kd-r-10', '1-Km']
  rng = np.random.default_rng(0)
  pairs = []
  for name, base in zip(names, (5400, 5400, 6000, 8000, 7000), strict=True):
    runs = rng.normal(0, 50, (2, 8)) if 'F' not in name else np.zeros((2, 1))
    rights = np.add(np.array([[base], [5000]]), runs)
    pairs.append((name, *(_runs(right, name) for right in rights)))
  found = cmnist_tfds.compare_family(pairs, trust_labels=True)
  assert found == cmnist_tfds.compare_family(pairs, trust_labels=True)
  alone = [_compare(first, second, name) for name, first, second in pairs]
  assert [*found.subsets] == alone
  titles = ['Fashion-MNIST', 'notMNIST', 'Kannada-MNIST', 'Kuzushiji']
  assert [*found.origins] == titles
  for each, title in zip(alone[1:], titles, strict=True):
    origin = found.origins[title]
    assert origin.value == pytest.approx(each.difference.value)
    wide, expected = (x.high - x.low for x in (origin, each.difference))
    assert wide == pytest.approx(expected, 0.25)
  mean = np.mean([origin.value for origin in found.origins.values()])
  assert found.difference.value == pytest.approx(mean)
  text = report.to_markdown(report.family_sections(found))
  assert f'| mean over origins | {mean:.4f} |' in text
  printed = found.to_dict()['origins']['notMNIST']
  assert printed == vars(found.origins['notMNIST'])


def test_only_the_same_test_images_are_compared():
  first, second = _runs([5], '1-Kd'), _runs([1])
  compared = _compare(first, second)
  assert compared.second.trained_on == '1-Kd-r-10'
  assert any('1-Kd-r-10' in note for note in compared.notes)
  with pytest.raises(PredictionsError, match='expected predictions for'):
    cmnist_tfds.evaluate('1-Kd', second, trust_labels=True)
  backwards = dataclasses.replace(second, labels=second.labels[::-1])
  with pytest.raises(PredictionsError, match='not of the same test images'):
    _compare(first, backwards)
  with pytest.raises(PredictionsError, match='expected predictions for'):
    _compare(first, second, '2-FKm')


def test_methods_may_have_any_name():
  about = {'method': 'a|b [c](d) <i>\\'}
  pair = [_runs([right], about=about) for right in (10_000, 0)]
  text = report.to_markdown(report.comparison_sections(_compare(*pair)))
  assert r'| a\|b \[c](d) \<i>\\ |' in text
  assert r'p \< 1e-300' in text


# The commands -----------------------------------------------------------------


@pytest.fixture(scope='module')
def files(tmp_path_factory):
  """Files of predictions of X-12 of the sample: two methods."""
  folder = tmp_path_factory.mktemp('predictions')
  _, labels = cmnist_tfds.load_data('X-12', split='test', sample=True)
  for number in range(3):
    rng = np.random.default_rng(number)
    guesses = rng.integers(0, 12, len(labels))
    predicted = np.where(rng.random(len(labels)) < 0.8, labels, guesses)
    given = folder / f'{number}.npz', 'X-12', predicted, labels
    about = {'method': 'aab'[number], 'seed': number, 'sample': True}
    cmnist_tfds.save_predictions(*given, **about)
  np.save(folder / 'bare.npy', labels)
  shutil.copy(folder / '0.npz', folder / 'copy.npz')
  with np.load(folder / '0.npz') as file:
    np.savez(folder / 'split.npz', **{**file, 'split': 'tst'})
  return folder


@pytest.fixture
def evaluate(capsys, files):
  """Returns what evaluates files of X-12 of the sample."""

  def evaluate_(*argv, command='evaluate'):
    paths = [files / a if '.np' in a else a for a in argv]
    return _run(capsys, command, 'X-12', *paths, '--sample')

  return evaluate_


def test_evaluate_prints_scores_of_runs(evaluate, files):
  status, out, err = evaluate('0.npz', '1.npz')
  assert (status, err) == (0, '')
  assert 'cmnist_sample/X-12 test: 288 examples, 12 classes, 2 runs' in out
  assert predictions.SAMPLE_SCORED in out
  _, out, _ = evaluate('0.npz', '1.npz', '--format', 'json')
  scored = cmnist_tfds.evaluate('X-12', files.glob('[01].npz'), sample=True)
  assert json.loads(out)['accuracy'] == vars(scored.accuracy)
  assert 0.7 < scored.accuracy.value < 0.9
  assert scored.accuracy_spread.seeds > 0
  assert {run.seed for run in scored.runs} == {0, 1}


@pytest.mark.parametrize(
  ('names', 'message'),
  [
    (['0.npz', '2.npz'], "expected runs of one method, 'a'.* found .* 'b'"),
    (['0.npz', '0.npz'], 'same seed'),
    (['0.npz', 'copy.npz'], 'same seed'),
    (['split.npz'], r"split\.npz: There is no split 'tst'"),
    (['none.npz'], 'No such file'),
    (['bare.npy'], '--assume_order'),
  ],
)
def test_files_that_are_not_runs_of_one_method_are_refused(
  evaluate, names, message
):
  status, _, err = evaluate(*names)
  assert status == 1
  assert re.search(message, err)


def test_order_is_assumed_loudly(evaluate, caplog):
  status, out, err = evaluate('bare.npy', '--assume-order')
  assert status == 0
  assert 'ORDER ASSUMED' in out
  assert 'ORDER ASSUMED' in err + caplog.text


@pytest.mark.parametrize(
  ('argv', 'message'),
  [
    ('evaluate 2-FKd 0.npz', 'for CMNIST-2-FKd, found some for CMNIST-X-12'),
    ('evaluate X-12 0.npz', 'cmnist_sample'),
    ('compare X-12 split.npz split.npz', "split.npz: There is no split 'tst'"),
  ],
)
def test_other_data_are_refused(capsys, files, monkeypatch, argv, message):
  monkeypatch.chdir(files)
  option = '--sample' if 'split' in argv else '--trust-labels'
  status, _, err = _run(capsys, *argv.split(), option)
  assert status == 1
  assert message in err


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


def test_labels_of_unprepared_subsets_are_compared_with_known_sizes():
  def evaluate(labels):
    made = predictions.make_predictions(subsets.subset('2-FKd'), labels, labels)
    return cmnist_tfds.evaluate('2-FKd', made, trust_labels=True)

  labels = np.tile(np.arange(20), 1000)
  scored = evaluate(labels)
  assert scored.accuracy.value == 1
  assert scored.notes == (predictions.LABELS_TRUSTED,)
  with pytest.raises(PredictionsError, match='expected 1,000 test examples'):
    evaluate(np.append(labels[1:], 1))
  with pytest.raises(PredictionsError, match='test examples'):
    evaluate(labels[:9])


def test_compare_prints_both_methods(evaluate):
  status, out, err = evaluate('0.npz', '2.npz', command='compare')
  assert (status, err) == (0, '')
  assert "McNemar's exact test" in out
  more = ('0.npz', '2.npz', 'X-12', '2.npz', '0.npz')
  status, out, err = evaluate(*more, command='compare')
  assert (status, err) == (0, '')
  assert 'mean over origins  0.0000' in out
  status, _, err = evaluate(*more[:-1], command='compare')
  assert (status, 'two files' in err) == (2, True)


def test_no_files_are_an_error():
  with pytest.raises(PredictionsError, match='at least one file'):
    cmnist_tfds.evaluate('2-FKd', [], trust_labels=True)
  with pytest.raises(PredictionsError, match='Name subsets'):
    cmnist_tfds.compare_family([])

# SPDX-License-Identifier: Apache-2.0
"""Figures of scores are those that scikit-learn and their definitions give."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pytest
from command_line import run

import cmnist_tfds
from cmnist_tfds import subsets
from cmnist_tfds.load.open_subset import open_or_prepare
from cmnist_tfds.scoring import confidence, predictions
from cmnist_tfds.system.errors import PredictionsError

metrics = pytest.importorskip('sklearn.metrics', reason='the extra scoring')

_SUBSET = subsets.subset('1-F')
_LABELS = np.arange(5000) % 10


def _logits(sharpness=1.0, seed=0):
  rng = np.random.default_rng(seed)
  logits = rng.normal(size=(len(_LABELS), 10))
  logits[np.arange(len(_LABELS)), _LABELS] += 2
  return logits * sharpness


def _softmax(logits):
  e = np.exp(logits - logits.max(axis=1, keepdims=True))
  return e / e.sum(axis=1, keepdims=True)


def _made(scores, kind='other', labels=_LABELS, **kwargs):
  predicted = np.asarray(scores).argmax(axis=-1)
  how = {'scores': scores, 'score_kind': kind, **kwargs}
  return predictions.make_predictions(_SUBSET, predicted, labels, **how)


def test_figures_are_those_of_scikit_learn():
  p = _softmax(_logits())
  found = confidence.measure(_made(p, 'probability'))
  assert found.log_loss == pytest.approx(metrics.log_loss(_LABELS, p))
  one_hot = np.eye(10)[_LABELS]
  assert found.brier == pytest.approx(((p - one_hot) ** 2).sum(axis=1).mean())
  assert found.auroc == pytest.approx(
    metrics.roc_auc_score(_LABELS, p, multi_class='ovr')
  )
  for k in (1, 3, 5):
    expected = metrics.top_k_accuracy_score(_LABELS, p, k=k)
    assert getattr(found, f'top_{k}') == pytest.approx(expected)


def test_logits_are_probabilities_and_others_are_none():
  logits = _logits()
  a = confidence.measure(_made(_softmax(logits), 'probability'))
  b = confidence.measure(_made(logits, 'logit'))
  assert b.log_loss == pytest.approx(a.log_loss)
  np.testing.assert_allclose(b.reliability, a.reliability)
  c = confidence.measure(_made(logits, 'other'))
  assert (c.log_loss, c.brier, c.ece, c.reliability) == (None, None, None, ())
  assert (c.auroc, c.top_3) == (pytest.approx(b.auroc), b.top_3)
  logits[:, 9] = -np.inf
  assert confidence.measure(_made(logits, 'logit')).log_loss > 4


def test_a_calibrated_model_has_no_calibration_error():
  """Probabilities are the shares of the classes, but for the choice of labels."""
  p = _softmax(_logits(1.5))
  rng = np.random.default_rng(1)
  labels = np.array([rng.choice(10, p=row) for row in p])
  right = confidence.measure(_made(p, 'probability', labels))
  assert right.ece < 0.03
  too_sure = confidence.measure(_made(np.round(p), 'other', labels))
  assert too_sure.ece is None
  sharp = _softmax(np.log(p) * 3)
  assert confidence.measure(_made(sharp, 'probability', labels)).ece > 0.1
  assert sum(n for _, n, _ in right.reliability) == len(labels)


def test_risk_falls_with_coverage_and_ends_at_the_error():
  found = confidence.measure(_made(_logits(), 'logit'))
  assert [*found.risk] == sorted(found.risk)
  assert found.risk[-1] == pytest.approx(1 - found.top_1)
  perfect = np.where(np.eye(10)[_LABELS] > 0, 1.0, 0)
  found = confidence.measure(_made(perfect))
  assert (found.aurc, found.auroc) == (0, 1)


def test_runs_are_averaged():
  both = np.stack([_logits(seed=0), _logits(seed=1)])
  one, two = (confidence.measure(_made(run, 'logit')) for run in both)
  found = confidence.measure(_made(both, 'logit', seed=[1, 2]))
  assert found.brier == pytest.approx((one.brier + two.brier) / 2)
  assert found.aurc == pytest.approx((one.aurc + two.aurc) / 2)


@pytest.mark.parametrize(
  ('scores', 'kind', 'told'),
  [
    (_logits(), 'probability', 'expected probabilities'),
    (_softmax(_logits()) / 2, 'probability', 'sums from 0.5'),
    (_logits(), 'chance', 'expected probability, logit, other'),
  ],
)
def test_scores_of_another_kind_are_refused(scores, kind, told):
  with pytest.raises(PredictionsError, match=told):
    _made(scores, kind)


def test_other_sets_are_told_apart(tmp_path):
  own, far = _logits(), _logits(0.2)
  scored = _made(own)
  np.save(tmp_path / 'far.npy', far.max(axis=1))
  found = confidence.tell_apart(scored, tmp_path / 'far.npy')
  is_own = np.repeat([1, 0], 5000)
  highest = np.r_[own.max(axis=1), far.max(axis=1)]
  assert found.auroc == pytest.approx(metrics.roc_auc_score(is_own, highest))
  limit = np.sort(own.max(axis=1))[250]
  assert found.fpr95 == pytest.approx(
    (far.max(axis=1) >= limit).mean(), abs=0.01
  )
  predictions.write_predictions(tmp_path / 'same.npz', scored)
  same = confidence.tell_apart(scored, tmp_path / 'same.npz')
  assert (same.auroc, same.aupr) == (0.5, 0.5)
  two = _made(np.stack([own, own]), seed=[1, 2])
  predictions.write_predictions(tmp_path / 'two.npz', two)
  with pytest.raises(PredictionsError, match='1, found 2'):
    confidence.tell_apart(scored, tmp_path / 'two.npz')
  bare = predictions.make_predictions(_SUBSET, _LABELS, _LABELS)
  with pytest.raises(PredictionsError, match='0, found 1'):
    confidence.tell_apart(bare, tmp_path / 'far.npy')


def test_the_command_prints_draws_and_writes_them(capsys, tmp_path):
  opened = open_or_prepare(subsets.subset('1-F'), sample=True)
  labels = opened.split('test').labels
  p = _softmax(_logits()[: len(labels)] + 3 * np.eye(10)[labels])
  where = {'sample': True, 'data_dir': tmp_path}
  path = tmp_path / 'p.npz'
  cmnist_tfds.save_predictions(
    path, '1-F', p.argmax(axis=1), labels, method='m', scores=p,
    score_kind='probability', **where,
  )  # fmt: skip
  np.save(tmp_path / 'ood.npy', p)
  argv = ('evaluate', '1-F', path, '--sample', '--data_dir', tmp_path)
  more = ('--ood', tmp_path / 'ood.npy', '--reliability', tmp_path / 'r.svg')
  status, out, _ = run(capsys, *argv, *more, '-o', tmp_path / 'm.json')
  assert status == 0
  assert 'brier' in out
  assert 'Test images told from others' in out
  assert 'highest probability' in (tmp_path / 'r.svg').read_text('utf-8')
  written = json.loads((tmp_path / 'm.json').read_text('utf-8'))
  assert written['confidence']['kind'] == 'probability'
  assert written['ood']['auroc'] == 0.5
  status, out, _ = run(capsys, *argv, '--format', 'json')
  assert json.loads(out)['confidence']['ece'] > 0
  bare = pathlib.Path(tmp_path / 'bare.npz')
  cmnist_tfds.save_predictions(bare, '1-F', labels, labels, method='m', **where)
  argv = ('evaluate', '1-F', bare, *argv[3:], *more[2:])
  status, _, err = run(capsys, *argv)
  assert (status, 'no probabilities' in err) == (1, True)

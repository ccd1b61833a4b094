# SPDX-License-Identifier: Apache-2.0
"""Intervals contain the truth as often as they say, and tests are exact."""

import numpy as np
import pytest
from scipy import stats

from cmnist_tfds.scoring import intervals

# Simulated test sets. With so many, a coverage of .95 is seen as .943 to .957.
_TIMES = 4000
# As unbalanced as the test set of Kuzushiji-49: a few classes have a tenth of
# the examples of most.
_UNBALANCED = np.repeat([1000, 400, 100, 64], [26, 8, 8, 7])
_BALANCED = np.full(20, 1000)


def _covered(found, truth):
  return float(np.mean([e.low <= truth <= e.high for e in found]))


@pytest.mark.parametrize('share', [0.39, 0.85, 0.99])
@pytest.mark.parametrize('total', [200, 20_000])
def test_wilson_covers_the_accuracy(share, total):
  right = np.random.default_rng(0).binomial(total, share, _TIMES)
  found = [intervals.wilson(r, total) for r in right.tolist()]
  assert 0.93 <= _covered(found, share) <= 0.97


@pytest.mark.parametrize('total', [_BALANCED, _UNBALANCED, np.full(12, 24)])
@pytest.mark.parametrize(('good', 'bad'), [(3, 2), (18, 2), (50, 1)])
def test_the_stratified_interval_covers_the_balanced_accuracy(total, good, bad):
  rng = np.random.default_rng(1)
  shares = rng.beta(good, bad, len(total))
  right = rng.binomial(total, shares, (_TIMES, len(total)))
  found = map(intervals.Estimate, *intervals.mean_of_shares(right, total))
  assert 0.93 <= _covered(found, shares.mean()) <= 0.97


@pytest.mark.parametrize('right', [0, 1, 37, 99, 100])
def test_for_one_class_the_stratified_interval_is_wilsons(right):
  expected = list(vars(intervals.wilson(right, 100)).values())
  found = intervals.mean_of_shares(np.array([right]), np.array([100]))
  np.testing.assert_allclose(found, expected, atol=1e-12)
  scipys = stats.binomtest(right, 100).proportion_ci(method='wilson')
  np.testing.assert_allclose(expected[1:], scipys, atol=1e-12)


@pytest.mark.parametrize('total', [[1], [7], [400], [30, 30, 5]])
@pytest.mark.parametrize('share', [0, 0.5, 1])
def test_limits_are_shares(total, share):
  total = np.array(total)
  right = np.floor(total * share)
  for found in (
    intervals.wilson(right.sum(), total.sum()),
    intervals.Estimate(*intervals.mean_of_shares(right, total)),
  ):
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high


@pytest.mark.parametrize(
  ('first', 'second'),
  [(626, 512), (0, 0), (5, 5), (0, 9), (3, 1), (20_000, 20_400)],
)
def test_mcnemar_is_exact(first, second):
  found = intervals.mcnemar(first, second)
  total = first + second
  expected = stats.binomtest(first, total).pvalue if total else 1
  assert found == pytest.approx(expected, rel=1e-8)


def _of_single_runs(differences):
  each = np.arange(len(differences))
  return intervals.over_runs([differences[None]], each, np.zeros(len(each)))


def test_the_interval_of_single_runs_covers_the_difference():
  rng = np.random.default_rng(2)
  for first, second, total in ((0.031, 0.026, 5_000), (0.2, 0.1, 100)):
    shares = [1 - first - second, first, second]
    found = [
      _of_single_runs(np.repeat([0, 1, -1], counts))
      for counts in rng.multinomial(total, shares, _TIMES // 4)
    ]
    assert 0.93 <= _covered(found, first - second) <= 0.97


def test_each_model_alone_recognizes_an_example_more():
  found = _of_single_runs(np.repeat([1, 0, -1], [1, 38, 1]))
  half = stats.t.ppf(0.975, 39) * (2 / 39 / 40 + 2 / 40**2) ** 0.5
  assert [*vars(found).values()] == pytest.approx([0, -half, half])


@pytest.mark.parametrize('degrees', [1, 1.5, 4, 7, 29, 31, 300, 1e4, 1e8])
def test_the_quantile_is_students(degrees):
  found = intervals.from_parts(0, np.array([1e-6]), np.array([degrees])).high
  assert found * 1e3 == pytest.approx(stats.t.ppf(0.975, degrees), rel=1e-6)


def test_the_interval_of_two_means_is_welchs():
  rng = np.random.default_rng(4)
  a, b = rng.normal(0, 0.1, 5), rng.normal(0.2, 0.02, 9)
  parts = [(x.var(ddof=1) / len(x), len(x) - 1) for x in (a, b)]
  found = intervals.from_parts(a.mean() - b.mean(), *np.array(parts).T)
  expected = stats.ttest_ind(a, b, equal_var=False).confidence_interval()
  assert (found.low, found.high) == pytest.approx(tuple(expected), rel=1e-6)


def test_the_variance_of_a_stratum_is_that_of_the_means_of_its_clusters():
  means = np.random.default_rng(6).normal(size=(2, 4))
  cluster, stratum = np.repeat([np.arange(8), [0] * 4 + [1] * 4], 5, axis=1)
  found, degrees = intervals.mean_variance(
    np.repeat(means, 5), cluster, stratum
  )
  np.testing.assert_allclose(found, means.var(axis=1, ddof=1) / 4 / 2**2)
  assert degrees.tolist() == [3, 3]


def test_the_variance_over_runs_adds_those_of_runs_and_of_examples():
  runs = np.repeat([[0.51], [0.49]], 50, axis=1)
  found = intervals.over_runs([runs], np.arange(50), np.zeros(50))
  # 0.0001 of runs, and 0.0008 of examples, all of which are alike.
  degrees = 1 / ((1 / 9) ** 2 / 1 + (8 / 9) ** 2 / 49)
  half = 0.03 * stats.t.ppf(0.975, degrees)
  assert (found.low, found.high) == pytest.approx((0.5 - half, 0.5 + half))
  wide = intervals.from_parts(0.5, np.array([9.0]), np.array([1]), least=0)
  assert (wide.low, wide.high) == (0, 1)


@pytest.mark.parametrize('paired', [True, False])
@pytest.mark.parametrize(
  ('runs', 'between_runs', 'writers'),
  [(5, 0.03, 1000), (5, 0.02, 8), (5, 0.02, 20), (10, 0.01, 400)],
)
def test_the_interval_over_runs_covers_the_difference(
  paired, runs, between_runs, writers
):
  rng = np.random.default_rng(5)
  cluster = np.repeat(np.arange(writers), 4000 // writers)
  found = []
  for _ in range(400):
    # What a writer and a training set do to both methods, and to one of them.
    of_writer = rng.normal(0, [[0.1], [0.05], [0.05]], (3, writers))
    of_run = rng.normal(0, between_runs, (3, runs, 1))
    samples = []
    for method, mean in ((1, 0.6), (2, 0.5)):
      shares = mean + (of_writer[0] + of_writer[method])[cluster]
      shares = shares + of_run[method] + of_run[0] * paired
      samples.append((rng.random(shares.shape) < shares).astype(float))
    a, b = samples
    samples = [a - b] if paired else [a, -b]
    stratum = np.zeros(len(cluster))
    found.append(intervals.over_runs(samples, cluster, stratum))
  # What runs do to single images is counted twice.
  assert 0.93 <= _covered(found, 0.1) <= 0.985

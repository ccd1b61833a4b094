# SPDX-License-Identifier: Apache-2.0
"""Baselines that scikit-learn fits, by the command."""

import pytest
from command_line import run as _run

from cmnist_tfds.scoring import predictions, results

pytest.importorskip('skimage', reason='scikit-image is not installed')


@pytest.fixture
def baseline(capsys, tmp_path):
  """Returns what scores a baseline on subsets of the sample."""

  def run(action, *argv):
    status, out, err = _run(
      capsys, 'baseline', action, *argv, '--sample', '-o', tmp_path
    )
    assert status == 0, err
    return out

  return run


@pytest.fixture
def read(tmp_path):
  return lambda name: predictions.read_predictions(tmp_path / f'{name}.npz')


@pytest.mark.parametrize('method', ['linear', 'hog-svm'])
def test_the_method_learns_and_says_how(baseline, read, method):
  out = baseline(method, '2-FKd-r-5', '--draws', 2)
  assert '2 results in' in out
  found = read(f'2-FKd-r-5/{method}')
  # A guess is right once in twenty times.
  assert (found.predicted == found.labels).mean() > 0.8
  assert (found.seeds, found.draws) == ((None,), (0,))
  assert found.about['code'] == f'cmnist baseline {method}'
  (facts,) = results.run_facts(found)
  assert 'sklearn' in facts['versions'] and facts['time'].endswith(' s')
  assert read(f'2-FKd-r-5/{method}-draws').draws == (1, 2)
  assert baseline(method, '2-FKd-r-5', '--draws', 2).count('was there') == 2


def test_an_approximated_kernel_depends_on_the_seed(
  baseline, read, monkeypatch
):
  from cmnist_tfds.scoring import classical_models

  model = classical_models.MODELS['hog-svm']._replace(exact=30)
  monkeypatch.setitem(classical_models.MODELS, 'hog-svm', model)
  baseline('hog-svm', '2-FKd-r-5', '--seeds', 2)
  found = read('2-FKd-r-5/hog-svm')
  assert found.seeds == (1, 2)
  assert (found.predicted[0] != found.predicted[1]).any()

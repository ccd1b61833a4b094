# SPDX-License-Identifier: Apache-2.0
"""The examples run as a user runs them."""

import importlib.util
import re
import runpy

import numpy as np
import pytest
import running

import cmnist_tfds

_EXAMPLES = running.REPOSITORY / 'examples'
_EXAMPLE = _EXAMPLES / 'train_keras.py'


@pytest.mark.slow
@pytest.mark.parametrize('backend', ['tensorflow', 'jax', 'torch'])
def test_one_short_epoch_on_the_sample(backend, tmp_path):
  if importlib.util.find_spec(backend) is None:
    pytest.skip(f'{backend} is not installed')
  printed = running.works(
    *(_EXAMPLE, '--sample', '--data_dir', tmp_path, '--subset', 'X-12'),
    *('--epochs', '1', '--predictions', tmp_path / 'p.npz'),
    KERAS_BACKEND=backend,
  )
  accuracies = re.findall(r'accuracy +([01]\.[0-9]{4})$', printed, re.M)
  assert len(accuracies) == 2
  # One epoch suffices to be far above the 1/12 of guessing.
  assert float(accuracies[0]) > 0.5
  scored = cmnist_tfds.evaluate(
    'X-12', tmp_path / 'p.npz', data_dir=tmp_path, sample=True
  )
  assert f'{scored.accuracy.value:.4f}' == accuracies[0]


def test_multimnist_has_two_digits_of_different_classes():
  make = runpy.run_path(str(_EXAMPLES / 'make_multimnist.py'))['make']
  labels = np.arange(30) % 3
  # Each digit is one bright pixel in its middle, as bright as its class says.
  images = np.zeros((30, 28, 28), np.uint8)
  images[:, 14, 14] = 100 + labels
  made, both = make(images, labels, 75, np.random.default_rng(0))
  assert made.shape == (75, 36, 36)
  assert made.dtype == np.uint8
  assert (both[:, 0] == np.arange(75) % 30 % 3).all()
  assert (both[:, 0] != both[:, 1]).all()
  rows, columns = made.nonzero()[1:]
  assert {rows.min(), columns.min()} == {14}
  assert {rows.max(), columns.max()} == {22}
  # Where both digits are, brightness is added.
  np.testing.assert_array_equal(made.sum((1, 2)), 200 + both.sum(1))


def test_multimnist_is_made_from_mnist(origin_files, tmp_path):
  where = ('--data_dir', tmp_path)
  script = (_EXAMPLES / 'make_multimnist.py', '--split', 'test')
  build = ('-m', 'cmnist_tfds', 'build', '1-Mn', '--manual_dir', origin_files)
  running.works(*build, *where)
  running.works(*script, '--count', 20, *where, '-o', tmp_path / 'multi.npz')
  with np.load(tmp_path / 'multi.npz') as made:
    assert made['images'].shape == (20, 36, 36)
    assert made['labels'].shape == (20, 2)

# SPDX-License-Identifier: Apache-2.0
"""The training example runs as a user runs it."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import pytest

import cmnist_tfds

_EXAMPLE = (
  pathlib.Path(__file__).resolve().parent.parent / 'examples/train_keras.py'
)


@pytest.mark.parametrize('backend', ['tensorflow', 'jax', 'torch'])
def test_one_short_epoch_on_the_sample(backend, tmp_path):
  if importlib.util.find_spec(backend) is None:
    pytest.skip(f'{backend} is not installed')
  done = subprocess.run(
    [
      *(sys.executable, str(_EXAMPLE), '--sample', '--data_dir', tmp_path),
      *('--subset', 'X-12', '--epochs', '1'),
      *('--predictions', tmp_path / 'p.npz'),
    ],
    env={**os.environ, 'KERAS_BACKEND': backend},
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  accuracies = re.findall(r'accuracy +([01]\.[0-9]{4})$', done.stdout, re.M)
  assert len(accuracies) == 2
  # One epoch suffices to be far above the 1/12 of guessing.
  assert float(accuracies[0]) > 0.5
  scored = cmnist_tfds.evaluate(
    'X-12', tmp_path / 'p.npz', data_dir=tmp_path, sample=True
  )
  assert f'{scored.accuracy.value:.4f}' == accuracies[0]

# SPDX-License-Identifier: Apache-2.0
"""The training example runs as a user runs it."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import re
import runpy
import subprocess
import sys

import numpy as np
import pytest

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


def test_balanced_accuracy_weighs_classes_alike():
  balanced_accuracy = runpy.run_path(str(_EXAMPLE))['balanced_accuracy']
  labels = np.array([0, 0, 0, 0, 2])
  predicted = np.array([0, 0, 0, 1, 0])
  assert balanced_accuracy(labels, predicted) == pytest.approx(0.75 / 2)

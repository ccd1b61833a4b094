# SPDX-License-Identifier: Apache-2.0
"""The baselines that scikit-learn fits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from cmnist_tfds.system.extras import needs_extra

with needs_extra('This baseline', 'scoring'):
  from skimage.feature import hog
  from sklearn.kernel_approximation import Nystroem
  from sklearn.linear_model import LogisticRegression, RidgeClassifier
  from sklearn.pipeline import make_pipeline


class ClassicalModel(NamedTuple):
  """A model on features that are computed without training.

  Attributes:
    title: What results call it.
    validation: What results say of its settings.
    describe: Returns the features of images, uint8 (n, 28, 28), as float32
      (n, features).
    make: Returns an estimator of scikit-learn for such features and a seed.
    exact: With how many training images at most chance plays no part; None for
      any number.
  """

  title: str
  validation: str
  describe: Callable[[np.ndarray], np.ndarray]
  make: Callable[[np.ndarray, int], Any]
  exact: int | None = None


def _pixels(images: np.ndarray) -> np.ndarray:
  return images.reshape(len(images), -1).astype(np.float32) / 255


def _oriented_gradients(images: np.ndarray) -> np.ndarray:
  """Returns histograms in cells of 4 x 4 pixels, in blocks of 2 x 2 cells."""
  how = {'pixels_per_cell': (4, 4), 'cells_per_block': (2, 2)}
  return np.array([hog(image, **how) for image in images], np.float32)


def _make_kernel_machine(features: np.ndarray, seed: int) -> Any:
  """Returns a least-squares support vector machine with a Gaussian kernel.

  The kernel is as wide as that of scikit-learn's `SVC` is. It is approximated
  where there are more images than `exact`.
  """
  kernel = Nystroem(
    gamma=1 / (features.shape[1] * features.var()),
    n_components=min(len(features), MODELS['hog-svm'].exact or 0),
    random_state=seed,
  )
  return make_pipeline(kernel, RidgeClassifier(alpha=0.1))


MODELS = {
  'linear': ClassicalModel(
    'logistic regression, pixels',
    "none; the penalty is scikit-learn's default",
    _pixels,
    lambda _features, _seed: LogisticRegression(max_iter=1000),
  ),
  'hog-svm': ClassicalModel(
    'HOG, least-squares SVM with a Gaussian kernel',
    'settings chosen on `validation` of 2-FKd and its reduced forms',
    _oriented_gradients,
    _make_kernel_machine,
    exact=3000,
  ),
}

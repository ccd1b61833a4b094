# SPDX-License-Identifier: Apache-2.0
"""The baselines that scikit-learn fits.

Their settings were chosen on `validation` of 2-FKd and its reduced forms.
"""

from __future__ import annotations

import numpy as np

from cmnist_tfds.system.extras import needs_extra

with needs_extra('This baseline', 'scoring'):
  from skimage.feature import hog
  from sklearn.kernel_approximation import Nystroem
  from sklearn.linear_model import LogisticRegression, RidgeClassifier
  from sklearn.pipeline import make_pipeline

# With so many training images the kernel is exact. It is otherwise approximated
# from so many of them.
MOST_CENTERS = 3000


def predict_linear(
  images: np.ndarray, labels: np.ndarray, tested: np.ndarray
) -> np.ndarray:
  """Fits logistic regression on pixels, and predicts.

  Args:
    images: uint8 (n, 28, 28), those for training.
    labels: int64 (n,).
    tested: uint8 (m, 28, 28).

  Returns:
    int64 (m,), the predicted labels.
  """
  rows, wanted = (_to_rows(each) for each in (images, tested))
  return LogisticRegression(max_iter=1000).fit(rows, labels).predict(wanted)


def _to_rows(images: np.ndarray) -> np.ndarray:
  return images.reshape(len(images), -1).astype(np.float32) / 255


def oriented_gradients(images: np.ndarray) -> np.ndarray:
  """Returns histograms of oriented gradients of images, uint8 (n, 28, 28).

  Returns:
    float32 (n, 1296): of cells of 4 x 4 pixels, in blocks of 2 x 2 cells.
  """
  described = [
    hog(image, pixels_per_cell=(4, 4), cells_per_block=(2, 2))
    for image in images
  ]
  return np.array(described, np.float32)


def predict_kernel(
  described: np.ndarray, labels: np.ndarray, tested: np.ndarray, seed: int
) -> np.ndarray:
  """Fits a least-squares support vector machine, and predicts.

  Its kernel is Gaussian, as wide as that of scikit-learn's `SVC` is. Nystroem's
  method approximates it if there are more than `MOST_CENTERS` examples.

  Args:
    described: float32 (n, features), those for training.
    labels: int64 (n,).
    tested: float32 (m, features).
    seed: Chooses the examples that the approximation is made from.

  Returns:
    int64 (m,), the predicted labels.
  """
  kernel = Nystroem(
    gamma=1 / (described.shape[1] * described.var()),
    n_components=min(len(described), MOST_CENTERS),
    random_state=seed,
  )
  model = make_pipeline(kernel, RidgeClassifier(alpha=0.1))
  return model.fit(described, labels).predict(tested)

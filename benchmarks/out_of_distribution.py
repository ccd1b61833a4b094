# SPDX-License-Identifier: Apache-2.0
"""Measures how well models of one source notice the images of another.

    python benchmarks/out_of_distribution.py --data_dir data
    python benchmarks/out_of_distribution.py Mn Kd --data_dir data --output scores

Prints a table, of what `cmnist evaluate --ood` says. benchmarks/README.md says what
the columns are.
"""

from __future__ import annotations

import argparse
import pathlib
import tempfile
import warnings
from collections.abc import Callable

import numpy as np

import cmnist_tfds

# How many images are compared with the training images at once.
_ROWS = 2000

# Returns the scores of images (n, 28, 28), floats (n, classes).
_Model = Callable[[np.ndarray], np.ndarray]


def main() -> None:
  """Measures and prints."""
  parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
  parser.add_argument(
    'keys',
    nargs='*',
    default=['F', 'Kd', 'Mn', 'Bn', 'Dv', 'Te'],
    help='sources, such as Mn',
  )
  parser.add_argument('--data_dir', help='folder of prepared datasets')
  parser.add_argument(
    '--sample', action='store_true', help='measure on the synthetic sample'
  )
  parser.add_argument(
    '--output', type=pathlib.Path, help='folder that keeps all scores'
  )
  args = parser.parse_args()
  where = {'data_dir': args.data_dir, 'sample': args.sample}
  loaded = {
    key: cmnist_tfds.load_data(f'1-{key}', **where) for key in args.keys
  }
  titles = ('nearest AUROC', 'logistic AUROC')
  columns = ''.join(f' {title} | AUPR | FPR95 |' for title in titles)
  print(f'| trained on | shown |{columns}')
  print(f'|---|---|{"--:|" * 6}')
  with tempfile.TemporaryDirectory() as scratch:
    folder = args.output or pathlib.Path(scratch)
    folder.mkdir(parents=True, exist_ok=True)
    for key, (train, (x_test, y_test)) in loaded.items():
      rows: dict[str, list[float]] = {k: [] for k in args.keys if k != key}
      for make in (nearest_neighbor, logistic_regression):
        model, path = make(*train), folder / f'{key}-{make.__name__}.npz'
        scores = model(x_test)
        cmnist_tfds.save_predictions(
          path,
          f'1-{key}',
          scores.argmax(axis=1),
          y_test,
          scores=scores,
          method=make.__name__,
          **where,
        )
        for other, row in rows.items():
          shown = path.with_name(f'{path.stem}-{other}.npy')
          np.save(shown, model(loaded[other][1][0]))
          found = cmnist_tfds.evaluate(f'1-{key}', path, ood=shown, **where).ood
          row.extend((found.auroc, found.aupr, found.fpr95))
      for other, row in rows.items():
        cells = ' | '.join(f'{figure:.3f}' for figure in row)
        print(f'| {key} | {other} | {cells} |', flush=True)


def nearest_neighbor(x: np.ndarray, y: np.ndarray) -> _Model:
  """Returns minus the squared distance to the nearest image of each class."""

  def flat(images: np.ndarray) -> np.ndarray:
    # Centered, so that float32 holds the products.
    return images.reshape(len(images), -1).astype(np.float32) - 128

  classes = [flat(x[y == c]) for c in range(y.max() + 1)]

  def score(images: np.ndarray) -> np.ndarray:
    parts = []
    for part in np.array_split(flat(images), -(-len(images) // _ROWS)):
      norms = (part**2).sum(axis=1)
      nearest = [
        ((own**2).sum(axis=1) - 2 * part @ own.T).min(axis=1) + norms
        for own in classes
      ]
      parts.append(np.stack(nearest, axis=1))
    return -np.concatenate(parts)

  return score


def logistic_regression(x: np.ndarray, y: np.ndarray) -> _Model:
  """Returns the probabilities of a logistic regression of pixels."""
  from sklearn.linear_model import LogisticRegression

  def flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1) / np.float32(255)

  with warnings.catch_warnings():
    warnings.simplefilter('ignore')  # It does not converge in 100 iterations.
    model = LogisticRegression(max_iter=100).fit(flat(x), y)
  return lambda images: model.predict_proba(flat(images))


if __name__ == '__main__':
  main()

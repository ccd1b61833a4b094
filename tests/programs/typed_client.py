# SPDX-License-Identifier: Apache-2.0
"""Uses the package as its users do, for checkers of types: mypy and pyright.

Its annotations are what the documentation promises; a test runs it, too.
"""

import contextlib
import tempfile

import numpy as np

import cmnist_tfds

_Arrays = tuple[np.ndarray, ...]


def accuracy(name: str) -> float:
  """Scores the most frequent class on the sample of a subset."""
  train: _Arrays
  test: _Arrays
  train, test = cmnist_tfds.load_data(name, sample=True)
  part: _Arrays = cmnist_tfds.load_data(name, split='train[:5]', sample=True)
  assert len(part[0]) == 5
  likely: int = np.bincount(train[1]).argmax().item()
  with tempfile.TemporaryDirectory() as folder:
    path = f'{folder}/predictions.npz'
    guesses = np.full(len(test[1]), likely)
    cmnist_tfds.save_predictions(
      path, name, guesses, test[1], method='likely', sample=True
    )
    scores = cmnist_tfds.evaluate(name, path, sample=True)
    same = cmnist_tfds.compare(name, path, path, sample=True)
  assert not same.difference.value
  value: float = scores.accuracy.value
  return value


def main() -> None:
  """Checks what is known of X-12, and its names."""
  subset: cmnist_tfds.Subset = cmnist_tfds.subset('X-12')
  names: tuple[str, ...] = subset.class_names
  training: int | None = subset.num_train
  assert accuracy(subset.name) == 1 / len(names), training
  try:
    cmnist_tfds.subset('3-nonsense')
  except cmnist_tfds.SubsetNameError as error:
    told: cmnist_tfds.CmnistError = error
    print(told)
  with contextlib.suppress(TypeError):
    cmnist_tfds.load_data(split='train')  # type: ignore[call-overload]


if __name__ == '__main__':
  main()

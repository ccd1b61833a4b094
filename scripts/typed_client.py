# SPDX-License-Identifier: Apache-2.0
"""Uses the package as its users do, for checkers of types: mypy and pyright.

Its annotations are what the documentation promises. It runs, too:

    python scripts/typed_client.py predictions.npz
"""

import pathlib
import sys

import numpy as np

import cmnist_tfds

_Arrays = tuple[np.ndarray, ...]

subset: cmnist_tfds.Subset = cmnist_tfds.subset('X-12')
names: tuple[str, ...] = subset.class_names
train: _Arrays
test: _Arrays
train, test = cmnist_tfds.load_data(subset.name, sample=True)
part: _Arrays = cmnist_tfds.load_data('X-12', split='train[:5]', sample=True)
file = pathlib.Path(sys.argv[1])
cmnist_tfds.save_predictions(
  file, 'X-12', test[1], test[1], method='Oracle', sample=True
)
accuracy: float = cmnist_tfds.evaluate('X-12', file, sample=True).accuracy.value
assert (accuracy, len(part[0])) == (1, 5), subset.num_train
try:
  cmnist_tfds.load_data(split='train')  # type: ignore[call-overload]
except TypeError as error:
  print(error)

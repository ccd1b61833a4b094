# SPDX-License-Identifier: Apache-2.0
"""Is one of two workers that read a subset of the sample together.

The arguments are the number of the worker, the addresses of both, and the folder
of the prepared datasets. Prints as JSON the places in the training set of the
examples that this worker reads in each of two epochs.
"""

from __future__ import annotations

import json
import os
import sys

_NUMBER, _ADDRESSES, _DATA_DIR = sys.argv[1:]
os.environ['TF_CONFIG'] = json.dumps(
  {
    'cluster': {'worker': _ADDRESSES.split(',')},
    'task': {'type': 'worker', 'index': int(_NUMBER)},
  }
)

import tensorflow as tf  # noqa: E402

import cmnist_tfds  # noqa: E402

where = {'data_dir': _DATA_DIR, 'sample': True}
strategy = tf.distribute.MultiWorkerMirroredStrategy()
try:
  cmnist_tfds.as_batches('X-12', 'train', 100, shuffle=True, **where)
except ValueError as error:
  assert 'needs a seed to shuffle for 2 workers' in str(error)
else:
  raise AssertionError('nothing was raised')
batches = cmnist_tfds.as_batches(
  'X-12', 'train', 100, shuffle=True, seed=5, **where
)
images, _ = cmnist_tfds.load_data('X-12', split='train', **where)
places = {image.tobytes(): place for place, image in enumerate(images)}
distributed = strategy.experimental_distribute_dataset(batches)
epochs = [
  [
    places[image.tobytes()]
    for labeled in distributed
    for batch in strategy.experimental_local_results(labeled[0])
    for image in batch.numpy()
  ]
  for _ in range(2)
]
print(json.dumps(epochs))

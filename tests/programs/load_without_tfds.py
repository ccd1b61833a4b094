# SPDX-License-Identifier: Apache-2.0
"""Reads X-12 of the sample; fails if anything heavy was imported for that."""

import sys

from cmnist_tfds.load.prepared import find_prepared

import cmnist_tfds
from cmnist_tfds.load.numpy_arrays import first_of_each_class

data_dir = sys.argv[1]
cmnist_tfds.load_data('X-12', data_dir=data_dir, sample=True)
found = find_prepared(
  cmnist_tfds.subset('X-12'), data_dir=data_dir, sample=True
)
assert found is not None
first_of_each_class(found, 2)
heavy = {'tensorflow', 'tensorflow_datasets', 'requests'} & set(sys.modules)
assert not heavy, heavy

# SPDX-License-Identifier: Apache-2.0
"""Builds, reads and describes X-12 with a feature `parity` in the schema."""

import pathlib
import sys

import mlcroissant as mlc
import numpy as np
import tensorflow_datasets as tfds

import cmnist_tfds
from cmnist_tfds.export import croissant, hub
from cmnist_tfds.load.open_subset import open_subset

data_dir = pathlib.Path(sys.argv[1])
for data, config in (
  (data_dir, tfds.download.DownloadConfig()),
  # The stock path of TFDS.
  (
    data_dir / 'stock',
    tfds.download.DownloadConfig(max_examples_per_split=10**6),
  ),
):
  builder = tfds.builder('cmnist_sample/X-12', data_dir=data)
  builder.download_and_prepare(download_config=config)
  assert builder.info.features['parity'].names == ['even', 'odd']
  examples = builder.as_dataset(split='train', batch_size=-1)
  labels, parity = cmnist_tfds.load_data(
    'X-12',
    split='train',
    features=('label', 'parity'),
    data_dir=data,
    sample=True,
  )
  np.testing.assert_array_equal(parity, labels % 2)
  np.testing.assert_array_equal(parity, examples['parity'])

(batch,) = cmnist_tfds.as_batches(
  'X-12', 'test', 10**6, features=('parity',), data_dir=data_dir, sample=True
)
assert set(batch[0].numpy().tolist()) == {0, 1}

prepared = open_subset(
  cmnist_tfds.subset('X-12'), data_dir=data_dir, sample=True
)
assert prepared is not None
hub.publish([prepared], data_dir / 'published')
card = (data_dir / 'published/README.md').read_text('utf-8')
assert '- `parity`' in card and '"name": "parity"' in card
folder = data_dir / 'croissant'
croissant.export_croissant(prepared, folder)
records = list(
  mlc.Dataset(jsonld=folder / croissant.FILE).records(record_set='train')
)
assert [r['train/parity'] for r in records] == parity.tolist()

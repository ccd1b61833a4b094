# SPDX-License-Identifier: Apache-2.0
"""Downloads a split of a synthetic source and checks it.

Run with the URL base of the source and the folder for downloads. Prints a line
when it is ready, and starts when it reads a line.
"""

from __future__ import annotations

import sys

import synthetic

from cmnist_tfds import origin
from cmnist_tfds.datasets import download_manager

_, base, folder = sys.argv
# The seed is fixed, so this is the source of the test.
made = synthetic.make((base,))
manager = download_manager.OriginDownloadManager(
  download_dir=folder, dataset_name='cmnist', sources=[made.source]
)
print('ready', flush=True)
sys.stdin.readline()
made.assert_read(
  origin.load_split.load_split(made.source, 'train', manager.locations)
)

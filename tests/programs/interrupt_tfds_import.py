# SPDX-License-Identifier: Apache-2.0
"""Interrupts a build while it imports TFDS, then builds again.

The argument is the data folder.
"""

from __future__ import annotations

import os
import signal
import sys

from cmnist_tfds import build, subsets


class Interrupter:
  """Sends SIGINT to this process once TFDS is being imported."""

  def find_spec(self, name, path=None, target=None):
    """Finds nothing, so that the import goes on."""
    del path, target
    if name == 'tensorflow_datasets.core.dataset_builder':
      sys.meta_path.remove(self)
      os.kill(os.getpid(), signal.SIGINT)


sys.meta_path.insert(0, Interrupter())
selected = [subsets.subset('X-12')]
options = build.Options(sample=True, data_dir=sys.argv[1])
try:
  list(build.build(selected, options))
except KeyboardInterrupt:
  (outcome,) = build.build(selected, options)
  assert not outcome.error, outcome.error
else:
  raise AssertionError('The interrupt was ignored.')

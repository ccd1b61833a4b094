# SPDX-License-Identifier: Apache-2.0
"""Progress bars and log messages of TFDS."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import tensorflow_datasets.public_api as tfds

from cmnist_tfds.datasets.tfds_internals import tqdm_utils
from cmnist_tfds.system import streams


@contextlib.contextmanager
def restrained_messages() -> Iterator[None]:
  """Restrains what TFDS shows, and undoes what it does to the root logger.

  TFDS shows progress bars on every standard error, and fails if there is none.
  They are switched off where nothing can show them. TFDS logs with absl, whose
  first message adds a handler to a root logger that has none. It is removed,
  since `logging.basicConfig` would have no effect after it.

  Yields:
    Nothing.
  """
  shows = tqdm_utils._active
  tfds.display_progress_bar(shows and streams.shows_progress())
  handlers = list(logging.root.handlers)
  try:
    yield
  finally:
    tfds.display_progress_bar(shows)
    for handler in set(logging.root.handlers).difference(handlers):
      logging.root.removeHandler(handler)

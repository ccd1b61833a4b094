# SPDX-License-Identifier: Apache-2.0
"""Encodes a split of '1-Xy', and kills itself at the n-th origin file it opens.

Arguments: the split, and n. Each file is a group of its own.
"""

from __future__ import annotations

import os
import signal
import sys

from cmnist_tfds import origin, subsets
from cmnist_tfds.cache import split_sources

split, number = sys.argv[1], int(sys.argv[2])
subset = subsets.subset('1-Xy')
files = subset.sources[0].splits[split].files
names = {os.path.basename(file.path) for file in files}
opened: set[str] = set()


def hook(event: str, args: tuple[object, ...]) -> None:
  """Counts the files that are opened."""
  if event == 'open' and isinstance(args[0], str | os.PathLike):
    opened.update(names & {os.path.basename(os.fspath(args[0]))})
    if len(opened) == number:
      os.kill(os.getpid(), signal.SIGKILL)


sys.addaudithook(hook)
origin.load_split.GROUP_BYTES = 1
split_sources.open_encoded(
  subset, split, origin.Locations(), allow_unverified=False
)

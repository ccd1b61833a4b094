# SPDX-License-Identifier: Apache-2.0
"""Runs commands that kill themselves before their n-th change to a folder.

Each line of stdin is JSON: the arguments of a command, a folder, a number n,
whether a synthetic source replaces all sources, and the cache folder, empty for
that of this process. For each it prints the exit status of the command: -9 if
it was killed, as it is not where it makes fewer changes than n. The imports
that commands need are made once.
"""

from __future__ import annotations

import json
import os
import signal
import sys

import jinja2  # noqa: F401
import mlcroissant  # noqa: F401
import pyarrow.parquet  # noqa: F401
import synthetic

from cmnist_tfds import cli, sources
from cmnist_tfds.catalog import site  # noqa: F401
from cmnist_tfds.datasets.cmnist import cmnist_dataset_builder  # noqa: F401
from cmnist_tfds.datasets.cmnist_sample import (
  cmnist_sample_dataset_builder,  # noqa: F401
)
from cmnist_tfds.export import files, hub  # noqa: F401
from cmnist_tfds.figures import pictures  # noqa: F401
from cmnist_tfds.origin import mirror  # noqa: F401

_CHANGES = {'os.mkdir', 'os.rename', 'os.remove', 'os.rmdir', 'os.link'}


def _kill_at(folder: str, number: int) -> None:
  """Makes this process kill itself before its n-th change to a folder."""
  left = number

  def hook(event: str, args: tuple[object, ...]) -> None:
    nonlocal left
    is_change = event in _CHANGES or (
      event == 'open' and args[2] & (os.O_WRONLY | os.O_RDWR)
    )
    if not is_change or not isinstance(args[0], str | os.PathLike):
      return
    path = os.fspath(args[0])
    # Where a folder is removed, names are relative to a file descriptor.
    if path.startswith(folder) or not os.path.isabs(path):
      left -= 1
      if not left:
        os.kill(os.getpid(), signal.SIGKILL)

  sys.addaudithook(hook)


for line in sys.stdin:
  argv, folder, number, mirrors, cache_dir = json.loads(line)
  child = os.fork()
  if not child:
    os.dup2(2, 1)
    if cache_dir:
      os.environ['CMNIST_CACHE_DIR'] = cache_dir
    if mirrors:
      sources.SOURCES = (synthetic.make().source,)
    _kill_at(folder, number)
    os._exit(cli.main(argv))
  print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)

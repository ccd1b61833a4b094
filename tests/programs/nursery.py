# SPDX-License-Identifier: Apache-2.0
"""Forks a process for each command, after importing once what they need.

Most of the time of a command started on its own would go into imports. Each
line of stdin lists commands to run at the same time, as JSON: pairs of the
arguments and the home of a synthetic source, which replaces all sources unless
it is empty. For each line it prints the process ids, then the exit statuses.
"""

from __future__ import annotations

import json
import os
import sys

import synthetic

from cmnist_tfds import cli, sources
from cmnist_tfds.datasets.cmnist import cmnist_dataset_builder  # noqa: F401
from cmnist_tfds.datasets.cmnist_sample import (
  cmnist_sample_dataset_builder,  # noqa: F401
)

print('ready', flush=True)
for line in sys.stdin:
  children = []
  for argv, home in json.loads(line):
    child = os.fork()
    if not child:
      os.dup2(2, 1)
      if home:
        sources.SOURCES = (synthetic.make((home,)).source,)
      os._exit(cli.main(argv))
    children.append(child)
  print(json.dumps(children), flush=True)
  statuses = [os.waitpid(child, 0)[1] for child in children]
  print(json.dumps([*map(os.waitstatus_to_exitcode, statuses)]), flush=True)

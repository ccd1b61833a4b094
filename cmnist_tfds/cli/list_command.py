# SPDX-License-Identifier: Apache-2.0
"""`cmnist list`: the subsets, one a line."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from typing import TYPE_CHECKING, Any

from cmnist_tfds import streams, subsets
from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.subsets import Subset

if TYPE_CHECKING:
  from cmnist_tfds.cli.arguments import Subparsers


def register(subparsers: Subparsers) -> None:
  """Adds the command."""
  parser = arguments.add_command(
    subparsers, 'list', run, 'list the 134 subsets of the paper'
  )
  parser.add_argument(
    '--all',
    action='store_true',
    help='list the reduced subsets of the paper too: 804 in all',
  )
  parser.add_argument(
    '--format',
    choices=('table', 'tsv', 'json'),
    default='table',
    help='table for people (the default), tsv or json for programs',
  )


def run(args: argparse.Namespace) -> int:
  """Runs the command; returns its exit status."""
  rows = [
    _row(s) for s in (subsets.declared() if args.all else subsets.published())
  ]
  if args.format == 'json':
    print(json.dumps(rows, indent=2))
  elif args.format == 'tsv':
    writer = csv.DictWriter(
      sys.stdout, list(rows[0]), delimiter='\t', lineterminator='\n'
    )
    writer.writeheader()
    writer.writerows(rows)
  else:
    lines = [tuple(row.values()) for row in rows]
    # Programs that count lines or cut columns do not want a header.
    header = [tuple(rows[0])] if streams.is_terminal(sys.stdout) else []
    terminal.print_table(header + lines, right_from=2)
  return 0


def _row(subset: Subset) -> dict[str, Any]:
  """Returns the row of a subset; counts that nobody has published are None."""
  return {
    'name': subset.name,
    'sources': ','.join(s.key for s in subset.sources),
    'classes': subset.num_classes,
    'balanced': 'Yes' if subset.balanced else 'No',
    'train': subset.num_train,
    'test': subset.num_test,
  }

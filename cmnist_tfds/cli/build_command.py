# SPDX-License-Identifier: Apache-2.0
"""`cmnist build`: subsets, downloaded, verified and prepared."""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING

from cmnist_tfds import build, subsets
from cmnist_tfds.cli import arguments, terminal

if TYPE_CHECKING:
  from cmnist_tfds.cli.arguments import Subparsers


def register(subparsers: Subparsers) -> None:
  """Adds the command."""
  parser = arguments.add_command(
    subparsers, 'build', run, 'download, verify and prepare subsets'
  )
  arguments.add_names(parser, '*')
  parser.add_argument(
    '--all',
    action='store_true',
    help='build the 134 subsets of the paper and their 670 reduced subsets',
  )
  arguments.add_dataset(parser)
  arguments.add_locations(parser)
  arguments.add_timeout(parser)
  parser.add_argument(
    '--allow_unverified',
    action='store_true',
    help='accept origin files that cannot be verified; the metadata of the'
    ' dataset will say so',
  )
  parser.add_argument(
    '--jobs',
    type=arguments.at_least_one,
    default=1,
    metavar='N',
    help='number of subsets to build at the same time (default: 1)',
  )
  parser.add_argument(
    '--overwrite',
    action='store_true',
    help='rebuild subsets that are already prepared; the old data is kept until'
    ' the new data is complete',
  )


def run(args: argparse.Namespace) -> int:
  """Runs the command; returns its exit status."""
  if bool(args.names) == args.all:
    return terminal.fail(
      'name the subsets to build, or give --all', terminal.USAGE
    )
  selected = (
    subsets.declared() if args.all else arguments.named_subsets(args.names)
  )
  outcomes = build.build(
    selected,
    jobs=args.jobs,
    overwrite=args.overwrite,
    download_dir=args.download_dir,
    manual_dir=args.manual_dir,
    sample=args.sample,
    data_dir=args.data_dir,
    mirror=args.mirror,
    timeout=args.timeout,
    allow_unverified=args.allow_unverified,
  )
  rows, status = [], 0
  try:
    for outcome in outcomes:
      if outcome.error:
        status = terminal.fail(f'{outcome.name}: {outcome.error}')
      else:
        rows.append(dataclasses.astuple(outcome)[:-1])
  finally:
    # Subsets that were finished before Ctrl-C are kept, so they are listed.
    if rows:
      header = ('subset', 'examples', 'bytes', 'seconds', 'where')
      terminal.print_table([header, *rows], right_from=1)
  return status

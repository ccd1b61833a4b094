# SPDX-License-Identifier: Apache-2.0
"""The commands that prepare subsets: build, cache."""

from __future__ import annotations

import argparse
from typing import Any

from cmnist_tfds import build, subsets
from cmnist_tfds.cache import store
from cmnist_tfds.cli import arguments, printing


def add_commands(commands: Any) -> None:
  """Adds the commands."""
  built = arguments.command(
    commands, 'build', _build, 'download, verify and prepare subsets'
  )
  built.add_argument(
    'names', metavar='NAME', nargs='*', help=arguments.NAME_HELP
  )
  built.add_argument(
    '--all',
    action='store_true',
    help='build the 134 and their 670 reduced forms',
  )
  arguments.add_where(built)
  arguments.add_places(built)
  built.add_argument(
    '--allow_unverified',
    action='store_true',
    help='build from origin files that cannot be proved to be the right'
    ' ones; the metadata will say so',
  )
  built.add_argument(
    '--jobs',
    type=arguments.at_least_one,
    default=1,
    metavar='N',
    help='how many subsets to build at a time (default: 1)',
  )
  built.add_argument(
    '--overwrite',
    action='store_true',
    help='build anew what is prepared; the old data stays until the new is'
    ' finished',
  )

  cache = arguments.command(
    commands,
    'cache',
    _cache,
    'list, measure or clear the encoded sources that builds share',
  )
  cache.add_argument(
    'action',
    nargs='?',
    choices=('list', 'size', 'clear'),
    default='list',
    help='list files (the default), print folder and bytes, or delete all;'
    ' what is deleted is encoded anew when it is needed',
  )


def _build(args: argparse.Namespace) -> int:
  if bool(args.names) == args.all:
    return printing.say(
      'name the subsets to build, or give --all', printing.USAGE
    )
  chosen = (
    list(subsets.declared())
    if args.all
    # The same subset in two spellings is built once.
    else list(dict.fromkeys(map(subsets.subset, args.names)))
  )
  options = build.Options(
    sample=args.sample,
    data_dir=args.data_dir,
    download_dir=args.download_dir,
    manual_dir=args.manual_dir,
    mirror=args.mirror,
    allow_unverified=args.allow_unverified,
    overwrite=args.overwrite,
  )
  rows = []
  status = 0
  try:
    for outcome in build.build(chosen, options, args.jobs):
      if outcome.fault:
        status = printing.say(
          f'{outcome.name}: {outcome.fault}', printing.FAILED
        )
      else:
        rows.append(
          (
            outcome.name,
            outcome.num_examples,
            outcome.num_bytes,
            f'{outcome.seconds:.1f}',
            outcome.data_dir,
          )
        )
  finally:
    # After Ctrl-C too: what is finished stays.
    if rows:
      head = ('subset', 'examples', 'bytes', 'seconds', 'where')
      printing.print_table([head, *rows], right_from=1)
  return status


def _cache(args: argparse.Namespace) -> int:
  entries = store.clear() if args.action == 'clear' else store.entries()
  total = sum(entry.num_bytes for entry in entries)
  if args.action == 'list' and entries:
    printing.print_table(
      [(e.path.name, e.description, e.num_bytes) for e in entries],
      right_from=2,
    )
  done = 'deleted from' if args.action == 'clear' else 'in'
  print(f'{len(entries)} files, {total:,} bytes {done} {store.encoded_dir()}')
  return 0

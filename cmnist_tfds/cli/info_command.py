# SPDX-License-Identifier: Apache-2.0
"""The commands that tell of subsets: list, info."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from typing import Any

from cmnist_tfds import sources as sources_lib
from cmnist_tfds import subsets
from cmnist_tfds.cli import arguments, finding, printing
from cmnist_tfds.subsets import Subset


def add_commands(commands: Any) -> None:
  """Adds the commands."""
  listed = arguments.command(commands, 'list', _list, 'list the 134 subsets')
  listed.add_argument(
    '--all',
    action='store_true',
    help='list the reduced forms of the paper too: 804',
  )
  listed.add_argument(
    '--format',
    choices=('table', 'tsv', 'json'),
    default='table',
    help='table for people (the default), tsv or json for programs',
  )

  info = arguments.command(
    commands, 'info', _info, 'tell all about one subset: classes, licence, ...'
  )
  info.add_argument('name', metavar='NAME', help=arguments.NAME_HELP)
  arguments.add_where(info)


def _list(args: argparse.Namespace) -> int:
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
    # Counting lines or cutting columns needs no headline; a person does.
    head = [tuple(rows[0])] if sys.stdout.isatty() else []
    printing.print_table(head + lines, right_from=2)
  return 0


def _row(subset: Subset) -> dict[str, Any]:
  """What `list` says of a subset; None where only its files can tell."""
  return {
    'name': subset.name,
    'sources': ','.join(s.key for s in subset.sources),
    'classes': subset.num_classes,
    'balanced': 'Yes' if subset.balanced else 'No',
    'train': subset.num_train,
    'test': subset.num_test,
  }


def _info(args: argparse.Namespace) -> int:
  subset = subsets.subset(args.name)
  builder = finding.get_builder(subset, args)
  prepared = finding.is_prepared(builder)
  info = builder.info
  splits = (
    ', '.join(
      f'{info.splits[split].num_examples:,} {split}'
      for split in sources_lib.SPLITS
    )
    if prepared
    else _splits_of(subset)
  )
  print(f'{builder.name}/{subset.name} ({subset.title})')
  print(f'examples  {splits}')
  print(
    f'classes   {subset.num_classes}, '
    f'{"balanced" if info.metadata["balanced"] else "not balanced"}'
  )
  print(
    f'prepared  {builder.data_dir if prepared else "no: " + finding.how_to_build(builder)}'
  )
  for row in info.metadata['sources']:
    if row['verified']:
      proofs = ', '.join(sorted(set(row['verified'].values())))
      print(f'  {row["key"]} verified by {proofs}')
  print('\nlabel  source  raw     train      test  class')
  for row in info.metadata['classes']:
    train, test = (
      '?' if row[s] is None else f'{row[s]:,}' for s in sources_lib.SPLITS
    )
    print(
      f'{row["label"]:>5}  {row["source"]:<6}  {row["source_label"]:>3}'
      f'  {train:>8}  {test:>8}  {row["name"]}'
    )
  for source in subset.sources:
    print(f'\n{source.key}: {source.title}, {source.homepage}')
    print(f'  licence: {source.license}')
    for fault in source.known_issues:
      print(f'  know that: {fault}')
  print(f'\n{info.citation}')
  return 0


def _splits_of(subset: Subset) -> str:
  train = '?' if subset.num_train is None else f'{subset.num_train:,}'
  test = '?' if subset.num_test is None else f'{subset.num_test:,}'
  return f'{train} train, {test} test'

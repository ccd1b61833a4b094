# SPDX-License-Identifier: Apache-2.0
"""`cmnist list`: the subsets, one a line."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from typing import Any

from cmnist_tfds import sources as sources_lib
from cmnist_tfds import subsets
from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.scoring import difficulty
from cmnist_tfds.sources import Source
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system import streams


def register(subparsers: arguments.Subparsers) -> None:
  """Adds the command."""
  parser = arguments.add_command(
    subparsers,
    'list',
    run,
    'list the 134 subsets of the paper, or those that meet some conditions',
  )
  for flag, summary in (
    ('all', 'list the reduced subsets of the paper too: 804 in all'),
    (
      'balanced',
      'list only subsets whose classes have equally many training examples',
    ),
    (
      'imbalance',
      'print how many times as many training examples the largest class has as'
      ' the smallest',
    ),
    (
      'difficulty',
      'print the accuracy of the nearest neighbor with 10 training examples of'
      ' each class and with all, where it was measured',
    ),
  ):
    parser.add_argument(f'--{flag}', action='store_true', help=summary)
  for condition, number in (('with', 'all'), ('without', 'none')):
    parser.add_argument(
      f'--{condition}',
      dest=f'{condition}_sources',
      type=_sources,
      default=[],
      metavar='KEY,...',
      help=f'list only subsets with {number} of these sources',
    )
  parser.add_argument(
    '--max_classes',
    type=arguments.at_least_one,
    metavar='N',
    help='list only subsets with at most N classes',
  )
  parser.add_argument(
    '--sort',
    choices=('classes', 'train', 'test', 'imbalance', 'difficulty'),
    help='sort by the number of classes, training or test examples, by the'
    ' imbalance, or by the errors of the nearest neighbor, the smallest first;'
    ' what is not known comes last',
  )
  parser.add_argument(
    '--format',
    choices=('table', 'tsv', 'json'),
    default='table',
    help='table for people (the default), tsv or json for programs',
  )


def run(args: argparse.Namespace) -> int:
  """Runs the command; returns its exit status."""
  for source in args.with_sources:
    if source in args.without_sources:
      return terminal.fail(
        f'{source.key} is in --with and in --without; take it out of one',
        terminal.USAGE,
      )
  listed = [
    subset
    for subset in (subsets.declared() if args.all else subsets.published())
    if {*args.with_sources} <= {*subset.sources}
    and not {*args.without_sources} & {*subset.sources}
    and (args.max_classes or subset.num_classes) >= subset.num_classes
    and (subset.balanced or not args.balanced)
  ]
  if not listed:
    return terminal.fail('no subset is like that; drop a condition')
  if args.sort:
    listed.sort(key=lambda subset: _place(subset, args.sort))
  rows = [_row(subset, args) for subset in listed]
  if args.format == 'json':
    print(json.dumps(rows, indent=2))
  elif args.format == 'tsv':
    writer = csv.writer(sys.stdout, delimiter='\t', lineterminator='\n')
    writer.writerows([rows[0], *(row.values() for row in rows)])
  else:
    # Programs that count lines or cut columns do not want a header.
    header = [tuple(rows[0])] if streams.is_terminal(sys.stdout) else []
    lines = [['?' if v is None else v for v in row.values()] for row in rows]
    terminal.print_table([*header, *lines], right_from=2)
  return 0


def _row(subset: Subset, args: argparse.Namespace) -> dict[str, Any]:
  """Returns the row of a subset; numbers that nobody knows are None."""
  row: dict[str, Any] = {
    'name': subset.name,
    'sources': ','.join(s.key for s in subset.sources),
    'classes': subset.num_classes,
    'balanced': 'Yes' if subset.balanced else 'No',
    'train': subset.num_train,
    'test': subset.num_test,
  }
  if args.imbalance:
    row['imbalance'] = imbalance(subset)
  if args.difficulty:
    full = subset.full
    reduced = subsets.reduce(full, 10)
    row['nearest_r-10'] = difficulty.nearest_neighbor(reduced)
    row['nearest_full'] = difficulty.nearest_neighbor(full)
  return row


def imbalance(subset: Subset) -> float | None:
  """Returns the ratio of the largest class to the smallest, in train.

  Returns:
    The ratio, to two decimals; None if a class has an unknown number of
    training examples.
  """
  known = [c.train for c in subset.classes if c.train is not None]
  if len(known) < subset.num_classes:
    return None
  return round(max(known) / min(known), 2)


def _place(subset: Subset, by: str) -> tuple[bool, float]:
  right = difficulty.nearest_neighbor(subset)
  number = {
    'classes': subset.num_classes,
    'train': subset.num_train,
    'test': subset.num_test,
    'imbalance': imbalance(subset),
    'difficulty': None if right is None else 1 - right,
  }[by]
  return number is None, number or 0


def _sources(text: str) -> list[Source]:
  """Returns the sources of some keys, as 'F,Kd'."""
  by_key = {s.key.casefold(): s for s in sources_lib.SOURCES}
  keys = [key.strip() for key in text.split(',')]
  for key in keys:
    if key.casefold() not in by_key:
      raise argparse.ArgumentTypeError(
        f'there is no source {key!r}; the keys are'
        f' {", ".join(s.key for s in sources_lib.SOURCES)}'
      )
  return [by_key[key.casefold()] for key in keys]

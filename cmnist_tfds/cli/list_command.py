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
  arguments.add_flags(
    parser,
    all='list the reduced subsets of the paper too: 804 in all',
    balanced='list only subsets whose classes have equally many training'
    ' examples',
    imbalance='print how many times as many training examples the largest class'
    ' has as the smallest',
    difficulty='print the accuracy of the nearest neighbor with 10 training'
    ' examples of each class and with all, where it was measured',
  )
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
  wanted, unwanted = {*args.with_sources}, {*args.without_sources}
  for source in wanted & unwanted:
    return terminal.fail(
      f'{source.key} is in --with and in --without; take it out of one',
      terminal.USAGE,
    )
  rows = [
    _row(subset)
    for subset in (subsets.declared() if args.all else subsets.published())
    if wanted <= {*subset.sources}
    and unwanted.isdisjoint(subset.sources)
    and (args.max_classes or subset.num_classes) >= subset.num_classes
    and (subset.balanced or not args.balanced)
  ]
  if not rows:
    return terminal.fail('no subset is like that; drop a condition')
  if args.sort:
    rows.sort(key=lambda row: (row[args.sort] is None, row[args.sort] or 0))
  header = ['name', 'sources', 'classes', 'balanced', 'train', 'test']
  header += ['imbalance'] * args.imbalance
  header += ['nearest_r-10', 'nearest_full'] * args.difficulty
  if args.format == 'json':
    shown = [{name: row[name] for name in header} for row in rows]
    print(json.dumps(shown, indent=2))
    return 0
  lines = [[row[name] for name in header] for row in rows]
  if args.format == 'tsv':
    writer = csv.writer(sys.stdout, delimiter='\t', lineterminator='\n')
    writer.writerows([header, *lines])
    return 0
  # Programs that count lines or cut columns do not want a header.
  table = [header] if streams.is_terminal(sys.stdout) else []
  table += [['?' if cell is None else cell for cell in row] for row in lines]
  terminal.print_table(table, right_from=2)
  return 0


def _row(subset: Subset) -> dict[str, Any]:
  """Returns what can be said of a subset; numbers that nobody knows are None.

  The difficulty is the ratio of the errors of the nearest neighbor.
  """
  right, reduced, full = map(
    difficulty.nearest_neighbor,
    (subset, subsets.reduce(subset.full, 10), subset.full),
  )
  return {
    'name': subset.name,
    'sources': ','.join(s.key for s in subset.sources),
    'classes': subset.num_classes,
    'balanced': 'Yes' if subset.balanced else 'No',
    'train': subset.num_train,
    'test': subset.num_test,
    'imbalance': imbalance(subset),
    'nearest_r-10': reduced,
    'nearest_full': full,
    'difficulty': None if right is None else 1 - right,
  }


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


def _sources(text: str) -> list[Source]:
  """Returns the sources of some keys, as 'F,Kd'."""
  by_key = {s.key.casefold(): s for s in sources_lib.SOURCES}
  found = []
  for key in map(str.strip, text.split(',')):
    if key.casefold() not in by_key:
      raise argparse.ArgumentTypeError(
        f'there is no source {key!r}; the keys are'
        f' {", ".join(s.key for s in sources_lib.SOURCES)}'
      )
    found.append(by_key[key.casefold()])
  return found

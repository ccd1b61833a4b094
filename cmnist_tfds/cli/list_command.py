# SPDX-License-Identifier: Apache-2.0
"""List the 134 subsets of the paper, or those that meet some conditions.

The column `hosting` says whether others may host a subset, by the licenses that
its sources state: no if one states none, unknown if one has a license that cmnist
does not know, else yes. Each license says on what terms.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

from cmnist_tfds import subsets
from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.scoring import difficulty, suites
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system.errors import CmnistError


def _keys(text: str) -> list[str]:
  return [key.strip().casefold() for key in text.split(',')]


ARGUMENTS = {
  **arguments.SUITE,
  **arguments.DATA_DIR,
  '--all': 'list the reduced subsets of the paper too: 804 in all',
  '--extensions': 'list the sources beyond those of the paper too, each as a'
  ' subset of its own; --sources lists those of its files',
  '--balanced': 'list only subsets whose training classes are of one size',
  '--imbalance': 'print how many times as many training examples the largest'
  ' class has as the smallest',
  '--difficulty': 'print the accuracy of the nearest neighbor with 10 training'
  ' examples of each class and with all, where it was measured',
  **{
    f'--{condition} KEY,...': {
      'type': _keys,
      'default': [],
      'dest': f'{condition}_sources',
      'help': f'list only subsets with {number} of these sources',
    }
    for condition, number in {'with': 'all', 'without': 'none'}.items()
  },
  '--max_classes N': arguments.number('list only subsets of at most N classes'),
  '--sort': {
    'choices': ('classes', 'train', 'test', 'imbalance', 'difficulty'),
    'help': 'sort by this number, the smallest first; difficulty is the errors of'
    ' the nearest neighbor, and what is not known comes last',
  },
  **arguments.printed('table', 'tsv', 'json'),
}


def run(args: arguments.Namespace) -> None:
  """Runs the command."""
  for key in {*args.with_sources} & {*args.without_sources}:
    clash = f'{key.capitalize()} is in --with and in --without'
    raise argparse.ArgumentError(None, f'{clash}; take it out of one')
  own = {*map(os.path.realpath, args.sources)}
  reasons, suite = {}, ''
  if args.suite:
    reasons = suites.members(args.suite, data_dir=args.data_dir)
    suite = f'{args.suite} {suites.suites()[args.suite].version}'
  found = subsets.find_subsets(
    containing=args.with_sources,
    without=args.without_sources,
    max_classes=args.max_classes,
    balanced=args.balanced,
    reduced=args.all,
    extensions=not suite and (args.extensions or bool(own)),
    among=[*reasons] if suite else None,
  )
  further = {s for s in found if s.declarations and not args.extensions}
  further -= reasons.keys()
  unwanted = {s for s in further if s.sources[0].owner not in own}
  rows = [_row(subset) for subset in found if subset not in unwanted]
  if not rows:
    raise CmnistError('no subset is like that; drop a condition')
  if suite:
    for row in rows:
      row |= {'suite': suite, 'why': reasons[subsets.subset(row['name'])]}
  if args.sort:
    rows.sort(key=lambda row: (row[args.sort] is None, row[args.sort] or 0))
  columns = ['name', 'sources', 'classes', 'balanced', 'train', 'test']
  columns += ['hosting'] + ['imbalance'] * args.imbalance
  columns += ['nearest_r_10', 'nearest_full'] * args.difficulty
  columns += ['suite', 'why'] * bool(suite)
  if args.format == 'json':
    for row in rows:
      subset = subsets.subset(row['name'])
      row.update(mean=subset.mean, std=subset.std)
    terminal.print_json(rows)
    return
  words = ('false', 'true') if args.format == 'tsv' else ('No', 'Yes')
  for row in rows:
    row['sources'] = ','.join(row['sources'])
    row['balanced'] = words[row['balanced']]
    if args.format == 'table':
      row['hosting'] = row['hosting'].capitalize()
  shown = [columns, *([row[name] for name in columns] for row in rows)]
  if args.format == 'tsv':
    print(terminal.tsv(shown), end='')
  else:
    terminal.print_table(shown)


def _row(subset: Subset) -> dict[str, Any]:
  """Returns what can be said of a subset; numbers that nobody knows are None.

  The difficulty is the ratio of the errors of the nearest neighbor.
  """
  forms = (subset, subsets.reduce(subset.full, 10), subset.full)
  right, reduced, full = map(difficulty.nearest_neighbor, forms)
  return {
    'name': subset.name,
    'sources': [s.key for s in subset.sources],
    'classes': subset.num_classes,
    'balanced': subset.balanced,
    'train': subset.num_train,
    'test': subset.num_test,
    'hosting': subset.hosting,
    'imbalance': subset.imbalance,
    'nearest_r_10': reduced,
    'nearest_full': full,
    'difficulty': None if right is None else 1 - right,
  }

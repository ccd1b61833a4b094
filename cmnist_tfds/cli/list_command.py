# SPDX-License-Identifier: Apache-2.0
"""List the 134 subsets of the paper, or those that meet some conditions."""

from __future__ import annotations

import argparse
from typing import Any

from cmnist_tfds import sources as sources_lib
from cmnist_tfds import subsets
from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.scoring import difficulty
from cmnist_tfds.sources import Source
from cmnist_tfds.subsets import Subset


def _sources(text: str) -> set[Source]:
  """Returns the sources of some keys, as 'F,Kd'."""
  known = {s.key.casefold(): s for s in sources_lib.SOURCES}
  keys = [key.strip() for key in text.split(',')]
  for key in keys:
    if key.casefold() not in known:
      raise argparse.ArgumentTypeError(
        f'there is no source {key!r}; the keys are'
        f' {", ".join(s.key for s in known.values())}'
      )
  return {known[key.casefold()] for key in keys}


ARGUMENTS = {
  '--all': 'list the reduced subsets of the paper too: 804 in all',
  '--balanced': 'list only subsets whose classes have equally many training'
  ' examples',
  '--imbalance': 'print how many times as many training examples the largest'
  ' class has as the smallest',
  '--difficulty': 'print the accuracy of the nearest neighbor with 10 training'
  ' examples of each class and with all, where it was measured',
  **{
    f'--{condition} KEY,...': {
      'type': _sources,
      'default': set(),
      'dest': f'{condition}_sources',
      'help': f'list only subsets with {number} of these sources',
    }
    for condition, number in (('with', 'all'), ('without', 'none'))
  },
  '--max_classes N': arguments.number(
    'list only subsets with at most N classes'
  ),
  '--sort': {
    'choices': ('classes', 'train', 'test', 'imbalance', 'difficulty'),
    'help': 'sort by the number of classes, training or test examples, by the'
    ' imbalance, or by the errors of the nearest neighbor, the smallest first;'
    ' what is not known comes last',
  },
  '--format': {
    'choices': ('table', 'tsv', 'json'),
    'default': 'table',
    'help': 'table for people (the default), tsv or json for programs',
  },
}


def run(args: arguments.Namespace) -> int | None:
  """Runs the command; returns its exit status."""
  wanted, unwanted = args.with_sources, args.without_sources
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
  shown = [{name: row[name] for name in header} for row in rows]
  if args.format == 'json':
    for row in shown:
      subset = subsets.subset(row['name'])
      row.update(mean=subset.mean, std=subset.std)
  terminal.print_records(shown, args.format, right_from=2)
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
    'imbalance': subset.imbalance,
    'nearest_r-10': reduced,
    'nearest_full': full,
    'difficulty': None if right is None else 1 - right,
  }

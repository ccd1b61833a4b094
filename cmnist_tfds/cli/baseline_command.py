# SPDX-License-Identifier: Apache-2.0
"""`cmnist baseline`: the scores of simple methods, computed here."""

from __future__ import annotations

import argparse
import pathlib
from typing import TYPE_CHECKING

from cmnist_tfds import streams, subsets
from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.dataset_files import DATASET, SAMPLE
from cmnist_tfds.evaluate import report, results

if TYPE_CHECKING:
  from cmnist_tfds.cli.arguments import Subparsers

_FOLDER = 'results'


def register(subparsers: Subparsers) -> None:
  """Adds the command."""
  parser = arguments.add_command(
    subparsers,
    'baseline',
    run,
    'score a simple method, for comparison; write predictions and scores',
  )
  parser.add_argument(
    'method',
    choices=('knn',),
    help='knn: k nearest neighbours of raw pixels by squared Euclidean distance;'
    ' ties of votes go to the nearest class',
  )
  arguments.add_names(parser, '*')
  families = parser.add_mutually_exclusive_group()
  families.add_argument(
    '--reduced',
    action='store_const',
    const='reduced',
    dest='family',
    help='score the 670 reduced subsets of the paper',
  )
  families.add_argument(
    '--all',
    action='store_const',
    const='all',
    dest='family',
    help='score the 134 subsets of the paper and their reduced subsets',
  )
  parser.add_argument(
    '-k',
    type=_numbers,
    default=[1, 3, 5],
    metavar='K,...',
    help='numbers of neighbours that vote (default: 1,3,5)',
  )
  parser.add_argument(
    '--draws',
    type=arguments.at_least_one,
    default=0,
    metavar='J',
    help='score J other draws of each reduced training set as well, or as many as'
    ' there are',
  )
  arguments.add_dataset(parser)
  parser.add_argument(
    '-o',
    '--output',
    metavar='DIR',
    type=pathlib.Path,
    help=f'folder of results (default: {_FOLDER}, or {_FOLDER}_sample with'
    ' --sample); a result that is there is not computed again',
  )


def run(args: argparse.Namespace) -> int:
  """Runs the command; returns its exit status."""
  if bool(args.names) == bool(args.family):
    return terminal.fail(
      'name the subsets to score, or give --reduced or --all', terminal.USAGE
    )
  selected = (
    [
      subset
      for subset in subsets.declared()
      if args.family == 'all' or subset.per_class is not None
    ]
    if args.family
    else arguments.named_subsets(args.names)
  )
  folder = args.output or pathlib.Path(
    f'{_FOLDER}_sample' if args.sample else _FOLDER
  )
  rows: list[tuple[str, ...]] = []
  with streams.progress_bar(
    desc='Comparing',
    unit=' pairs',
    unit_scale=True,
  ) as bar:

    def progress(compared: int, total: int) -> None:
      bar.total = total
      bar.update(compared)

    try:
      found = results.neighbor_results(
        selected,
        args.k,
        args.draws,
        folder,
        lambda source: arguments.opened_source(source, args),
        SAMPLE if args.sample else DATASET,
        progress,
      )
      rows.extend(map(_row, found))
    finally:
      # Results that were finished before Ctrl-C are kept, so they are listed.
      bar.close()
      if rows:
        header = ('subset', 'method', 'accuracy', '95 % interval', 'balanced')
        terminal.print_table([(*header, 'runs', 'between draws', ''), *rows])
        print(f'{len(rows)} results in {folder}')
  return 0


def _row(result: results.Result) -> tuple[str, ...]:
  scores = result.scores
  spread = scores.accuracy_spread.draws
  accuracy, balanced = scores.accuracy, scores.balanced_accuracy
  return (
    scores.subset.name,
    result.method,
    *report.estimate(accuracy),
    report.figure(balanced.value),
    str(len(scores.runs)),
    '' if spread is None else f'± {report.figure(spread)}',
    'was there' if result.kept else '',
  )


def _numbers(text: str) -> list[int]:
  """Returns the numbers of neighbours that an argument lists."""
  return sorted({arguments.at_least_one(part) for part in text.split(',')})

# SPDX-License-Identifier: Apache-2.0
"""`cmnist baseline`: the scores of simple methods, computed here."""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from cmnist_tfds import subsets
from cmnist_tfds.cache.prepared import DATASET, SAMPLE
from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.sample import NOTICE
from cmnist_tfds.scoring import protocols, report, results
from cmnist_tfds.scoring.results import Result
from cmnist_tfds.subsets import Subset
from cmnist_tfds.system import streams

if TYPE_CHECKING:
  from cmnist_tfds.cli.arguments import Subparsers

_FOLDER = 'results'

# The neighbours of every test image are kept in memory.
_MOST_NEIGHBORS = 100

# Called with how much has been done since the last call, and with all there is
# to do.
_Progress = Callable[[int, int], object]


def register(subparsers: Subparsers) -> None:
  """Adds the command."""
  parser = subparsers.add_parser(
    'baseline',
    help='score a simple method, for comparison; write predictions and scores',
    description='Score a simple method, for comparison.'
    ' Write predictions and scores.',
  )
  methods = parser.add_subparsers(
    title='methods', metavar='METHOD', required=True
  )
  _register_neighbors(methods)
  _register_networks(methods)


def _register_neighbors(methods: Subparsers) -> None:
  parser = arguments.add_command(
    methods,
    'knn',
    _run_neighbors,
    'k nearest neighbours of raw pixels by squared Euclidean distance; ties of'
    ' votes go to the nearest class',
  )
  _add_selection(parser)
  parser.add_argument(
    '-k',
    type=_numbers,
    default=[1, 3, 5],
    metavar='K,...',
    help='numbers of neighbours that vote (default: 1,3,5; at most'
    f' {_MOST_NEIGHBORS})',
  )


def _register_networks(methods: Subparsers) -> None:
  parser = arguments.add_command(
    methods,
    'net',
    _run_networks,
    'a network, trained by PyTorch; on a GPU if there is one',
  )
  _add_selection(parser)
  parser.add_argument(
    '--net',
    required=True,
    choices=protocols.NETWORKS,
    help='the network',
  )
  parser.add_argument(
    '--protocol',
    choices=protocols.PROTOCOLS,
    default=protocols.STEPS.name,
    help='steps: a fixed number of steps on all training images; paper: the'
    ' settings of the paper, which need many images, with every deviation named'
    ' in the result (default: steps)',
  )
  parser.add_argument(
    '--seeds',
    type=arguments.at_least_one,
    default=1,
    metavar='S',
    help='train S networks on each training set, with the seeds 1 to S'
    ' (default: 1)',
  )
  parser.add_argument(
    '--weights',
    type=pathlib.Path,
    metavar='FILE',
    help="begin with these ImageNet weights, a file of torchvision's",
  )


def _add_selection(parser: argparse.ArgumentParser) -> None:
  """Adds what all methods are told: subsets, draws, and where things are."""
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


def _run_neighbors(args: argparse.Namespace) -> int:
  return _run(
    args,
    'Comparing',
    'pairs',
    lambda selected, folder, progress: results.neighbor_results(
      selected,
      args.k,
      args.draws,
      folder,
      lambda source: arguments.opened_source(source, args),
      _dataset(args),
      progress,
    ),
  )


def _run_networks(args: argparse.Namespace) -> int:
  return _run(
    args,
    'Training',
    'steps',
    lambda selected, folder, progress: results.network_results(
      selected,
      args.net,
      protocols.PROTOCOLS[args.protocol],
      args.seeds,
      args.draws,
      folder,
      lambda subset, draw: arguments.opened_or_sample(subset, args, draw),
      _dataset(args),
      args.weights,
      progress,
    ),
  )


def _dataset(args: argparse.Namespace) -> str:
  return SAMPLE if args.sample else DATASET


def _run(
  args: argparse.Namespace,
  doing: str,
  unit: str,
  compute: Callable[[list[Subset], pathlib.Path, _Progress], Iterator[Result]],
) -> int:
  """Computes results and prints them; returns the exit status.

  Args:
    args: The arguments of the command.
    doing: What the progress bar says is going on.
    unit: What it counts.
    compute: Computes the results of subsets in a folder.
  """
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
    desc=doing, unit=f' {unit}', unit_scale=True
  ) as bar:

    def progress(done: int, total: int) -> None:
      bar.total = total
      bar.update(done)

    try:
      rows.extend(map(_row, compute(selected, folder, progress)))
    finally:
      # Results that were finished before Ctrl-C are kept, so they are listed.
      bar.close()
      if rows:
        header = ('subset', 'method', 'accuracy', '95 % interval', 'balanced')
        spreads = ('runs', 'between seeds', 'between draws')
        table = zip((*header, *spreads, ''), *rows, strict=True)
        filled = [column for column in table if any(column[1:])]
        terminal.print_table([*zip(*filled, strict=True)])
        noun = 'result' if len(rows) == 1 else 'results'
        print(f'{len(rows)} {noun} in {folder}')
        if args.sample:
          print(NOTICE)
  return 0


def _row(result: Result) -> tuple[str, ...]:
  scores = result.scores
  spread = scores.accuracy_spread
  return (
    scores.subset.name,
    result.method,
    *report.estimate(scores.accuracy),
    report.figure(scores.balanced_accuracy.value),
    str(len(scores.runs)),
    *(
      '' if deviation is None else f'± {report.figure(deviation)}'
      for deviation in (spread.seeds, spread.draws)
    ),
    'was there' if result.kept else '',
  )


def _numbers(text: str) -> list[int]:
  """Returns the numbers of neighbours that an argument lists."""
  numbers = sorted({arguments.at_least_one(part) for part in text.split(',')})
  if numbers[-1] > _MOST_NEIGHBORS:
    raise argparse.ArgumentTypeError(
      f'expected at most {_MOST_NEIGHBORS}, found {numbers[-1]}'
    )
  return numbers

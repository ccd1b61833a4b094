# SPDX-License-Identifier: Apache-2.0
"""`cmnist baseline`: the scores of simple methods, computed here."""

from __future__ import annotations

import argparse
import functools
import pathlib
from collections.abc import Callable, Iterator

from cmnist_tfds import subsets
from cmnist_tfds.cache.prepared import DATASET, SAMPLE
from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.sample import NOTICE
from cmnist_tfds.scoring import protocols, report, results
from cmnist_tfds.scoring.results import Result, Wanted

# The neighbors of every test image are held in memory.
_MOST_NEIGHBORS = 100

_Compute = Callable[[argparse.Namespace, Wanted], Iterator[Result]]


def register(subparsers: arguments.Subparsers) -> None:
  """Adds the command."""
  summary = (
    'score a simple method, for comparison; write predictions and scores'
  )
  parser = subparsers.add_parser(
    'baseline', help=summary, description=f'{summary.capitalize()}.'
  )
  methods = parser.add_subparsers(
    title='methods', metavar='METHOD', required=True
  )
  neighbors = _add_method(
    methods,
    'knn',
    lambda args, wanted: results.neighbor_results(wanted, args.k),
    'k nearest neighbors of raw pixels by squared Euclidean distance; ties of'
    ' votes go to the nearest class',
  )
  neighbors.add_argument(
    '-k',
    type=_numbers,
    default=[1, 3, 5],
    metavar='K,...',
    help='numbers of neighbors that vote (default: 1,3,5; at most'
    f' {_MOST_NEIGHBORS})',
  )
  network = _add_method(
    methods,
    'net',
    lambda args, wanted: results.network_results(
      wanted,
      args.net,
      protocols.PROTOCOLS[args.protocol],
      args.seeds,
      args.weights,
    ),
    'a network, trained by PyTorch; on a GPU if there is one',
  )
  network.add_argument(
    '--net', required=True, choices=protocols.NETWORKS, help='the network'
  )
  network.add_argument(
    '--protocol',
    choices=protocols.PROTOCOLS,
    default=protocols.STEPS.name,
    help='steps: a fixed number of steps on all training images; paper: the'
    ' settings of the paper, which need many images, with every deviation named'
    ' in the result (default: steps)',
  )
  network.add_argument(
    '--seeds',
    type=arguments.at_least_one,
    default=1,
    metavar='S',
    help='train S networks on each training set, with the seeds 1 to S'
    ' (default: 1)',
  )
  arguments.add_file(
    network,
    '--weights',
    "begin with these ImageNet weights, a file of torchvision's",
  )


def _add_method(
  methods: arguments.Subparsers,
  name: str,
  compute: _Compute,
  summary: str,
) -> argparse.ArgumentParser:
  """Adds a method with what all methods are given: subsets, draws, places."""
  run = functools.partial(_run, compute=compute)
  parser = arguments.add_command(methods, name, run, summary)
  arguments.add_names(parser, '*')
  families = parser.add_mutually_exclusive_group()
  for family, scored in (
    ('reduced', 'the 670 reduced subsets of the paper'),
    ('all', 'the 134 subsets of the paper and their reduced subsets'),
  ):
    help_ = f'score {scored}'
    families.add_argument(f'--{family}', action='store_true', help=help_)
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
    help='folder of results (default: results, or results_sample with'
    ' --sample); a result that is there is not computed again',
  )
  return parser


def _run(args: argparse.Namespace, compute: _Compute) -> int:
  """Computes results and prints them; returns the exit status."""
  if bool(args.names) == (args.reduced or args.all):
    return terminal.fail(
      'name the subsets to score, or give --reduced or --all', terminal.USAGE
    )
  wanted = Wanted(
    arguments.named_subsets(args.names)
    or [s for s in subsets.declared() if args.all or s.per_class],
    args.draws,
    args.output or pathlib.Path('results' + '_sample' * args.sample),
    SAMPLE if args.sample else DATASET,
    functools.partial(arguments.opened_subset, args=args),
  )
  header = 'subset,method,accuracy,95 % interval,balanced,runs,between seeds'
  rows = [[*header.split(','), 'between draws', '']]
  try:
    for result in compute(args, wanted):
      scores, spread = result.scores, result.scores.accuracy_spread
      cells = report.row(scores.subset.name, result.method, scores.accuracy)
      cells += report.row(scores.balanced_accuracy.value, len(scores.runs))
      cells += [report.deviation(d) for d in (spread.seeds, spread.draws)]
      rows.append([*cells, 'was there' * result.existed])
  finally:
    # Results that were finished before Ctrl-C stay, so they are listed.
    if found := len(rows) - 1:
      columns = zip(*rows, strict=True)
      filled = [column for column in columns if any(column[1:])]
      terminal.print_table([*zip(*filled, strict=True)])
      print(f'{found} result{"s" * (found > 1)} in {wanted.folder}')
      if args.sample:
        print(NOTICE)
  return 0


def _numbers(text: str) -> list[int]:
  """Returns the numbers of neighbors that an argument lists."""
  numbers = sorted({arguments.at_least_one(part) for part in text.split(',')})
  if numbers[-1] > _MOST_NEIGHBORS:
    raise argparse.ArgumentTypeError(
      f'expected at most {_MOST_NEIGHBORS}, found {numbers[-1]}'
    )
  return numbers

# SPDX-License-Identifier: Apache-2.0
"""Score a simple method, for comparison; write predictions and scores."""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.sample import NOTICE
from cmnist_tfds.scoring import baselines, protocols, report, results
from cmnist_tfds.system.errors import counted

# The neighbors of every test image are held in memory.
_MOST_NEIGHBORS = 100


def _numbers(text: str) -> list[int]:
  """Returns the numbers of neighbors that an argument lists."""
  numbers = sorted({arguments.at_least_one(part) for part in text.split(',')})
  if numbers[-1] > _MOST_NEIGHBORS:
    raise argparse.ArgumentTypeError(
      f'expected at most {_MOST_NEIGHBORS}, found {numbers[-1]}'
    )
  return numbers


def _neighbors(args: arguments.Namespace) -> None:
  """K nearest neighbors of raw pixels by squared Euclidean distance.

  Ties of votes go to the nearest class.
  """
  _run(args, baselines.neighbor_results, args.k)


def _linear(args: arguments.Namespace) -> None:
  """Logistic regression on pixels."""
  _run(args, baselines.classical_results, 'linear')


def _kernel(args: arguments.Namespace) -> None:
  """A support vector machine on histograms of oriented gradients."""
  _run(args, baselines.classical_results, 'hog-svm', args.seeds)


def _network(args: arguments.Namespace) -> None:
  """A network, trained by PyTorch; on a GPU if there is one."""
  default = protocols.AUGMENTED if args.net == 'cnn' else protocols.STEPS
  protocol = protocols.PROTOCOLS.get(args.protocol, default)
  how = args.net, protocol, args.seeds, args.weights
  _run(args, baselines.network_results, *how)


def _run(
  args: arguments.Namespace,
  compute: Callable[..., Iterator[results.Result]],
  *how: Any,
) -> None:
  folder = args.output or pathlib.Path('results' + '_sample' * args.sample)
  chosen = args.subsets, args.draws, folder, args.dataset, args.open
  print_results(folder, args.sample, compute(results.Wanted(*chosen), *how))


# Which subsets, and where. All methods are given these.
_COMMON: arguments.Arguments = {
  'names NAME*': arguments.NAME,
  'one of': {
    '--reduced': 'score the 670 reduced subsets of the paper',
    '--all': 'score the 134 subsets of the paper and their reduced subsets',
  },
  **arguments.RESULTS,
}

_NEIGHBORS: arguments.Arguments = {
  **_COMMON,
  '-k K,...': {
    'type': _numbers,
    'default': [1, 3, 5],
    'help': 'numbers of neighbors that vote (default: 1,3,5; at most'
    f' {_MOST_NEIGHBORS})',
  },
}
_KERNEL: arguments.Arguments = {
  **_COMMON,
  '--seeds S': arguments.number(
    'approximate the kernel S times, with the seeds 1 to S, where a training set'
    ' has more than 3,000 images',
    1,
  ),
}
_NETWORK: arguments.Arguments = {
  **_COMMON,
  '--net': {'required': True, 'choices': protocols.NETWORKS, 'help': 'network'},
  '--protocol': {
    'choices': protocols.PROTOCOLS,
    'help': 'steps: a fixed number of steps, nothing held out; augmented: more'
    ' of them, on distorted images; paper: the settings of the paper, which need'
    ' many images, with every deviation named in the result (default: augmented'
    ' for cnn, steps for the others)',
  },
  '--seeds S': arguments.number(
    'train S networks on each training set, with the seeds 1 to S', 1
  ),
  '--weights FILE': arguments.path(
    "begin with these ImageNet weights, a file of torchvision's"
  ),
}
ACTIONS = {
  'knn': (_NEIGHBORS, _neighbors),
  'linear': (_COMMON, _linear),
  'hog-svm': (_KERNEL, _kernel),
  'net': (_NETWORK, _network),
}


def print_results(
  folder: pathlib.Path, sample: bool, found: Iterator[results.Result]
) -> None:
  """Prints results as soon as all are computed, or computing them ends."""
  header = 'subset,method,accuracy,95 % interval,balanced,runs'
  spreads = ['between seeds', 'between draws', 'between draws and seeds']
  rows = [[*header.split(','), *spreads, '']]
  try:
    for method, scores, existed in found:
      cells = report.row(scores.subset.name, method, scores.accuracy)
      cells += report.row(scores.balanced_accuracy.value, len(scores.runs))
      known = report.deviations(vars(scores.accuracy_spread))
      cells += (known.get(what, '') for what in spreads)
      rows.append([*cells, 'was there' * existed])
  finally:
    # Results that were finished before Ctrl-C stay, so they are listed.
    if count := len(rows) - 1:
      columns = zip(*rows, strict=True)
      filled = [column for column in columns if any(column[1:])]
      terminal.print_table([*zip(*filled, strict=True)])
      print(f'{counted(count, "result")} in {folder}')
      if sample:
        print(NOTICE)

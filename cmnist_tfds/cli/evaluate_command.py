# SPDX-License-Identifier: Apache-2.0
"""`cmnist evaluate`: the scores of predictions."""

from __future__ import annotations

import argparse
import functools

from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.scoring import evaluation, report


def register(subparsers: arguments.Subparsers) -> None:
  """Adds the command."""
  parser = arguments.add_command(
    subparsers,
    'evaluate',
    run,
    'score predictions: accuracies with intervals, classes, confusion',
  )
  arguments.add_name(parser)
  parser.add_argument(
    'files',
    metavar='FILE',
    nargs='+',
    help='file of predictions, as cmnist_tfds.save_predictions writes; several'
    ' are the runs of one method',
  )
  arguments.add_predictions(parser)
  arguments.add_file(
    parser,
    '--confusion',
    'draw the confusion of the classes to a .png or .svg file',
  )
  parser.add_argument(
    '--assume_order',
    action='store_true',
    help='score .npy or .csv files that hold predictions alone, on trust that'
    ' they are in the order of the prepared test set',
  )
  parser.add_argument(
    '--without',
    choices=('near-duplicates',),
    help='leave out test images of which the full training set has a copy or a'
    ' near-copy, as cmnist audit finds them',
  )


def run(args: argparse.Namespace) -> int:
  """Runs the command; returns its exit status."""
  from cmnist_tfds.figures import confusion_matrix, pictures

  if args.confusion:
    pictures.check_picture(args.confusion)
  scored = evaluation.evaluate(
    args.name,
    args.files,
    assume_order=args.assume_order,
    trust_labels=args.trust_labels,
    without_near_duplicates=args.without is not None,
    open_=functools.partial(arguments.opened_subset, args=args),
  )
  if args.confusion:
    subset, method = scored.subset, scored.about.get('method')
    draw = functools.partial(
      confusion_matrix.draw_confusion,
      subset,
      scored.confusion,
      f'{scored.dataset}/{subset.name} {scored.split}',
      f'accuracy {scored.accuracy.value:.4f}' + f'; {method}' * bool(method),
    )
    pictures.save(args.confusion, draw)
  terminal.print_report(scored, report.evaluation_sections(scored), args.format)
  return 0

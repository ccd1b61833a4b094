# SPDX-License-Identifier: Apache-2.0
"""Score predictions: accuracies with intervals, classes, confusion."""

from __future__ import annotations

import argparse
import functools
from typing import Any

from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.scoring import evaluation, report, results
from cmnist_tfds.system.errors import PredictionsError

ARGUMENTS = {
  **arguments.PREDICTIONS,
  'files FILE+': 'file of predictions, as cmnist_tfds.save_predictions writes, or'
  ' .csv with the columns label and prediction, or a folder of cmnist run; several'
  ' are runs of one method',
  '-o|--output FILE': arguments.path(
    'draw the confusion of classes to a .png or .svg file; or write the scores to'
    ' a .json file, such as cmnist catalog --results reads',
    dest='confusion',
  ),
  '--reliability FILE': arguments.picture(
    'draw the accuracy by the highest probability to'
  ),
  **arguments.DARK,
  '--ood FILE': 'scores of the same model for another set, as predictions or .npy:'
  ' how well its highest score tells the two sets apart',
  '--assume_order': 'score .npy or .csv files that hold predictions alone, on'
  ' trust that they are in the order of the prepared test set',
  '--without_near_duplicates': 'leave out test images of which the full training'
  ' set has a copy or a near-copy, as cmnist audit finds them',
  # The former spellings.
  '--confusion FILE': arguments.picture('', help=argparse.SUPPRESS),
  '--without': {
    'choices': ('near-duplicates',),
    'dest': 'without_near_duplicates',
    'help': argparse.SUPPRESS,
  },
}


def run(args: arguments.Namespace) -> None:
  """Runs the command."""
  from cmnist_tfds.figures import pictures, reliability

  flags = ('assume_order', 'trust_labels', 'without_near_duplicates')
  how: dict[str, Any] = {flag: bool(getattr(args, flag)) for flag in flags}
  how |= {'open_': args.open, 'ood': args.ood}
  scored = evaluation.evaluate(args.name, args.files, **how)
  if args.reliability:
    bins = scored.confidence.reliability if scored.confidence else ()
    if not bins:
      raise PredictionsError(
        f'{scored.subset.title}: the predictions have no probabilities of classes.'
        ' Save them as scores, with their score_kind.'
      )
    title = f'{scored.dataset}/{scored.subset.name} {scored.split}'
    draw = functools.partial(reliability.draw_reliability, bins, title)
    pictures.save(args.reliability, draw, dark=args.dark)
  if args.confusion and args.confusion.suffix.lower() == '.json':
    results.write_scores(args.confusion, scored)
  elif args.confusion:
    pictures.save(args.confusion, scored.draw, dark=args.dark)
  terminal.print_report(scored, report.evaluation_sections(scored), args.format)

# SPDX-License-Identifier: Apache-2.0
"""Score predictions: accuracies with intervals, classes, confusion."""

from __future__ import annotations

import argparse
from typing import Any

from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.scoring import evaluation, report

ARGUMENTS = {
  **arguments.PREDICTIONS,
  'files FILE+': 'file of predictions, as cmnist_tfds.save_predictions writes, or'
  ' .csv with the columns label and prediction; several are runs of one method',
  '-o|--output FILE': arguments.picture(
    'draw the confusion of classes to', dest='confusion'
  ),
  **arguments.DARK,
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
  from cmnist_tfds.figures import pictures

  flags = ('assume_order', 'trust_labels', 'without_near_duplicates')
  how: dict[str, Any] = {flag: bool(getattr(args, flag)) for flag in flags}
  scored = evaluation.evaluate(args.name, args.files, open_=args.open, **how)
  if args.confusion:
    pictures.save(args.confusion, scored.draw, dark=args.dark)
  terminal.print_report(scored, report.evaluation_sections(scored), args.format)

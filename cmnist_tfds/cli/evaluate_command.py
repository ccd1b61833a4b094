# SPDX-License-Identifier: Apache-2.0
"""Score predictions: accuracies with intervals, classes, confusion."""

from __future__ import annotations

import argparse
import pathlib
from typing import Any

from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.scoring import evaluation, report, results


def _output(text: str) -> pathlib.Path:
  is_scores = text.lower().endswith('.json')
  return (arguments.writable_file if is_scores else arguments.picture_file)(
    text
  )


ARGUMENTS = {
  **arguments.PREDICTIONS,
  'files FILE+': 'file of predictions, as cmnist_tfds.save_predictions writes, or'
  ' .csv with the columns label and prediction, or a folder of cmnist run; several'
  ' are runs of one method',
  '-o|--confusion FILE': arguments.path(
    'draw the confusion of classes to a .png or .svg file; or write the scores to'
    ' a .json file, such as cmnist catalog --results reads',
    _output,
  ),
  **arguments.DARK,
  '--assume_order': 'score .npy or .csv files that hold predictions alone, on'
  ' trust that they are in the order of the prepared test set',
  '--without_near_duplicates': 'leave out test images of which the full training'
  ' set has a copy or a near-copy, as cmnist audit finds them',
  # The former spelling.
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
  if args.confusion and args.confusion.suffix.lower() == '.json':
    results.write_scores(args.confusion, scored)
  elif args.confusion:
    pictures.save(args.confusion, scored.draw, dark=args.dark)
  terminal.print_report(scored, report.evaluation_sections(scored), args.format)

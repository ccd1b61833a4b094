# SPDX-License-Identifier: Apache-2.0
"""Score predictions: accuracies with intervals, classes, confusion."""

from __future__ import annotations

import argparse

from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.scoring import evaluation, report

ARGUMENTS = {
  **arguments.PREDICTIONS,
  'files FILE+': 'file of predictions, as cmnist_tfds.save_predictions writes;'
  ' several are the runs of one method',
  '--confusion FILE': arguments.path(
    'draw the confusion of the classes to a .png or .svg file',
    arguments.picture,
  ),
  '--assume_order': 'score .npy or .csv files that hold predictions alone, on'
  ' trust that they are in the order of the prepared test set',
  '--without': {
    'choices': ('near-duplicates',),
    'help': 'leave out test images of which the full training set has a copy or a'
    ' near-copy, as cmnist audit finds them',
  },
}


def run(args: argparse.Namespace) -> None:
  """Runs the command."""
  from cmnist_tfds.figures import confusion_matrix, pictures

  scored = evaluation.evaluate_files(
    args.name,
    args.files,
    args.open,
    args.assume_order,
    args.trust_labels,
    args.without is not None,
  )
  if args.confusion:
    method = scored.about.get('method')
    title = f'{scored.dataset}/{scored.subset.name} {scored.split}'
    subtitle = f'accuracy {scored.accuracy.value:.4f}' + f'; {method}' * bool(
      method
    )
    pictures.save(
      args.confusion,
      lambda: confusion_matrix.draw_confusion(
        scored.subset, scored.confusion, title, subtitle
      ),
    )
  terminal.print_report(scored, report.evaluation_sections(scored), args.format)

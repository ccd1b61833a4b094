# SPDX-License-Identifier: Apache-2.0
"""`cmnist compare`: two methods on the same test images."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from cmnist_tfds import subsets
from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.scoring import comparison, report

if TYPE_CHECKING:
  from cmnist_tfds.cli.arguments import Subparsers


def register(subparsers: Subparsers) -> None:
  """Adds the command."""
  parser = arguments.add_command(
    subparsers,
    'compare',
    run,
    'compare the predictions of two methods for the same test images',
  )
  arguments.add_name(parser)
  for name in ('first', 'second'):
    parser.add_argument(
      name,
      metavar=name.upper(),
      help=f'file of predictions of the {name} method',
    )
  arguments.add_predictions(parser)


def run(args: argparse.Namespace) -> int:
  """Runs the command; returns its exit status."""
  compared = comparison.compare_files(
    subsets.subset(args.name),
    args.first,
    args.second,
    None
    if args.trust_labels
    else lambda subset, draw: arguments.opened_subset(subset, args, draw),
  )
  terminal.print_report(
    compared, report.comparison_sections(compared), args.format
  )
  return 0

# SPDX-License-Identifier: Apache-2.0
"""`cmnist compare`: two methods on the same test images."""

from __future__ import annotations

import argparse
import functools

from cmnist_tfds import subsets
from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.scoring import comparison, report


def register(subparsers: arguments.Subparsers) -> None:
  """Adds the command."""
  parser = arguments.add_command(
    subparsers,
    'compare',
    run,
    'compare the predictions of two methods for the same test images',
  )
  arguments.add_name(parser)
  for name in ('first', 'second'):
    help_ = f'file of predictions of the {name} method'
    parser.add_argument(name, metavar=name.upper(), help=help_)
  arguments.add_predictions(parser)


def run(args: argparse.Namespace) -> int:
  """Runs the command; returns its exit status."""
  open_ = functools.partial(arguments.opened_subset, args=args)
  compared = comparison.compare_files(
    subsets.subset(args.name),
    args.first,
    args.second,
    None if args.trust_labels else open_,
  )
  terminal.print_report(
    compared, report.comparison_sections(compared), args.format
  )
  return 0

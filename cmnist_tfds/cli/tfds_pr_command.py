# SPDX-License-Identifier: Apache-2.0
"""`cmnist tfds-pr`: the files of a pull request to TFDS."""

from __future__ import annotations

import argparse
import pathlib
from typing import TYPE_CHECKING

from cmnist_tfds.cli import arguments

if TYPE_CHECKING:
  from cmnist_tfds.cli.arguments import Subparsers


def register(subparsers: Subparsers) -> None:
  """Adds the command."""
  parser = arguments.add_command(
    subparsers,
    'tfds-pr',
    run,
    'write the files of a pull request that adds CMNIST to TFDS, where it'
    ' builds without this package; it has the 134 subsets of the paper and their'
    ' reduced forms alone, and no extensions',
  )
  parser.add_argument(
    'folder',
    metavar='DIR',
    type=pathlib.Path,
    help='folder to write, laid out as a checkout of TFDS; must be new, empty or'
    ' written by this command',
  )


def run(args: argparse.Namespace) -> int:
  """Runs the command; returns its exit status."""
  from cmnist_tfds import tfds_pr

  dataset = tfds_pr.write(args.folder)
  print(
    f'{dataset}: copy it into a checkout of TFDS and run its test there. Then'
    ' run `tfds build cmnist --register_checksums` to record the checksums that'
    ' nobody has published. It has the 134 subsets of the paper alone, and no'
    ' extensions.'
  )
  return 0

# SPDX-License-Identifier: Apache-2.0
"""`cmnist export`: a subset as files in a common format."""

from __future__ import annotations

import argparse

from cmnist_tfds import subsets
from cmnist_tfds.cli import arguments
from cmnist_tfds.export import files


def register(subparsers: arguments.Subparsers) -> None:
  """Adds the command."""
  parser = arguments.add_command(
    subparsers,
    'export',
    run,
    'write a subset as files that can be read without TFDS',
  )
  arguments.add_name(parser)
  arguments.add_dataset(parser)
  parser.add_argument(
    '--format',
    choices=tuple(files.FORMATS),
    required=True,
    help='png: a folder of images for each class, as ImageNet; idx: the four'
    ' files of MNIST; npz: one file with the arrays of keras.datasets; csv: the'
    ' layout of the published generator',
  )
  arguments.add_output_folder(parser)


def run(args: argparse.Namespace) -> int:
  """Runs the command; returns its exit status."""
  opened = arguments.opened_subset(subsets.subset(args.name), args)
  files.export_files(opened, args.format, args.output)
  print(
    f'{opened.dataset}/{opened.subset.name}: written as {args.format} to'
    f' {args.output}'
  )
  return 0

# SPDX-License-Identifier: Apache-2.0
"""`cmnist croissant`: a subset described as Croissant JSON-LD."""

from __future__ import annotations

import argparse

from cmnist_tfds import subsets
from cmnist_tfds.cli import arguments


def register(subparsers: arguments.Subparsers) -> None:
  """Adds the command."""
  parser = arguments.add_command(
    subparsers,
    'croissant',
    run,
    'describe a subset as Croissant JSON-LD, with -o including its examples',
  )
  arguments.add_name(parser)
  arguments.add_dataset(parser)
  arguments.add_output_folder(
    parser,
    required=False,
    summary='folder to write the description to, with its examples as Parquet;'
    ' without it, the description is printed',
  )


def run(args: argparse.Namespace) -> int:
  """Runs the command; returns its exit status."""
  from cmnist_tfds.export import croissant

  subset = subsets.subset(args.name)
  if args.output is None:
    print(croissant.describe(subset, sample=args.sample), end='')
    return 0
  count = croissant.export_croissant(
    arguments.opened_subset(subset, args), args.output
  )
  print(f'{args.output / croissant.FILE}: {count:,} examples')
  return 0

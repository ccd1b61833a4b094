# SPDX-License-Identifier: Apache-2.0
"""`cmnist catalog`: a static site about all subsets and sources."""

from __future__ import annotations

import argparse
import pathlib

from cmnist_tfds import subsets
from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.subsets import Subset


def register(subparsers: arguments.Subparsers) -> None:
  """Adds the command."""
  parser = arguments.add_command(
    subparsers,
    'catalog',
    run,
    'write a static site with a page for each subset and each source',
  )
  arguments.add_names(
    parser, '*', 'give these subsets a page too, such as 3-FKdMn'
  )
  arguments.add_dataset(parser)
  arguments.add_output_folder(parser)
  parser.add_argument(
    '--results',
    metavar='DIR',
    type=pathlib.Path,
    help='folder of results on CMNIST, such as cmnist baseline writes, which the'
    ' pages of their subsets list',
  )


def run(args: argparse.Namespace) -> int:
  """Runs the command; returns its exit status."""
  from cmnist_tfds.catalog import site
  from cmnist_tfds.scoring import results

  found = results.read_results(args.results) if args.results else []

  def table(subset: Subset) -> list[tuple[str, ...]]:
    rows = [row for row in found if row.subset.full == subset]
    return results.to_table(rows) if rows else []

  further = arguments.named_subsets(args.names)
  missing = site.write_site(
    args.output,
    args.data_dir,
    sample=args.sample,
    further=further,
    results=table,
  )
  count = len({*subsets.published(), *further})
  print(f'{args.output / "index.html"}: {count} subsets')
  if missing:
    terminal.print_wrapped(
      f'no pictures of {", ".join(s.key for s in missing)}: no prepared subset'
      ' has all their classes'
    )
  return 0

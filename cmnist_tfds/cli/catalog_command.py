# SPDX-License-Identifier: Apache-2.0
"""`cmnist catalog`: a static site about all subsets and sources."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from cmnist_tfds import subsets
from cmnist_tfds.cli import arguments

if TYPE_CHECKING:
  from cmnist_tfds.cli.arguments import Subparsers


def register(subparsers: Subparsers) -> None:
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


def run(args: argparse.Namespace) -> int:
  """Runs the command; returns its exit status."""
  from cmnist_tfds.catalog import site

  further = [
    s
    for s in arguments.named_subsets(args.names)
    if s not in subsets.published()
  ]
  gallery = site.write_site(
    args.output, args.data_dir, sample=args.sample, further=further
  )
  missing = [
    s.key for s in site.sources_of(further) if not gallery.has_pictures_of(s)
  ]
  count = len(subsets.published()) + len(further)
  print(f'{args.output / "index.html"}: {count} subsets')
  if missing:
    print(
      f'no pictures of {", ".join(missing)}: no prepared subset contains them'
    )
  return 0

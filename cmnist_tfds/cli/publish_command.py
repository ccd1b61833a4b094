# SPDX-License-Identifier: Apache-2.0
"""`cmnist publish`: prepared subsets as a folder for dataset hubs."""

from __future__ import annotations

import argparse

from cmnist_tfds.cli import arguments


def register(subparsers: arguments.Subparsers) -> None:
  """Adds the command."""
  parser = arguments.add_command(
    subparsers,
    'publish',
    run,
    'write prepared subsets and a dataset card to a folder that others can read'
    ' without this package',
  )
  arguments.add_names(parser, '+')
  arguments.add_dataset(parser)
  arguments.add_output_folder(parser)


def run(args: argparse.Namespace) -> int:
  """Runs the command; returns its exit status."""
  from cmnist_tfds.export import hub

  selected = arguments.named_subsets(args.names)
  published = [arguments.opened_subset(subset, args) for subset in selected]
  for opened in published:
    if not opened.prepared:
      raise arguments.not_prepared(opened.subset, args)
  # The images of the sample are nobody else's.
  if not args.sample:
    print(hub.licenses(selected), flush=True)
  hub.publish(published, args.output)
  noun = 'subset' if len(selected) == 1 else 'subsets'
  print(f'{args.output}: {len(selected)} {noun}')
  if not args.sample:
    print(
      'Before you share this, check the license of each source; the dataset card'
      ' lists them.'
    )
  return 0

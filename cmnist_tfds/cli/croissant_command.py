# SPDX-License-Identifier: Apache-2.0
"""Describe a subset as Croissant JSON-LD, with -o including its examples."""

from cmnist_tfds.cli import arguments

ARGUMENTS = {
  **arguments.SUBSET,
  '-o|--output DIR': arguments.path(
    'folder to write the description to, with its examples as Parquet; without'
    f' it, the description is printed; {arguments.KEPT}'
  ),
}


def run(args: arguments.Namespace) -> None:
  """Runs the command."""
  from cmnist_tfds.export import croissant

  if args.output is None:
    print(croissant.describe(args.subset, sample=args.sample), end='')
    return
  count = croissant.export_croissant(args.open(args.subset), args.output)
  print(f'{args.output / croissant.FILE}: {count:,} examples')

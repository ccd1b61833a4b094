# SPDX-License-Identifier: Apache-2.0
"""`cmnist info`: everything about one subset."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from cmnist_tfds import subsets
from cmnist_tfds.cache.prepared import DATASET, SAMPLE
from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.load.open_subset import open_subset
from cmnist_tfds.sample import NOTICE, sample_of
from cmnist_tfds.scoring import difficulty
from cmnist_tfds.subsets import Subset


def register(subparsers: arguments.Subparsers) -> None:
  """Adds the command."""
  parser = arguments.add_command(
    subparsers,
    'info',
    run,
    'describe a subset: its size, classes, sources and licenses',
  )
  arguments.add_name(parser)
  arguments.add_dataset(parser)
  arguments.add_flags(
    parser,
    bibtex='print instead what to cite: CMNIST and each source, as BibTeX',
  )


def run(args: argparse.Namespace) -> int:
  """Runs the command; returns its exit status."""
  subset = subsets.subset(args.name)
  if args.bibtex:
    print(subset.citation)
    return 0
  opened = open_subset(subset, data_dir=args.data_dir, sample=args.sample)
  found = opened if opened and opened.prepared else None
  dataset = SAMPLE if args.sample else DATASET
  described = sample_of(subset) if args.sample else subset
  balanced = described.balanced
  counts = [(c.train, c.test) for c in described.classes]
  sizes = [described.num_train, described.num_test]
  if found:
    counts = [*found.class_counts]
    sizes = [sum(split) for split in zip(*found.class_counts, strict=True)]
    balanced = len({train for train, _ in counts}) == 1
  print(f'{dataset}/{subset.name} ({subset.title})')
  if args.sample:
    print(NOTICE)
  print(f'examples  {_count(sizes[0])} train, {_count(sizes[1])} test')
  state = 'balanced' if balanced else 'not balanced'
  print(f'classes   {subset.num_classes}, {state}')
  if not args.sample:
    _print_difficulty(subset)
  if found:
    print(f'prepared  {found.folder}')
    for row in found.metadata.get('sources', []):
      proofs = ', '.join(sorted(set(row['verified'].values())))
      print(f'  verification of {row["key"]}: {proofs}')
  else:
    print(f'prepared  no: {arguments.how_to_build(subset, args)}')
  _print_classes(subset, counts)
  for source in described.sources:
    print(f'\n{source.key}: {source.title}, {source.homepage}')
    terminal.print_wrapped(f'license: {source.license}', indent=2)
    for issue in source.known_issues:
      terminal.print_wrapped(f'known issue: {issue}', indent=2)
  print(f'\nWhat to cite: cmnist info {subset.name} --bibtex')
  return 0


def _print_difficulty(subset: Subset) -> None:
  measured = [
    f'{right:.4f} with {training}'
    for training, form in (
      ('10 training examples of each class', subsets.reduce(subset.full, 10)),
      ('all', subset.full),
    )
    if (right := difficulty.nearest_neighbor(form)) is not None
  ]
  if measured:
    print(f'accuracy  of the nearest neighbor: {", ".join(measured)}')


def _print_classes(
  subset: Subset, counts: Sequence[tuple[int | None, int | None]]
) -> None:
  """Prints the table of classes, with the numbers of examples of each."""
  print('\nlabel  source  raw     train      test  class')
  for c, (train, test) in zip(subset.classes, counts, strict=True):
    print(
      f'{c.label:>5}  {c.source.key:<6}  {c.raw_label:>3}'
      f'  {_count(train):>8}  {_count(test):>8}  {c.name}'
    )


def _count(number: int | None) -> str:
  return '?' if number is None else f'{number:,}'

# SPDX-License-Identifier: Apache-2.0
"""Describe a subset: its size, classes, sources and licenses."""

from __future__ import annotations

from cmnist_tfds import subsets
from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.load.open_subset import open_subset
from cmnist_tfds.sample import NOTICE, sample_of
from cmnist_tfds.scoring import difficulty

ARGUMENTS = {
  **arguments.SUBSET,
  **arguments.printed('text', 'json'),
  '--bibtex': 'print instead what to cite: CMNIST and each source, as BibTeX',
}


def run(args: arguments.Namespace) -> None:
  """Runs the command."""
  subset = args.subset
  if args.bibtex:
    print(subset.citation)
    return
  opened = open_subset(subset, **args.where)
  found = opened if opened and opened.prepared else None
  described = sample_of(subset) if args.sample else subset
  balanced = described.balanced
  counts = [(c.train, c.test) for c in described.classes]
  sizes = (described.num_train, described.num_test)
  if found:
    counts = [*found.class_counts]
    train, test = zip(*found.class_counts, strict=True)
    balanced, sizes = len({*train}) == 1, (sum(train), sum(test))
  classes = [
    {'label': c.label, 'source': c.source.key, 'raw': c.raw_label}
    | {'train': train, 'test': test, 'class': c.name}
    for c, (train, test) in zip(subset.classes, counts, strict=True)
  ]
  if args.format == 'json':
    record = {
      'dataset': args.dataset,
      'name': subset.name,
      'train': sizes[0],
      'test': sizes[1],
      'balanced': balanced,
      'prepared': found and found.folder,
      'verified': found and found.metadata.get('sources'),
      'classes': classes,
      'sources': described.sources,
      'citation': subset.citation,
    }
    terminal.print_json(record)
    return
  print(f'{args.dataset}/{subset.name} ({subset.title})')
  if args.sample:
    print(NOTICE)
  print(f'examples  {_count(sizes[0])} train, {_count(sizes[1])} test')
  state = 'balanced' if balanced else 'not balanced'
  print(f'classes   {subset.num_classes}, {state}')
  if not args.sample and (mean := subset.mean) is not None:
    print(f'pixels    mean {mean:.4f}, standard deviation {subset.std:.4f}')
  forms = {
    '10 training examples of each class': subsets.reduce(subset.full, 10),
    'all': subset.full,
  }
  measured = [
    f'{right:.4f} with {training}'
    for training, form in forms.items()
    if (right := difficulty.nearest_neighbor(form)) is not None
  ]
  if measured and not args.sample:
    print(f'accuracy  of the nearest neighbor: {", ".join(measured)}')
  if found:
    print(f'prepared  {found.folder}')
    for row in found.metadata.get('sources', []):
      proofs = ', '.join(sorted(set(row['verified'].values())))
      print(f'  verification of {row["key"]}: {proofs}')
  else:
    print(f'prepared  no: {arguments.how_to_build(args, subset)}')
  print()
  terminal.print_table([[*classes[0]], *(list(c.values()) for c in classes)])
  for source in described.sources:
    print(f'\n{source.key}: {source.title}, {source.homepage}')
    terminal.print_wrapped(f'license: {source.license}', indent=2)
    for issue in source.known_issues:
      terminal.print_wrapped(f'known issue: {issue}', indent=2)
  print(f'\nWhat to cite: cmnist info {subset.name} --bibtex')


def _count(number: int | None) -> str:
  return '?' if number is None else f'{number:,}'

# SPDX-License-Identifier: Apache-2.0
"""Describe a subset: its size, classes, sources and licenses."""

from __future__ import annotations

from typing import Any

from cmnist_tfds import subsets
from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.load.open_subset import open_subset
from cmnist_tfds.sample import NOTICE, sample_of
from cmnist_tfds.scoring import difficulty
from cmnist_tfds.sources import SPLITS
from cmnist_tfds.system.paths import PathLike

ARGUMENTS = {
  **arguments.SUBSET,
  'one of': {
    **arguments.printed('text', 'json'),
    '--bibtex': 'print instead what to cite: CMNIST and each source, as BibTeX',
  },
}


def run(args: arguments.Namespace) -> None:
  """Runs the command."""
  subset = args.subset
  if args.bibtex:
    print(subset.citation)
    return
  facts = info(subset.name, **args.where)
  if args.format == 'json':
    terminal.print_json(facts)
    return
  print(f'{args.dataset}/{subset.name} ({subset.title})')
  if args.sample:
    print(NOTICE)
  sizes = ((facts[split], split) for split in SPLITS)
  shown = (f'{"?" if n is None else f"{n:,}"} {split}' for n, split in sizes)
  print(f'examples  {", ".join(shown)}')
  state = 'balanced' if facts['balanced'] else 'not balanced'
  print(f'classes   {subset.num_classes}, {state}')
  if (mean := facts['mean']) is not None:
    print(f'pixels    mean {mean:.4f}, standard deviation {facts["std"]:.4f}')
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
  if facts['prepared']:
    print(f'prepared  {facts["prepared"]}')
    proofs = sorted({f'{f["source"]} {f["proof"]}' for f in facts['verified']})
    print(f'  verification: {", ".join(proofs)}')
  else:
    print(f'prepared  no: {arguments.how_to_build(args, subset)}')
  print()
  header, rows = facts['classes'][0].keys(), facts['classes']
  terminal.print_table([[*header], *([*row.values()] for row in rows)])
  for source in facts['sources']:
    print(f'\n{source.key}: {source.title}, {source.homepage}')
    terminal.print_wrapped(f'license: {source.stated_license}', indent=2)
    for issue in source.known_issues:
      terminal.print_wrapped(f'known issue: {issue}', indent=2)
  print(f'\nWhat to cite: cmnist info {subset.name} --bibtex')


def info(
  name: str, *, data_dir: PathLike | None = None, sample: bool = False
) -> dict[str, Any]:
  """Returns what `cmnist info` says of a subset.

  Args:
    name: Name of a subset.
    data_dir: Where prepared datasets are; TFDS's default if None.
    sample: Whether to describe the synthetic sample instead of CMNIST.

  Returns:
    'dataset', 'name', the sizes 'train' and 'test', 'balanced', the folder
    'prepared' and how its origin files were 'verified', the 'mean' and 'std' of
    its pixels, 'classes', the records 'sources', and the BibTeX 'citation'. What
    nobody knows is None.

  Raises:
    SubsetNameError: If there is no such subset.
    PreparationError: If a prepared dataset is damaged.
  """
  subset, sample = subsets.subset(name), sample or subsets.names_sample(name)
  opened = open_subset(subset, data_dir=data_dir, sample=sample)
  described = sample_of(subset) if sample else subset
  found = opened.prepared if opened else None
  counts = [(c.train, c.test) for c in described.classes]
  train, test = zip(
    *opened.class_counts if opened and found else counts, strict=True
  )
  return {
    'dataset': subsets.SAMPLE if sample else subsets.DATASET,
    'name': subset.name,
    'train': described.num_train if None in train else sum(train),
    'test': described.num_test if None in test else sum(test),
    'balanced': len({*train}) == 1 and None not in train,
    'prepared': str(found.folder) if found else None,
    'verified': [
      {'source': source['key'], 'path': path, 'proof': proof}
      for source in (found.metadata.get('sources', []) if found else ())
      for path, proof in source['verified'].items()
    ],
    'mean': None if sample else subset.mean,
    'std': None if sample else subset.std,
    'classes': [
      {'label': c.label, 'source': c.source.key, 'raw': c.raw_label}
      | {'train': train[c.label], 'test': test[c.label], 'class': c.name}
      for c in subset.classes
    ],
    'sources': described.sources,
    'citation': subset.citation,
  }

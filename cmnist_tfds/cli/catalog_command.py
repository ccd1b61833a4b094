# SPDX-License-Identifier: Apache-2.0
"""Write a static site with a page for each subset and each source."""

from __future__ import annotations

from cmnist_tfds import subsets
from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.subsets import Subset

ARGUMENTS = {
  'names NAME*': 'give these subsets a page too, such as 3-FKdMn',
  **arguments.DATASET,
  **arguments.OUTPUT,
  '--results DIR': arguments.path(
    'folder of results on CMNIST, such as cmnist baseline writes, which the'
    ' pages of their subsets list'
  ),
}


def run(args: arguments.Namespace) -> None:
  """Runs the command."""
  from cmnist_tfds.catalog import site
  from cmnist_tfds.scoring import results, suites

  found = results.read_results(args.results) if args.results else []

  def table(subset: Subset) -> list[tuple[str, ...]]:
    rows = [row for row in found if row.subset.full == subset]
    return results.to_table(rows) if rows else []

  missing = site.write_site(
    args.output,
    args.data_dir,
    sample=args.sample,
    further=args.subsets,
    results=table,
    advice=suites.suites()['core'].members,
  )
  count = len({*subsets.published(), *args.subsets})
  print(f'{args.output / "index.html"}: {count} subsets')
  if missing:
    terminal.print_wrapped(
      f'no pictures of {", ".join(s.key for s in missing)}: no prepared subset'
      ' has their classes. Build one'
      + (', or give --sample for synthetic pictures.', '.')[args.sample]
    )

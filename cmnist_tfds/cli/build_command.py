# SPDX-License-Identifier: Apache-2.0
"""Download, verify and prepare subsets."""

import dataclasses

from cmnist_tfds import build
from cmnist_tfds.cli import arguments, terminal

ARGUMENTS = {
  'names NAME*': arguments.NAME,
  '--all': 'build the 134 subsets of the paper and their 670 reduced subsets',
  **arguments.DATASET,
  **arguments.LOCATIONS,
  **arguments.TIMEOUT,
  '--allow_unverified': 'accept origin files that cannot be verified; the'
  ' metadata of the dataset will say so',
  '--jobs N': arguments.number('how many subsets to build at the same time', 1),
  '--overwrite': 'rebuild subsets that are already prepared; the old data is kept'
  ' until the new data is complete',
  **arguments.printed('text', 'json'),
}


def run(args: arguments.Namespace) -> int:
  """Runs the command; returns its exit status."""
  names = ('jobs', 'overwrite', 'allow_unverified', *arguments.SEARCHED)
  options = {name: getattr(args, name) for name in names} | args.where
  outcomes, status = [], 0
  try:
    for outcome in build.build(args.subsets, **options):
      outcomes.append(outcome)
      if outcome.error:
        status = terminal.fail(f'{outcome.name}: {outcome.error}')
  finally:
    # Subsets that were finished before Ctrl-C are kept, so they are listed.
    rows = [dataclasses.astuple(o)[:-1] for o in outcomes if not o.error]
    if args.format == 'json':
      terminal.print_json(outcomes)
    elif rows:
      header = ('subset', 'examples', 'bytes', 'seconds', 'where')
      terminal.print_table([header, *rows])
  return status

# SPDX-License-Identifier: Apache-2.0
"""Write prepared subsets and a dataset card to a folder.

Others can read it without this package.
"""

from cmnist_tfds.cli import arguments
from cmnist_tfds.system.errors import counted

ARGUMENTS = {
  'names NAME+': arguments.NAME,
  **arguments.DATASET,
  **arguments.OUTPUT,
}


def run(args: arguments.Namespace) -> None:
  """Runs the command."""
  from cmnist_tfds.export import hub

  published = [args.open(subset) for subset in args.subsets]
  for opened in published:
    if not opened.prepared:
      raise arguments.not_prepared(args, opened.subset)
  # The images of the sample are nobody else's.
  if not args.sample:
    print(hub.licenses(args.subsets), flush=True)
  hub.publish(published, args.output)
  print(f'{args.output}: {counted(len(published), "subset")}')
  if not args.sample:
    print(
      'Before you share this, check the license of each source; the dataset card'
      ' lists them.'
    )

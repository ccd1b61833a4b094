# SPDX-License-Identifier: Apache-2.0
"""Write the files of a pull request that adds CMNIST to TFDS.

There it builds without this package; it has the 134 subsets of the paper and
their reduced forms alone, and no extensions.
"""

from __future__ import annotations

from cmnist_tfds.cli import arguments

ARGUMENTS = {
  **arguments.folder(
    'folder to write, laid out as a checkout of TFDS, with the text of the pull'
    ' request; must be new, empty or written by this command'
  ),
  '--into': 'DIR is a checkout of TFDS: add the folder of the dataset to it and'
  ' nothing else, and print the text of the pull request',
}


def run(args: arguments.Namespace) -> None:
  """Runs the command."""
  from cmnist_tfds import tfds_pr

  if args.into:
    dataset = tfds_pr.write_into(args.output)
    print(f'{dataset}: written. The text of the pull request:\n')
    print(tfds_pr.text(), end='')
  else:
    dataset = tfds_pr.write(args.output)
    print(
      f'{dataset}: copy it into a checkout of TFDS.'
      f' {args.output / tfds_pr.TEXT} is the text of the pull request, and says'
      ' how to test.'
    )

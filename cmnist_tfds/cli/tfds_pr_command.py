# SPDX-License-Identifier: Apache-2.0
"""Write the files of a pull request that adds CMNIST to TFDS.

There it builds without this package; it has the 134 subsets of the paper and
their reduced forms alone, and no extensions.
"""

from cmnist_tfds.cli import arguments

ARGUMENTS = arguments.folder(
  'folder to write, laid out as a checkout of TFDS, with the text of the pull'
  ' request; must be new, empty or written by this command'
)


def run(args: arguments.Namespace) -> None:
  """Runs the command."""
  from cmnist_tfds import tfds_pr

  dataset = tfds_pr.write(args.output)
  print(
    f'{dataset}: copy it into a checkout of TFDS. {args.output / tfds_pr.TEXT} is'
    ' the text of the pull request, and says how to test.'
  )

# SPDX-License-Identifier: Apache-2.0
"""Compare the predictions of two methods for the same test images."""

from __future__ import annotations

from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.scoring import comparison, report

ARGUMENTS = {
  **arguments.PREDICTIONS,
  'first FIRST': 'file of predictions of the first method',
  'second SECOND': 'file of predictions of the second method',
}


def run(args: arguments.Namespace) -> None:
  """Runs the command."""
  how = {'trust_labels': args.trust_labels, 'open_': args.open}
  found = comparison.compare(args.name, args.first, args.second, **how)
  terminal.print_report(found, report.comparison_sections(found), args.format)

# SPDX-License-Identifier: Apache-2.0
"""Compare the predictions of two methods for the same test images."""

from __future__ import annotations

import argparse
from typing import Any

from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.scoring import comparison, family, report

ARGUMENTS = {
  **arguments.PREDICTIONS,
  'first FIRST': 'file of predictions of the first method',
  'second SECOND': 'file of predictions of the second method',
  'further NAME FIRST SECOND*': 'further subsets, with the files of both methods;'
  ' the methods are then compared over the origins of all test images',
}


def run(args: arguments.Namespace) -> None:
  """Runs the command."""
  how: dict[str, Any] = {'trust_labels': args.trust_labels, 'open_': args.open}
  named = [args.name, args.first, args.second, *args.further]
  if len(named) % 3:
    raise argparse.ArgumentError(None, 'a further subset needs two files')
  pairs = [*zip(named[::3], named[1::3], named[2::3], strict=True)]
  if args.further:
    several = family.compare_family(pairs, **how)
    sections = report.family_sections(several)
    terminal.print_report(several, sections, args.format)
  else:
    found = comparison.compare(*pairs[0], **how)
    sections = report.comparison_sections(found)
    terminal.print_report(found, sections, args.format)

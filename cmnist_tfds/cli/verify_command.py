# SPDX-License-Identifier: Apache-2.0
"""`cmnist verify`: where each origin file is, and whether it is correct."""

from __future__ import annotations

import argparse
import itertools
import pathlib
from typing import TYPE_CHECKING

from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.origin import audit, locations
from cmnist_tfds.system import streams

if TYPE_CHECKING:
  from cmnist_tfds.cli.arguments import Subparsers


def register(subparsers: Subparsers) -> None:
  """Adds the command."""
  parser = arguments.add_command(
    subparsers,
    'verify',
    run,
    'find each origin file on this computer and check that it is correct',
  )
  arguments.add_names(
    parser, '*', 'check only the files of the sources of these subsets'
  )
  arguments.add_data_dir(parser)
  arguments.add_locations(parser)
  parser.add_argument(
    '--hashes',
    action='store_true',
    help='print the SHA-256 of each file and the fingerprint of the array in'
    ' it, to report a file for which none is recorded',
  )


def run(args: argparse.Namespace) -> int:
  """Runs the command; returns its exit status."""
  where = arguments.origin_locations(args)
  sources = arguments.named_sources(args.names)
  findings = list(
    streams.progress_bar(
      audit.audit(sources, where, hashes=args.hashes),
      desc='Checking',
      unit=' files',
      total=sum(len(source.origin_files) for source in sources),
      leave=False,
    )
  )
  for folder, group in itertools.groupby(findings, _folder):
    print(folder)
    _print_group(list(group), where.manual_dir)
  if any(finding.is_missing for finding in findings):
    terminal.print_wrapped(
      '`cmnist mirror DIR` fetches missing files from all their homes.'
    )
  num_wrong = sum(1 for finding in findings if finding.fault)
  print(f'{len(findings) - num_wrong} of {len(findings)} files are right')
  return terminal.FAILED if num_wrong else 0


def _folder(finding: audit.Finding) -> str:
  return finding.file.path.rpartition('/')[0]


def _print_group(
  findings: list[audit.Finding], manual_dir: pathlib.Path | None
) -> None:
  """Prints a line for each file of a folder, and what is wrong with it."""
  width = max(len(finding.file.name) for finding in findings)
  place = None
  for finding in findings:
    file, copy = finding.file, finding.copy
    # Where files lie is said once for those that lie together.
    if copy and place != (
      place := copy.path if copy.member else copy.path.parent
    ):
      terminal.print_wrapped(f'in {place}:', indent=2)
    size = f'{file.size:,}' if file.size else '-'
    state = (
      finding.proof.value if finding.proof else 'WRONG' if copy else 'missing'
    )
    print(f'  {file.name:{width}}  {size:>11}  {state}')
    if finding.fault and copy:
      terminal.print_wrapped(finding.fault, indent=4)
    if finding.sha256:
      print(f'    sha256 {finding.sha256}')
    if finding.fingerprint:
      print(f'    fingerprint\n      {finding.fingerprint}')
  remedies = [
    locations.how_to_get(finding.file, manual_dir)
    for finding in findings
    if finding.is_missing
  ]
  for remedy in dict.fromkeys(remedies):
    terminal.print_wrapped(f'{remedy}.', indent=2)

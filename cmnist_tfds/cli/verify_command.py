# SPDX-License-Identifier: Apache-2.0
"""`cmnist verify`: where each origin file is, and whether it is correct."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.origin import audit

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
  findings = list(
    audit.audit(
      arguments.named_sources(args.names),
      arguments.origin_locations(args),
      hashes=args.hashes,
    )
  )
  header = ['file', 'bytes', 'proof', 'where, or what is wrong']
  if args.hashes:
    header[3:3] = ['sha256', 'fingerprint']
  rows = []
  for finding in findings:
    row = [
      finding.file.path,
      '-' if finding.size is None else f'{finding.size:,}',
      _proof(finding),
      # One line, whatever the error message.
      ' '.join((finding.fault or str(finding.copy)).split()),
    ]
    if args.hashes:
      row[3:3] = [finding.sha256 or '-', finding.fingerprint or '-']
    rows.append(row)
  terminal.print_table([header, *rows])
  num_wrong = sum(1 for finding in findings if finding.fault)
  print(f'{len(findings) - num_wrong} of {len(findings)} files are right')
  return terminal.FAILED if num_wrong else 0


def _proof(finding: audit.Finding) -> str:
  if finding.proof:
    return finding.proof.value
  return 'WRONG' if finding.copy else 'missing'

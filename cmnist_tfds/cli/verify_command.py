# SPDX-License-Identifier: Apache-2.0
"""`cmnist verify`: where each origin file is, and whether it is correct."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from cmnist_tfds.cli import arguments, terminal
from cmnist_tfds.origin import audit, missing_files
from cmnist_tfds.sources import OriginFile
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
  locations = arguments.origin_locations(args)
  sources = arguments.named_sources(args.names)
  findings = list(
    streams.progress_bar(
      audit.audit(sources, locations, hashes=args.hashes),
      desc='Checking',
      unit=' files',
      total=sum(len(source.origin_files) for source in sources),
      leave=False,
    )
  )
  groups: dict[str, list[audit.Finding]] = {}
  for finding in findings:
    groups.setdefault(missing_files.group_of(finding.file), []).append(finding)
  for name, group in groups.items():
    print(name)
    _print_group(group)
    missing = [f.file for f in group if _is_missing(f)]
    if missing:
      remedy = missing_files.how_to_get(missing, locations.manual_dir)
      terminal.print_wrapped(f'To go on, {remedy}', indent=2)
  if any(map(_is_missing, findings)):
    terminal.print_wrapped(
      '`cmnist mirror DIR` fetches missing files from all their homes.'
    )
  num_wrong = sum(1 for finding in findings if finding.fault)
  print(f'{len(findings) - num_wrong} of {len(findings)} files are right')
  return terminal.FAILED if num_wrong else 0


def _print_group(findings: list[audit.Finding]) -> None:
  """Prints a line for each file of a group, and what is wrong below it."""
  width = max(len(_name(finding.file)) for finding in findings)
  place = None
  for finding in findings:
    copy = finding.copy
    # Where files lie is said once for those that lie together.
    if copy and not finding.fault:
      beside_others = copy.path.is_file() and not copy.member
      found_in = copy.path.parent if beside_others else copy.path
      if found_in != place:
        terminal.print_wrapped(f'in {found_in}:', indent=2)
      place = found_in
    size = finding.size if finding.copy else finding.file.size
    number = '-' if size is None else f'{size:,}'
    print(f'  {_name(finding.file):{width}}  {number:>11}  {_proof(finding)}')
    if finding.fault and not _is_missing(finding):
      terminal.print_wrapped(finding.fault, indent=4)
    if finding.sha256:
      print(f'    sha256 {finding.sha256}')
    if finding.fingerprint:
      print(f'    fingerprint\n      {finding.fingerprint}')


def _name(file: OriginFile) -> str:
  """Returns the name of a file, with that of its array if it may have many."""
  return file.name if file.array == 'arr_0' else f'{file.name} {file.array}'


def _is_missing(finding: audit.Finding) -> bool:
  return bool(finding.fault) and finding.copy is None


def _proof(finding: audit.Finding) -> str:
  if finding.proof:
    return finding.proof.value
  return 'WRONG' if finding.copy else 'missing'

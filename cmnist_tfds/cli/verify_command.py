# SPDX-License-Identifier: Apache-2.0
"""The commands that look after origin files: verify, mirror."""

from __future__ import annotations

import argparse
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import tqdm

from cmnist_tfds import load, origin, subsets
from cmnist_tfds import sources as sources_lib
from cmnist_tfds.cli import arguments, printing
from cmnist_tfds.origin import audit


def add_commands(commands: Any) -> None:
  """Adds the commands."""
  verify = arguments.command(
    commands,
    'verify',
    _verify,
    'tell of each origin file: where it is and whether it is the right one',
  )
  verify.add_argument(
    'names',
    metavar='NAME',
    nargs='*',
    help='only files of the sources of these subsets',
  )
  arguments.add_data_dir(verify)
  arguments.add_places(verify)
  verify.add_argument(
    '--hashes',
    action='store_true',
    help='print SHA-256 of each file and fingerprint of the array in it, to'
    ' report a file of which none is recorded',
  )

  mirror = arguments.command(
    commands,
    'mirror',
    _mirror,
    'fill a folder with origin files, to serve them over HTTP or to copy',
  )
  mirror.add_argument(
    'folder',
    metavar='DIR',
    type=pathlib.Path,
    help='the folder; what is right in it is kept',
  )
  mirror.add_argument(
    'names',
    metavar='NAME',
    nargs='*',
    help='only files of the sources of these subsets',
  )
  arguments.add_data_dir(mirror)
  arguments.add_places(mirror)


def _verify(args: argparse.Namespace) -> int:
  findings = list(
    audit.audit(_sources(args.names), _locations(args), hashes=args.hashes)
  )
  head = ['file', 'bytes', 'proof', 'where, or what is wrong']
  if args.hashes:
    head[3:3] = ['sha256', 'fingerprint']
  rows = []
  for found in findings:
    row = [
      found.file.path,
      '-' if found.size is None else f'{found.size:,}',
      found.proof.value
      if found.proof
      else 'WRONG'
      if found.copy
      else 'missing',
      ' '.join((found.fault or str(found.copy)).split()),
    ]
    if args.hashes:
      row[3:3] = [found.sha256 or '-', found.fingerprint or '-']
    rows.append(row)
  printing.print_table([head, *rows])
  wrong = sum(1 for found in findings if found.fault)
  print(f'{len(findings) - wrong} of {len(findings)} files are right')
  return printing.FAILED if wrong else 0


def _mirror(args: argparse.Namespace) -> int:
  # They bring an HTTP library.
  from cmnist_tfds.origin import http_client
  from cmnist_tfds.origin import mirror as mirror_lib

  status = 0
  with tqdm.tqdm(
    unit='B', unit_scale=True, disable=not sys.stderr.isatty()
  ) as progress:
    for filled in mirror_lib.fill(
      args.folder,
      _sources(args.names),
      _locations(args),
      http_client.Client(),
      progress.update,
    ):
      progress.clear()
      if filled.fault:
        status = printing.say(
          f'{filled.file.path}: {filled.fault}', printing.FAILED
        )
      else:
        origin = f'from {filled.origin}' if filled.origin else 'was there'
        print(f'{filled.file.path}: {origin}', flush=True)
  return status


def _sources(names: Sequence[str]) -> list[sources_lib.Source]:
  """Returns the sources of some subsets, all if none are named."""
  if not names:
    return list(sources_lib.SOURCES)
  named = {s for name in names for s in subsets.subset(name).sources}
  return [s for s in sources_lib.SOURCES if s in named]


def _locations(args: argparse.Namespace) -> origin.Locations:
  """Returns the places a build with these arguments looks in."""
  from cmnist_tfds.datasets import download_manager

  builder = load.get_builder(subsets.DEFAULT, data_dir=args.data_dir)
  download_dir = pathlib.Path(
    args.download_dir or builder.data_dir_root / 'downloads'
  ).expanduser()
  mirror = origin.mirror_of_user(args.mirror)
  return origin.Locations(
    manual_dir=pathlib.Path(
      args.manual_dir or download_dir / 'manual'
    ).expanduser(),
    mirror=mirror,
    cached=lambda file: download_manager.cached_file(
      download_dir, file, mirror
    ),
  )
